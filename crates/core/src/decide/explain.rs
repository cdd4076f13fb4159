//! What each rule says of one more unit for a customer, though an earlier rule refuses it already. For people who ask why.

use super::find_sale;
use super::gate::{cooldown_refusal, session_refusal, unpaid_refusal};
use super::reservations::{check_customer_limit, check_stock, check_stocks_open};
use super::sales::check_open;
use crate::{Asker, ChallengeTerms, Line, Lines, Now, Refusal, SessionTerms, State, TimeMs, state::Sale};

/// One check, with the figures that it goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the doc of a variant speaks of its fields")]
pub enum SaleCheck {
    /// Whether the sale takes a session. The customer is taken to have one.
    Session { asked: SessionTerms },
    /// Its times.
    SaleOpen { opens_at: Option<TimeMs>, closes_at: Option<TimeMs> },
    /// How long a customer waits after a reservation.
    Cooldown { cooldown_ms: u32 },
    /// How many holds of the customer ran out unpaid, and how many may.
    HoldsUnpaid { unpaid_count: u32, holds_unpaid_max: Option<u32> },
    /// Which challenge is asked for. It comes with a request, so it is not known here.
    Challenge { asked: ChallengeTerms },
    /// How many stocks there are, and how many of them have not closed.
    StockOpen { stock_count: u32, open_count: u32 },
    /// How many units the customer has, and how many are allowed.
    CustomerLimit { quantity_taken: u64, per_customer_max: Option<u32> },
    /// Units that are left in stocks that have not closed.
    Stock { quantity_available: u64 },
}

/// What a check says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It lets the claim through.
    Passed,
    /// It refuses it.
    Refused(Refusal),
    /// It would refuse it, but the sale is in shadow mode.
    RefusedInShadow(Refusal),
    /// It is about a customer, and none is named; or about what a request brings.
    NotAsked,
}

impl SaleCheck {
    /// As operators read it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Session { .. } => "session",
            Self::SaleOpen { .. } => "sale_open",
            Self::Cooldown { .. } => "cooldown",
            Self::HoldsUnpaid { .. } => "holds_unpaid",
            Self::Challenge { .. } => "challenge",
            Self::StockOpen { .. } => "stock_open",
            Self::CustomerLimit { .. } => "customer_limit",
            Self::Stock { .. } => "stock",
        }
    }
}

/// What each rule of a sale says of a claim of this customer to one unit, of the stock of which most is left, in the order in
/// which [`crate::decide`] asks. It refuses the claim for the first that is refused.
///
/// # Errors
/// There is no such sale.
pub fn explain(
    state: &State,
    sale: &str,
    customer: Option<&str>,
    now: Now,
) -> Result<Vec<(SaleCheck, Verdict)>, Refusal> {
    let sale = find_sale(state, sale)?;
    let (time, wall) = (state.clamp(now.partition), now.wall);
    let gate = sale.terms.gate;
    let asker = customer.map_or(Asker::Anyone, Asker::Customer);
    let known = customer.and_then(|name| sale.customers.find(&state.hash, name));
    let of_customer = |verdict: Verdict| if customer.is_none() { Verdict::NotAsked } else { verdict };
    let of_gate = |asked: Result<(), Refusal>| match asked {
        Err(refusal) if sale.is_shadow() => Verdict::RefusedInShadow(refusal),
        other => verdict(other),
    };
    let session = match (gate.session, customer) {
        (SessionTerms::Required, None) => Verdict::NotAsked,
        (_, name) => of_gate(session_refusal(sale, asker, name.unwrap_or_default())),
    };
    let challenge = match gate.challenge {
        ChallengeTerms::Off => Verdict::Passed,
        _ => Verdict::NotAsked,
    };
    let unpaid_count = known.map_or(0, |customer| sale.unpaid_count(customer));
    let quantity_taken = known.map_or(0, |customer| sale.customers.units(customer));
    let (opens_at, closes_at, per_customer_max) =
        (sale.terms.opens_at, sale.terms.closes_at, sale.terms.per_customer_max);
    let stocks = Stocks::of(sale, wall);
    Ok(vec![
        (SaleCheck::Session { asked: gate.session }, session),
        (SaleCheck::SaleOpen { opens_at, closes_at }, verdict(check_open(sale, wall))),
        (
            SaleCheck::Cooldown { cooldown_ms: gate.cooldown_ms },
            of_customer(of_gate(cooldown_refusal(sale, known, time))),
        ),
        (
            SaleCheck::HoldsUnpaid { unpaid_count, holds_unpaid_max: gate.holds_unpaid_max },
            of_customer(of_gate(unpaid_refusal(sale, known))),
        ),
        (SaleCheck::Challenge { asked: gate.challenge }, challenge),
        (
            SaleCheck::StockOpen { stock_count: stocks.count, open_count: stocks.open_count },
            verdict(check_stocks_open(sale, &stocks.best, wall)),
        ),
        (
            SaleCheck::CustomerLimit { quantity_taken, per_customer_max },
            of_customer(verdict(check_customer_limit(sale, known, 1))),
        ),
        (
            SaleCheck::Stock { quantity_available: stocks.quantity_available },
            verdict(check_stock(sale, &stocks.best)),
        ),
    ])
}

fn verdict(asked: Result<(), Refusal>) -> Verdict {
    asked.map_or_else(Verdict::Refused, |()| Verdict::Passed)
}

/// The stocks of a sale as one customer finds them.
struct Stocks {
    count: u32,
    open_count: u32,
    quantity_available: u64,
    /// One unit of the stock that a customer gets most easily.
    best: Lines,
}

impl Stocks {
    fn of(sale: &Sale, wall: TimeMs) -> Self {
        let (mut count, mut open_count, mut quantity_available) = (0, 0, 0);
        let mut best = (false, 0, 0);
        for (place, terms) in sale.terms.stocks.iter().enumerate() {
            let (is_open, available) = (!terms.is_closed(wall), sale.available(place));
            count += 1;
            if is_open {
                open_count += 1;
                quantity_available += u64::from(available);
            }
            best = best.max((is_open, available, place));
        }
        let stock = sale.stock_numbers.nos()[best.2];
        let best = Lines::from_iter([Line { stock, quantity: 1 }]);
        Self { count, open_count, quantity_available, best }
    }
}

//! Decisions about the terms of sales, and about their end.

use super::{Answer, Decision, check_ceiling, check_memory, check_name, check_new_name, find_sale};
use crate::terms_change::check_left_out;
use crate::{
    Ceiling, Event, HOLD_SEARCH_MAX, Now, Precondition, Refusal, ReservationNo, SaleNo, SaleTerms, State,
    StockTerms, TermsChange, TermsField, TimeMs,
    state::{Sale, copy_bytes},
};

/// The terms that a sale has after a change, to be put with [`crate::Command::PutSale`] before anything else is decided.
///
/// # Errors
/// The sale does not exist or is not as `only_if` requires, the change breaks a rule of terms, or a stock leaves out a field that is not at its default.
pub fn change_terms(
    state: &State,
    name: &str,
    change: &TermsChange,
    only_if: &Precondition,
) -> Result<SaleTerms, Refusal> {
    let sale = find_sale(state, name)?;
    check_precondition(only_if, Some(sale))?;
    let terms = change.applied_to(&sale.terms);
    terms.check()?;
    check_left_out(&sale.terms, &terms, &change.left_out)?;
    Ok(terms)
}

pub(super) fn decide_put<'a>(
    state: &State,
    name: &'a str,
    terms: &'a SaleTerms,
    left_out: &[TermsField],
    only_if: &Precondition,
) -> Result<Decision<'a>, Refusal> {
    check_name("sale", name)?;
    terms.check()?;
    let found = state.sales.find(&state.hash, name);
    check_precondition(only_if, found)?;
    let stocks_max = u64::from(state.limits.stocks_max);
    let stocks_after = u64::from(state.stock_count()) + terms.stocks.len() as u64;
    let Some(sale) = found else {
        check_new_name("sale", name)?;
        terms.check_new_names(|_| false)?;
        let has_number = state.sales_ever < u32::MAX;
        check_ceiling(has_number && state.sale_count() < state.limits.sales_max, Ceiling::Sales)?;
        check_ceiling(stocks_after <= stocks_max, Ceiling::Stocks)?;
        check_memory(state)?;
        let sale_no = SaleNo(state.sales_ever);
        return Ok(Decision::new(
            Event::SalePut { sale_no, sale: name, terms },
            Answer::SalePut { created: true },
        ));
    };

    check_left_out(&sale.terms, terms, left_out)?;
    let answer = Answer::SalePut { created: false };
    let mut wanted: Vec<&StockTerms> = terms.stocks.iter().collect();
    wanted.sort_unstable_by(|a, b| a.stock.cmp(&b.stock));
    if is_same(&sale.terms, terms, &wanted) {
        return Ok(Decision::nothing_new(answer));
    }
    terms.check_new_names(|stock| sale.place_of(stock).is_some())?;
    check_reserved(sale, &wanted)?;
    let kept_count = wanted.iter().filter(|stock| sale.place_of(&stock.stock).is_some()).count();
    let numbers_left = usize::from(u16::MAX - sale.stock_numbers.stocks_ever());
    let is_growing = wanted.len() > sale.terms.stocks.len();
    let has_room = !is_growing || stocks_after - sale.terms.stocks.len() as u64 <= stocks_max;
    check_ceiling(has_room && wanted.len() - kept_count <= numbers_left, Ceiling::Stocks)?;
    // Terms that take no more memory have to pass, or no sale could be closed to be archived.
    if kept_count < wanted.len() || copy_bytes(terms) > copy_bytes(&sale.terms) {
        check_memory(state)?;
    }
    Ok(Decision::new(Event::SalePut { sale_no: sale.no, sale: name, terms }, answer))
}

/// What came of a search for a held reservation in a closed sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldEnd {
    /// Ends the first one that is held, to be recorded and applied; absent if none of those looked through is.
    pub event: Option<Event<'static>>,
    /// The ordinal to go on from; absent if no reservation from there on is held.
    pub next: Option<u32>,
}

/// Looks for a held reservation of a closed sale, from ordinal `from` on and through [`HOLD_SEARCH_MAX`] of them at most, to
/// end it: a hold that is over expires, any other is released. So a sale can be archived before its holds are over, with
/// an event for each. No new ones come meanwhile, as a closed sale takes none.
///
/// # Errors
/// The sale does not exist, is not as `only_if` requires, or has not closed.
pub fn decide_hold_end(
    state: &State,
    name: &str,
    only_if: &Precondition,
    from: u32,
    now: Now,
) -> Result<HoldEnd, Refusal> {
    let sale = find_sale(state, name)?;
    check_precondition(only_if, Some(sale))?;
    check_closed(sale, now.wall)?;
    if sale.held_count == 0 {
        return Ok(HoldEnd { event: None, next: None });
    }
    let count = sale.reservations.len();
    let until = from.saturating_add(HOLD_SEARCH_MAX).min(count);
    let held = (from..until).find_map(|seq| Some((seq, sale.reservations.get(seq)?.expires_at()?)));
    let next = held.map_or(until, |(seq, _)| seq + 1);
    let event = held.map(|(seq, expires_at)| {
        let reservation = ReservationNo { sale: sale.no, seq };
        if expires_at <= state.clamp(now.partition) {
            Event::Expired { reservation }
        } else {
            Event::Released { reservation }
        }
    });
    Ok(HoldEnd { event, next: (next < count).then_some(next) })
}

pub(super) fn decide_archive<'a>(
    state: &State,
    name: &'a str,
    only_if: &Precondition,
    wall: TimeMs,
) -> Result<Decision<'a>, Refusal> {
    let sale = find_sale(state, name)?;
    check_precondition(only_if, Some(sale))?;
    check_closed(sale, wall)?;
    if sale.held_count > 0 {
        return Err(Refusal::HoldsPending {
            quantity_held: sale.unit_totals().held,
            held_count: sale.held_count,
            held_until: sale.held_until_max,
        });
    }
    Ok(Decision::new(Event::SaleArchived { sale_no: sale.no }, Answer::SaleArchived))
}

/// Whether the sale takes reservations when the wall clock shows `wall`.
pub(super) fn check_open(sale: &Sale, wall: TimeMs) -> Result<(), Refusal> {
    match (sale.terms.opens_at, sale.terms.closes_at) {
        (Some(opens_at), _) if wall < opens_at => Err(Refusal::SaleNotOpen { opens_at }),
        (_, Some(closes_at)) if closes_at <= wall => Err(Refusal::SaleClosed { closes_at }),
        _ => Ok(()),
    }
}

fn check_closed(sale: &Sale, wall: TimeMs) -> Result<(), Refusal> {
    let is_closed = sale.terms.closes_at.is_some_and(|closes_at| closes_at <= wall);
    if is_closed { Ok(()) } else { Err(Refusal::SaleOpen) }
}

fn check_precondition(only_if: &Precondition, sale: Option<&Sale>) -> Result<(), Refusal> {
    only_if.check(sale.map(|sale| sale.version.terms)).map_err(Refusal::PreconditionFailed)
}

/// Whether the new terms say what the old ones do. `wanted` are the new stocks in the order of names, as the old ones are.
fn is_same(old: &SaleTerms, new: &SaleTerms, wanted: &[&StockTerms]) -> bool {
    let SaleTerms { title, opens_at, closes_at, per_customer_max, hold_ttl_ms, gate, stocks } = old;
    *title == new.title
        && *opens_at == new.opens_at
        && *closes_at == new.closes_at
        && *per_customer_max == new.per_customer_max
        && *hold_ttl_ms == new.hold_ttl_ms
        && *gate == new.gate
        && stocks.iter().eq(wanted.iter().copied())
}

/// Whether every stock keeps the units that are held and confirmed, and every stock that ever had reservations stays.
fn check_reserved(sale: &Sale, wanted: &[&StockTerms]) -> Result<(), Refusal> {
    for (stock, figures) in sale.terms.stocks.iter().zip(&sale.figures) {
        let kept = wanted.binary_search_by(|wanted| wanted.stock.cmp(&stock.stock));
        let stock = || stock.stock.as_str().into();
        let (quantity_held, quantity_confirmed) = (figures.held, figures.confirmed);
        match kept {
            Ok(at) if figures.taken() > wanted[at].quantity_total => {
                return Err(Refusal::QuantityBelowReserved {
                    stock: stock(),
                    quantity_held,
                    quantity_confirmed,
                });
            }
            Err(_) if figures.is_reserved => {
                return Err(Refusal::StockInUse { stock: stock(), quantity_held, quantity_confirmed });
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::{
        Ceiling, Command, Decision, GateTerms, Limits, Now, Precondition, Refusal, SaleTerms, State,
        StockTerms, decide,
    };

    /// Terms with stocks of these numbers.
    fn terms(stocks: std::ops::Range<u32>) -> SaleTerms {
        let stock = |number| StockTerms {
            stock: format!("stock-{number}"),
            title: String::new(),
            starts_at: None,
            ends_at: None,
            closes_at: None,
            quantity_total: 1,
        };
        SaleTerms {
            title: String::new(),
            opens_at: None,
            closes_at: None,
            per_customer_max: None,
            hold_ttl_ms: 0,
            gate: GateTerms::default(),
            stocks: stocks.map(stock).collect(),
        }
    }

    #[test]
    fn a_sale_has_at_most_65535_stocks_ever() {
        let mut state = State::new(Limits::default(), 1);
        let mut put = |terms: SaleTerms| match decide(
            &state,
            &Command::PutSale { sale: "s", terms: &terms, left_out: &[], only_if: &Precondition::None },
            Now::both(1),
        ) {
            Ok(Decision { event, .. }) => {
                state.apply(&event.expect("the terms are new"), 1);
                None
            }
            Err(refusal) => Some(refusal),
        };
        for thousand in 0..65 {
            assert_eq!(put(terms(thousand * 1_000..(thousand + 1) * 1_000)), None);
        }
        assert_eq!(put(terms(65_000..65_536)), Some(Refusal::CeilingReached(Ceiling::Stocks)));
        assert_eq!(put(terms(65_000..65_535)), None);
        assert_eq!(put(terms(65_000..65_536)), Some(Refusal::CeilingReached(Ceiling::Stocks)));
        assert_eq!(put(terms(65_000..65_001)), None);
    }
}

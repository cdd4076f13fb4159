//! Refusals of a partition as problems.

use onrush_core::{Ceiling, ChallengeTerms, NEW_NAME_RULE, Refusal, TimeMs, Unmet};
use onrush_node::{Name, ReserveCall};

use super::member::Member;
use super::{CEILING_RETRY_S, Code, Problem};

impl Problem {
    /// `call` is the claim, if it was one. `now_ms` is the wall clock's, for `Retry-After`.
    pub(super) fn from_refusal(refusal: &Refusal, call: Option<&ReserveCall>, now_ms: TimeMs) -> Self {
        let stock_of = |line: u8| {
            call.and_then(|call| call.lines.get(usize::from(line)))
                .map_or_else(Name::default, |l| l.stock.clone())
        };
        match refusal {
            Refusal::InvalidName { field } => Self::invalid(*field, NEW_NAME_RULE),
            Refusal::InvalidTerms(invalid) => Self::invalid(invalid.field.clone(), invalid.rule),
            Refusal::Invalid { field, rule } => Self::invalid(*field, rule),
            Refusal::CounterNotFound => Self::new(Code::CounterNotFound, COUNTER_NOT_FOUND),
            Refusal::WindowNotFound => Self::new(Code::WindowNotFound, WINDOW_NOT_FOUND),
            Refusal::SaleNotFound => Self::sale_not_found(),
            Refusal::StockNotFound { line } => {
                Self::new(Code::StockNotFound, "Check the stock's name against the stocks of the sale.")
                    .with(Member::Stock(stock_of(*line)))
            }
            Refusal::ReservationNotFound => Self::reservation_not_found(),
            Refusal::InsufficientStock { line, quantity_available } => Self::new(
                Code::InsufficientStock,
                "Ask for quantity_available or fewer, or for another stock.",
            )
            .with(Member::StockLeft { stock: stock_of(*line), quantity_available: *quantity_available }),
            &Refusal::CustomerLimitReached { per_customer_max, quantity_taken } => {
                Self::new(Code::CustomerLimitReached, CUSTOMER_LIMIT_REACHED)
                    .with(Member::CustomerLimit { per_customer_max, quantity_taken })
            }
            Refusal::SaleNotOpen { opens_at } => Self::sale_not_open(*opens_at, now_ms),
            Refusal::SaleClosed { closes_at } => Self::sale_closed(*closes_at),
            Refusal::StockClosed { line, closes_at } => {
                Self::new(Code::StockClosed, "The stock takes no more reservations; others of the sale may.")
                    .with(Member::StockClosed { stock: stock_of(*line), closes_at: *closes_at })
            }
            Refusal::SessionRequired => Self::new(Code::SessionRequired, SESSION_REQUIRED),
            Refusal::SessionExpired => Self::session_expired(),
            Refusal::CustomerMismatch => Self::new(Code::CustomerMismatch, CUSTOMER_MISMATCH),
            Refusal::CoolingDown { left_ms } => Self::cooling_down(*left_ms),
            Refusal::HoldsUnpaid { holds_unpaid_max } => {
                Self::new(Code::HoldsUnpaid, HOLDS_UNPAID).with(Member::HoldsUnpaidMax(*holds_unpaid_max))
            }
            Refusal::ChallengeRequired { challenge } => Self::challenge_required(*challenge),
            Refusal::ChallengeFailed => Self::new(Code::ChallengeFailed, CHALLENGE_FAILED),
            Refusal::OperatorOnly => Self::new(Code::OperatorOnly, OPERATOR_ONLY),
            Refusal::ReservationNotHeld => Self::new(Code::ReservationNotHeld, RESERVATION_NOT_HELD),
            Refusal::HoldExpired => Self::new(Code::HoldExpired, HOLD_EXPIRED),
            Refusal::QuantityBelowReserved { stock, quantity_held, quantity_confirmed } => {
                let taken = stock_taken(stock, *quantity_held, *quantity_confirmed);
                Self::new(Code::QuantityBelowReserved, quantity_below_reserved(stock)).with(taken)
            }
            Refusal::StockInUse { stock, quantity_held, quantity_confirmed } => {
                let taken = stock_taken(stock, *quantity_held, *quantity_confirmed);
                Self::new(Code::StockInUse, stock_in_use(stock)).with(taken)
            }
            Refusal::PreconditionFailed(unmet) => Self::new(Code::PreconditionFailed, of_unmet(*unmet)),
            Refusal::SaleOpen => Self::new(Code::SaleOpen, SALE_OPEN),
            &Refusal::HoldsPending { quantity_held, held_count, held_until } => {
                Self::new(Code::HoldsPending, HOLDS_PENDING).with(Member::Holds {
                    quantity_held,
                    held_count,
                    held_until,
                })
            }
            Refusal::CustomerExists => Self::new(Code::CustomerExists, CUSTOMER_EXISTS),
            Refusal::RowNotFound => Self::row_not_found(),
            Refusal::DenialNotFound => Self::new(Code::DenialNotFound, DENIAL_NOT_FOUND),
            Refusal::IdempotencyKeyReused => Self::new(Code::IdempotencyKeyReused, KEY_REUSED),
            Refusal::CeilingReached(ceiling) => {
                Self::new(Code::Overloaded, ceiling_detail(*ceiling)).retry_after(CEILING_RETRY_S)
            }
            Refusal::PartitionExists => Self::malformed("The partition exists already."),
        }
    }

    fn sale_not_open(opens_at: TimeMs, now_ms: TimeMs) -> Self {
        Self::new(Code::SaleNotOpen, "Try again from opens_at on.")
            .retry_after(opens_at.saturating_sub(now_ms).div_ceil(1_000).max(1))
            .with(Member::OpensAt(opens_at))
    }

    fn sale_closed(closes_at: TimeMs) -> Self {
        Self::new(Code::SaleClosed, "The sale takes no more reservations.").with(Member::ClosesAt(closes_at))
    }

    fn challenge_required(challenge: ChallengeTerms) -> Self {
        Self::new(Code::ChallengeRequired, CHALLENGE_REQUIRED).with(Member::Kinds(challenge))
    }

    fn cooling_down(left_ms: u64) -> Self {
        Self::new(Code::CoolingDown, "Try again after Retry-After. Asking earlier does not make it longer.")
            .retry_after(left_ms.div_ceil(1_000))
            .with(Member::CooldownLeft(left_ms))
    }
}

fn quantity_below_reserved(stock: &str) -> String {
    format!(
        "Stock {stock} has more units held and confirmed than that. Give it a quantity_total of at least those units."
    )
}

fn stock_in_use(stock: &str) -> String {
    format!(
        "Reservations name stock {stock}, be they released or expired, so it cannot be left out. Keep it; with a \
         quantity_total of the units held and confirmed it sells no more."
    )
}

fn stock_taken(stock: &str, quantity_held: u32, quantity_confirmed: u32) -> Member {
    Member::StockTaken { stock: Name::from(stock), quantity_held, quantity_confirmed }
}

const fn of_unmet(unmet: Unmet) -> &'static str {
    match unmet {
        Unmet::Missing => {
            "There is no such sale, and If-Match says that there must be one. Nothing was done."
        }
        Unmet::Exists => {
            "The sale exists, and If-None-Match says that it must not. Nothing was done. To change it, read it and send its \
             ETag as If-Match."
        }
        Unmet::TermsDiffer => {
            "The terms of the sale are not those of If-Match: somebody changed them since. Nothing was done. Read the sale, \
             and send its ETag as If-Match."
        }
    }
}

const CUSTOMER_LIMIT_REACHED: &str = "With what was asked for, the customer would have more than per_customer_max units. Release some or ask for fewer.";
const CHALLENGE_REQUIRED: &str = "The sale asks for a challenge of one of these kinds. Get one at /v1/sales/{sale}/challenges, solve it, and send it with the request.";
const CHALLENGE_FAILED: &str = "The answer is wrong, or the challenge is over, used, or not for this customer and sale. Get another one.";
const SESSION_REQUIRED: &str =
    "This sale takes a session. Nothing was done. Log in and send the session with the request.";
const CUSTOMER_MISMATCH: &str = "A session acts for its own customer alone. Nothing was done. Leave customer out, or log in as that customer.";
const CUSTOMER_EXISTS: &str =
    "Choose another name, or log in if the account is yours: POST /v1/session with the password.";
const SALE_OPEN: &str = "Give the sale a closes_at in the past with PATCH, then delete it.";
const DENIAL_NOT_FOUND: &str = "Check the kind and the value; GET /v1/denylist lists them.";
const KEY_REUSED: &str = "Use a new Idempotency-Key for every new reservation.";
const HOLDS_UNPAID: &str =
    "As many holds of this customer as the sale allows have run out without being paid.";
const OPERATOR_ONLY: &str =
    "In this sale the shop confirms once it was paid, on the operator listener. Nothing was done.";
const HOLDS_PENDING: &str = "Customers may still be paying. Delete the sale once they are done, at held_until at the latest, or now with \
                             ?force=true, which releases what is held.";
const RESERVATION_NOT_HELD: &str = "It was released before. Make a new reservation.";
const HOLD_EXPIRED: &str = "Its units went back to the stock. Make a new reservation. If it was paid, the shop can take the units again on the operator \
     listener, with reclaim=true.";
const COUNTER_NOT_FOUND: &str = "Check the name; a counter exists once something was added to it.";
const WINDOW_NOT_FOUND: &str = "Check the name; a window exists once a request was counted in it.";

fn ceiling_detail(ceiling: Ceiling) -> &'static str {
    match ceiling {
        Ceiling::Counters => {
            "The server has limits.counters_max counters. Use an existing one or raise the setting."
        }
        Ceiling::Windows => {
            "The server has limits.windows_max windows. Use an existing one or raise the setting."
        }
        Ceiling::Sales => "The server has limits.sales_max sales. Delete closed ones or raise the setting.",
        Ceiling::Stocks => {
            "The server has limits.stocks_max stocks, or this sale had 65535 ever. Delete closed sales or raise the setting."
        }
        Ceiling::Reservations => {
            "The server has limits.reservations_max reservations. Delete closed sales or raise the setting."
        }
        Ceiling::DetailsBytes => {
            "The server keeps limits.details_bytes_max bytes of details. Delete closed sales, send none or raise the setting."
        }
        Ceiling::Accounts => "The server has limits.accounts_max accounts. Raise the setting.",
        Ceiling::Denials => {
            "The denylist has limits.denials_max entries. Take some off, deny a network instead or raise the setting."
        }
        Ceiling::StateBytes => {
            "The server keeps limits.state_bytes_max bytes in memory. Delete closed sales or rows, or raise the setting."
        }
        Ceiling::CounterValue => "The counter has reached its 64 bits. Use another counter.",
    }
}

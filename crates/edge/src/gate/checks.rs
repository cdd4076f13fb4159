//! The checks of the gate by the names that explanations and figures have for them, and which of them refuses with which code.

use onrush_core::RefusalCode;

/// How often somebody asks.
pub(crate) const RATE_LIMITS: &str = "rate_limits";
/// Whom the operator keeps out.
pub(crate) const DENYLIST: &str = "denylist";
/// Who asks.
pub(crate) const SESSION: &str = "session";
/// Whether it was answered before.
pub(crate) const REPLAY: &str = "replay";
const SALE_OPEN: &str = "sale_open";
const COOLDOWN: &str = "cooldown";
const HOLDS_UNPAID: &str = "holds_unpaid";
/// What was solved for it.
pub(crate) const CHALLENGE: &str = "challenge";
const STOCK_OPEN: &str = "stock_open";
const CUSTOMER_LIMIT: &str = "customer_limit";
const STOCK: &str = "stock";

/// Every check of a reservation, in the order in which they are asked.
pub(crate) const CHECKS: [&str; 11] = [
    RATE_LIMITS,
    DENYLIST,
    SESSION,
    REPLAY,
    SALE_OPEN,
    COOLDOWN,
    HOLDS_UNPAID,
    CHALLENGE,
    STOCK_OPEN,
    CUSTOMER_LIMIT,
    STOCK,
];

/// The one check of confirming: who may.
const CONFIRM_BY: &str = "confirm_by";

/// What stands in place of a check, or of a code, where there is none.
pub(crate) const NONE: &str = "none";

/// The check that refuses with this code; [`NONE`] if it says something else, such as that there is no such sale.
pub(crate) const fn check_of(code: RefusalCode) -> &'static str {
    match code {
        RefusalCode::SessionRequired | RefusalCode::SessionExpired | RefusalCode::CustomerMismatch => SESSION,
        RefusalCode::IdempotencyKeyReused => REPLAY,
        RefusalCode::SaleNotOpen | RefusalCode::SaleClosed => SALE_OPEN,
        RefusalCode::CoolingDown => COOLDOWN,
        RefusalCode::HoldsUnpaid => HOLDS_UNPAID,
        RefusalCode::ChallengeRequired | RefusalCode::ChallengeFailed => CHALLENGE,
        RefusalCode::StockClosed => STOCK_OPEN,
        RefusalCode::CustomerLimitReached => CUSTOMER_LIMIT,
        RefusalCode::InsufficientStock => STOCK,
        RefusalCode::OperatorOnly => CONFIRM_BY,
        RefusalCode::InvalidRequest
        | RefusalCode::CounterNotFound
        | RefusalCode::WindowNotFound
        | RefusalCode::SaleNotFound
        | RefusalCode::StockNotFound
        | RefusalCode::ReservationNotFound
        | RefusalCode::ReservationNotHeld
        | RefusalCode::HoldExpired
        | RefusalCode::QuantityBelowReserved
        | RefusalCode::SaleOpen
        | RefusalCode::HoldsPending
        | RefusalCode::StockInUse
        | RefusalCode::Overloaded
        | RefusalCode::PreconditionFailed
        | RefusalCode::DenialNotFound
        | RefusalCode::CustomerExists
        | RefusalCode::RowNotFound => NONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_a_gate_is_of_a_check_and_every_rule_of_a_sale_has_a_code() {
        for code in RefusalCode::ALL {
            let check = check_of(code);
            assert!(CHECKS.contains(&check) || [CONFIRM_BY, NONE].contains(&check), "{code:?}");
            assert!(!code.is_of_gate() || check != NONE, "{code:?}");
        }
        // What is asked before is no rule of a sale.
        for check in CHECKS[2..].iter().chain([&CONFIRM_BY]) {
            assert!(RefusalCode::ALL.iter().any(|code| check_of(*code) == *check), "{check}");
        }
    }
}

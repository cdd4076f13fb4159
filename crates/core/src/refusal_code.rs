//! The stable names of refusals, which clients compare and metrics count by.

use crate::Refusal;

/// What kind of refusal it is. Several refusals may have one code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are named after the refusals")]
pub enum RefusalCode {
    InvalidRequest,
    CounterNotFound,
    WindowNotFound,
    SaleNotFound,
    StockNotFound,
    ReservationNotFound,
    InsufficientStock,
    CustomerLimitReached,
    SaleNotOpen,
    SaleClosed,
    ReservationNotHeld,
    HoldExpired,
    QuantityBelowReserved,
    SaleOpen,
    HoldsPending,
    StockInUse,
    IdempotencyKeyReused,
    Overloaded,
    PreconditionFailed,
    StockClosed,
    SessionRequired,
    CustomerMismatch,
    CoolingDown,
    HoldsUnpaid,
    OperatorOnly,
    DenialNotFound,
    CustomerExists,
    ChallengeRequired,
    ChallengeFailed,
    SessionExpired,
    RowNotFound,
}

impl RefusalCode {
    /// Every code, each at the index that it is as a number.
    pub const ALL: [Self; 31] = [
        Self::InvalidRequest,
        Self::CounterNotFound,
        Self::WindowNotFound,
        Self::SaleNotFound,
        Self::StockNotFound,
        Self::ReservationNotFound,
        Self::InsufficientStock,
        Self::CustomerLimitReached,
        Self::SaleNotOpen,
        Self::SaleClosed,
        Self::ReservationNotHeld,
        Self::HoldExpired,
        Self::QuantityBelowReserved,
        Self::SaleOpen,
        Self::HoldsPending,
        Self::StockInUse,
        Self::IdempotencyKeyReused,
        Self::Overloaded,
        Self::PreconditionFailed,
        Self::StockClosed,
        Self::SessionRequired,
        Self::CustomerMismatch,
        Self::CoolingDown,
        Self::HoldsUnpaid,
        Self::OperatorOnly,
        Self::DenialNotFound,
        Self::CustomerExists,
        Self::ChallengeRequired,
        Self::ChallengeFailed,
        Self::SessionExpired,
        Self::RowNotFound,
    ];

    /// As clients read it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::CounterNotFound => "counter_not_found",
            Self::WindowNotFound => "window_not_found",
            Self::SaleNotFound => "sale_not_found",
            Self::StockNotFound => "stock_not_found",
            Self::ReservationNotFound => "reservation_not_found",
            Self::InsufficientStock => "insufficient_stock",
            Self::CustomerLimitReached => "customer_limit_reached",
            Self::SaleNotOpen => "sale_not_open",
            Self::SaleClosed => "sale_closed",
            Self::ReservationNotHeld => "reservation_not_held",
            Self::HoldExpired => "hold_expired",
            Self::QuantityBelowReserved => "quantity_below_reserved",
            Self::SaleOpen => "sale_open",
            Self::HoldsPending => "holds_pending",
            Self::StockInUse => "stock_in_use",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::Overloaded => "overloaded",
            Self::PreconditionFailed => "precondition_failed",
            Self::StockClosed => "stock_closed",
            Self::SessionRequired => "session_required",
            Self::CustomerMismatch => "customer_mismatch",
            Self::CoolingDown => "cooling_down",
            Self::HoldsUnpaid => "holds_unpaid",
            Self::OperatorOnly => "operator_only",
            Self::DenialNotFound => "denial_not_found",
            Self::CustomerExists => "customer_exists",
            Self::ChallengeRequired => "challenge_required",
            Self::ChallengeFailed => "challenge_failed",
            Self::SessionExpired => "session_expired",
            Self::RowNotFound => "row_not_found",
        }
    }
}

impl RefusalCode {
    /// Whether it says what the gate of a sale asks, which a sale in shadow mode does not refuse for.
    pub const fn is_of_gate(self) -> bool {
        matches!(
            self,
            Self::SessionRequired
                | Self::SessionExpired
                | Self::CustomerMismatch
                | Self::CoolingDown
                | Self::HoldsUnpaid
                | Self::ChallengeRequired
                | Self::ChallengeFailed
                | Self::OperatorOnly
        )
    }
}

impl Refusal {
    /// Its code.
    pub const fn code(&self) -> RefusalCode {
        match self {
            Self::InvalidName { .. }
            | Self::InvalidTerms(_)
            | Self::Invalid { .. }
            | Self::PartitionExists => RefusalCode::InvalidRequest,
            Self::CounterNotFound => RefusalCode::CounterNotFound,
            Self::WindowNotFound => RefusalCode::WindowNotFound,
            Self::SaleNotFound => RefusalCode::SaleNotFound,
            Self::StockNotFound { .. } => RefusalCode::StockNotFound,
            Self::ReservationNotFound => RefusalCode::ReservationNotFound,
            Self::InsufficientStock { .. } => RefusalCode::InsufficientStock,
            Self::CustomerLimitReached { .. } => RefusalCode::CustomerLimitReached,
            Self::SaleNotOpen { .. } => RefusalCode::SaleNotOpen,
            Self::SaleClosed { .. } => RefusalCode::SaleClosed,
            Self::StockClosed { .. } => RefusalCode::StockClosed,
            Self::SessionRequired => RefusalCode::SessionRequired,
            Self::SessionExpired => RefusalCode::SessionExpired,
            Self::CustomerMismatch => RefusalCode::CustomerMismatch,
            Self::CoolingDown { .. } => RefusalCode::CoolingDown,
            Self::HoldsUnpaid { .. } => RefusalCode::HoldsUnpaid,
            Self::OperatorOnly => RefusalCode::OperatorOnly,
            Self::ReservationNotHeld => RefusalCode::ReservationNotHeld,
            Self::HoldExpired => RefusalCode::HoldExpired,
            Self::QuantityBelowReserved { .. } => RefusalCode::QuantityBelowReserved,
            Self::StockInUse { .. } => RefusalCode::StockInUse,
            Self::PreconditionFailed(_) => RefusalCode::PreconditionFailed,
            Self::SaleOpen => RefusalCode::SaleOpen,
            Self::HoldsPending { .. } => RefusalCode::HoldsPending,
            Self::IdempotencyKeyReused => RefusalCode::IdempotencyKeyReused,
            Self::DenialNotFound => RefusalCode::DenialNotFound,
            Self::CustomerExists => RefusalCode::CustomerExists,
            Self::RowNotFound => RefusalCode::RowNotFound,
            Self::ChallengeRequired { .. } => RefusalCode::ChallengeRequired,
            Self::ChallengeFailed => RefusalCode::ChallengeFailed,
            Self::CeilingReached(_) => RefusalCode::Overloaded,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RefusalCode;

    #[test]
    fn codes_stand_at_their_index() {
        for (index, code) in RefusalCode::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, index, "{code:?}");
        }
    }
}

//! The codes of problems, with the status and the title that go with each.

/// The stable name of a kind of problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is described by its entry")]
pub enum Code {
    InvalidRequest,
    Unauthorized,
    CrossSite,
    NotFound,
    CounterNotFound,
    WindowNotFound,
    SaleNotFound,
    StockNotFound,
    ReservationNotFound,
    SinkNotFound,
    MethodNotAllowed,
    InsufficientStock,
    CustomerLimitReached,
    SaleNotOpen,
    SaleClosed,
    StockClosed,
    ReservationNotHeld,
    QuantityBelowReserved,
    StockInUse,
    SaleOpen,
    HoldsPending,
    SinkNotStopped,
    HoldExpired,
    PreconditionFailed,
    BodyTooLarge,
    TargetTooLong,
    UnsupportedMediaType,
    IdempotencyKeyReused,
    HeadersTooLarge,
    Overloaded,
    LogUnavailable,
    Draining,
}

impl Code {
    /// Every code, by status.
    pub const ALL: [Self; 32] = [
        Self::InvalidRequest,
        Self::Unauthorized,
        Self::CrossSite,
        Self::NotFound,
        Self::CounterNotFound,
        Self::WindowNotFound,
        Self::SaleNotFound,
        Self::StockNotFound,
        Self::ReservationNotFound,
        Self::SinkNotFound,
        Self::MethodNotAllowed,
        Self::InsufficientStock,
        Self::CustomerLimitReached,
        Self::SaleNotOpen,
        Self::SaleClosed,
        Self::StockClosed,
        Self::ReservationNotHeld,
        Self::QuantityBelowReserved,
        Self::StockInUse,
        Self::SaleOpen,
        Self::HoldsPending,
        Self::SinkNotStopped,
        Self::HoldExpired,
        Self::PreconditionFailed,
        Self::BodyTooLarge,
        Self::TargetTooLong,
        Self::UnsupportedMediaType,
        Self::IdempotencyKeyReused,
        Self::HeadersTooLarge,
        Self::Overloaded,
        Self::LogUnavailable,
        Self::Draining,
    ];

    /// The status that goes with it.
    pub const fn status(self) -> u16 {
        self.entry().0
    }

    /// As clients compare it.
    pub const fn as_str(self) -> &'static str {
        self.entry().1
    }

    /// As people read it.
    pub const fn title(self) -> &'static str {
        self.entry().2
    }

    const fn entry(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::InvalidRequest => (400, "invalid_request", "The request is invalid"),
            Self::Unauthorized => (401, "unauthorized", "The operator key is missing or wrong"),
            Self::CrossSite => (403, "cross_site", "The request comes from another site"),
            Self::NotFound => (404, "not_found", "There is nothing at this path"),
            Self::CounterNotFound => (404, "counter_not_found", "There is no such counter"),
            Self::WindowNotFound => (404, "window_not_found", "There is no such window"),
            Self::SaleNotFound => (404, "sale_not_found", "There is no such sale"),
            Self::StockNotFound => (404, "stock_not_found", "The sale has no such stock"),
            Self::ReservationNotFound => (404, "reservation_not_found", "The sale has no such reservation"),
            Self::SinkNotFound => (404, "sink_not_found", "There is no such sink"),
            Self::MethodNotAllowed => (405, "method_not_allowed", "The path does not take this method"),
            Self::InsufficientStock => (409, "insufficient_stock", "There is not enough stock left"),
            Self::CustomerLimitReached => {
                (409, "customer_limit_reached", "The customer has reached this sale's limit")
            }
            Self::SaleNotOpen => (409, "sale_not_open", "The sale has not opened yet"),
            Self::SaleClosed => (409, "sale_closed", "The sale has closed"),
            Self::StockClosed => (409, "stock_closed", "The stock has closed"),
            Self::ReservationNotHeld => (409, "reservation_not_held", "The reservation is not held"),
            Self::QuantityBelowReserved => {
                (409, "quantity_below_reserved", "The quantity is below the units held and confirmed")
            }
            Self::StockInUse => (409, "stock_in_use", "The stock has reservations, or had some"),
            Self::SaleOpen => (409, "sale_open", "The sale has not closed"),
            Self::HoldsPending => (409, "holds_pending", "Reservations of the sale are still held"),
            Self::SinkNotStopped => (409, "sink_not_stopped", "The sink is not stopped at that offset"),
            Self::HoldExpired => (410, "hold_expired", "The hold has expired"),
            Self::PreconditionFailed => {
                (412, "precondition_failed", "The sale is not as the request requires")
            }
            Self::BodyTooLarge => (413, "body_too_large", "The body is too large"),
            Self::TargetTooLong => (414, "target_too_long", "The request target is too long"),
            Self::UnsupportedMediaType => (415, "unsupported_media_type", "The body is not JSON"),
            Self::IdempotencyKeyReused => {
                (422, "idempotency_key_reused", "The idempotency key belongs to another request")
            }
            Self::HeadersTooLarge => (431, "headers_too_large", "The header fields are too large"),
            Self::Overloaded => (503, "overloaded", "The server is at capacity"),
            Self::LogUnavailable => (503, "log_unavailable", "The log cannot be written"),
            Self::Draining => (503, "draining", "The server is stopping"),
        }
    }
}

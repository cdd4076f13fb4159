//! The codes of problems, with the status and the title that go with each. Those of refusals are core's.

use onrush_core::RefusalCode;

/// The stable name of a kind of problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is described by its entry")]
pub enum Code {
    InvalidRequest,
    Unauthorized,
    SessionRequired,
    SessionExpired,
    InvalidCredentials,
    CrossSite,
    Denied,
    CustomerMismatch,
    ChallengeRequired,
    ChallengeFailed,
    HoldsUnpaid,
    CustomerExists,
    OperatorOnly,
    NotFound,
    CounterNotFound,
    WindowNotFound,
    SaleNotFound,
    StockNotFound,
    ReservationNotFound,
    DenialNotFound,
    CollectionNotFound,
    RowNotFound,
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
    CoolingDown,
    RateLimited,
    HeadersTooLarge,
    Incoherent,
    SourceUnavailable,
    Overloaded,
    LogUnavailable,
    NotLeader,
    Draining,
}

const LIMIT_REACHED: &str = "The customer has reached this sale's limit";

impl Code {
    /// Every code, by status.
    pub const ALL: [Self; 50] = [
        Self::InvalidRequest,
        Self::Unauthorized,
        Self::SessionRequired,
        Self::SessionExpired,
        Self::InvalidCredentials,
        Self::CrossSite,
        Self::Denied,
        Self::CustomerMismatch,
        Self::ChallengeRequired,
        Self::ChallengeFailed,
        Self::HoldsUnpaid,
        Self::CustomerExists,
        Self::OperatorOnly,
        Self::NotFound,
        Self::CounterNotFound,
        Self::WindowNotFound,
        Self::SaleNotFound,
        Self::StockNotFound,
        Self::ReservationNotFound,
        Self::DenialNotFound,
        Self::CollectionNotFound,
        Self::RowNotFound,
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
        Self::CoolingDown,
        Self::RateLimited,
        Self::HeadersTooLarge,
        Self::Incoherent,
        Self::SourceUnavailable,
        Self::Overloaded,
        Self::LogUnavailable,
        Self::NotLeader,
        Self::Draining,
    ];

    /// Whether it can be said of what this server has read, before anything is decided: of the denylist, of sessions that were ended,
    /// and of rows.
    pub(crate) const fn is_of_view(self) -> bool {
        matches!(
            self,
            Self::Denied
                | Self::SessionExpired
                | Self::RowNotFound
                | Self::CollectionNotFound
                | Self::Incoherent
        )
    }

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

    #[allow(clippy::too_many_lines, reason = "a row for each code")]
    const fn entry(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::InvalidRequest => (400, RefusalCode::InvalidRequest.as_str(), "The request is invalid"),
            Self::Unauthorized => (401, "unauthorized", "The operator key is missing or wrong"),
            Self::SessionRequired => (401, RefusalCode::SessionRequired.as_str(), "A session is needed"),
            Self::CustomerMismatch => {
                (403, RefusalCode::CustomerMismatch.as_str(), "The session is another customer's")
            }
            Self::CustomerExists => {
                (409, RefusalCode::CustomerExists.as_str(), "The customer has an account already")
            }
            Self::ChallengeRequired => {
                (403, RefusalCode::ChallengeRequired.as_str(), "A challenge has to be solved")
            }
            Self::ChallengeFailed => {
                (403, RefusalCode::ChallengeFailed.as_str(), "The challenge was not solved")
            }
            Self::HoldsUnpaid => {
                (403, RefusalCode::HoldsUnpaid.as_str(), "Too many holds of the customer ran out unpaid")
            }
            Self::OperatorOnly => (403, RefusalCode::OperatorOnly.as_str(), "Only the shop does this"),
            Self::SessionExpired => (401, RefusalCode::SessionExpired.as_str(), "The session has expired"),
            Self::InvalidCredentials => (401, "invalid_credentials", "The credentials are not valid"),
            Self::CrossSite => (403, "cross_site", "The request comes from another site"),
            Self::Denied => (403, "denied", "The operator denies this"),
            Self::NotFound => (404, "not_found", "There is nothing at this path"),
            Self::CounterNotFound => (404, RefusalCode::CounterNotFound.as_str(), "There is no such counter"),
            Self::WindowNotFound => (404, RefusalCode::WindowNotFound.as_str(), "There is no such window"),
            Self::SaleNotFound => (404, RefusalCode::SaleNotFound.as_str(), "There is no such sale"),
            Self::StockNotFound => (404, RefusalCode::StockNotFound.as_str(), "The sale has no such stock"),
            Self::ReservationNotFound => {
                (404, RefusalCode::ReservationNotFound.as_str(), "The sale has no such reservation")
            }
            Self::DenialNotFound => (404, RefusalCode::DenialNotFound.as_str(), "There is no such denial"),
            Self::CollectionNotFound => (404, "collection_not_found", "There is no such collection"),
            Self::RowNotFound => (404, RefusalCode::RowNotFound.as_str(), "There is no such row"),
            Self::SinkNotFound => (404, "sink_not_found", "There is no such sink"),
            Self::MethodNotAllowed => (405, "method_not_allowed", "The path does not take this method"),
            Self::InsufficientStock => {
                (409, RefusalCode::InsufficientStock.as_str(), "There is not enough stock left")
            }
            Self::CustomerLimitReached => (409, RefusalCode::CustomerLimitReached.as_str(), LIMIT_REACHED),
            Self::SaleNotOpen => (409, RefusalCode::SaleNotOpen.as_str(), "The sale has not opened yet"),
            Self::SaleClosed => (409, RefusalCode::SaleClosed.as_str(), "The sale has closed"),
            Self::StockClosed => (409, RefusalCode::StockClosed.as_str(), "The stock has closed"),
            Self::ReservationNotHeld => {
                (409, RefusalCode::ReservationNotHeld.as_str(), "The reservation is not held")
            }
            Self::QuantityBelowReserved => (
                409,
                RefusalCode::QuantityBelowReserved.as_str(),
                "The quantity is below the units held and confirmed",
            ),
            Self::StockInUse => {
                (409, RefusalCode::StockInUse.as_str(), "The stock has reservations, or had some")
            }
            Self::SaleOpen => (409, RefusalCode::SaleOpen.as_str(), "The sale has not closed"),
            Self::HoldsPending => {
                (409, RefusalCode::HoldsPending.as_str(), "Reservations of the sale are still held")
            }
            Self::SinkNotStopped => (409, "sink_not_stopped", "The sink is not stopped at that offset"),
            Self::HoldExpired => (410, RefusalCode::HoldExpired.as_str(), "The hold has expired"),
            Self::PreconditionFailed => {
                (412, RefusalCode::PreconditionFailed.as_str(), "The sale is not as the request requires")
            }
            Self::BodyTooLarge => (413, "body_too_large", "The body is too large"),
            Self::TargetTooLong => (414, "target_too_long", "The request target is too long"),
            Self::UnsupportedMediaType => {
                (415, "unsupported_media_type", "The body has another type than this call takes")
            }
            Self::IdempotencyKeyReused => (
                422,
                RefusalCode::IdempotencyKeyReused.as_str(),
                "The idempotency key belongs to another request",
            ),
            Self::CoolingDown => {
                (429, RefusalCode::CoolingDown.as_str(), "The customer has reserved a moment ago")
            }
            Self::RateLimited => (429, "rate_limited", "Too many requests"),
            Self::HeadersTooLarge => (431, "headers_too_large", "The header fields are too large"),
            Self::Incoherent => (503, "incoherent", "The collection is behind what was asked for"),
            Self::SourceUnavailable => {
                (503, "source_unavailable", "The source of the rows does not tell them")
            }
            Self::Overloaded => (503, RefusalCode::Overloaded.as_str(), "The server is at capacity"),
            Self::LogUnavailable => (503, "log_unavailable", "The log cannot be written"),
            Self::NotLeader => (503, "not_leader", "Another node leads"),
            Self::Draining => (503, "draining", "The server is stopping"),
        }
    }
}

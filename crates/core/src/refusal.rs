//! Business "no"s. A refusal writes nothing.

use crate::{ChallengeTerms, InvalidTerms, TimeMs, Unmet};

/// Why a command was refused.
#[expect(missing_docs, reason = "the doc of a variant speaks of its fields")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A name is empty, too long, or has a character outside `A-Z a-z 0-9 . _ ~ : @ -`, or is `.` or `..` and would be new;
    /// which name, as in `customer`.
    InvalidName { field: &'static str },
    /// Terms of a sale or a window break a rule.
    InvalidTerms(Box<InvalidTerms>),
    /// Anything else about the command is out of bounds: the field and the rule, as in [`InvalidTerms`].
    Invalid { field: &'static str, rule: &'static str },
    /// No such counter.
    CounterNotFound,
    /// No such window.
    WindowNotFound,
    /// No such sale.
    SaleNotFound,
    /// Line number `line` (from 0) names no stock of the sale.
    StockNotFound { line: u8 },
    /// No such reservation in the sale.
    ReservationNotFound,
    /// Line number `line` (from 0) asks for more than the stock has left.
    InsufficientStock { line: u8, quantity_available: u32 },
    /// The customer has `quantity_taken` units held and confirmed, and would have more than the sale allows.
    CustomerLimitReached { per_customer_max: u32, quantity_taken: u64 },
    /// The sale opens later.
    SaleNotOpen { opens_at: TimeMs },
    /// The sale has closed.
    SaleClosed { closes_at: TimeMs },
    /// Line number `line` (from 0) names a stock that has closed.
    StockClosed { line: u8, closes_at: TimeMs },
    /// The sale takes a session, and there is none.
    SessionRequired,
    /// The sale takes a session, and there is one that has expired.
    SessionExpired,
    /// The session is another customer's.
    CustomerMismatch,
    /// The customer's last reservation was made too short a time ago; the next may be made in `left_ms`.
    CoolingDown { left_ms: u64 },
    /// So many holds of the customer ran out unpaid as the sale allows.
    HoldsUnpaid { holds_unpaid_max: u32 },
    /// The sale asks for a challenge of one of the kinds of `challenge`, and the claim brings none of them.
    ChallengeRequired { challenge: ChallengeTerms },
    /// The challenge that the claim brings is not solved, or over, or not for it, or was verified before.
    ChallengeFailed,
    /// It is for the operator to do this.
    OperatorOnly,
    /// The reservation was released before.
    ReservationNotHeld,
    /// The reservation expired before.
    HoldExpired,
    /// The new terms have fewer units of this stock than are held and confirmed.
    QuantityBelowReserved { stock: Box<str>, quantity_held: u32, quantity_confirmed: u32 },
    /// The new terms leave out this stock, which has reservations or had some.
    StockInUse { stock: Box<str>, quantity_held: u32, quantity_confirmed: u32 },
    /// The sale is not as the command's [`crate::Precondition`] requires.
    PreconditionFailed(Unmet),
    /// The sale has not closed, so it cannot be archived.
    SaleOpen,
    /// The closed sale has `held_count` held reservations of `quantity_held` units, so it cannot be archived. The last of them
    /// expires at `held_until` or before.
    HoldsPending { quantity_held: u64, held_count: u32, held_until: TimeMs },
    /// No such denial, or it is over.
    DenialNotFound,
    /// No such row in the collection.
    RowNotFound,
    /// The customer has an account already.
    CustomerExists,
    /// The key belongs to another claim.
    IdempotencyKeyReused,
    /// The partition is full of something.
    CeilingReached(Ceiling),
    /// The partition exists already.
    PartitionExists,
}

/// Which of [`crate::Limits`] a command would pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ceiling {
    /// [`crate::Limits::counters_max`]
    Counters,
    /// [`crate::Limits::windows_max`]
    Windows,
    /// [`crate::Limits::sales_max`]
    Sales,
    /// [`crate::Limits::stocks_max`], or 65,535 stocks ever in one sale
    Stocks,
    /// [`crate::Limits::reservations_max`]
    Reservations,
    /// [`crate::Limits::details_bytes_max`]
    DetailsBytes,
    /// [`crate::Limits::denials_max`]
    Denials,
    /// [`crate::Limits::accounts_max`]
    Accounts,
    /// [`crate::Limits::state_bytes_max`]
    StateBytes,
    /// A counter's 64 bits
    CounterValue,
}

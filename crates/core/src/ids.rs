//! Numbers by which the state refers to what it holds. Names are for people; these are what events and records carry.

/// Milliseconds since the Unix epoch, UTC.
pub type TimeMs = u64;

/// The two times that a command is decided at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// The partition's own time: events are dated, holds expire and windows move by it. It never runs backwards, and counts
    /// as [`crate::State::time`] if it is before that.
    pub partition: TimeMs,
    /// The wall clock as it shows now: sales open and close by it. It may step in either direction.
    pub wall: TimeMs,
}

impl Now {
    /// Both clocks show `at`.
    pub const fn both(at: TimeMs) -> Self {
        Self { partition: at, wall: at }
    }
}

/// The ordinal of a sale in its partition: 0 for the first ever, never used again after the sale is archived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SaleNo(pub u32);

/// The ordinal of a stock in its sale: 0 for the first ever, never used again after the stock is taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StockNo(pub u16);

/// A reservation: the sale that it belongs to and its ordinal there, from 0 without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReservationNo {
    /// The sale.
    pub sale: SaleNo,
    /// How many reservations that sale had before this one.
    pub seq: u32,
}

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

/// What the log's history was when something was made. Each opening of a log that decides something begins another, with a
/// tag drawn at random; but the opening that created the log has [`Incarnation::FIRST`]. So if an older copy of a log goes
/// on, the numbers that it gives a second time are told apart from those that were given before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u32);

impl Incarnation {
    /// That of the opening that created the log, and of everything made before logs had incarnations.
    pub const FIRST: Self = Self(0);
}

/// A reservation: the sale that it belongs to and its ordinal there, from 0 without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReservationNo {
    /// The sale.
    pub sale: SaleNo,
    /// How many reservations that sale had before this one.
    pub seq: u32,
}

/// A reservation as its id names it: another history may have another reservation of the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReservationRef {
    /// Its number.
    pub no: ReservationNo,
    /// That in which it was made.
    pub incarnation: Incarnation,
}

impl From<ReservationNo> for ReservationRef {
    /// A reservation of the first incarnation.
    fn from(no: ReservationNo) -> Self {
        Self { no, incarnation: Incarnation::FIRST }
    }
}

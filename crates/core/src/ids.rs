//! Numbers by which the state refers to what it holds. Names are for people; these are what events and records carry.

/// Milliseconds since the Unix epoch, UTC: the partition's own time, which never runs backwards.
pub type TimeMs = u64;

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

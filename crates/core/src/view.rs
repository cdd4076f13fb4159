//! What readers see of the state: owned copies that outlive the leader's turn.

use crate::{GateTerms, ReservationRef, SaleNo, SaleVersion, TimeMs, WindowShape};

/// Where a reservation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ReservationStatus {
    /// Units are set aside until `expires_at`.
    Held = 0,
    /// Units are the customer's.
    Confirmed = 1,
    /// Given back by someone.
    Released = 2,
    /// Given back by time.
    Expired = 3,
}

/// Where a sale stands at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaleStatus {
    /// Before `opens_at`.
    Scheduled,
    /// Takes reservations.
    Open,
    /// Would take reservations, had any stock that has not closed a unit left.
    SoldOut,
    /// From `closes_at` on.
    Closed,
}

/// A window's count at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowView {
    /// Requests in the panes that the window covers.
    pub count: u64,
    /// Its shape.
    pub shape: WindowShape,
}

/// A sale with its stocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaleView {
    /// Its number.
    pub sale_no: SaleNo,
    /// Its name.
    pub sale: String,
    /// Changes whenever anything here does, but for the status.
    pub version: SaleVersion,
    /// See [`crate::SaleTerms`].
    pub title: String,
    /// See [`crate::SaleTerms`].
    pub opens_at: Option<TimeMs>,
    /// See [`crate::SaleTerms`].
    pub closes_at: Option<TimeMs>,
    /// See [`crate::SaleTerms`].
    pub per_customer_max: Option<u32>,
    /// See [`crate::SaleTerms`].
    pub hold_ttl_ms: u32,
    /// See [`crate::SaleTerms`].
    pub gate: GateTerms,
    /// At the time that was asked for.
    pub status: SaleStatus,
    /// Sorted by `starts_at` (those without one first), then name.
    pub stocks: Vec<StockView>,
}

/// Some sales in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SalesPage {
    /// As many as were asked for, or fewer.
    pub sales: Vec<SaleView>,
    /// There are sales behind the last of them.
    pub has_more: bool,
}

/// A stock and its figures: `quantity_held + quantity_confirmed <= quantity_total`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockView {
    /// Its name.
    pub stock: String,
    /// See [`crate::StockTerms`].
    pub title: String,
    /// See [`crate::StockTerms`].
    pub starts_at: Option<TimeMs>,
    /// See [`crate::StockTerms`].
    pub ends_at: Option<TimeMs>,
    /// See [`crate::StockTerms`].
    pub closes_at: Option<TimeMs>,
    /// Whether it has closed, at the time that was asked for.
    pub is_closed: bool,
    /// Units for sale.
    pub quantity_total: u32,
    /// Units of held reservations.
    pub quantity_held: u32,
    /// Units of confirmed reservations.
    pub quantity_confirmed: u32,
}

/// A reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservationView {
    /// Its number and incarnation.
    pub reservation: ReservationRef,
    /// The sale's name.
    pub sale: String,
    /// Who reserved.
    pub customer: String,
    /// Where it stands.
    pub status: ReservationStatus,
    /// Names and quantities in the order in which they were asked for.
    pub lines: Vec<(String, u32)>,
    /// As they came; empty if there were none.
    pub details: Vec<u8>,
    /// Partition time of the claim.
    pub created_at: TimeMs,
    /// Only while it is held.
    pub expires_at: Option<TimeMs>,
}

/// Units of all stocks of all sales that are not archived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnitTotals {
    /// Sum of `quantity_total`.
    pub total: u64,
    /// Sum of `quantity_held`.
    pub held: u64,
    /// Sum of `quantity_confirmed`.
    pub confirmed: u64,
}

//! The state as a stream of facts, in one canonical order: what a snapshot stores and what the digest is taken over.

use crate::{
    DenialKind, IdempotencyKey, Incarnation, Lines, PasswordHash, ReservationNo, RowLine, SaleNo, SaleTerms,
    StockNo, TimeMs, WindowShape, view::ReservationStatus,
};

/// One piece of a state. `State::facts` yields them in an order in which `State::restore` can take them:
/// the partition, counters and windows by name, denials by kind and value, accounts by name, collections by name, each followed by
/// its rows by key, then each sale by number followed by its reservations by ordinal.
#[expect(missing_docs, reason = "the doc of a variant speaks of its fields")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact<'a> {
    /// Once, first.
    Partition { id_key: Option<[u8; 16]>, time: TimeMs, sales_ever: u32, incarnation: Incarnation },
    /// A counter and its total.
    Counter { counter: &'a str, value: u64 },
    /// A window, its panes to follow.
    Window { window: &'a str, shape: WindowShape },
    /// A pane of the window before, oldest first; only panes that hold requests.
    Pane { pane: u64, count: u64 },
    /// An entry of the denylist.
    Denial { kind: DenialKind, value: &'a str, reason: &'a str, expires_at: Option<TimeMs> },
    /// The account of a customer.
    Account { customer: &'a str, password: PasswordHash<'a> },
    /// A collection of the catalogue that ever had a row, its rows to follow; `version` counts its changes.
    Collection { collection: &'a str, version: u64 },
    /// A row of the collection before.
    Row { row: RowLine<'a> },
    /// A sale. `stock_nos[i]` is the number of `terms.stocks[i]`; `stocks_ever` the next number to give; `version` counts its changes.
    Sale {
        sale_no: SaleNo,
        sale: &'a str,
        terms: &'a SaleTerms,
        stock_nos: &'a [StockNo],
        stocks_ever: u16,
        version: u64,
    },
    /// From this reservation of the sale before on, they are of this incarnation; the reservation itself comes next.
    Incarnation { first: ReservationNo, incarnation: Incarnation },
    /// A reservation of the sale before. `hold_until` is what `expires_at` was when it was made (absent if confirmed at once).
    Reservation {
        reservation: ReservationNo,
        customer: &'a str,
        status: ReservationStatus,
        lines: Lines,
        created_at: TimeMs,
        hold_until: Option<TimeMs>,
        key: Option<IdempotencyKey<'a>>,
        details: &'a [u8],
    },
}

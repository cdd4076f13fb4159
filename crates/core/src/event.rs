//! Recorded facts, the input to [`crate::State::apply`]. They borrow from a command or from a decoded log record.

use arrayvec::ArrayVec;

use crate::{
    DenialKind, IdempotencyKey, Incarnation, LINES_MAX, PasswordHash, ReservationNo, RowLine, SaleNo,
    SaleTerms, StockNo, TimeMs, WindowShape,
};

/// So many units of one stock, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// The stock within the reservation's sale.
    pub stock: StockNo,
    /// 1 to [`crate::QUANTITY_MAX`].
    pub quantity: u16,
}

/// The lines of one reservation, in the order in which they were asked for.
pub type Lines = ArrayVec<Line, LINES_MAX>;

/// What a reservation that takes its units again was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReclaimedClaim {
    /// Who reserved.
    pub customer: Box<str>,
    /// As they were asked for.
    pub lines: Lines,
    /// The key of the request that made it; empty if there was none.
    pub key: Box<[u8]>,
    /// The bytes kept with it; empty if there are none.
    pub details: Box<[u8]>,
}

/// What was decided.
///
/// `CounterAdded` events of one counter within a batch may be folded into one (sum of `by`, last `value`), and so may
/// `WindowHit` events of one window and pane, with no `WindowPut` of that window between them: they apply to the
/// same state as the events that they stand for.
#[expect(missing_docs, reason = "the doc of a variant speaks of its fields")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The partition exists; its reservation ids are written under this secret.
    PartitionCreated { id_key: [u8; 16] },
    /// What follows is of this incarnation.
    IncarnationBegun { incarnation: Incarnation },
    /// A counter grew by `by` to `value`, and exists from now on.
    CounterAdded { counter: &'a str, by: u64, value: u64 },
    /// A window has this shape from now on, and is empty.
    WindowPut { window: &'a str, shape: WindowShape },
    /// `by` requests fell into pane `pane` = floor(time / precision) of a window that exists.
    WindowHit { window: &'a str, pane: u64, by: u64 },
    /// A sale exists with these terms. `sale_no` is new for a new name.
    SalePut { sale_no: SaleNo, sale: &'a str, terms: &'a SaleTerms },
    /// A sale and its reservations are no more.
    SaleArchived { sale_no: SaleNo },
    /// Units were claimed: held until `expires_at`, or confirmed at once if there is none.
    Reserved {
        reservation: ReservationNo,
        customer: &'a str,
        lines: Lines,
        expires_at: Option<TimeMs>,
        key: Option<IdempotencyKey<'a>>,
        details: &'a [u8],
    },
    /// A held reservation became final.
    Confirmed { reservation: ReservationNo },
    /// A reservation whose hold had expired took its units again, and is final. Whoever forgot it with its hold is told all of it.
    Reclaimed { reservation: ReservationNo, claim: Box<ReclaimedClaim> },
    /// Somebody gave the units of a held or confirmed reservation back.
    Released { reservation: ReservationNo },
    /// Time gave the units of a held reservation back.
    Expired { reservation: ReservationNo },
    /// Somebody is denied until `expires_at`, in place of what was said of them before.
    Denied { kind: DenialKind, value: &'a str, reason: &'a str, expires_at: Option<TimeMs> },
    /// An operator took a denial back.
    Undenied { kind: DenialKind, value: &'a str },
    /// A denial that was over is forgotten.
    DenialExpired { kind: DenialKind, value: &'a str },
    /// A customer has an account.
    AccountCreated { customer: &'a str, password: PasswordHash<'a> },
    /// Rows of a collection are as here from now on, each in place of the one with its key; a later one of the same key in place of
    /// an earlier one. The collection exists from now on, and has changed once more.
    RowsPut { collection: &'a str, rows: Vec<RowLine<'a>> },
    /// A row of a collection is no more; the collection has changed once more.
    RowDeleted { collection: &'a str, key: &'a str },
}

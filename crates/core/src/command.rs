//! Inputs to [`crate::decide()`]. They borrow from whoever received them.

use crate::{
    Asker, BroughtChallenge, DenialKind, Incarnation, PasswordHash, Precondition, ReservationRef, RowLine,
    SaleTerms, TermsField, TimeMs, WindowShape,
};

/// What somebody asks of the partition.
#[expect(missing_docs, reason = "the doc of a variant speaks of its fields")]
#[derive(Clone, Debug)]
pub enum Command<'a> {
    /// Gives a new partition the secret under which its reservation ids are written. Refused if it has one.
    CreatePartition { id_key: [u8; 16] },
    /// Says that what is decided from now on is of this incarnation.
    BeginIncarnation { incarnation: Incarnation },
    /// Adds to a counter and creates it if need be. `by` is 1 to [`crate::ADD_MAX`].
    AddToCounter { counter: &'a str, by: u32 },
    /// Counts one request in a window. Creating it is an event of its own: where there is none, the decision is a
    /// `WindowPut` of `default_shape` (with `Answer::WindowPut`), and the same command asked again then counts.
    HitWindow { window: &'a str, default_shape: WindowShape },
    /// Creates a window, or gives it another shape; another shape empties it.
    PutWindow { window: &'a str, shape: WindowShape },
    /// Creates a sale or replaces its terms. Fields in `left_out` are at their defaults in `terms`, and it is refused if they
    /// are not in a sale that exists: what is left out by mistake must not lift a limit.
    PutSale { sale: &'a str, terms: &'a SaleTerms, left_out: &'a [TermsField], only_if: &'a Precondition },
    /// Forgets a closed sale and all of its reservations. Refused while any of them is held: see [`crate::decide_hold_end`].
    ArchiveSale { sale: &'a str, only_if: &'a Precondition },
    /// Claims units for a customer, all lines or none.
    Reserve(Reserve<'a>),
    /// Makes a held reservation final.
    Confirm { sale: &'a str, reservation: ReservationRef, asker: Asker<'a> },
    /// Makes a held reservation final, or one whose hold has expired: that takes its units again, if they are there and the
    /// customer may have them. For a payment that came late, so operators alone may ask it.
    Reclaim { sale: &'a str, reservation: ReservationRef },
    /// Gives the units of a held or confirmed reservation back.
    Release { sale: &'a str, reservation: ReservationRef, asker: Asker<'a> },
    /// Puts a customer, an address or a network on the denylist, or gives the entry another reason and end; or ends the sessions of a
    /// customer that have begun by the wall clock's time, without an `expires_at`.
    Deny { kind: DenialKind, value: &'a str, reason: &'a str, expires_at: Option<TimeMs> },
    /// Takes it off the denylist.
    Undeny { kind: DenialKind, value: &'a str },
    /// Gives a customer an account.
    CreateAccount { customer: &'a str, password: PasswordHash<'a> },
    /// Puts 1 to [`crate::ROWS_PER_PUT_MAX`] rows into a collection, all or none.
    PutRows { collection: &'a str, rows: &'a [RowLine<'a>] },
    /// Takes a row out of a collection.
    DeleteRow { collection: &'a str, key: &'a str },
}

/// A claim of one customer on stocks of one sale.
#[derive(Clone, Copy, Debug)]
pub struct Reserve<'a> {
    /// The sale's name.
    pub sale: &'a str,
    /// Who asks.
    pub asker: Asker<'a>,
    /// Who reserves.
    pub customer: &'a str,
    /// 1 to [`crate::LINES_MAX`] lines on distinct stocks.
    pub lines: &'a [LineRequest<'a>],
    /// Opaque bytes kept with the reservation, at most [`crate::DETAILS_BYTES_MAX`]; empty if there are none.
    pub details: &'a [u8],
    /// What it brings of a challenge, if the sale asks for one.
    pub challenge: BroughtChallenge,
    /// Makes retries of this claim find the first one.
    pub key: Option<IdempotencyKey<'a>>,
}

/// So many units of one stock, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineRequest<'a> {
    /// The stock's name.
    pub stock: &'a str,
    /// 1 to [`crate::QUANTITY_MAX`].
    pub quantity: u32,
}

/// A client's name for one claim, unique within the sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdempotencyKey<'a> {
    /// 1 to [`crate::KEY_BYTES_MAX`] bytes.
    pub key: &'a [u8],
    /// A stable hash of the customer, lines and details, by which a reused key is told from a retry.
    pub fingerprint: u64,
}

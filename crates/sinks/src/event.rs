//! Events as sinks get them: with the names that people know instead of the numbers that records carry.

use onrush_core::{Incarnation, ReservationNo, SaleNo, SaleTerms, StockNo, TimeMs, WindowShape};

use onrush_node::RESERVATION_ID_BYTES;

/// One event of the log, complete in itself. The same offset always gives the same event, however often it is read.
#[derive(Clone, Debug)]
pub struct SinkEvent<'a> {
    /// Its place in the log: unique in its partition, growing, not gapless.
    pub offset: u64,
    /// The log's incarnation in which it was decided: with the offset, it tells the event from that of another history.
    pub incarnation: Incarnation,
    /// Partition time at which it was decided, milliseconds since the Unix epoch; never less than that of the event before.
    pub at: TimeMs,
    /// What happened.
    pub change: Change<'a>,
}

/// What happened, as far as sinks may know: the creation of a partition, which holds its secret, is not among it.
#[expect(missing_docs, reason = "the doc of a variant speaks of its fields")]
#[derive(Clone, Debug)]
pub enum Change<'a> {
    /// A counter grew by `by` to `value`. One event stands for all additions of a batch.
    CounterAdded { counter: &'a str, by: u64, value: u64 },
    /// A window has this shape from now on, and is empty.
    WindowPut { window: &'a str, shape: WindowShape },
    /// `by` requests fell into pane `pane` of a window, which begins at `pane * precision` of its shape.
    WindowHit { window: &'a str, pane: u64, by: u64 },
    /// A sale has these terms from now on. `stock_nos[i]` is the number of `terms.stocks[i]`.
    SalePut { sale_no: SaleNo, sale: &'a str, terms: &'a SaleTerms, stock_nos: &'a [StockNo] },
    /// A sale and its reservations are no more.
    SaleArchived { sale_no: SaleNo, sale: &'a str },
    /// Units were claimed: held until `expires_at`, or confirmed at once if there is none.
    Reserved { subject: ReservationSubject<'a>, claim: Claim<'a>, expires_at: Option<TimeMs> },
    /// A reservation that was held, or had expired, became final.
    Confirmed { subject: ReservationSubject<'a>, claim: Claim<'a> },
    /// Somebody gave the units back. What it claimed is known if it was held; of a confirmed reservation it is not.
    Released { subject: ReservationSubject<'a>, claim: Option<Claim<'a>> },
    /// Time gave the units of a held reservation back.
    Expired { subject: ReservationSubject<'a>, claim: Claim<'a> },
}

/// Which reservation an event is about.
#[derive(Clone, Copy, Debug)]
pub struct ReservationSubject<'a> {
    /// Its number in the partition, for targets that look it up again.
    pub reservation_no: ReservationNo,
    /// Its id as clients know it, in ASCII.
    pub reservation: [u8; RESERVATION_ID_BYTES],
    /// The name of its sale.
    pub sale: &'a str,
}

impl ReservationSubject<'_> {
    /// The id as text.
    pub fn id(&self) -> &str {
        std::str::from_utf8(&self.reservation).expect("ids are ASCII")
    }
}

/// What a reservation claims.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Whoever reserves.
    pub customer: &'a str,
    /// In the order in which they were asked for, 1 to [`onrush_core::LINES_MAX`].
    pub lines: &'a [SinkLine<'a>],
    /// A JSON object as the client sent it, at most [`onrush_core::DETAILS_BYTES_MAX`] bytes; empty if there was none.
    pub details: &'a [u8],
    /// The `Idempotency-Key` of the request, printable ASCII; empty if there was none.
    pub idempotency_key: &'a str,
}

/// So many units of one stock.
#[derive(Clone, Copy, Debug)]
pub struct SinkLine<'a> {
    /// The stock's number in its sale.
    pub stock_no: StockNo,
    /// Its name.
    pub stock: &'a str,
    /// 1 to [`onrush_core::QUANTITY_MAX`].
    pub quantity: u16,
}

/// The kinds of event that a sink can select, in a fixed order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "their names say it; see `Change`")]
pub enum EventKind {
    CounterAdded,
    WindowPut,
    WindowHit,
    SalePut,
    SaleArchived,
    Reserved,
    Confirmed,
    Released,
    Expired,
}

impl EventKind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::CounterAdded,
        Self::WindowPut,
        Self::WindowHit,
        Self::SalePut,
        Self::SaleArchived,
        Self::Reserved,
        Self::Confirmed,
        Self::Released,
        Self::Expired,
    ];

    /// Its stable name: what it is about, a dot, what happened.
    pub fn name(self) -> &'static str {
        match self {
            Self::CounterAdded => "counter.added",
            Self::WindowPut => "window.put",
            Self::WindowHit => "window.hit",
            Self::SalePut => "sale.put",
            Self::SaleArchived => "sale.archived",
            Self::Reserved => "reservation.reserved",
            Self::Confirmed => "reservation.confirmed",
            Self::Released => "reservation.released",
            Self::Expired => "reservation.expired",
        }
    }
}

impl SinkEvent<'_> {
    /// Its kind.
    pub fn kind(&self) -> EventKind {
        match self.change {
            Change::CounterAdded { .. } => EventKind::CounterAdded,
            Change::WindowPut { .. } => EventKind::WindowPut,
            Change::WindowHit { .. } => EventKind::WindowHit,
            Change::SalePut { .. } => EventKind::SalePut,
            Change::SaleArchived { .. } => EventKind::SaleArchived,
            Change::Reserved { .. } => EventKind::Reserved,
            Change::Confirmed { .. } => EventKind::Confirmed,
            Change::Released { .. } => EventKind::Released,
            Change::Expired { .. } => EventKind::Expired,
        }
    }

    /// The name of the counter, window or sale that it belongs to; the order of events of one key is kept everywhere.
    pub fn key(&self) -> &str {
        match self.change {
            Change::CounterAdded { counter, .. } => counter,
            Change::WindowPut { window, .. } | Change::WindowHit { window, .. } => window,
            Change::SalePut { sale, .. } | Change::SaleArchived { sale, .. } => sale,
            Change::Reserved { subject, .. }
            | Change::Confirmed { subject, .. }
            | Change::Released { subject, .. }
            | Change::Expired { subject, .. } => subject.sale,
        }
    }

    /// The sale that it belongs to, if it does.
    pub fn sale(&self) -> Option<&str> {
        match self.kind() {
            EventKind::CounterAdded | EventKind::WindowPut | EventKind::WindowHit => None,
            _ => Some(self.key()),
        }
    }
}

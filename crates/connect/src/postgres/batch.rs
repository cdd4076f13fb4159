//! The open batch: rows that only grow are encoded as they come, everything else is folded.

use std::collections::HashMap;

use onrush_core::{ReservationNo, StockNo, TimeMs};
use onrush_sinks::{Change, Claim, ReservationSubject, SinkEvent, Skipped};

use super::changes::{Changes, Newest, Visits, write_lines};
use super::copy_rows::{CopyRows, Field, encode_jsonb};
use super::jsonb::with_storable;
use super::settings::Rows;
use crate::write_event_data;

/// Encoded bytes from which on a batch goes out before it is asked for. One event adds less than 4 MiB.
pub(super) const BATCH_BYTES_MAX: usize = 16 << 20;

/// Rows of some events. Holds less than [`BATCH_BYTES_MAX`] and what one event adds.
#[derive(Debug)]
pub(super) struct Batch {
    rows: Rows,
    pub(super) event_rows: CopyRows,
    pub(super) reservation_rows: CopyRows,
    pub(super) history_rows: CopyRows,
    pub(super) changes: Changes,
    /// Id of the next row of `counter_history`.
    pub(super) next_row_id: u64,
    /// New reservations: encoded columns that stay as they are, and those that may still change.
    claims: Vec<u8>,
    claimed: Vec<Claimed>,
    lines: Vec<(StockNo, u16)>,
    places: HashMap<ReservationNo, Place>,
    put_bytes: usize,
}

/// A new reservation.
#[derive(Debug)]
struct Claimed {
    number: ReservationNo,
    /// Where its encoded columns end, and its lines.
    claims_end: usize,
    lines_end: usize,
    status: &'static str,
    settled_at: Option<TimeMs>,
    updated_offset: u64,
}

/// Where the newest status of a reservation is.
#[derive(Clone, Copy, Debug)]
enum Place {
    New(usize),
    Earlier(usize),
}

/// Columns of `reservations`, `events` and `counter_history`; see `statements.rs`.
const RESERVATION_FIELDS: i16 = 14;
const EVENT_FIELDS: i16 = 6;
const HISTORY_FIELDS: i16 = 6;

impl Batch {
    pub(super) fn new(rows: Rows) -> Self {
        Self {
            rows,
            event_rows: CopyRows::default(),
            reservation_rows: CopyRows::default(),
            history_rows: CopyRows::default(),
            changes: Changes::default(),
            next_row_id: 0,
            claims: Vec::new(),
            claimed: Vec::new(),
            lines: Vec::new(),
            places: HashMap::new(),
            put_bytes: 0,
        }
    }

    /// Whether it has to go out before it takes more.
    pub(super) fn is_full(&self) -> bool {
        let encoded = self.event_rows.len() + self.claims.len() + self.history_rows.len();
        encoded + self.put_bytes >= BATCH_BYTES_MAX
    }

    /// Takes an event in.
    pub(super) fn push(&mut self, event: &SinkEvent<'_>) {
        with_storable(event, |event| {
            encode_event(&mut self.event_rows, event);
            self.fold(event);
        });
    }

    pub(super) fn push_skipped(&mut self, skipped: &Skipped) {
        self.put_bytes += skipped.reason.len();
        self.changes.skipped.push(skipped.clone());
    }

    fn fold(&mut self, event: &SinkEvent<'_>) {
        let (at, offset) = (event.at, event.offset);
        match &event.change {
            Change::CounterAdded { counter, by, value } => self.count(counter, *by, *value, at, offset),
            Change::WindowPut { window, shape } => {
                self.changes.windows.insert((*window).to_owned(), Newest { value: *shape, at, offset });
            }
            Change::WindowHit { .. } => {}
            Change::SalePut { sale_no, sale, terms, stock_nos } => {
                self.put_bytes += terms.stocks.len() * PUT_STOCK_BYTES;
                self.changes.put_sale(*sale_no, sale, terms, stock_nos, offset);
            }
            Change::SaleArchived { sale_no, .. } => {
                self.changes.archived.insert(*sale_no, Newest { value: (), at, offset });
            }
            Change::Reserved { subject, claim, expires_at } => {
                self.claim(subject, claim, *expires_at, at, offset);
            }
            Change::Confirmed { subject, .. } => self.set_status(subject, "confirmed", at, offset),
            Change::Released { subject, .. } => self.set_status(subject, "released", at, offset),
            Change::Expired { subject, .. } => self.set_status(subject, "expired", at, offset),
        }
    }

    fn count(&mut self, counter: &str, by: u64, value: u64, at: TimeMs, offset: u64) {
        self.changes.set_counter(counter, Newest { value, at, offset });
        let first_id = self.next_row_id;
        match self.rows {
            Rows::Batch => {
                self.next_row_id += 1;
                let rows = &mut self.history_rows;
                rows.begin(HISTORY_FIELDS);
                rows.put(Field::Bigint(first_id));
                rows.put(Field::Bigint(offset));
                rows.put(Field::Text(counter));
                rows.put(Field::Bigint(by));
                rows.put(Field::Bigint(value));
                rows.put(Field::Time(at));
            }
            Rows::Visit => {
                self.next_row_id += by;
                let visits = Visits { first_id, offset, counter: counter.to_owned(), by, value, at };
                self.changes.visits.push(visits);
            }
        }
    }

    fn claim(
        &mut self,
        subject: &ReservationSubject<'_>,
        claim: &Claim<'_>,
        expires_at: Option<TimeMs>,
        at: TimeMs,
        offset: u64,
    ) {
        let number = subject.reservation_no;
        let out = &mut self.claims;
        Field::Bigint(u64::from(number.sale.0)).encode(out);
        Field::Bigint(u64::from(number.seq)).encode(out);
        Field::Text(subject.id()).encode(out);
        Field::Text(subject.sale).encode(out);
        Field::Text(claim.customer).encode(out);
        encode_jsonb(out, |out| write_lines(out, claim));
        if claim.details.is_empty() {
            Field::Null.encode(out);
        } else {
            encode_jsonb(out, |out| out.extend_from_slice(claim.details));
        }
        Field::text_or_null(claim.idempotency_key).encode(out);
        Field::Time(at).encode(out);
        Field::time_or_null(expires_at).encode(out);
        Field::Bigint(offset).encode(out);

        self.lines.extend(claim.lines.iter().map(|line| (line.stock_no, line.quantity)));
        let (status, settled_at) =
            if expires_at.is_some() { ("held", None) } else { ("confirmed", Some(at)) };
        self.places.insert(number, Place::New(self.claimed.len()));
        self.claimed.push(Claimed {
            number,
            claims_end: self.claims.len(),
            lines_end: self.lines.len(),
            status,
            settled_at,
            updated_offset: offset,
        });
    }

    fn set_status(
        &mut self,
        subject: &ReservationSubject<'_>,
        status: &'static str,
        at: TimeMs,
        offset: u64,
    ) {
        let number = subject.reservation_no;
        match self.places.get(&number) {
            Some(&Place::New(place)) => {
                let claimed = &mut self.claimed[place];
                claimed.status = status;
                claimed.settled_at = Some(at);
                claimed.updated_offset = offset;
            }
            Some(&Place::Earlier(place)) => self.changes.new_statuses.replace(place, status, at, offset),
            None => {
                let place = self.changes.new_statuses.add(number, status, at, offset);
                self.places.insert(number, Place::Earlier(place));
            }
        }
    }

    /// Encodes the new reservations with the statuses that they have now. Nothing may be pushed after this.
    pub(super) fn close(&mut self) {
        let (mut claims_start, mut lines_start) = (0, 0);
        for claimed in &self.claimed {
            let rows = &mut self.reservation_rows;
            rows.begin(RESERVATION_FIELDS);
            rows.encoded(&self.claims[claims_start..claimed.claims_end]);
            rows.put(Field::Text(claimed.status));
            rows.put(Field::time_or_null(claimed.settled_at));
            rows.put(Field::Bigint(claimed.updated_offset));
            let lines = &self.lines[lines_start..claimed.lines_end];
            self.changes.count_units(claimed.number.sale, lines, claimed.status);
            (claims_start, lines_start) = (claimed.claims_end, claimed.lines_end);
        }
    }

    /// Empties it, keeping its memory; its buffers come back from the connection separately.
    pub(super) fn clear(&mut self) {
        self.changes.clear();
        self.claims.clear();
        self.claimed.clear();
        self.lines.clear();
        self.places.clear();
        self.put_bytes = 0;
    }
}

/// A stock of a put sale takes about so much in memory: its names twice, its place in a map.
const PUT_STOCK_BYTES: usize = 1_024;

/// Encodes the row of an event. The auditor encodes what it expects by the same.
pub(super) fn encode_event(rows: &mut CopyRows, event: &SinkEvent<'_>) {
    let subject = match &event.change {
        Change::Reserved { subject, .. }
        | Change::Confirmed { subject, .. }
        | Change::Released { subject, .. }
        | Change::Expired { subject, .. } => Some(subject),
        _ => None,
    };
    rows.begin(EVENT_FIELDS);
    rows.put(Field::Bigint(event.offset));
    rows.put(Field::Time(event.at));
    rows.put(Field::Text(event.kind().name()));
    rows.put(Field::Text(event.key()));
    rows.put(subject.map_or(Field::Null, |subject| Field::Text(subject.id())));
    rows.put_jsonb(|out| write_event_data(out, event));
}

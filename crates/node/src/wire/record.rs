//! Events as records: a kind byte, then its fields. Records follow one another without gaps; a batch's payload is a
//! sequence of them. A time record dates the events behind it.

use onrush_core::{Event, IdempotencyKey, Line, Lines, ReservationNo, SaleNo, SaleTerms, StockNo, TimeMs};

use super::DecodeError;
use super::primitives::{Input, put_bytes, put_optional, put_shape, put_terms, put_u64};

const TIME: u8 = 1;
const FOUNDED: u8 = 2;
const COUNTER_ADDED: u8 = 3;
const WINDOW_PUT: u8 = 4;
const WINDOW_HIT: u8 = 5;
const SALE_PUT: u8 = 6;
const SALE_ARCHIVED: u8 = 7;
const RESERVED: u8 = 8;
const CONFIRMED: u8 = 9;
const RELEASED: u8 = 10;
const EXPIRED: u8 = 11;

/// Bits of a `RESERVED` record's flags.
const HAS_EXPIRY: u8 = 1;
const HAS_KEY: u8 = 2;
const HAS_DETAILS: u8 = 4;
const FLAGS: u8 = HAS_EXPIRY | HAS_KEY | HAS_DETAILS;

/// One decoded event.
#[derive(Debug)]
pub struct Record<'a> {
    /// Position among the events of its batch, from 0: the event's offset less the batch's.
    pub index: u64,
    /// Partition time at which it was decided.
    pub at: TimeMs,
    /// The event.
    pub event: Event<'a>,
}

/// Dates the records that follow, `at` being no earlier than the batch's own time.
pub(crate) fn encode_time(out: &mut Vec<u8>, batch_time: TimeMs, at: TimeMs) {
    out.push(TIME);
    put_u64(out, at.saturating_sub(batch_time));
}

/// Appends one event.
pub(crate) fn encode_event(out: &mut Vec<u8>, event: &Event<'_>) {
    match event {
        Event::Founded { id_key } => {
            out.push(FOUNDED);
            out.extend_from_slice(id_key);
        }
        Event::CounterAdded { counter, by, value } => {
            out.push(COUNTER_ADDED);
            put_bytes(out, counter.as_bytes());
            put_u64(out, *by);
            put_u64(out, *value);
        }
        Event::WindowPut { window, shape } => {
            out.push(WINDOW_PUT);
            put_bytes(out, window.as_bytes());
            put_shape(out, *shape);
        }
        Event::WindowHit { window, pane, by } => {
            out.push(WINDOW_HIT);
            put_bytes(out, window.as_bytes());
            put_u64(out, *pane);
            put_u64(out, *by);
        }
        Event::SalePut { sale_no, sale, terms } => {
            out.push(SALE_PUT);
            put_u64(out, sale_no.0.into());
            put_bytes(out, sale.as_bytes());
            put_terms(out, terms);
        }
        Event::SaleArchived { sale_no } => {
            out.push(SALE_ARCHIVED);
            put_u64(out, sale_no.0.into());
        }
        Event::Reserved { .. } => encode_reserved(out, event),
        Event::Confirmed { reservation } => encode_settled(out, CONFIRMED, *reservation),
        Event::Released { reservation } => encode_settled(out, RELEASED, *reservation),
        Event::Expired { reservation } => encode_settled(out, EXPIRED, *reservation),
    }
}

fn encode_settled(out: &mut Vec<u8>, kind: u8, reservation: ReservationNo) {
    out.push(kind);
    put_u64(out, reservation.sale.0.into());
    put_u64(out, reservation.seq.into());
}

fn encode_reserved(out: &mut Vec<u8>, event: &Event<'_>) {
    let Event::Reserved { reservation, customer, lines, expires_at, key, details } = event else { return };
    encode_settled(out, RESERVED, *reservation);
    let flags = if expires_at.is_some() { HAS_EXPIRY } else { 0 }
        | if key.is_some() { HAS_KEY } else { 0 }
        | if details.is_empty() { 0 } else { HAS_DETAILS };
    out.push(flags);
    put_bytes(out, customer.as_bytes());
    put_lines(out, lines);
    if expires_at.is_some() {
        put_optional(out, *expires_at);
    }
    put_key_and_details(out, key.as_ref(), details);
}

pub(super) fn put_lines(out: &mut Vec<u8>, lines: &Lines) {
    put_u64(out, lines.len() as u64);
    for line in lines {
        put_u64(out, line.stock.0.into());
        put_u64(out, line.quantity.into());
    }
}

/// The end of a reservation's record or fact, whose flags say which of the two are there.
pub(super) fn put_key_and_details(out: &mut Vec<u8>, key: Option<&IdempotencyKey<'_>>, details: &[u8]) {
    if let Some(key) = key {
        put_bytes(out, key.key);
        out.extend_from_slice(&key.fingerprint.to_le_bytes());
    }
    if !details.is_empty() {
        put_bytes(out, details);
    }
}

/// Decodes the payload of a batch of time `batch_time` and gives each event to `visit`.
///
/// # Errors
/// The bytes are not a sequence of records that this version knows, or `visit` failed.
pub fn decode_records<E: From<DecodeError>>(
    payload: &[u8],
    batch_time: TimeMs,
    mut visit: impl FnMut(Record<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut input = Input::new(payload);
    let mut at = batch_time;
    let mut index = 0;
    while !input.is_empty() {
        let kind = input.u8()?;
        if kind == TIME {
            at = batch_time.saturating_add(input.u64()?);
            continue;
        }
        let mut terms = None;
        let event = decode_event(kind, &mut input, &mut terms)?;
        visit(Record { index, at, event })?;
        index += 1;
    }
    Ok(())
}

fn decode_event<'e, 'p: 'e>(
    kind: u8,
    input: &mut Input<'p>,
    terms: &'e mut Option<SaleTerms>,
) -> Result<Event<'e>, DecodeError> {
    Ok(match kind {
        FOUNDED => Event::Founded { id_key: input.array()? },
        COUNTER_ADDED => {
            Event::CounterAdded { counter: input.text()?, by: input.u64()?, value: input.u64()? }
        }
        WINDOW_PUT => Event::WindowPut { window: input.text()?, shape: input.shape()? },
        WINDOW_HIT => Event::WindowHit { window: input.text()?, pane: input.u64()?, by: input.u64()? },
        SALE_PUT => {
            let sale_no = SaleNo(input.u32()?);
            let sale = input.text()?;
            Event::SalePut { sale_no, sale, terms: terms.insert(input.terms()?) }
        }
        SALE_ARCHIVED => Event::SaleArchived { sale_no: SaleNo(input.u32()?) },
        RESERVED => decode_reserved(input)?,
        CONFIRMED => Event::Confirmed { reservation: decode_reservation(input)? },
        RELEASED => Event::Released { reservation: decode_reservation(input)? },
        EXPIRED => Event::Expired { reservation: decode_reservation(input)? },
        _ => return Err(input.wrong("unknown kind of record")),
    })
}

pub(super) fn decode_reservation(input: &mut Input<'_>) -> Result<ReservationNo, DecodeError> {
    Ok(ReservationNo { sale: SaleNo(input.u32()?), seq: input.u32()? })
}

pub(super) fn decode_lines(input: &mut Input<'_>) -> Result<Lines, DecodeError> {
    let count = input.u64()?;
    let mut lines = Lines::new();
    for _ in 0..count {
        let line = Line { stock: StockNo(input.u16()?), quantity: input.u16()? };
        lines.try_push(line).map_err(|_| input.wrong("a reservation has too many lines"))?;
    }
    Ok(lines)
}

pub(super) fn decode_key<'a>(input: &mut Input<'a>) -> Result<IdempotencyKey<'a>, DecodeError> {
    Ok(IdempotencyKey { key: input.bytes()?, fingerprint: u64::from_le_bytes(input.array()?) })
}

fn decode_reserved<'a>(input: &mut Input<'a>) -> Result<Event<'a>, DecodeError> {
    let reservation = decode_reservation(input)?;
    let flags = input.u8()?;
    if flags & !FLAGS != 0 {
        return Err(input.wrong("unknown flag of a reservation"));
    }
    Ok(Event::Reserved {
        reservation,
        customer: input.text()?,
        lines: decode_lines(input)?,
        expires_at: if flags & HAS_EXPIRY == 0 { None } else { input.optional()? },
        key: if flags & HAS_KEY == 0 { None } else { Some(decode_key(input)?) },
        details: if flags & HAS_DETAILS == 0 { &[] } else { input.bytes()? },
    })
}

//! Events as records: a kind byte, then its fields, as a group that can grow. Records follow one another without gaps; a
//! batch's payload is a sequence of them. A time record dates the events behind it.

use onrush_core::{
    Event, IdempotencyKey, Incarnation, Line, Lines, PasswordHash, ReclaimedClaim, ReservationNo, RowLine,
    SaleNo, SaleTerms, StockNo, TimeMs,
};
use onrush_log::Format;

use super::denial::{DenialFields, decode_denial, decode_subject, put_denial, put_subject};
use super::error::{DecodeError, DecodeReason};
use super::fields::{Field, put_group};
use super::primitives::{Input, put_bytes, put_shape, put_u64};
use super::terms::{put_gate, put_terms, take_gate, take_terms};

const TIME: u8 = 1;
const PARTITION_CREATED: u8 = 2;
const COUNTER_ADDED: u8 = 3;
const WINDOW_PUT: u8 = 4;
const WINDOW_HIT: u8 = 5;
const SALE_PUT: u8 = 6;
const SALE_ARCHIVED: u8 = 7;
const RESERVED: u8 = 8;
const CONFIRMED: u8 = 9;
const RELEASED: u8 = 10;
const EXPIRED: u8 = 11;
const INCARNATION_BEGUN: u8 = 12;
const DENIED: u8 = 13;
const UNDENIED: u8 = 14;
const DENIAL_EXPIRED: u8 = 15;
const ACCOUNT_CREATED: u8 = 16;
const ROWS_PUT: u8 = 17;
const ROW_DELETED: u8 = 18;

/// Kinds from here on may be passed over by a reader that does not know them; they count as events.
const OPTIONAL_KINDS: u8 = 128;

/// Fields of a `RESERVED` record.
const EXPIRES_AT: Field = Field::required(1);
const KEY: Field = Field::required(2);
const DETAILS: Field = Field::required(3);

/// The field of a `CONFIRMED` record: what is confirmed had expired, and claimed this.
const RECLAIMED: Field = Field::required(1);

/// Bits of the flags that such a record had in format 1, in the place of its fields.
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
pub fn encode_time(out: &mut Vec<u8>, batch_time: TimeMs, at: TimeMs) {
    out.push(TIME);
    put_group(out, |out| put_u64(out, at.saturating_sub(batch_time)));
}

/// Appends one event.
pub fn encode_event(out: &mut Vec<u8>, event: &Event<'_>) {
    out.push(kind_of(event));
    put_group(out, |out| put_fields(out, event));
}

fn kind_of(event: &Event<'_>) -> u8 {
    match event {
        Event::PartitionCreated { .. } => PARTITION_CREATED,
        Event::IncarnationBegun { .. } => INCARNATION_BEGUN,
        Event::CounterAdded { .. } => COUNTER_ADDED,
        Event::WindowPut { .. } => WINDOW_PUT,
        Event::WindowHit { .. } => WINDOW_HIT,
        Event::SalePut { .. } => SALE_PUT,
        Event::SaleArchived { .. } => SALE_ARCHIVED,
        Event::Reserved { .. } => RESERVED,
        Event::Confirmed { .. } | Event::Reclaimed { .. } => CONFIRMED,
        Event::Released { .. } => RELEASED,
        Event::Expired { .. } => EXPIRED,
        Event::Denied { .. } => DENIED,
        Event::Undenied { .. } => UNDENIED,
        Event::DenialExpired { .. } => DENIAL_EXPIRED,
        Event::AccountCreated { .. } => ACCOUNT_CREATED,
        Event::RowsPut { .. } => ROWS_PUT,
        Event::RowDeleted { .. } => ROW_DELETED,
    }
}

fn name_of(kind: u8) -> &'static str {
    match kind {
        PARTITION_CREATED => "partition created",
        COUNTER_ADDED => "counter added",
        WINDOW_PUT => "window put",
        WINDOW_HIT => "window hit",
        SALE_PUT => "sale put",
        SALE_ARCHIVED => "sale archived",
        RESERVED => "reserved",
        CONFIRMED => "confirmed",
        RELEASED => "released",
        EXPIRED => "expired",
        INCARNATION_BEGUN => "incarnation begun",
        DENIED => "denied",
        UNDENIED => "undenied",
        DENIAL_EXPIRED => "denial expired",
        ACCOUNT_CREATED => "account created",
        ROWS_PUT => "rows put",
        ROW_DELETED => "row deleted",
        _ => "record",
    }
}

fn put_fields(out: &mut Vec<u8>, event: &Event<'_>) {
    match event {
        Event::PartitionCreated { id_key } => out.extend_from_slice(id_key),
        Event::IncarnationBegun { incarnation } => put_u64(out, incarnation.0.into()),
        Event::CounterAdded { counter, by, value } => {
            put_bytes(out, counter.as_bytes());
            put_u64(out, *by);
            put_u64(out, *value);
        }
        Event::WindowPut { window, shape } => {
            put_bytes(out, window.as_bytes());
            put_shape(out, *shape);
        }
        Event::WindowHit { window, pane, by } => {
            put_bytes(out, window.as_bytes());
            put_u64(out, *pane);
            put_u64(out, *by);
        }
        Event::SalePut { sale_no, sale, terms } => {
            put_u64(out, sale_no.0.into());
            put_bytes(out, sale.as_bytes());
            put_terms(out, terms);
            put_gate(out, terms.gate);
        }
        Event::SaleArchived { sale_no } => put_u64(out, sale_no.0.into()),
        Event::Reserved { reservation, customer, lines, expires_at, key, details } => {
            put_reservation(out, *reservation);
            put_bytes(out, customer.as_bytes());
            put_lines(out, lines);
            if let Some(expires_at) = expires_at {
                EXPIRES_AT.put_u64(out, *expires_at);
            }
            if let Some(key) = key {
                KEY.put_group(out, |out| put_key(out, key));
            }
            if !details.is_empty() {
                DETAILS.put(out, details);
            }
        }
        Event::Reclaimed { reservation, claim } => {
            put_reservation(out, *reservation);
            RECLAIMED.put_group(out, |out| put_claim(out, claim));
        }
        Event::Confirmed { reservation }
        | Event::Released { reservation }
        | Event::Expired { reservation } => {
            put_reservation(out, *reservation);
        }
        Event::Denied { kind, value, reason, expires_at } => {
            let denial = DenialFields { kind: *kind, value, reason, expires_at: *expires_at };
            put_denial(out, &denial);
        }
        Event::AccountCreated { customer, password } => {
            put_bytes(out, customer.as_bytes());
            put_bytes(out, password.0);
        }
        Event::RowsPut { collection, rows } => {
            put_bytes(out, collection.as_bytes());
            put_u64(out, rows.len() as u64);
            for row in rows {
                put_row(out, *row);
            }
        }
        Event::RowDeleted { collection, key } => {
            put_bytes(out, collection.as_bytes());
            put_bytes(out, key.as_bytes());
        }
        Event::Undenied { kind, value } | Event::DenialExpired { kind, value } => {
            put_subject(out, *kind, value);
        }
    }
}

pub(super) fn put_reservation(out: &mut Vec<u8>, reservation: ReservationNo) {
    put_u64(out, reservation.sale.0.into());
    put_u64(out, reservation.seq.into());
}

pub(super) fn put_lines(out: &mut Vec<u8>, lines: &Lines) {
    put_u64(out, lines.len() as u64);
    for line in lines {
        put_u64(out, line.stock.0.into());
        put_u64(out, line.quantity.into());
    }
}

pub(super) fn put_key(out: &mut Vec<u8>, key: &IdempotencyKey<'_>) {
    out.extend_from_slice(&key.fingerprint.to_le_bytes());
    out.extend_from_slice(key.key);
}

pub(super) fn put_row(out: &mut Vec<u8>, row: RowLine<'_>) {
    put_bytes(out, row.key.as_bytes());
    put_bytes(out, row.json);
}

fn put_claim(out: &mut Vec<u8>, claim: &ReclaimedClaim) {
    put_bytes(out, claim.customer.as_bytes());
    put_lines(out, &claim.lines);
    put_bytes(out, &claim.key);
    out.extend_from_slice(&claim.details);
}

/// Decodes the payload of a batch of time `batch_time`, written in `format`, and gives each event to `visit`. Events of a
/// kind that may be passed over are counted and not given.
///
/// # Errors
/// The bytes are not a sequence of records that this version knows, or `visit` failed.
pub fn decode_records<E: From<DecodeError>>(
    format: Format,
    payload: &[u8],
    batch_time: TimeMs,
    mut visit: impl FnMut(Record<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut input = Input::new(payload);
    let mut at = batch_time;
    let mut index = 0;
    while !input.is_empty() {
        let position = input.position();
        let kind = input.u8()?;
        let mut terms = None;
        let event = match format {
            Format::V1 if kind == TIME => Decoded::Time(input.u64()?),
            Format::V1 => decode_event(format, kind, position, &mut input, &mut terms)?,
            Format::V2 => decode_group(kind, position, &mut input.group()?, &mut terms)?,
        };
        match event {
            Decoded::Time(later_by) => {
                at = batch_time.saturating_add(later_by);
                continue;
            }
            Decoded::Event(event) => visit(Record { index, at, event })?,
            Decoded::PassedOver => {}
        }
        index += 1;
    }
    Ok(())
}

/// What a record turned out to be.
enum Decoded<'a> {
    Time(u64),
    Event(Event<'a>),
    PassedOver,
}

fn decode_group<'e, 'p: 'e>(
    kind: u8,
    position: usize,
    group: &mut Input<'p>,
    terms: &'e mut Option<SaleTerms>,
) -> Result<Decoded<'e>, DecodeError> {
    if kind == TIME {
        let later_by = group.u64()?;
        group.no_fields("time")?;
        return Ok(Decoded::Time(later_by));
    }
    let decoded = decode_event(Format::V2, kind, position, group, terms)?;
    if matches!(decoded, Decoded::Event(_)) {
        group.no_fields(name_of(kind))?;
    }
    Ok(decoded)
}

/// The event, without the fields that were not always there.
fn decode_event<'e, 'p: 'e>(
    format: Format,
    kind: u8,
    position: usize,
    input: &mut Input<'p>,
    terms: &'e mut Option<SaleTerms>,
) -> Result<Decoded<'e>, DecodeError> {
    Ok(Decoded::Event(match kind {
        PARTITION_CREATED => Event::PartitionCreated { id_key: input.array()? },
        COUNTER_ADDED => {
            Event::CounterAdded { counter: input.text()?, by: input.u64()?, value: input.u64()? }
        }
        WINDOW_PUT => Event::WindowPut { window: input.text()?, shape: input.shape()? },
        WINDOW_HIT => Event::WindowHit { window: input.text()?, pane: input.u64()?, by: input.u64()? },
        SALE_PUT => {
            let sale_no = SaleNo(input.u32()?);
            let sale = input.text()?;
            let terms = terms.insert(take_terms(input, format)?);
            if format != Format::V1 {
                terms.gate = take_gate(input, name_of(kind))?;
            }
            Event::SalePut { sale_no, sale, terms }
        }
        SALE_ARCHIVED => Event::SaleArchived { sale_no: SaleNo(input.u32()?) },
        RESERVED if format == Format::V1 => decode_reserved_v1(input)?,
        RESERVED => decode_reserved(input)?,
        CONFIRMED if format != Format::V1 => decode_confirmed(input)?,
        CONFIRMED => Event::Confirmed { reservation: decode_reservation(input)? },
        RELEASED => Event::Released { reservation: decode_reservation(input)? },
        EXPIRED => Event::Expired { reservation: decode_reservation(input)? },
        INCARNATION_BEGUN if format != Format::V1 => {
            Event::IncarnationBegun { incarnation: Incarnation(input.u32()?) }
        }
        DENIED if format != Format::V1 => {
            let DenialFields { kind, value, reason, expires_at } = decode_denial(input, name_of(DENIED))?;
            Event::Denied { kind, value, reason, expires_at }
        }
        UNDENIED if format != Format::V1 => {
            let (kind, value) = decode_subject(input)?;
            Event::Undenied { kind, value }
        }
        DENIAL_EXPIRED if format != Format::V1 => {
            let (kind, value) = decode_subject(input)?;
            Event::DenialExpired { kind, value }
        }
        ACCOUNT_CREATED if format != Format::V1 => {
            Event::AccountCreated { customer: input.text()?, password: PasswordHash(input.bytes()?) }
        }
        ROWS_PUT if format != Format::V1 => {
            let (collection, count) = (input.text()?, input.u64()?);
            // As many as there are: the count is believed no further than the bytes go.
            let rows = (0..count).map(|_| decode_row(input)).collect::<Result<_, _>>()?;
            Event::RowsPut { collection, rows }
        }
        ROW_DELETED if format != Format::V1 => {
            Event::RowDeleted { collection: input.text()?, key: input.text()? }
        }
        _ if format != Format::V1 && kind >= OPTIONAL_KINDS => return Ok(Decoded::PassedOver),
        _ => {
            let reason = DecodeReason::UnknownKind { of: "record kind", kind };
            return Err(DecodeError { position, reason });
        }
    }))
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

pub(super) fn decode_row<'a>(input: &mut Input<'a>) -> Result<RowLine<'a>, DecodeError> {
    Ok(RowLine { key: input.text()?, json: input.bytes()? })
}

pub(super) fn decode_key<'a>(input: &mut Input<'a>) -> Result<IdempotencyKey<'a>, DecodeError> {
    let fingerprint = u64::from_le_bytes(input.array()?);
    Ok(IdempotencyKey { key: input.rest(), fingerprint })
}

pub(super) fn decode_key_v1<'a>(input: &mut Input<'a>) -> Result<IdempotencyKey<'a>, DecodeError> {
    Ok(IdempotencyKey { key: input.bytes()?, fingerprint: u64::from_le_bytes(input.array()?) })
}

fn decode_reserved<'a>(input: &mut Input<'a>) -> Result<Event<'a>, DecodeError> {
    let reservation = decode_reservation(input)?;
    let customer = input.text()?;
    let lines = decode_lines(input)?;
    let (mut expires_at, mut key, mut details) = (None, None, &[][..]);
    input.fields(name_of(RESERVED), |field, content| {
        match field {
            EXPIRES_AT => expires_at = Some(content.u64()?),
            KEY => key = Some(decode_key(content)?),
            DETAILS => details = content.rest(),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(Event::Reserved { reservation, customer, lines, expires_at, key, details })
}

fn decode_confirmed<'a>(input: &mut Input<'a>) -> Result<Event<'a>, DecodeError> {
    let reservation = decode_reservation(input)?;
    let mut claim = None;
    input.fields(name_of(CONFIRMED), |field, content| {
        if field == RECLAIMED {
            claim = Some(Box::new(decode_claim(content)?));
        }
        Ok(field == RECLAIMED)
    })?;
    Ok(match claim {
        Some(claim) => Event::Reclaimed { reservation, claim },
        None => Event::Confirmed { reservation },
    })
}

fn decode_claim(input: &mut Input<'_>) -> Result<ReclaimedClaim, DecodeError> {
    Ok(ReclaimedClaim {
        customer: input.text()?.into(),
        lines: decode_lines(input)?,
        key: input.bytes()?.into(),
        details: input.rest().into(),
    })
}

fn decode_reserved_v1<'a>(input: &mut Input<'a>) -> Result<Event<'a>, DecodeError> {
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
        key: if flags & HAS_KEY == 0 { None } else { Some(decode_key_v1(input)?) },
        details: if flags & HAS_DETAILS == 0 { &[] } else { input.bytes()? },
    })
}

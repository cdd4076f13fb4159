//! Facts, the content of snapshots, as bytes: a kind byte, then its fields, as a group that can grow, as in records.

use onrush_core::{Fact, Incarnation, PasswordHash, ReservationStatus, SaleNo, SaleTerms, StockNo};
use onrush_log::Format;

use super::denial::{DenialFields, decode_denial, put_denial};
use super::error::{DecodeError, DecodeReason};
use super::event::{
    decode_key, decode_key_v1, decode_lines, decode_reservation, decode_row, put_key, put_lines,
    put_reservation, put_row,
};
use super::fields::{Field, put_group};
use super::primitives::{Input, put_bytes, put_shape, put_u64};
use super::terms::{put_gate, put_terms, take_gate, take_terms};

const PARTITION: u8 = 1;
const COUNTER: u8 = 2;
const WINDOW: u8 = 3;
const PANE: u8 = 4;
const SALE: u8 = 5;
const RESERVATION: u8 = 6;
const INCARNATION: u8 = 7;
const DENIAL: u8 = 8;
const ACCOUNT: u8 = 9;
const COLLECTION: u8 = 10;
const ROW: u8 = 11;

/// Kinds from here on may be passed over by a reader that does not know them.
const OPTIONAL_KINDS: u8 = 128;

/// Field of a `PARTITION` fact.
const PARTITION_INCARNATION: Field = Field::required(1);

/// Fields of a `RESERVATION` fact.
const HOLD_UNTIL: Field = Field::required(1);
const KEY: Field = Field::required(2);
const DETAILS: Field = Field::required(3);

/// Bits of the flags that such a fact had in format 1, in the place of its status and its fields.
const STATUS: u8 = 0b0000_0011;
const HAS_HOLD: u8 = 4;
const HAS_KEY: u8 = 8;
const HAS_DETAILS: u8 = 16;

/// Appends one fact.
pub fn encode_fact(out: &mut Vec<u8>, fact: &Fact<'_>) {
    out.push(kind_of(fact));
    put_group(out, |out| put_fields(out, fact));
}

fn kind_of(fact: &Fact<'_>) -> u8 {
    match fact {
        Fact::Partition { .. } => PARTITION,
        Fact::Counter { .. } => COUNTER,
        Fact::Window { .. } => WINDOW,
        Fact::Pane { .. } => PANE,
        Fact::Sale { .. } => SALE,
        Fact::Reservation { .. } => RESERVATION,
        Fact::Incarnation { .. } => INCARNATION,
        Fact::Denial { .. } => DENIAL,
        Fact::Account { .. } => ACCOUNT,
        Fact::Collection { .. } => COLLECTION,
        Fact::Row { .. } => ROW,
    }
}

fn name_of(kind: u8) -> &'static str {
    match kind {
        PARTITION => "partition",
        COUNTER => "counter",
        WINDOW => "window",
        PANE => "pane",
        SALE => "sale",
        RESERVATION => "reservation",
        INCARNATION => "incarnation",
        DENIAL => "denial",
        ACCOUNT => "account",
        COLLECTION => "collection",
        ROW => "row",
        _ => "fact",
    }
}

fn put_fields(out: &mut Vec<u8>, fact: &Fact<'_>) {
    match fact {
        Fact::Partition { id_key, time, sales_ever, incarnation } => {
            put_bytes(out, id_key.as_ref().map_or(&[], |key| key));
            put_u64(out, *time);
            put_u64(out, (*sales_ever).into());
            if *incarnation != Incarnation::FIRST {
                PARTITION_INCARNATION.put_u64(out, incarnation.0.into());
            }
        }
        Fact::Counter { counter, value } => {
            put_bytes(out, counter.as_bytes());
            put_u64(out, *value);
        }
        Fact::Window { window, shape } => {
            put_bytes(out, window.as_bytes());
            put_shape(out, *shape);
        }
        Fact::Pane { pane, count } => {
            put_u64(out, *pane);
            put_u64(out, *count);
        }
        Fact::Sale { sale_no, sale, terms, stock_nos, stocks_ever, version } => {
            put_u64(out, sale_no.0.into());
            put_bytes(out, sale.as_bytes());
            put_terms(out, terms);
            for stock_no in *stock_nos {
                put_u64(out, stock_no.0.into());
            }
            put_u64(out, (*stocks_ever).into());
            put_u64(out, *version);
            put_gate(out, terms.gate);
        }
        Fact::Account { customer, password } => {
            put_bytes(out, customer.as_bytes());
            put_bytes(out, password.0);
        }
        Fact::Collection { collection, version } => {
            put_bytes(out, collection.as_bytes());
            put_u64(out, *version);
        }
        Fact::Row { row } => put_row(out, *row),
        Fact::Denial { kind, value, reason, expires_at } => {
            let denial = DenialFields { kind: *kind, value, reason, expires_at: *expires_at };
            put_denial(out, &denial);
        }
        Fact::Incarnation { first, incarnation } => {
            put_reservation(out, *first);
            put_u64(out, incarnation.0.into());
        }
        Fact::Reservation { reservation, customer, status, lines, created_at, hold_until, key, details } => {
            put_reservation(out, *reservation);
            out.push(*status as u8);
            put_bytes(out, customer.as_bytes());
            put_lines(out, lines);
            put_u64(out, *created_at);
            if let Some(hold_until) = hold_until {
                HOLD_UNTIL.put_u64(out, *hold_until);
            }
            if let Some(key) = key {
                KEY.put_group(out, |out| put_key(out, key));
            }
            if !details.is_empty() {
                DETAILS.put(out, details);
            }
        }
    }
}

/// Decodes facts; keeps the parts of a fact that own memory from one to the next.
#[derive(Debug)]
pub struct FactDecoder {
    format: Format,
    terms: Option<SaleTerms>,
    stock_nos: Vec<StockNo>,
}

impl FactDecoder {
    /// For facts that were written in `format`.
    pub fn new(format: Format) -> Self {
        Self { format, terms: None, stock_nos: Vec::new() }
    }

    /// Gives each fact of `bytes` to `visit`; those of a kind that may be passed over are not given.
    ///
    /// # Errors
    /// The bytes are not whole facts that this version knows, or `visit` found one that does not fit.
    pub fn decode(
        &mut self,
        bytes: &[u8],
        mut visit: impl FnMut(&Fact<'_>) -> Result<(), &'static str>,
    ) -> Result<(), DecodeError> {
        let mut input = Input::new(bytes);
        while !input.is_empty() {
            let position = input.position();
            if let Some(fact) = self.next(&mut input)? {
                visit(&fact).map_err(|problem| DecodeError { position, reason: problem.into() })?;
            }
        }
        Ok(())
    }

    fn next<'f, 'p: 'f>(&'f mut self, input: &mut Input<'p>) -> Result<Option<Fact<'f>>, DecodeError> {
        let position = input.position();
        let kind = input.u8()?;
        match self.format {
            Format::V1 => self.decode_fact(kind, position, input),
            Format::V2 => {
                let mut group = input.group()?;
                let fact = self.decode_fact(kind, position, &mut group)?;
                if fact.is_some() {
                    group.no_fields(name_of(kind))?;
                }
                Ok(fact)
            }
        }
    }

    /// The fact, without the fields that were not always there; nothing if it may be passed over.
    fn decode_fact<'f, 'p: 'f>(
        &'f mut self,
        kind: u8,
        position: usize,
        input: &mut Input<'p>,
    ) -> Result<Option<Fact<'f>>, DecodeError> {
        Ok(Some(match kind {
            PARTITION => {
                let id_key = input.bytes()?;
                let id_key = if id_key.is_empty() {
                    None
                } else {
                    Some(id_key.try_into().map_err(|_| input.wrong("a secret has another length"))?)
                };
                let (time, sales_ever) = (input.u64()?, input.u32()?);
                let incarnation = match self.format {
                    Format::V1 => Incarnation::FIRST,
                    Format::V2 => decode_partition_incarnation(input)?,
                };
                Fact::Partition { id_key, time, sales_ever, incarnation }
            }
            COUNTER => Fact::Counter { counter: input.text()?, value: input.u64()? },
            WINDOW => Fact::Window { window: input.text()?, shape: input.shape()? },
            PANE => Fact::Pane { pane: input.u64()?, count: input.u64()? },
            SALE => {
                let sale_no = SaleNo(input.u32()?);
                let sale = input.text()?;
                let terms = self.terms.insert(take_terms(input, self.format)?);
                self.stock_nos.clear();
                for _ in 0..terms.stocks.len() {
                    self.stock_nos.push(StockNo(input.u16()?));
                }
                let (stocks_ever, version) = (input.u16()?, input.u64()?);
                if self.format != Format::V1 {
                    terms.gate = take_gate(input, name_of(SALE))?;
                }
                Fact::Sale { sale_no, sale, terms, stock_nos: &self.stock_nos, stocks_ever, version }
            }
            RESERVATION if self.format == Format::V1 => decode_reservation_fact_v1(input)?,
            RESERVATION => decode_reservation_fact(input)?,
            INCARNATION if self.format != Format::V1 => Fact::Incarnation {
                first: decode_reservation(input)?,
                incarnation: Incarnation(input.u32()?),
            },
            DENIAL if self.format != Format::V1 => {
                let DenialFields { kind, value, reason, expires_at } = decode_denial(input, name_of(DENIAL))?;
                Fact::Denial { kind, value, reason, expires_at }
            }
            ACCOUNT if self.format != Format::V1 => {
                Fact::Account { customer: input.text()?, password: PasswordHash(input.bytes()?) }
            }
            COLLECTION if self.format != Format::V1 => {
                Fact::Collection { collection: input.text()?, version: input.u64()? }
            }
            ROW if self.format != Format::V1 => Fact::Row { row: decode_row(input)? },
            _ if self.format != Format::V1 && kind >= OPTIONAL_KINDS => return Ok(None),
            _ => {
                let reason = DecodeReason::UnknownKind { of: "fact kind", kind };
                return Err(DecodeError { position, reason });
            }
        }))
    }
}

fn decode_partition_incarnation(input: &mut Input<'_>) -> Result<Incarnation, DecodeError> {
    let mut incarnation = Incarnation::FIRST;
    input.fields(name_of(PARTITION), |field, content| {
        let is_known = field == PARTITION_INCARNATION;
        if is_known {
            incarnation = Incarnation(content.u32()?);
        }
        Ok(is_known)
    })?;
    Ok(incarnation)
}

fn decode_reservation_fact<'a>(input: &mut Input<'a>) -> Result<Fact<'a>, DecodeError> {
    let reservation = decode_reservation(input)?;
    let status = match input.u8()? {
        0 => ReservationStatus::Held,
        1 => ReservationStatus::Confirmed,
        2 => ReservationStatus::Released,
        3 => ReservationStatus::Expired,
        _ => return Err(input.wrong("unknown status of a reservation")),
    };
    let customer = input.text()?;
    let lines = decode_lines(input)?;
    let created_at = input.u64()?;
    let (mut hold_until, mut key, mut details) = (None, None, &[][..]);
    input.fields(name_of(RESERVATION), |field, content| {
        match field {
            HOLD_UNTIL => hold_until = Some(content.u64()?),
            KEY => key = Some(decode_key(content)?),
            DETAILS => details = content.rest(),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(Fact::Reservation { reservation, customer, status, lines, created_at, hold_until, key, details })
}

fn decode_reservation_fact_v1<'a>(input: &mut Input<'a>) -> Result<Fact<'a>, DecodeError> {
    let reservation = decode_reservation(input)?;
    let flags = input.u8()?;
    if flags & !(STATUS | HAS_HOLD | HAS_KEY | HAS_DETAILS) != 0 {
        return Err(input.wrong("unknown flag of a reservation"));
    }
    let status = match flags & STATUS {
        0 => ReservationStatus::Held,
        1 => ReservationStatus::Confirmed,
        2 => ReservationStatus::Released,
        _ => ReservationStatus::Expired,
    };
    Ok(Fact::Reservation {
        reservation,
        status,
        customer: input.text()?,
        lines: decode_lines(input)?,
        created_at: input.u64()?,
        hold_until: if flags & HAS_HOLD == 0 { None } else { input.optional()? },
        key: if flags & HAS_KEY == 0 { None } else { Some(decode_key_v1(input)?) },
        details: if flags & HAS_DETAILS == 0 { &[] } else { input.bytes()? },
    })
}

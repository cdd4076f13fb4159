//! Facts, the content of snapshots, as bytes: a kind byte, then its fields, as in records.

use onrush_core::{Fact, ReservationStatus, SaleNo, SaleTerms, StockNo};

use super::DecodeError;
use super::primitives::{Input, put_bytes, put_optional, put_shape, put_terms, put_u64};
use super::record::{decode_key, decode_lines, decode_reservation, put_key_and_details, put_lines};

const PARTITION: u8 = 1;
const COUNTER: u8 = 2;
const WINDOW: u8 = 3;
const PANE: u8 = 4;
const SALE: u8 = 5;
const RESERVATION: u8 = 6;

const STATUS: u8 = 0b0000_0011;
const HAS_HOLD: u8 = 4;
const HAS_KEY: u8 = 8;
const HAS_DETAILS: u8 = 16;

/// Appends one fact.
pub fn encode_fact(out: &mut Vec<u8>, fact: &Fact<'_>) {
    match fact {
        Fact::Partition { id_key, time, sales_ever } => {
            out.push(PARTITION);
            put_bytes(out, id_key.as_ref().map_or(&[], |key| key));
            put_u64(out, *time);
            put_u64(out, (*sales_ever).into());
        }
        Fact::Counter { counter, value } => {
            out.push(COUNTER);
            put_bytes(out, counter.as_bytes());
            put_u64(out, *value);
        }
        Fact::Window { window, shape } => {
            out.push(WINDOW);
            put_bytes(out, window.as_bytes());
            put_shape(out, *shape);
        }
        Fact::Pane { pane, count } => {
            out.push(PANE);
            put_u64(out, *pane);
            put_u64(out, *count);
        }
        Fact::Sale { sale_no, sale, terms, stock_nos, stocks_ever, version } => {
            out.push(SALE);
            put_u64(out, sale_no.0.into());
            put_bytes(out, sale.as_bytes());
            put_terms(out, terms);
            for stock_no in *stock_nos {
                put_u64(out, stock_no.0.into());
            }
            put_u64(out, (*stocks_ever).into());
            put_u64(out, *version);
        }
        Fact::Reservation { .. } => encode_reservation(out, fact),
    }
}

fn encode_reservation(out: &mut Vec<u8>, fact: &Fact<'_>) {
    let Fact::Reservation { reservation, customer, status, lines, created_at, hold_until, key, details } =
        fact
    else {
        return;
    };
    out.push(RESERVATION);
    put_u64(out, reservation.sale.0.into());
    put_u64(out, reservation.seq.into());
    let flags = *status as u8
        | if hold_until.is_some() { HAS_HOLD } else { 0 }
        | if key.is_some() { HAS_KEY } else { 0 }
        | if details.is_empty() { 0 } else { HAS_DETAILS };
    out.push(flags);
    put_bytes(out, customer.as_bytes());
    put_lines(out, lines);
    put_u64(out, *created_at);
    if hold_until.is_some() {
        put_optional(out, *hold_until);
    }
    put_key_and_details(out, key.as_ref(), details);
}

/// Decodes facts; keeps the parts of a fact that own memory from one to the next.
#[derive(Debug, Default)]
pub struct FactDecoder {
    terms: Option<SaleTerms>,
    stock_nos: Vec<StockNo>,
}

impl FactDecoder {
    /// Gives each fact of `bytes` to `visit`.
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
            let fact = self.next(&mut input)?;
            visit(&fact).map_err(|reason| DecodeError { position, reason })?;
        }
        Ok(())
    }

    fn next<'f, 'p: 'f>(&'f mut self, input: &mut Input<'p>) -> Result<Fact<'f>, DecodeError> {
        Ok(match input.u8()? {
            PARTITION => {
                let id_key = input.bytes()?;
                let id_key = if id_key.is_empty() {
                    None
                } else {
                    Some(id_key.try_into().map_err(|_| input.wrong("a secret has another length"))?)
                };
                Fact::Partition { id_key, time: input.u64()?, sales_ever: input.u32()? }
            }
            COUNTER => Fact::Counter { counter: input.text()?, value: input.u64()? },
            WINDOW => Fact::Window { window: input.text()?, shape: input.shape()? },
            PANE => Fact::Pane { pane: input.u64()?, count: input.u64()? },
            SALE => {
                let sale_no = SaleNo(input.u32()?);
                let sale = input.text()?;
                let terms = self.terms.insert(input.terms()?);
                self.stock_nos.clear();
                for _ in 0..terms.stocks.len() {
                    self.stock_nos.push(StockNo(input.u16()?));
                }
                let (stocks_ever, version) = (input.u16()?, input.u64()?);
                Fact::Sale { sale_no, sale, terms, stock_nos: &self.stock_nos, stocks_ever, version }
            }
            RESERVATION => decode_reservation_fact(input)?,
            _ => return Err(input.wrong("unknown kind of fact")),
        })
    }
}

fn decode_reservation_fact<'a>(input: &mut Input<'a>) -> Result<Fact<'a>, DecodeError> {
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
        key: if flags & HAS_KEY == 0 { None } else { Some(decode_key(input)?) },
        details: if flags & HAS_DETAILS == 0 { &[] } else { input.bytes()? },
    })
}

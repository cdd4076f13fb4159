//! The terms of a sale, as its record and its fact have them.

use onrush_core::{ChallengeTerms, ConfirmBy, GateMode, GateTerms, SaleTerms, SessionTerms, StockTerms};
use onrush_log::Format;

use super::DecodeError;
use super::fields::{Field, put_group};
use super::primitives::{Input, put_bytes, put_optional, put_u64};

/// What a sale asks of a buyer, a group of its own behind everything else that a record or a fact says of the sale. Who
/// does not know it would let everybody pass.
const GATE: Field = Field::required(1);
const GATE_SESSION: Field = Field::required(1);
const GATE_COOLDOWN_MS: Field = Field::required(2);
const GATE_HOLDS_UNPAID_MAX: Field = Field::required(3);
const GATE_CONFIRM_BY: Field = Field::required(4);
const GATE_MODE: Field = Field::required(5);
const GATE_CHALLENGE: Field = Field::required(6);

/// From when on reservations of a stock are refused. Who does not know it would sell what has closed.
const CLOSES_AT: Field = Field::required(1);

/// Appends terms.
pub(super) fn put_terms(out: &mut Vec<u8>, terms: &SaleTerms) {
    put_bytes(out, terms.title.as_bytes());
    put_optional(out, terms.opens_at);
    put_optional(out, terms.closes_at);
    put_optional(out, terms.per_customer_max.map(u64::from));
    put_u64(out, terms.hold_ttl_ms.into());
    put_u64(out, terms.stocks.len() as u64);
    for stock in &terms.stocks {
        put_group(out, |out| put_stock(out, stock));
    }
}

fn put_stock(out: &mut Vec<u8>, stock: &StockTerms) {
    put_bytes(out, stock.stock.as_bytes());
    put_bytes(out, stock.title.as_bytes());
    put_optional(out, stock.starts_at);
    put_optional(out, stock.ends_at);
    put_u64(out, stock.quantity_total.into());
    if let Some(closes_at) = stock.closes_at {
        CLOSES_AT.put_u64(out, closes_at);
    }
}

/// Takes terms.
pub(super) fn take_terms(input: &mut Input<'_>, format: Format) -> Result<SaleTerms, DecodeError> {
    let title = input.text()?.to_owned();
    let opens_at = input.optional()?;
    let closes_at = input.optional()?;
    let per_customer_max = input.optional()?.map(u32::try_from).transpose();
    let per_customer_max = per_customer_max.map_err(|_| input.wrong("an integer has more than 32 bits"))?;
    let hold_ttl_ms = input.u32()?;
    let stock_count = input.u64()?;
    let mut stocks = Vec::new();
    for _ in 0..stock_count {
        stocks.push(match format {
            Format::V1 => take_stock(input)?,
            Format::V2 => {
                let mut group = input.group()?;
                let mut stock = take_stock(&mut group)?;
                group.fields("stock", |field, content| {
                    if field == CLOSES_AT {
                        stock.closes_at = Some(content.u64()?);
                    }
                    Ok(field == CLOSES_AT)
                })?;
                stock
            }
        });
    }
    let gate = GateTerms::default();
    Ok(SaleTerms { title, opens_at, closes_at, per_customer_max, hold_ttl_ms, gate, stocks })
}

/// Appends what comes last in the group of a sale, if it is not at its default.
pub(super) fn put_gate(out: &mut Vec<u8>, gate: GateTerms) {
    let default = GateTerms::default();
    if gate == default {
        return;
    }
    GATE.put_group(out, |out| {
        if gate.session != default.session {
            GATE_SESSION.put_u64(out, gate.session as u64);
        }
        if gate.cooldown_ms != default.cooldown_ms {
            GATE_COOLDOWN_MS.put_u64(out, gate.cooldown_ms.into());
        }
        if let Some(max) = gate.holds_unpaid_max {
            GATE_HOLDS_UNPAID_MAX.put_u64(out, max.into());
        }
        if gate.confirm_by != default.confirm_by {
            GATE_CONFIRM_BY.put_u64(out, gate.confirm_by as u64);
        }
        if gate.mode != default.mode {
            GATE_MODE.put_u64(out, gate.mode as u64);
        }
        if gate.challenge != default.challenge {
            GATE_CHALLENGE.put_u64(out, gate.challenge as u64);
        }
    });
}

/// Takes it from the end of a group of this name.
pub(super) fn take_gate(input: &mut Input<'_>, of: &'static str) -> Result<GateTerms, DecodeError> {
    let mut gate = GateTerms::default();
    input.fields(of, |field, content| {
        if field == GATE {
            take_gate_fields(content, &mut gate)?;
        }
        Ok(field == GATE)
    })?;
    Ok(gate)
}

fn take_gate_fields(input: &mut Input<'_>, gate: &mut GateTerms) -> Result<(), DecodeError> {
    input.fields("gate", |field, content| {
        match field {
            GATE_SESSION => {
                gate.session = match content.u64()? {
                    0 => SessionTerms::Off,
                    1 => SessionTerms::Optional,
                    2 => SessionTerms::Required,
                    _ => return Err(content.wrong("a sale asks for a session in an unknown way")),
                }
            }
            GATE_COOLDOWN_MS => gate.cooldown_ms = content.u32()?,
            GATE_HOLDS_UNPAID_MAX => gate.holds_unpaid_max = Some(content.u32()?),
            GATE_CONFIRM_BY => {
                gate.confirm_by = match content.u64()? {
                    0 => ConfirmBy::Anyone,
                    1 => ConfirmBy::Operator,
                    _ => return Err(content.wrong("it is not known who confirms")),
                }
            }
            GATE_MODE => {
                gate.mode = match content.u64()? {
                    0 => GateMode::Enforce,
                    1 => GateMode::Shadow,
                    _ => return Err(content.wrong("a gate has an unknown mode")),
                }
            }
            GATE_CHALLENGE => {
                let number = content.u64()?;
                let known = ChallengeTerms::ALL.into_iter().find(|terms| *terms as u64 == number);
                gate.challenge =
                    known.ok_or_else(|| content.wrong("a sale asks for an unknown challenge"))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    })
}

/// The fields that every stock has.
fn take_stock(input: &mut Input<'_>) -> Result<StockTerms, DecodeError> {
    Ok(StockTerms {
        stock: input.text()?.to_owned(),
        title: input.text()?.to_owned(),
        starts_at: input.optional()?,
        ends_at: input.optional()?,
        closes_at: None,
        quantity_total: input.u32()?,
    })
}

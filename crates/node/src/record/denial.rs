//! Entries of the denylist as bytes, in records and in facts.

use onrush_core::{DenialKind, TimeMs};

use super::error::DecodeError;
use super::fields::Field;
use super::primitives::{Input, put_bytes};

/// Field of a denial. Whoever does not know it would deny for ever.
const EXPIRES_AT: Field = Field::required(1);

/// What a denial says, borrowed.
pub(super) struct DenialFields<'a> {
    pub(super) kind: DenialKind,
    pub(super) value: &'a str,
    pub(super) reason: &'a str,
    pub(super) expires_at: Option<TimeMs>,
}

pub(super) fn put_denial(out: &mut Vec<u8>, denial: &DenialFields<'_>) {
    put_subject(out, denial.kind, denial.value);
    put_bytes(out, denial.reason.as_bytes());
    if let Some(expires_at) = denial.expires_at {
        EXPIRES_AT.put_u64(out, expires_at);
    }
}

/// The denial that a group is, with its numbered fields; `of` is what the group is called.
pub(super) fn decode_denial<'a>(
    input: &mut Input<'a>,
    of: &'static str,
) -> Result<DenialFields<'a>, DecodeError> {
    let (kind, value) = decode_subject(input)?;
    let reason = input.text()?;
    let mut expires_at = None;
    input.fields(of, |field, content| {
        let is_known = field == EXPIRES_AT;
        if is_known {
            expires_at = Some(content.u64()?);
        }
        Ok(is_known)
    })?;
    Ok(DenialFields { kind, value, reason, expires_at })
}

pub(super) fn put_subject(out: &mut Vec<u8>, kind: DenialKind, value: &str) {
    out.push(kind as u8);
    put_bytes(out, value.as_bytes());
}

pub(super) fn decode_subject<'a>(input: &mut Input<'a>) -> Result<(DenialKind, &'a str), DecodeError> {
    let number = usize::from(input.u8()?);
    let kind = DenialKind::ALL.get(number).copied().ok_or_else(|| input.wrong("unknown kind of denial"))?;
    Ok((kind, input.text()?))
}

//! What a customer claims, taken apart but not checked yet, whichever way it came.

use std::borrow::Cow;

use onrush_core::{DETAILS_BYTES_MAX, LINES_MAX, QUANTITY_MAX};
use onrush_node::{ChallengeCall, KeyCall, LineCall, Name, ReserveCall};
use serde_json::value::RawValue;
use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64;

use crate::gate::{Brought, Identity};
use crate::http::name::name_field;
use crate::limits::DETAILS_DEPTH_MAX;
use crate::problem::Problem;

/// The parts of a claim, as they were sent.
pub(crate) struct Claim<'a> {
    /// A name.
    pub(crate) sale: &'a str,
    /// By which a retry finds the reservation; made by [`parse_idempotency_key`](super::key::parse_idempotency_key).
    pub(crate) key: Option<&'a str>,
    /// Absent if the sender's session says who it is.
    pub(crate) customer: Option<&'a str>,
    pub(crate) lines: &'a [ClaimLine<'a>],
    pub(crate) details: Option<&'a RawValue>,
    /// A challenge and its answer.
    pub(crate) challenge: Option<&'a str>,
}

/// So many units of one stock.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClaimLine<'a> {
    #[serde(borrow)]
    pub(crate) stock: Cow<'a, str>,
    pub(crate) quantity: u32,
}

impl Claim<'_> {
    /// The call that this claim of `sender` is; `read_challenge` says what a challenge is worth that it brings.
    ///
    /// # Errors
    /// A part is out of its bounds, or the claim is for somebody for whom `sender` cannot speak.
    pub(crate) fn check(
        self,
        sender: &Identity,
        read_challenge: impl FnOnce(Brought<'_>) -> ChallengeCall,
    ) -> Result<Box<ReserveCall>, Problem> {
        let Self { sale, key, customer, lines, details, challenge } = self;
        let named = customer.map(|name| name_field(name, || "customer".into())).transpose()?;
        let customer = sender.customer(named)?;
        let lines = checked_lines(lines)?;
        let details = checked_details(details)?;
        let key = key.map(|key| KeyCall {
            key: Name::from(key),
            fingerprint: fingerprint(&customer, &lines, details),
        });
        let challenge = challenge.map_or(ChallengeCall::Missing, |text| {
            read_challenge(Brought { text, sale, customer: &customer })
        });
        let (sale, asker, details) = (Name::from(sale), sender.asker(), details.into());
        Ok(Box::new(ReserveCall { sale, asker, customer, lines, details, challenge, key }))
    }
}

fn checked_lines(lines: &[ClaimLine<'_>]) -> Result<SmallVec<[LineCall; 1]>, Problem> {
    if !(1..=LINES_MAX).contains(&lines.len()) {
        return Err(Problem::invalid("lines", &format!("must be a list of 1 to {LINES_MAX} objects")));
    }
    let mut checked: SmallVec<[LineCall; 1]> = SmallVec::with_capacity(lines.len());
    for (at, line) in lines.iter().enumerate() {
        let stock = name_field(&line.stock, || format!("lines[{at}].stock").into())?;
        if !(1..=QUANTITY_MAX).contains(&line.quantity) {
            let rule = format!("must be a whole number from 1 to {QUANTITY_MAX}");
            return Err(Problem::invalid(format!("lines[{at}].quantity"), &rule));
        }
        if checked.iter().any(|earlier| earlier.stock == stock) {
            return Err(Problem::invalid(
                format!("lines[{at}].stock"),
                "must differ from the stock of every other line",
            ));
        }
        checked.push(LineCall { stock, quantity: line.quantity });
    }
    Ok(checked)
}

fn checked_details(details: Option<&RawValue>) -> Result<&[u8], Problem> {
    let Some(details) = details.map(|details| details.get().as_bytes()) else { return Ok(&[]) };
    if details.first() != Some(&b'{') {
        return Err(Problem::invalid("details", "must be a JSON object"));
    }
    if details.len() > DETAILS_BYTES_MAX {
        return Err(Problem::invalid(
            "details",
            &format!("must be at most {DETAILS_BYTES_MAX} bytes of JSON"),
        ));
    }
    if nests_deeper_than(DETAILS_DEPTH_MAX, details) {
        let rule = format!("must not nest objects and lists deeper than {DETAILS_DEPTH_MAX}");
        return Err(Problem::invalid("details", &rule));
    }
    Ok(details)
}

/// Whether valid JSON has more than `max` objects and lists within each other, itself included.
fn nests_deeper_than(max: usize, json: &[u8]) -> bool {
    let mut depth = 0;
    let (mut is_in_string, mut is_escaped) = (false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => is_in_string = !is_in_string,
            _ if is_in_string => {}
            b'{' | b'[' if depth == max => return true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
    }
    false
}

/// A stable hash over the parts, each preceded by its length, so that no two different claims write the same bytes.
pub(super) fn fingerprint(customer: &str, lines: &[LineCall], details: &[u8]) -> u64 {
    let mut canonical: SmallVec<[u8; 256]> = SmallVec::new();
    let mut put = |part: &[u8]| {
        canonical.extend_from_slice(&(part.len() as u64).to_le_bytes());
        canonical.extend_from_slice(part);
    };
    put(customer.as_bytes());
    for line in lines {
        put(line.stock.as_bytes());
        put(&line.quantity.to_le_bytes());
    }
    put(details);
    xxh3_64(&canonical)
}

//! Reservations: the hot request body and its answers.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use onrush_core::{NEW_NAME_RULE, ReservationStatus, ReservationView, TimeMs, is_name, write_rfc3339};
use onrush_node::{ChallengeCall, RESERVATION_ID_BYTES, ReserveCall};
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::claim::{Claim, ClaimLine};
use super::key::parse_idempotency_key;
use crate::gate::{Brought, Identity};
use crate::http::json::{Object, given, parse_json};
use crate::problem::Problem;
use crate::text::write_number;

/// The claim in the body of `POST /v1/sales/{sale}/reservations`. `details` keeps its bytes as they were sent, white space
/// included, and is compared and limited in that form.
pub fn parse_reservation(sale: &str, key: Option<&str>, body: &[u8]) -> Result<Box<ReserveCall>, Problem> {
    parse_reservation_of(&Identity::Unknown, sale, key, body, |_| ChallengeCall::Unreadable)
}

/// The same of a sender who may have said who they are, and then need not name themselves; `read_challenge` says what a challenge is worth
/// that the body brings.
pub(crate) fn parse_reservation_of(
    sender: &Identity,
    sale: &str,
    key: Option<&str>,
    body: &[u8],
    read_challenge: impl FnOnce(Brought<'_>) -> ChallengeCall,
) -> Result<Box<ReserveCall>, Problem> {
    if !is_name(sale) {
        return Err(Problem::invalid("sale", NEW_NAME_RULE));
    }
    let key = key.map(|key| parse_idempotency_key(key.as_bytes())).transpose()?;
    let read: ReservationBody<'_> = parse_json(body)?;
    let claim = Claim {
        sale,
        key,
        customer: read.customer.as_ref().map(|Customer(name)| &**name),
        lines: &read.lines.0,
        details: read.details,
        challenge: read.challenge.as_ref().map(|ChallengeText(text)| &**text),
    };
    claim.check(sender, read_challenge)
}

/// Appends a reservation that this call made, or made before: what it claims is in the call.
pub fn write_reserved(
    out: &mut Vec<u8>,
    id: &[u8; RESERVATION_ID_BYTES],
    call: &ReserveCall,
    status: ReservationStatus,
    created_at: TimeMs,
    expires_at: Option<TimeMs>,
) {
    let lines = call.lines.iter().map(|line| (line.stock.as_str(), line.quantity));
    let details = &call.details;
    let (sale, customer) = (&call.sale, &call.customer);
    ReservationFields { id, sale, customer, status, details, created_at, expires_at }.write(out, lines);
}

/// Appends a reservation as it is.
pub fn write_reservation(out: &mut Vec<u8>, id: &[u8; RESERVATION_ID_BYTES], view: &ReservationView) {
    let lines = view.lines.iter().map(|(stock, quantity)| (stock.as_str(), *quantity));
    ReservationFields {
        id,
        sale: &view.sale,
        customer: &view.customer,
        status: view.status,
        details: &view.details,
        created_at: view.created_at,
        expires_at: view.expires_at,
    }
    .write(out, lines);
}

/// Appends `{"reservations":[…]}`; `write_id` gives each its id.
pub fn write_reservations(
    out: &mut Vec<u8>,
    views: &[ReservationView],
    write_id: impl Fn(&ReservationView) -> [u8; RESERVATION_ID_BYTES],
) {
    out.extend_from_slice(b"{\"reservations\":[");
    for (at, view) in views.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_reservation(out, &write_id(view), view);
    }
    out.extend_from_slice(b"]}");
}

/// A status as clients read it.
pub const fn reservation_status_text(status: ReservationStatus) -> &'static str {
    match status {
        ReservationStatus::Held => "held",
        ReservationStatus::Confirmed => "confirmed",
        ReservationStatus::Released => "released",
        ReservationStatus::Expired => "expired",
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ReservationBody<'a> {
    #[serde(borrow, default, deserialize_with = "given")]
    customer: Option<Customer<'a>>,
    #[serde(borrow)]
    lines: LineBodies<'a>,
    #[serde(borrow, default, deserialize_with = "given")]
    details: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "given")]
    challenge: Option<ChallengeText<'a>>,
}

/// A name, whole.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Customer<'a>(#[serde(borrow)] Cow<'a, str>);

/// A challenge and its answer, whole.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct ChallengeText<'a>(#[serde(borrow)] Cow<'a, str>);

struct LineBodies<'a>(SmallVec<[ClaimLine<'a>; 2]>);

struct LineBodiesVisitor<'a>(PhantomData<&'a ()>);

/// All fields of a reservation but its lines.
struct ReservationFields<'a> {
    id: &'a [u8; RESERVATION_ID_BYTES],
    sale: &'a str,
    customer: &'a str,
    status: ReservationStatus,
    details: &'a [u8],
    created_at: TimeMs,
    expires_at: Option<TimeMs>,
}

impl<'de: 'a, 'a> Deserialize<'de> for LineBodies<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(LineBodiesVisitor(PhantomData))
    }
}

impl<'de: 'a, 'a> Visitor<'de> for LineBodiesVisitor<'a> {
    type Value = LineBodies<'a>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of lines")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut lines = SmallVec::new();
        while let Some(Object(line)) = seq.next_element()? {
            lines.push(line);
        }
        Ok(LineBodies(lines))
    }
}

impl ReservationFields<'_> {
    /// Names need no escapes: their alphabet has none of the characters that do.
    fn write<'l>(&self, out: &mut Vec<u8>, lines: impl Iterator<Item = (&'l str, u32)>) {
        out.extend_from_slice(b"{\"reservation\":\"");
        out.extend_from_slice(self.id);
        out.extend_from_slice(b"\",\"sale\":\"");
        out.extend_from_slice(self.sale.as_bytes());
        out.extend_from_slice(b"\",\"customer\":\"");
        out.extend_from_slice(self.customer.as_bytes());
        out.extend_from_slice(b"\",\"status\":\"");
        out.extend_from_slice(reservation_status_text(self.status).as_bytes());
        out.extend_from_slice(b"\",\"lines\":[");
        for (at, (stock, quantity)) in lines.enumerate() {
            out.extend_from_slice(if at == 0 { b"{\"stock\":\"" } else { b",{\"stock\":\"" });
            out.extend_from_slice(stock.as_bytes());
            out.extend_from_slice(b"\",\"quantity\":");
            write_number(out, quantity);
            out.push(b'}');
        }
        out.extend_from_slice(b"],\"details\":");
        out.extend_from_slice(if self.details.is_empty() { b"{}" } else { self.details });
        out.extend_from_slice(b",\"created_at\":\"");
        write_rfc3339(out, self.created_at);
        out.extend_from_slice(b"\",\"expires_at\":");
        if let Some(expires_at) = self.expires_at {
            out.push(b'"');
            write_rfc3339(out, expires_at);
            out.extend_from_slice(b"\"}");
        } else {
            out.extend_from_slice(b"null}");
        }
    }
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;

//! Entries of the denylist as JSON.

use std::borrow::Cow;

use onrush_core::{Denial, DenialKind, DenialsPage, REASON_BYTES_MAX, parse_rfc3339, write_rfc3339};

use super::page::write_cursor;
use crate::http::json::{given, parse_json};
use crate::problem::Problem;
use crate::text::write_json_string;

/// The body of `PUT /v1/denylist/{kind}/{value}`.
pub(super) fn parse_denial(kind: DenialKind, value: &str, body: &[u8]) -> Result<Denial, Problem> {
    let DenialBody { reason, expires_at } = parse_json(body)?;
    let reason = reason.unwrap_or_default();
    if reason.len() > REASON_BYTES_MAX {
        return Err(Problem::invalid(
            "reason",
            &format!("must be a string of at most {REASON_BYTES_MAX} bytes"),
        ));
    }
    let expires_at = expires_at.map(|text| {
        parse_rfc3339(&text).ok_or_else(|| Problem::invalid("expires_at", "must be an RFC 3339 time or null"))
    });
    Ok(Denial { kind, value: value.into(), reason: reason.into(), expires_at: expires_at.transpose()? })
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct DenialBody<'a> {
    #[serde(borrow, default, deserialize_with = "given")]
    reason: Option<Cow<'a, str>>,
    /// Null is for ever, as if it were absent.
    #[serde(borrow)]
    expires_at: Option<Cow<'a, str>>,
}

/// Appends `{"kind":"customer","value":"ada","reason":"…","expires_at":null}`. A value needs no escapes.
pub(super) fn write_denial(out: &mut Vec<u8>, denial: &Denial) {
    out.extend_from_slice(b"{\"kind\":\"");
    out.extend_from_slice(denial.kind.as_str().as_bytes());
    out.extend_from_slice(b"\",\"value\":\"");
    out.extend_from_slice(denial.value.as_bytes());
    out.extend_from_slice(b"\",\"reason\":");
    write_json_string(out, &denial.reason);
    out.extend_from_slice(b",\"expires_at\":");
    match denial.expires_at {
        Some(time) => {
            out.push(b'"');
            write_rfc3339(out, time);
            out.extend_from_slice(b"\"}");
        }
        None => out.extend_from_slice(b"null}"),
    }
}

/// Appends `{"denials":[…],"next_cursor":…}`.
pub(super) fn write_denials(out: &mut Vec<u8>, page: &DenialsPage) {
    out.extend_from_slice(b"{\"denials\":[");
    for (at, denial) in page.denials.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_denial(out, denial);
    }
    out.extend_from_slice(b"],\"next_cursor\":");
    match &page.next_after {
        Some((kind, value)) => {
            out.push(b'"');
            write_cursor(out, *kind, value);
            out.extend_from_slice(b"\"}");
        }
        None => out.extend_from_slice(b"null}"),
    }
}

//! Bodies about sessions.

use std::borrow::Cow;

use onrush_core::{TimeMs, write_rfc3339};

use crate::http::json::parse_json;
use crate::problem::Problem;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionBody<'a> {
    #[serde(borrow)]
    token: Cow<'a, str>,
}

/// The token of the shop in the body of `POST /v1/session`. Whether it proves anything is not asked here.
///
/// # Errors
/// The body is not as it should be.
pub(super) fn parse_token(body: &[u8]) -> Result<Cow<'_, str>, Problem> {
    parse_json::<SessionBody<'_>>(body).map(|body| body.token)
}

/// Appends a session. A name needs no escapes.
pub(super) fn write_session(out: &mut Vec<u8>, customer: &str, expires_at: TimeMs) {
    out.extend_from_slice(b"{\"customer\":\"");
    out.extend_from_slice(customer.as_bytes());
    out.extend_from_slice(b"\",\"expires_at\":\"");
    write_rfc3339(out, expires_at);
    out.extend_from_slice(b"\"}");
}

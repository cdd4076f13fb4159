//! Bodies about sessions.

use std::borrow::Cow;

use onrush_core::{TimeMs, write_rfc3339};

use crate::gate::Password;
use crate::http::json::{given, parse_json};
use crate::problem::Problem;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionBody<'a> {
    #[serde(borrow, default, deserialize_with = "given")]
    token: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "given")]
    customer: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "given")]
    password: Option<Cow<'a, str>>,
}

/// What somebody begins a session with. Whether it proves anything is not asked here.
#[derive(Debug)]
pub(super) enum Credentials<'a> {
    /// Of the shop.
    Token(Cow<'a, str>),
    /// Of an account here.
    Password(Cow<'a, str>, Password),
}

/// The body of `POST /v1/session`.
///
/// # Errors
/// The body is not as it should be.
pub(super) fn parse_credentials(body: &[u8]) -> Result<Credentials<'_>, Problem> {
    let SessionBody { token, customer, password } = parse_json(body)?;
    match (token, customer, password) {
        (Some(token), None, None) => Ok(Credentials::Token(token)),
        (None, Some(customer), Some(password)) => {
            Ok(Credentials::Password(customer, Password::new(password.into_owned())))
        }
        (None, Some(_), None) => Err(Problem::invalid("password", "is missing")),
        (None, None, Some(_)) => Err(Problem::invalid("customer", "is missing")),
        (None, None, None) => {
            Err(Problem::invalid("token", "is missing, and so are customer and password: give either"))
        }
        (Some(_), ..) => Err(Problem::invalid("token", "stands beside customer or password: give either")),
    }
}

/// Appends a session. A name needs no escapes.
pub(super) fn write_session(out: &mut Vec<u8>, customer: &str, expires_at: TimeMs) {
    out.extend_from_slice(b"{\"customer\":\"");
    out.extend_from_slice(customer.as_bytes());
    out.extend_from_slice(b"\",\"expires_at\":\"");
    write_rfc3339(out, expires_at);
    out.extend_from_slice(b"\"}");
}

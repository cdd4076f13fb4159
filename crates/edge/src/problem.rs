//! The one place where everything that can go wrong becomes a status, a code and words: `application/problem+json` after
//! RFC 9457, with the codes and members of the HTTP contract.

mod code;
mod credentials;
mod member;
mod refusal;

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use onrush_core::{ROWS_BYTES_MAX, ROWS_PER_PUT_MAX, TimeMs};
use onrush_gate::{Limited, Refused, Standing};
use onrush_node::Failure;
use onrush_sinks::SinkRefusal;

pub use self::code::Code;
use self::credentials::OPERATOR_PASSWORD;
use self::member::Member;
use crate::text::{write_json_string, write_number};

/// What precedes a code in the `type` of a problem.
pub const TYPE_PREFIX: &str = "https://onrush.dev/problems/";

/// The content type of a problem.
pub const CONTENT_TYPE: &str = "application/problem+json";

const OVERLOADED_RETRY_S: u64 = 1;
const LOG_UNAVAILABLE_RETRY_S: u64 = 5;
const NOT_LEADER_RETRY_S: u64 = 1;
const DRAINING_RETRY_S: u64 = 5;
const CEILING_RETRY_S: u64 = 60;

/// One thing that went wrong, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    code: Code,
    /// Borrowed text is ours and needs no escapes.
    detail: Cow<'static, str>,
    member: Member,
    retry_after_s: Option<u64>,
    allow: Option<&'static str>,
    /// Whether a 401 makes a browser ask for a password.
    asks_for_password: bool,
    /// Of the limit that refused.
    standing: Option<Standing>,
}

impl Problem {
    /// 400: `field` as a client wrote it, `rule` as in `must be 1 to 16`.
    pub fn invalid(field: impl Into<Cow<'static, str>>, rule: &str) -> Self {
        let field = field.into();
        let detail = format!("`{field}` {rule}.");
        Self { member: Member::Field(field), ..Self::new(Code::InvalidRequest, detail) }
    }

    /// 400 that no one field is to blame for; `detail` is a sentence.
    pub fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidRequest, detail)
    }

    /// 400 for a call that takes no body.
    pub fn unexpected_body() -> Self {
        Self::malformed("This call takes no body. Nothing was done.")
    }

    /// 401.
    pub fn unauthorized() -> Self {
        Self::new(Code::Unauthorized, "Send the operator key as `Authorization: Bearer …`.")
    }

    /// 401, whatever the request carries: the server has lost its key.
    pub fn operator_key_unreadable() -> Self {
        Self::new(Code::Unauthorized, OPERATOR_KEY_LOST)
    }

    /// 403: a page of another site may have made the browser send it.
    pub fn cross_site() -> Self {
        let detail = "Without an operator key this listener takes requests for localhost and loopback addresses alone, \
                      and none that a page of another site makes. Ask for http://127.0.0.1, or set operator.key_file.";
        Self::new(Code::CrossSite, detail)
    }

    /// 403: the denylist has the address or the customer. Why is for operators alone.
    pub fn denied() -> Self {
        Self::new(Code::Denied, "The operator of this server does not serve you. Nothing was done.")
    }

    /// 404 for a path that nothing answers.
    pub fn not_found() -> Self {
        Self::not_found_here("Check the path against /openapi.json.")
    }

    /// A challenge that nobody gave out, or that is over.
    pub(crate) fn challenge_over() -> Self {
        Self::not_found_here("There is no such challenge, or it is over. Get another one.")
    }

    /// 404 for a path that this listener does not answer; `detail` says where to look.
    pub fn not_found_here(detail: &'static str) -> Self {
        Self::new(Code::NotFound, detail)
    }

    /// 404 for a sale that is not there, or not of the sort that was asked for.
    pub fn sale_not_found() -> Self {
        Self::new(Code::SaleNotFound, "Check the name of the sale; GET /v1/sales lists them.")
    }

    /// 404 for a product that no stock is.
    pub(crate) fn no_product() -> Self {
        Self::new(Code::StockNotFound, "Check the number of the product against the stocks of the sale.")
    }

    /// 404 for an id that this server did not write, or wrote for another sale.
    pub fn reservation_not_found() -> Self {
        Self::new(Code::ReservationNotFound, "Check the id of the reservation and the name of its sale.")
    }

    /// 404 for a row of the catalogue that is not there.
    pub(crate) fn row_not_found() -> Self {
        Self::new(Code::RowNotFound, "Check the key of the row.")
    }

    /// 404 for a collection that the settings do not name.
    pub(crate) fn collection_not_found() -> Self {
        let detail = "Check the name of the collection against the sections [catalog.NAME] of the settings.";
        Self::new(Code::CollectionNotFound, detail)
    }

    /// 503: a read asks for a version that did not come in time.
    pub(crate) fn incoherent() -> Self {
        let detail = "The collection does not have this version yet. Try again after Retry-After.";
        Self::new(Code::Incoherent, detail).retry_after(OVERLOADED_RETRY_S)
    }

    /// 503: rows are not known to be as new as they have to be, and may not be read from their source instead.
    pub(crate) fn not_coherent() -> Self {
        let detail = "Nobody knows how old the rows in memory are, and the settings let no read go to their source. Try again after Retry-After.";
        Self::new(Code::Incoherent, detail).retry_after(OVERLOADED_RETRY_S)
    }

    /// 503: the server waits for a collection before it is ready.
    pub(crate) fn collection_awaited(collection: &str) -> Self {
        let detail = format!("The collection {collection} is not coherent with its source yet.");
        Self::new(Code::Incoherent, detail).retry_after(OVERLOADED_RETRY_S)
    }

    /// 503: rows are not in memory, and their source did not tell them in time.
    pub(crate) fn source_unavailable() -> Self {
        let detail = "A row that is not in memory could not be read from its source in time. Try again after Retry-After.";
        Self::new(Code::SourceUnavailable, detail).retry_after(OVERLOADED_RETRY_S)
    }

    /// 503: a row that stands for a product is none.
    pub(crate) fn row_not_product() -> Self {
        let detail = "The row of a product has a member of another kind than the product inventory reads. Mend the row, or the query of its collection.";
        Self::new(Code::SourceUnavailable, detail).retry_after(OVERLOADED_RETRY_S)
    }

    /// 400 for a change of rows that are from a source.
    pub(crate) fn rows_of_source() -> Self {
        Self::invalid("collection", "has its rows from a source; change them there")
    }

    /// 413 for more rows than one change may have.
    pub(crate) fn too_many_rows() -> Self {
        let detail = format!(
            "Send at most {ROWS_PER_PUT_MAX} rows at once, whose keys and rows have at most {ROWS_BYTES_MAX} bytes together, 8 more for each \
             row counted. Nothing was put."
        );
        Self::new(Code::BodyTooLarge, detail)
    }

    /// 415 for a body that does not say that each of its lines is JSON.
    pub(crate) fn not_json_lines() -> Self {
        let detail = "Send Content-Type: application/x-ndjson and a line of JSON for each row.";
        Self::new(Code::UnsupportedMediaType, detail)
    }

    /// 404 for a replica that nobody configured.
    pub fn no_replica() -> Self {
        Self::new(Code::NotFound, "No replica is configured: set the replica_url of a sink.")
    }

    /// 404 for the nodes of a server that is the only one of its log.
    pub fn no_cluster() -> Self {
        let detail = "This server shares its log with no other.";
        Self::new(Code::NotFound, detail)
    }

    /// What to tell an operator whose word to a sink was not followed.
    pub fn from_sink_refusal(refusal: &SinkRefusal) -> Self {
        match refusal {
            SinkRefusal::NotFound => {
                Self::new(Code::SinkNotFound, "Check the name of the sink; GET /v1/sinks lists them.")
            }
            SinkRefusal::NotStoppedThere => {
                let detail = "Its state says whether it is stopped, and skippable_offset where an event can be left out.";
                Self::new(Code::SinkNotStopped, detail)
            }
            SinkRefusal::Unrecorded(reason) => {
                let detail = format!("Nothing was skipped, because that could not be recorded: {reason}.");
                Self::new(Code::LogUnavailable, detail).retry_after(LOG_UNAVAILABLE_RETRY_S)
            }
        }
    }

    /// 405; `allow` is the value of `Allow`, or nothing if something else sets that header.
    pub fn method_not_allowed(allow: Option<&'static str>) -> Self {
        Self { allow, ..Self::method_not_allowed_here("Use one of the methods in the Allow header.") }
    }

    /// 405 for a method that this listener does not take; `detail` says who does. Something else sets `Allow`.
    pub fn method_not_allowed_here(detail: &'static str) -> Self {
        Self::new(Code::MethodNotAllowed, detail)
    }

    /// 413 for a body over `bytes_max`.
    pub fn body_too_large(bytes_max: usize) -> Self {
        Self::new(Code::BodyTooLarge, format!("The body must be at most {bytes_max} bytes."))
    }

    /// 414 for a target over `bytes_max`.
    pub fn target_too_long(bytes_max: usize) -> Self {
        Self::new(Code::TargetTooLong, format!("The request target must be at most {bytes_max} bytes."))
    }

    /// 415.
    pub fn unsupported_media_type() -> Self {
        Self::new(Code::UnsupportedMediaType, "Send JSON in UTF-8 with `Content-Type: application/json`.")
    }

    /// 415 for what a page sends.
    pub fn not_a_form() -> Self {
        let detail = "Send a form with `Content-Type: application/x-www-form-urlencoded`.";
        Self::new(Code::UnsupportedMediaType, detail)
    }

    /// 415 for a change of single fields.
    pub fn not_a_merge_patch() -> Self {
        let detail = "Send a JSON merge patch (RFC 7396) with `Content-Type: application/merge-patch+json`.";
        Self::new(Code::UnsupportedMediaType, detail)
    }

    /// 429: a rate limit refuses. Nothing was done.
    pub fn rate_limited(refused: &Refused) -> Self {
        let Refused { standing, retry_after_s } = *refused;
        let detail = match standing.limited {
            Limited::Address => {
                "Too many requests came from your address. Nothing was done. Try again after Retry-After."
            }
            Limited::Route => {
                "Too many requests came from all clients together. Nothing was done. Try again after Retry-After."
            }
            Limited::Customer => {
                "Too many requests came for this customer. Nothing was done. Try again after Retry-After."
            }
        };
        let problem = Self::new(Code::RateLimited, detail).with(Member::Limit(standing.limited.as_str()));
        Self { standing: Some(standing), ..problem.retry_after(retry_after_s) }
    }

    /// 431 for header fields over `bytes_max` in all, or too many of them.
    pub fn headers_too_large(bytes_max: usize) -> Self {
        let detail = format!("Send fewer header fields, of at most {bytes_max} bytes with the request line.");
        Self::new(Code::HeadersTooLarge, detail)
    }

    /// 503: try again in a second. Nothing was done.
    pub fn overloaded() -> Self {
        let detail = "Too many requests are waiting. Nothing was done. Try again after Retry-After.";
        Self::new(Code::Overloaded, detail).retry_after(OVERLOADED_RETRY_S)
    }

    /// 503: the disk is full or failing.
    pub fn log_unavailable() -> Self {
        let detail = "Changes cannot be made durable now. Try again after Retry-After, reservations with the same \
                      Idempotency-Key; a change that was under way may have been made.";
        Self::new(Code::LogUnavailable, detail).retry_after(LOG_UNAVAILABLE_RETRY_S)
    }

    /// 503: another node decides. Nothing was done.
    pub fn not_leader() -> Self {
        let detail = "Another node leads, and this one has done nothing. Ask the node whose /readyz answers 200, or try again after Retry-After.";
        Self::new(Code::NotLeader, detail).retry_after(NOT_LEADER_RETRY_S)
    }

    /// 503: the server stops. Nothing was done.
    pub fn draining() -> Self {
        let detail = "The server is stopping. Nothing was done. Try again after Retry-After.";
        Self::new(Code::Draining, detail).retry_after(DRAINING_RETRY_S)
    }

    /// What to tell the asker of a call that brought nothing. `now_ms` is the wall clock's, for `Retry-After`.
    pub fn from_failure(failure: &Failure, now_ms: TimeMs) -> Self {
        match failure {
            Failure::Refused { refusal, call } => Self::from_refusal(refusal, call.as_deref(), now_ms),
            Failure::Overloaded => Self::overloaded(),
            Failure::LogUnavailable => Self::log_unavailable(),
            Failure::Draining => Self::draining(),
            Failure::NotLeader => Self::not_leader(),
        }
    }

    /// The status of the answer.
    pub fn status(&self) -> u16 {
        self.code.status()
    }

    /// How the limit stands that refused, if one did.
    pub(crate) fn standing(&self) -> Option<Standing> {
        self.standing
    }

    /// The same as a value.
    pub(crate) fn known_code(&self) -> Code {
        self.code
    }

    /// What kind of problem it is, for people.
    pub(crate) fn title(&self) -> &'static str {
        self.code.title()
    }

    /// After how many seconds it makes sense to ask again, if that is known.
    pub(crate) fn retry_after_s(&self) -> Option<u64> {
        self.retry_after_s
    }

    /// The code in the body.
    pub fn code(&self) -> &'static str {
        self.code.as_str()
    }

    /// The sentence for people in the body.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Header fields that belong to this problem, the content type aside.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, Cow<'static, str>)> {
        let retry_after = self.retry_after_s.map(|seconds| ("retry-after", seconds_text(seconds)));
        let allow = self.allow.map(|methods| ("allow", Cow::Borrowed(methods)));
        // RFC 9110, section 15.5.2.
        let authenticate = if self.asks_for_password { OPERATOR_PASSWORD } else { "Bearer" };
        let challenge = (self.status() == 401).then_some(("www-authenticate", authenticate.into()));
        [retry_after, allow, challenge].into_iter().flatten()
    }

    /// Appends the body.
    pub fn write_body(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"type\":\"");
        out.extend_from_slice(TYPE_PREFIX.as_bytes());
        out.extend_from_slice(self.code.as_str().as_bytes());
        out.extend_from_slice(b"\",\"title\":\"");
        out.extend_from_slice(self.code.title().as_bytes());
        out.extend_from_slice(b"\",\"status\":");
        write_number(out, self.code.status());
        out.extend_from_slice(b",\"code\":\"");
        out.extend_from_slice(self.code.as_str().as_bytes());
        out.extend_from_slice(b"\",\"detail\":");
        match &self.detail {
            Cow::Borrowed(plain) => {
                out.push(b'"');
                out.extend_from_slice(plain.as_bytes());
                out.push(b'"');
            }
            Cow::Owned(text) => write_json_string(out, text),
        }
        self.member.write(out);
        out.push(b'}');
    }

    fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = detail.into();
        debug_assert!(
            matches!(&detail, Cow::Owned(_)) || !detail.bytes().any(|b| matches!(b, b'"' | b'\\' | 0..=0x1f)),
            "a static detail is written without escapes"
        );
        let (member, asks_for_password) = (Member::None, false);
        Self { code, detail, member, retry_after_s: None, allow: None, asks_for_password, standing: None }
    }

    fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }

    fn with(self, member: Member) -> Self {
        Self { member, ..self }
    }
}

/// What a server says that has lost its operator key. A client tells it from a wrong key, for which there is another cure.
pub const OPERATOR_KEY_LOST: &str =
    "The server cannot read its operator key, so it refuses every request until it can. Its log says why.";
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = Vec::with_capacity(320);
        self.write_body(&mut body);
        let mut response = Response::new(body.into());
        *response.status_mut() = StatusCode::from_u16(self.status()).unwrap_or(StatusCode::BAD_REQUEST);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        for (name, value) in self.headers() {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
        if let Some(standing) = self.standing {
            response.extensions_mut().insert(standing);
        }
        response
    }
}

/// The frequent values without an allocation.
fn seconds_text(seconds: u64) -> Cow<'static, str> {
    match seconds {
        1 => Cow::Borrowed("1"),
        5 => Cow::Borrowed("5"),
        60 => Cow::Borrowed("60"),
        _ => Cow::Owned(seconds.to_string()),
    }
}

#[cfg(test)]
#[path = "problem_tests.rs"]
mod tests;

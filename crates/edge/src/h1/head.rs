//! The front of HTTP/1.1 (RFC 9112): from bytes to whole requests, as a pure function.
//!
//! The grammar of the request line and fields is httparse's. What is decided here is framing, where request smuggling
//! lives: one `Content-Length` or one `chunked`, never both, never twice, nothing in between. Bodies are small by
//! contract, so a request is taken up only when all of it has arrived.

use std::mem::MaybeUninit;
use std::ops::Range;

use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX, TARGET_BYTES_MAX};

use super::chunked;

/// A request whose bytes are all there. Ranges are into the buffer that was parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method, as in `GET`.
    pub method: Range<usize>,
    /// Path and query; the authority of an absolute target is left out.
    pub target: Range<usize>,
    /// The body as sent, or as unfolded from its chunks.
    pub body: Body,
    /// Bytes of the buffer that belong to this request.
    pub length: usize,
    /// Fields that every request is asked for.
    pub fields: Fields,
    /// Whether the connection may serve another request.
    pub keep_alive: bool,
    /// HTTP/1.0: keeping alive has to be said.
    pub is_http_1_0: bool,
}

/// Where a body is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// In the buffer; empty if there is none.
    Inline(Range<usize>),
    /// Chunks put together.
    Unfolded(Vec<u8>),
}

/// Fields that the hot path reads, as ranges into the buffer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// `Content-Type`
    pub content_type: Option<Range<usize>>,
    /// `Idempotency-Key`
    pub idempotency_key: Option<Range<usize>>,
    /// `X-Request-Id`
    pub request_id: Option<Range<usize>>,
    /// All of them, in order, names and values.
    pub all: Range<usize>,
    /// A second `Idempotency-Key`, which is refused.
    pub repeats_key: bool,
}

/// What the front of a buffer is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "the large one is the common one")]
pub enum Parsed {
    /// A whole request.
    Request(Request),
    /// The beginning of one.
    Partial {
        /// The head has arrived, the body has not.
        head_is_whole: bool,
        /// `Expect: 100-continue` was sent.
        expects_continue: bool,
    },
    /// Nothing that can be served, and nothing behind it can be trusted: answer and close.
    Rejected(Rejection),
}

/// Why the front of a buffer cannot be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// 400, with what is wrong.
    Malformed(&'static str),
    /// 413
    BodyTooLarge,
    /// 414
    TargetTooLong,
    /// 431
    HeadersTooLarge,
}

/// How the end of a body is found.
enum Framing {
    Length(usize),
    Chunked,
}

/// Reads the front of `buffer`, where bodies have at most `body_bytes_max` bytes.
pub fn parse(buffer: &[u8], body_bytes_max: usize) -> Parsed {
    // A robust server skips an empty line before a request (RFC 9112, section 2.2).
    let skipped = leading_empty_lines(buffer);
    let bytes = &buffer[skipped..];
    let mut slots = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut []);
    let head_length = match head.parse_with_uninit_headers(bytes, &mut slots) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return partial_head(bytes),
        Err(httparse::Error::TooManyHeaders) => return Parsed::Rejected(Rejection::HeadersTooLarge),
        Err(error) => return Parsed::Rejected(Rejection::Malformed(reason(error))),
    };
    let (Some(method), Some(target), Some(version)) = (head.method, head.path, head.version) else {
        return Parsed::Rejected(Rejection::Malformed("the request line is incomplete"));
    };
    if target.len() > TARGET_BYTES_MAX {
        return Parsed::Rejected(Rejection::TargetTooLong);
    }
    if head_length > HEAD_BYTES_MAX {
        return Parsed::Rejected(Rejection::HeadersTooLarge);
    }
    let origin = buffer.as_ptr() as usize;
    let range = |part: &[u8]| {
        let start = part.as_ptr() as usize - origin;
        start..start + part.len()
    };
    let read = match read_fields(head.headers, version == 0, range) {
        Ok(read) => read,
        Err(reason) => return Parsed::Rejected(reason),
    };
    let target = match path_and_query(target) {
        Some(target) => range(target.as_bytes()),
        None => return Parsed::Rejected(Rejection::Malformed("the target is not a path")),
    };
    let body_start = skipped + head_length;
    let (body, length) = match read.framing {
        Framing::Length(length) if length > body_bytes_max => {
            return Parsed::Rejected(Rejection::BodyTooLarge);
        }
        Framing::Length(length) if buffer.len() - body_start < length => {
            return Parsed::Partial { head_is_whole: true, expects_continue: read.expects_continue };
        }
        Framing::Length(length) => (Body::Inline(body_start..body_start + length), body_start + length),
        Framing::Chunked => match chunked::unfold(&buffer[body_start..], body_bytes_max) {
            Ok(Some((body, length))) => (Body::Unfolded(body), body_start + length),
            // Chunks may be as small as a byte, but not wrapped in whatever size somebody likes.
            Ok(None) if buffer.len() - body_start > 4 * body_bytes_max => {
                return Parsed::Rejected(Rejection::BodyTooLarge);
            }
            Ok(None) => {
                return Parsed::Partial { head_is_whole: true, expects_continue: read.expects_continue };
            }
            Err(rejection) => return Parsed::Rejected(rejection),
        },
    };
    let mut fields = read.fields;
    fields.all =
        skipped + bytes[..head_length].iter().position(|b| *b == b'\n').map_or(0, |at| at + 1)..body_start;
    Parsed::Request(Request {
        method: range(method.as_bytes()),
        target,
        body,
        length,
        fields,
        keep_alive: read.keep_alive,
        is_http_1_0: version == 0,
    })
}

fn leading_empty_lines(buffer: &[u8]) -> usize {
    let mut at = 0;
    // Two at most: more is somebody who pays with our time.
    for _ in 0..2 {
        if buffer[at..].starts_with(b"\r\n") {
            at += 2;
        }
    }
    at
}

/// The head has not ended yet: wait for more of it, unless it is too long already.
fn partial_head(bytes: &[u8]) -> Parsed {
    match memchr::memchr(b'\n', bytes) {
        // Method and version take up to 30 bytes of a sensible request line.
        None if bytes.len() > TARGET_BYTES_MAX + 64 => Parsed::Rejected(Rejection::TargetTooLong),
        _ if bytes.len() > HEAD_BYTES_MAX => Parsed::Rejected(Rejection::HeadersTooLarge),
        _ => Parsed::Partial { head_is_whole: false, expects_continue: false },
    }
}

fn reason(error: httparse::Error) -> &'static str {
    match error {
        httparse::Error::HeaderName => "a header field has an invalid name",
        httparse::Error::HeaderValue => "a header field has an invalid value",
        httparse::Error::NewLine => "a line does not end as HTTP lines do",
        httparse::Error::Version => "the HTTP version is not one that is served here",
        httparse::Error::Token => "the request line is malformed",
        httparse::Error::Status | httparse::Error::TooManyHeaders => "the request is malformed",
    }
}

/// The path and query of a target in origin form or absolute form (RFC 9112, section 3.2).
fn path_and_query(target: &str) -> Option<&str> {
    if target.starts_with('/') {
        return Some(target);
    }
    if target == "*" {
        return Some(target);
    }
    let authority = target.get(..7).filter(|s| s.eq_ignore_ascii_case("http://")).map(|_| &target[7..])?;
    let path = authority.find('/')?;
    Some(&authority[path..])
}

struct FieldsRead {
    fields: Fields,
    framing: Framing,
    keep_alive: bool,
    expects_continue: bool,
}

fn read_fields(
    headers: &[httparse::Header<'_>],
    is_http_1_0: bool,
    range: impl Fn(&[u8]) -> Range<usize>,
) -> Result<FieldsRead, Rejection> {
    let mut fields = Fields::default();
    let mut length = None;
    let mut chunked = false;
    let mut keep_alive = !is_http_1_0;
    let mut expects_continue = false;
    let mut host_count = 0;
    for header in headers {
        let value = header.value;
        // Names are told apart by length first: most requests carry none of these.
        match header.name.len() {
            4 if header.name.eq_ignore_ascii_case("host") => host_count += 1,
            6 if header.name.eq_ignore_ascii_case("expect") => {
                expects_continue = value.eq_ignore_ascii_case(b"100-continue");
            }
            10 if header.name.eq_ignore_ascii_case("connection") => read_connection(value, &mut keep_alive),
            12 if header.name.eq_ignore_ascii_case("content-type") => {
                fields.content_type = Some(range(value));
            }
            12 if header.name.eq_ignore_ascii_case("x-request-id") => fields.request_id = Some(range(value)),
            14 if header.name.eq_ignore_ascii_case("content-length") => {
                if length.is_some() {
                    return Err(Rejection::Malformed("Content-Length is given twice"));
                }
                length = Some(content_length(value)?);
            }
            15 if header.name.eq_ignore_ascii_case("idempotency-key") => {
                fields.repeats_key |= fields.idempotency_key.is_some();
                fields.idempotency_key = Some(range(value));
            }
            17 if header.name.eq_ignore_ascii_case("transfer-encoding") => {
                if chunked || !value.eq_ignore_ascii_case(b"chunked") || is_http_1_0 {
                    return Err(Rejection::Malformed(
                        "the only Transfer-Encoding served here is one chunked",
                    ));
                }
                chunked = true;
            }
            _ => {}
        }
    }
    if host_count > 1 || (host_count == 0 && !is_http_1_0) {
        return Err(Rejection::Malformed("there must be exactly one Host field"));
    }
    let framing = match (chunked, length) {
        (true, Some(_)) => {
            return Err(Rejection::Malformed("Content-Length and Transfer-Encoding exclude each other"));
        }
        (true, None) => Framing::Chunked,
        (false, length) => Framing::Length(length.unwrap_or(0)),
    };
    Ok(FieldsRead { fields, framing, keep_alive, expects_continue })
}

fn read_connection(value: &[u8], keep_alive: &mut bool) {
    for option in value.split(|b| *b == b',') {
        let option = option.trim_ascii();
        if option.eq_ignore_ascii_case(b"close") {
            *keep_alive = false;
            return;
        }
        if option.eq_ignore_ascii_case(b"keep-alive") {
            *keep_alive = true;
        }
    }
}

/// Digits and nothing else: no sign, no list, no blank (RFC 9110, section 8.6).
fn content_length(value: &[u8]) -> Result<usize, Rejection> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Rejection::Malformed("Content-Length is not a number"));
    }
    // A length of 20 digits is too large whatever it says.
    let digits = std::str::from_utf8(value).unwrap_or_default();
    Ok(digits.parse::<usize>().unwrap_or(usize::MAX))
}

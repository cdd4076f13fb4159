//! The front of HTTP/1.1 (RFC 9112): from bytes to whole requests, as a pure function.
//!
//! The grammar of the request line and fields is httparse's. What is decided here is framing, where request smuggling
//! lives: one `Content-Length` or one `chunked`, never both, never twice, nothing in between. Bodies are small by
//! contract, so a request is taken up only when all of it has arrived.

use std::mem::MaybeUninit;
use std::ops::Range;

use crate::http::authority::is_authority;
use crate::http::size::{TooLarge, check_head};
use crate::http::target;
use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX, TARGET_BYTES_MAX};

use super::chunked::{Unfolded, Unfolding};
use super::rejection::Rejection;

/// Bytes after which a request line must have ended: method and version take up to 30 of a sensible one.
const REQUEST_LINE_BYTES_MAX: usize = TARGET_BYTES_MAX + 64;

/// A request whose bytes are all there. Ranges are into the buffer that was parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method, as in `GET`.
    pub method: Range<usize>,
    /// The path, not decoded; empty if an absolute target has none, which means `/`.
    pub path: Range<usize>,
    /// What is behind the question mark of the target.
    pub query: Option<Range<usize>>,
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

impl Request {
    /// The path in the bytes that were parsed.
    pub fn path_of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        if self.path.is_empty() { b"/" } else { &bytes[self.path.clone()] }
    }
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
    /// Whom the request is for: the authority of an absolute target, else `Host`.
    pub authority: Option<Range<usize>>,
    /// All of them, in order, names and values.
    pub all: Range<usize>,
    /// A second `Idempotency-Key`, which is refused.
    pub repeats_key: bool,
}

/// Names and values of the fields in `lines`, which were parsed before.
pub(crate) fn fields_of(lines: &[u8]) -> FieldLines<'_> {
    FieldLines(lines)
}

/// The fields of a head that was parsed, in order. Values are without the blanks around them.
#[derive(Clone)]
pub(crate) struct FieldLines<'a>(&'a [u8]);

impl<'a> Iterator for FieldLines<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let end = memchr::memchr(b'\n', self.0)?;
        let (line, rest) = self.0.split_at(end + 1);
        self.0 = rest;
        // The line without a colon is the empty one at the end.
        let colon = memchr::memchr(b':', line)?;
        Some((&line[..colon], line[colon + 1..].trim_ascii()))
    }
}

/// What the front of a buffer is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "the large one is the common one")]
pub enum Parsed {
    /// A whole request.
    Request(Request),
    /// The beginning of a head.
    PartialHead,
    /// A head whose body has not arrived.
    PartialBody(Box<Awaiting>),
    /// Nothing that can be served, and nothing behind it can be trusted: answer and close.
    Rejected(Rejection),
}

impl Parsed {
    /// What the front of `buffer` is, if this is what it was when it was shorter.
    #[must_use]
    pub fn go_on(self, buffer: &[u8], body_bytes_max: usize) -> Self {
        match self {
            Self::PartialHead => parse(buffer, body_bytes_max),
            Self::PartialBody(awaiting) => awaiting.go_on(buffer, body_bytes_max),
            whole => whole,
        }
    }
}

/// A request whose head has arrived and whose body has not. It goes on where it was: no byte is looked at twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaiting {
    /// All but the body and the length.
    request: Request,
    body_start: usize,
    framing: Framing,
    expects_continue: bool,
}

/// How the end of a body is found.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked(Unfolding),
}

impl Awaiting {
    /// Whether the client waits for leave to send the body.
    pub fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    fn go_on(mut self: Box<Self>, buffer: &[u8], body_bytes_max: usize) -> Parsed {
        match self.take_body(buffer, body_bytes_max) {
            Ok(Some((body, length))) => Parsed::Request(Request { body, length, ..self.request }),
            Ok(None) => Parsed::PartialBody(self),
            Err(rejection) => Parsed::Rejected(rejection),
        }
    }

    /// The body, and the end of the request in `buffer`.
    fn take_body(
        &mut self,
        buffer: &[u8],
        body_bytes_max: usize,
    ) -> Result<Option<(Body, usize)>, Rejection> {
        let start = self.body_start;
        match &mut self.framing {
            Framing::Length(length) if *length > body_bytes_max => Err(Rejection::TooLarge(TooLarge::Body)),
            Framing::Length(length) => {
                let end = start + *length;
                Ok((buffer.len() >= end).then_some((Body::Inline(start..end), end)))
            }
            Framing::Chunked(unfolding) => match unfolding.go_on(&buffer[start..], body_bytes_max)? {
                Some(Unfolded { body, length }) => Ok(Some((Body::Unfolded(body), start + length))),
                // Chunks may be as small as a byte, but not wrapped in whatever size somebody likes.
                None if buffer.len() - start > 4 * body_bytes_max => Err(Rejection::TooLarge(TooLarge::Body)),
                None => Ok(None),
            },
        }
    }
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
        Err(httparse::Error::TooManyHeaders) => return Parsed::Rejected(Rejection::TooLarge(TooLarge::Head)),
        Err(error) => return Parsed::Rejected(Rejection::of_head(bytes, error)),
    };
    let body_start = skipped + head_length;
    let fields_start = memchr::memchr(b'\n', bytes).map_or(0, |at| skipped + at + 1);
    let mut awaiting = match read_head(buffer, &head, head_length, fields_start..body_start) {
        Ok(awaiting) => awaiting,
        Err(rejection) => return Parsed::Rejected(rejection),
    };
    match awaiting.take_body(buffer, body_bytes_max) {
        Ok(Some((body, length))) => Parsed::Request(Request { body, length, ..awaiting.request }),
        Ok(None) => Parsed::PartialBody(Box::new(awaiting)),
        Err(rejection) => Parsed::Rejected(rejection),
    }
}

/// Everything but the body. `all` is where the fields are.
fn read_head(
    buffer: &[u8],
    head: &httparse::Request<'_, '_>,
    head_length: usize,
    all: Range<usize>,
) -> Result<Awaiting, Rejection> {
    let (Some(method), Some(target), Some(version)) = (head.method, head.path, head.version) else {
        return Err(Rejection::Malformed("the request line is incomplete"));
    };
    check_head(target.len(), head_length, head.headers.len()).map_err(Rejection::TooLarge)?;
    let is_http_1_0 = version == 0;
    let origin = buffer.as_ptr() as usize;
    let range = |part: &[u8]| {
        let start = part.as_ptr() as usize - origin;
        start..start + part.len()
    };
    let FieldsRead { mut fields, framing, keep_alive, expects_continue } =
        read_fields(head.headers, is_http_1_0, range)?;
    let target = target::read(method, target).map_err(Rejection::Malformed)?;
    if let Some(authority) = target.authority {
        fields.authority = Some(range(authority.as_bytes()));
    }
    let body_start = all.end;
    fields.all = all;
    let request = Request {
        method: range(method.as_bytes()),
        path: range(target.path.as_bytes()),
        query: target.query.map(|query| range(query.as_bytes())),
        body: Body::Inline(body_start..body_start),
        length: body_start,
        fields,
        keep_alive,
        is_http_1_0,
    };
    Ok(Awaiting { request, body_start, framing, expects_continue })
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
        None if bytes.len() > REQUEST_LINE_BYTES_MAX => {
            Parsed::Rejected(Rejection::TooLarge(TooLarge::Target))
        }
        _ if bytes.len() > HEAD_BYTES_MAX => Parsed::Rejected(Rejection::TooLarge(TooLarge::Head)),
        _ => Parsed::PartialHead,
    }
}

/// Whether `buffer`, the beginning of a head, may have become something else by its bytes from `known_length` on. It
/// cannot before a line ends or one is too long, so a head that comes byte by byte is not read again for each of them.
pub(super) fn is_worth_parsing(buffer: &[u8], known_length: usize) -> bool {
    let crosses = |limit: usize| known_length <= limit && buffer.len() > limit;
    crosses(REQUEST_LINE_BYTES_MAX)
        || buffer.len() > HEAD_BYTES_MAX
        || memchr::memchr(b'\n', &buffer[known_length..]).is_some()
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
    let mut connection = ConnectionOptions::default();
    let mut expects_continue = false;
    for header in headers {
        let value = header.value;
        // Names are told apart by length first: most requests carry none of these.
        match header.name.len() {
            4 if header.name.eq_ignore_ascii_case("host") => {
                if fields.authority.is_some() {
                    return Err(Rejection::Malformed("there must be exactly one Host field"));
                }
                if !is_authority(value) {
                    return Err(Rejection::Malformed("Host is not a host with or without a port"));
                }
                fields.authority = Some(range(value));
            }
            // HTTP/1.0 has no interim answers (RFC 9110, section 10.1.1).
            6 if header.name.eq_ignore_ascii_case("expect") => {
                expects_continue = !is_http_1_0 && value.eq_ignore_ascii_case(b"100-continue");
            }
            10 if header.name.eq_ignore_ascii_case("connection") => connection.read(value),
            // Of a field that is given twice the first counts.
            12 if header.name.eq_ignore_ascii_case("content-type") => {
                fields.content_type.get_or_insert_with(|| range(value));
            }
            12 if header.name.eq_ignore_ascii_case("x-request-id") => {
                fields.request_id.get_or_insert_with(|| range(value));
            }
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
    if fields.authority.is_none() && !is_http_1_0 {
        return Err(Rejection::Malformed("there must be exactly one Host field"));
    }
    let framing = match (chunked, length) {
        (true, Some(_)) => {
            return Err(Rejection::Malformed("Content-Length and Transfer-Encoding exclude each other"));
        }
        (true, None) => Framing::Chunked(Unfolding::default()),
        (false, length) => Framing::Length(length.unwrap_or(0)),
    };
    let keep_alive = connection.keeps_alive(is_http_1_0);
    Ok(FieldsRead { fields, framing, keep_alive, expects_continue })
}

/// What all `Connection` fields of a request say together (RFC 9112, section 9.3).
#[derive(Default)]
struct ConnectionOptions {
    close: bool,
    keep_alive: bool,
}

impl ConnectionOptions {
    fn read(&mut self, value: &[u8]) {
        for option in value.split(|b| *b == b',') {
            let option = option.trim_ascii();
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// To close counts, wherever it stands.
    fn keeps_alive(&self, is_http_1_0: bool) -> bool {
        !self.close && (self.keep_alive || !is_http_1_0)
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

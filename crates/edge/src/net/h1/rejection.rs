//! Why bytes cannot be served as a request.

use crate::http::size::TooLarge;
use crate::problem::Problem;

/// Why the front of a buffer cannot be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// 400, with what is wrong.
    Malformed(&'static str),
    /// 413, 414 or 431
    TooLarge(TooLarge),
    /// Something else than HTTP/1 is spoken: the connection is closed without a word, because an answer would be read as
    /// what it is not (RFC 9113, section 3.4).
    NotHttp1,
}

impl Rejection {
    /// What is to be said about a head in which the parser found `error`.
    pub(super) fn of_head(bytes: &[u8], error: httparse::Error) -> Self {
        if is_foreign(bytes) { Self::NotHttp1 } else { Self::Malformed(reason(error)) }
    }

    /// What the client is told, if anything, on a listener that takes bodies of `body_bytes_max`.
    pub(super) fn problem(self, body_bytes_max: usize) -> Option<Problem> {
        match self {
            Self::Malformed(reason) => Some(Problem::malformed(reason)),
            Self::TooLarge(part) => Some(part.problem(body_bytes_max)),
            Self::NotHttp1 => None,
        }
    }
}

/// Whether the first line is that of HTTP/2, or is words of which none names a version of HTTP/1.
fn is_foreign(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut words = line.trim_ascii_end().split(|byte| *byte == b' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    match (method, target, version) {
        (Some(b"PRI"), Some(b"*"), _) => true,
        // Two words are a request of HTTP/0.9, whose client reads whatever it is told.
        (Some(_), Some(_), Some(_)) => line.is_ascii() && memchr::memmem::find(line, b"HTTP/").is_none(),
        _ => false,
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

//! A request, whichever protocol it came by. Nothing in it is copied.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;

use http::{HeaderMap, HeaderValue};

use crate::net::h1;

/// Who is connected to us: the client, or a gateway in front of it. The router has it as an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer(pub(crate) SocketAddr);

impl Peer {
    /// Of a request that came by no socket, or whose sender's address does not matter.
    pub(crate) const UNKNOWN: Self = Self(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0));
}

/// All of a request, with a body that is whole.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) peer: Peer,
    pub(crate) method: &'a [u8],
    /// Not decoded.
    pub(crate) path: &'a [u8],
    /// What is behind the question mark, not decoded.
    pub(crate) query: Option<&'a [u8]>,
    pub(crate) fields: Fields<'a>,
    pub(crate) body: &'a [u8],
}

/// Header fields as their protocol has them. Of a field that is given twice the first counts.
#[derive(Clone, Copy)]
pub(crate) enum Fields<'a> {
    /// Of HTTP/1.1, where those that every request is asked for were found on the way.
    Parsed { known: &'a h1::Fields, bytes: &'a [u8] },
    /// Of HTTP/2.
    Mapped(&'a HeaderMap),
}

impl<'a> Request<'a> {
    /// The request that was parsed from `bytes`.
    pub(crate) fn of_http1(parsed: &'a h1::Request, bytes: &'a [u8], peer: Peer) -> Self {
        Self {
            peer,
            method: &bytes[parsed.method.clone()],
            path: parsed.path_of(bytes),
            query: parsed.query.clone().map(|query| &bytes[query]),
            fields: Fields::Parsed { known: &parsed.fields, bytes },
            body: match &parsed.body {
                h1::Body::Inline(range) => &bytes[range.clone()],
                h1::Body::Unfolded(body) => body,
            },
        }
    }

    /// The request that a stream brought.
    pub(crate) fn of_http2(parts: &'a http::request::Parts, body: &'a [u8], peer: Peer) -> Self {
        Self {
            peer,
            method: parts.method.as_str().as_bytes(),
            path: parts.uri.path().as_bytes(),
            query: parts.uri.query().map(str::as_bytes),
            fields: Fields::Mapped(&parts.headers),
            body,
        }
    }

    /// Whether the answer is to have no body.
    pub(crate) fn is_head(&self) -> bool {
        self.method == b"HEAD"
    }
}

impl<'a> Fields<'a> {
    /// The values of every field of this name, which is in lower case, as they were sent.
    pub(crate) fn all(&self, name: &'static str) -> AllOf<'a> {
        match self {
            Self::Parsed { known, bytes } => AllOf::Parsed(h1::fields_of(&bytes[known.all.clone()]), name),
            Self::Mapped(fields) => AllOf::Mapped(fields.get_all(name).iter()),
        }
    }

    /// Whom the request is for: a host with or without a port. Absent in HTTP/1.0 only.
    pub(crate) fn authority(&self) -> Option<&'a [u8]> {
        self.first("host", |known| &known.authority)
    }

    pub(crate) fn content_type(&self) -> Option<&'a [u8]> {
        self.first("content-type", |known| &known.content_type)
    }

    pub(crate) fn idempotency_key(&self) -> Option<&'a [u8]> {
        self.first("idempotency-key", |known| &known.idempotency_key)
    }

    /// Whether there are several keys, which is refused.
    pub(crate) fn repeats_key(&self) -> bool {
        match self {
            Self::Parsed { known, .. } => known.repeats_key,
            Self::Mapped(fields) => fields.get_all("idempotency-key").iter().nth(1).is_some(),
        }
    }

    pub(crate) fn request_id(&self) -> Option<&'a [u8]> {
        self.first("x-request-id", |known| &known.request_id)
    }

    fn first(&self, name: &str, of: impl Fn(&h1::Fields) -> &Option<Range<usize>>) -> Option<&'a [u8]> {
        match self {
            Self::Parsed { known, bytes } => of(known).clone().map(|range| &bytes[range]),
            Self::Mapped(fields) => fields.get(name).map(HeaderValue::as_bytes),
        }
    }
}

/// The values of all fields of one name.
pub(crate) enum AllOf<'a> {
    Parsed(h1::FieldLines<'a>, &'static str),
    Mapped(http::header::ValueIter<'a, HeaderValue>),
}

impl<'a> Iterator for AllOf<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        match self {
            Self::Parsed(lines, wanted) => {
                lines.find(|(name, _)| name.eq_ignore_ascii_case(wanted.as_bytes())).map(|(_, value)| value)
            }
            Self::Mapped(values) => values.next().map(HeaderValue::as_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_protocols_give_the_same_request() {
        let bytes = b"POST /a/b?c=d HTTP/1.1\r\nHost: h\r\nContent-Type: x/y\r\ncontent-type: z\r\nX-Request-Id: 7\r\n\
                      Cookie: a=1; b=2\r\nX-Cookie: no\r\nCOOKIE:\t c=3 \r\nEmpty:\r\n\
                      Idempotency-Key: k\r\nIdempotency-Key: l\r\nContent-Length: 2\r\n\r\nab";
        let h1::Parsed::Request(parsed) = h1::parse(bytes, 10) else { panic!("a whole request") };
        let peer = Peer("192.0.2.7:80".parse().unwrap());
        let first = Request::of_http1(&parsed, bytes, peer);
        let (parts, ()) = http::Request::builder()
            .method("POST")
            .uri("http://h/a/b?c=d")
            .header("host", "h")
            .header("content-type", "x/y")
            .header("content-type", "z")
            .header("x-request-id", "7")
            .header("cookie", "a=1; b=2")
            .header("x-cookie", "no")
            .header("cookie", "c=3")
            .header("empty", "")
            .header("idempotency-key", "k")
            .header("idempotency-key", "l")
            .body(())
            .unwrap()
            .into_parts();
        let second = Request::of_http2(&parts, b"ab", peer);
        for request in [first, second] {
            assert_eq!(request.method, b"POST");
            assert_eq!((request.path, request.query), (&b"/a/b"[..], Some(&b"c=d"[..])));
            assert_eq!(request.fields.content_type(), Some(&b"x/y"[..]));
            assert_eq!(request.fields.request_id(), Some(&b"7"[..]));
            assert!(request.fields.repeats_key() && request.fields.idempotency_key().is_some());
            assert_eq!(request.body, b"ab");
            assert_eq!(request.peer, peer);
            assert_eq!(request.fields.authority(), Some(&b"h"[..]));
            let all = |name| request.fields.all(name).collect::<Vec<_>>();
            assert_eq!(all("cookie"), [&b"a=1; b=2"[..], b"c=3"]);
            assert_eq!(all("content-type"), [&b"x/y"[..], b"z"]);
            assert_eq!((all("empty"), all("absent")), (vec![&b""[..]], vec![]));
            assert!(!request.is_head());
        }
    }
}

//! An answer, whichever protocol it leaves by: bytes that are there, or a stream of pieces that are still being made.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body as RouterBody;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use hyper::body::Body as _;
use onrush_gate::Standing;

use crate::gate::PageOrigin;
use crate::hot;
use crate::problem::Problem;

/// Fields of most answers that their heads do not have yet: of the body's type and length, the request's id and the date.
const LATER_FIELDS: usize = 4;

/// All of an answer but what a protocol adds by itself.
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    /// Without `Content-Length`.
    pub(crate) fields: HeaderMap,
    /// Bytes of the body, or of that which GET would have had; nothing for a stream, and for a status without a body.
    pub(crate) length: Option<usize>,
    pub(crate) body: Body,
    /// What comes behind a body of bytes. Only HTTP/2 sends it.
    pub(crate) trailers: Option<HeaderMap>,
    /// How a rate limit stands, if one was asked.
    pub(crate) standing: Option<Standing>,
    /// From where the page may be that reads it.
    pub(crate) page_origin: PageOrigin,
}

/// What an answer says.
pub(crate) enum Body {
    Bytes(Bytes),
    Stream(Stream),
}

/// A body that comes piece by piece. It lasts as long as its maker has more to say and the client stays: a maker without an
/// end has to come to one when the server stops, or the drain waits for it.
pub(crate) struct Stream {
    body: RouterBody,
    trailers: Option<HeaderMap>,
}

/// The maker of a stream failed: what was sent is not the whole, and the client has to see that.
#[derive(Debug)]
pub(crate) struct Broken;

impl Response {
    /// What a hot route or a problem says.
    pub(crate) fn of_hot(head: hot::Head, body: Vec<u8>) -> Self {
        let status = StatusCode::from_u16(head.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut fields = HeaderMap::with_capacity(head.fields.len() + LATER_FIELDS);
        if let Some(content_type) = head.content_type {
            fields.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        for (name, value) in head.fields {
            if let Ok(value) = HeaderValue::from_str(&value) {
                fields.insert(name, value);
            }
        }
        let trailers = head.trailer.map(|(name, value)| {
            HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))])
        });
        let length = (!has_no_body(head.status)).then_some(body.len());
        let (standing, page_origin) = (head.standing, head.page_origin);
        Self { status, fields, length, body: Body::Bytes(body.into()), trailers, standing, page_origin }
    }

    pub(crate) fn of_problem(problem: &Problem) -> Self {
        let mut body = Vec::new();
        let head = hot::render_problem(problem, &mut body);
        Self::of_hot(head, body)
    }

    /// What the router says to a request, of HEAD or not.
    pub(crate) fn of_router(parts: http::response::Parts, body: Body, is_head: bool) -> Self {
        let http::response::Parts { status, headers: mut fields, extensions, .. } = parts;
        let standing = extensions.get::<Standing>().copied();
        // To HEAD the router has left the body out, and said how long it is unless it was a stream.
        let declared = fields.remove(CONTENT_LENGTH);
        let declared = declared.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        let length = match &body {
            _ if has_no_body(status.as_u16()) => None,
            Body::Bytes(_) if is_head => declared,
            Body::Bytes(bytes) => Some(bytes.len()),
            Body::Stream(_) => declared,
        };
        Self { status, fields, length, body, trailers: None, standing, page_origin: PageOrigin::default() }
    }

    /// The same as the answer to HEAD.
    pub(crate) fn without_body(self) -> Self {
        Self { body: Body::default(), ..self }
    }
}

impl Body {
    /// Bytes that are in memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Stream(_) => 0,
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::Bytes(Bytes::new())
    }
}

impl Stream {
    pub(crate) fn new(body: RouterBody) -> Self {
        Self { body, trailers: None }
    }

    /// The next piece, which is not empty; nothing at the end.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        loop {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => {
                    tracing::warn!(%error, "an answer ended before it was whole");
                    return Poll::Ready(Some(Err(Broken)));
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(piece) if !piece.is_empty() => return Poll::Ready(Some(Ok(piece))),
                    Ok(_) => {}
                    Err(frame) => self.trailers = frame.into_trailers().ok(),
                },
            }
        }
    }

    /// Fields that come behind the body, once it has come to its end. Only HTTP/2 sends them.
    pub(crate) fn take_trailers(&mut self) -> Option<HeaderMap> {
        self.trailers.take()
    }
}

/// Whether an answer with this status never has a body (RFC 9110, section 6.4.1).
pub(crate) fn has_no_body(status: u16) -> bool {
    matches!(status, 204 | 304)
}

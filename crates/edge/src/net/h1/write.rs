//! Answers as HTTP/1.1 writes them.

use http::StatusCode;

use crate::gate::{PageOrigin, write_standing};
use crate::hot::Head;
use crate::http::response::{Body, Response};
use crate::net::request_id::RequestId;
use crate::net::thread::EdgeThread;
use crate::problem::Problem;

/// What an answer needs to know about its request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape<'a> {
    pub(super) request_id: &'a RequestId,
    pub(super) keep_alive: bool,
    pub(super) is_http_1_0: bool,
}

/// How a client finds the end of a body (RFC 9112, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none.
    Nothing,
    Length(usize),
    Chunked,
    /// It ends with the connection.
    Close,
}

impl Framing {
    /// How `response` is sent to a client of HTTP/1.0 or later.
    pub(super) fn of(response: &Response, is_http_1_0: bool) -> Self {
        match (&response.body, response.length) {
            (Body::Stream(_), None) if is_http_1_0 => Self::Close,
            (Body::Stream(_), None) => Self::Chunked,
            (_, Some(length)) => Self::Length(length),
            (Body::Bytes(_), None) => Self::Nothing,
        }
    }
}

/// Appends the whole answer of a hot route to `out`. `length` is that of the body which GET would have, if it has one.
pub(super) fn write_answer(
    out: &mut Vec<u8>,
    thread: &EdgeThread,
    shape: Shape<'_>,
    head: &Head,
    length: Option<usize>,
    body: &[u8],
) {
    write_status(out, head.status);
    if let Some(content_type) = head.content_type {
        write_field(out, b"content-type", content_type.as_bytes());
    }
    for (name, value) in &head.fields {
        write_field(out, name.as_bytes(), value.as_bytes());
    }
    if let Some(standing) = &head.standing {
        write_field(out, b"ratelimit-policy", thread.routes.gate.policy(standing.group).as_bytes());
        out.extend_from_slice(b"\r\nratelimit: ");
        write_standing(standing, out);
    }
    for (name, value) in thread.routes.gate.origin_fields(head.page_origin) {
        write_field(out, name.as_bytes(), value.as_bytes());
    }
    write_end(out, thread, shape, length.map_or(Framing::Nothing, Framing::Length));
    out.extend_from_slice(body);
}

/// Appends everything of an answer but its body to `out`.
pub(super) fn write_head(
    out: &mut Vec<u8>,
    thread: &EdgeThread,
    shape: Shape<'_>,
    response: (StatusCode, &http::HeaderMap),
    framing: Framing,
) {
    let (status, fields) = response;
    write_status(out, status.as_u16());
    for (name, value) in fields {
        write_field(out, name.as_str().as_bytes(), value.as_bytes());
    }
    write_end(out, thread, shape, framing);
}

/// Appends a piece of a chunked body; an empty one ends it (RFC 9112, section 7.1).
pub(super) fn write_chunk(out: &mut Vec<u8>, piece: &[u8]) {
    out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
    out.extend_from_slice(piece);
    out.extend_from_slice(b"\r\n");
}

/// Appends the answer to bytes that are no request. The connection closes behind it.
pub(super) fn write_rejection(
    out: &mut Vec<u8>,
    thread: &EdgeThread,
    problem: &Problem,
    page_origin: PageOrigin,
) {
    let request_id = thread.request_id(None);
    let mut body = Vec::new();
    let head = Head { page_origin, ..crate::hot::render_problem(problem, &mut body) };
    let shape = Shape { request_id: &request_id, keep_alive: false, is_http_1_0: false };
    write_answer(out, thread, shape, &head, Some(body.len()), &body);
}

/// The first line, but not its end: what comes behind it begins a line of its own.
fn write_status(out: &mut Vec<u8>, status: u16) {
    let line: &[u8] = match status {
        200 => b"HTTP/1.1 200 OK",
        201 => b"HTTP/1.1 201 Created",
        204 => b"HTTP/1.1 204 No Content",
        401 => b"HTTP/1.1 401 Unauthorized",
        403 => b"HTTP/1.1 403 Forbidden",
        409 => b"HTTP/1.1 409 Conflict",
        429 => b"HTTP/1.1 429 Too Many Requests",
        503 => b"HTTP/1.1 503 Service Unavailable",
        other => {
            let reason =
                StatusCode::from_u16(other).ok().and_then(|s| s.canonical_reason()).unwrap_or_default();
            out.extend_from_slice(b"HTTP/1.1 ");
            out.extend_from_slice(itoa::Buffer::new().format(other).as_bytes());
            out.push(b' ');
            reason.as_bytes()
        }
    };
    out.extend_from_slice(line);
}

fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
}

fn write_end(out: &mut Vec<u8>, thread: &EdgeThread, shape: Shape<'_>, framing: Framing) {
    match framing {
        Framing::Length(length) => {
            out.extend_from_slice(b"\r\ncontent-length: ");
            out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
        }
        Framing::Chunked => out.extend_from_slice(b"\r\ntransfer-encoding: chunked"),
        Framing::Nothing | Framing::Close => {}
    }
    out.extend_from_slice(b"\r\nx-request-id: ");
    shape.request_id.write(&thread.request_id_prefix, out);
    match (shape.keep_alive, shape.is_http_1_0) {
        (true, true) => out.extend_from_slice(b"\r\nconnection: keep-alive"),
        (false, _) => out.extend_from_slice(b"\r\nconnection: close"),
        (true, false) => {}
    }
    thread.write_date_and_end(out);
}

//! Answers as HTTP/1.1 writes them.

use http::StatusCode;

use crate::hot::Head;
use crate::net::thread::EdgeThread;
use crate::problem::Problem;

use super::rejection::Rejection;

/// What an answer needs to know about its request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape<'a> {
    pub(super) request_id: &'a str,
    /// `HEAD`: the body is left out, its length is not.
    pub(super) without_body: bool,
    pub(super) keep_alive: bool,
    pub(super) is_http_1_0: bool,
}

/// Appends a whole answer to `out`.
pub(super) fn write_answer(
    out: &mut Vec<u8>,
    thread: &EdgeThread,
    shape: Shape<'_>,
    head: &Head,
    body: &[u8],
) {
    write_status(out, head.status);
    out.extend_from_slice(b"content-type: ");
    out.extend_from_slice(head.content_type.as_bytes());
    out.extend_from_slice(b"\r\n");
    for (name, value) in &head.fields {
        write_field(out, name.as_bytes(), value.as_bytes());
    }
    write_end(out, thread, shape, Some(body.len()));
    if !shape.without_body {
        out.extend_from_slice(body);
    }
}

/// Appends a whole answer of the router's to `out`.
pub(super) fn write_routed(
    out: &mut Vec<u8>,
    thread: &EdgeThread,
    shape: Shape<'_>,
    response: &http::response::Parts,
    body: &[u8],
) {
    write_routed_head(out, thread, shape, response, body.len());
    if !shape.without_body && !has_no_body(response.status) {
        out.extend_from_slice(body);
    }
}

/// Appends everything of it but a body of `length` bytes.
pub(super) fn write_routed_head(
    out: &mut Vec<u8>,
    thread: &EdgeThread,
    shape: Shape<'_>,
    response: &http::response::Parts,
    length: usize,
) {
    write_status(out, response.status.as_u16());
    for (name, value) in &response.headers {
        if name != http::header::CONTENT_LENGTH {
            write_field(out, name.as_str().as_bytes(), value.as_bytes());
        }
    }
    // A router that answers HEAD by itself has left the body out and said how long it is.
    let declared = response.headers.get(http::header::CONTENT_LENGTH);
    let declared = declared.and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    let length = (!has_no_body(response.status))
        .then(|| declared.map_or(length, |declared: usize| declared.max(length)));
    write_end(out, thread, shape, length);
}

fn has_no_body(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// Appends the answer to bytes that are no request. The connection closes behind it.
pub(super) fn write_rejection(out: &mut Vec<u8>, thread: &EdgeThread, rejection: Rejection) {
    let problem = match rejection {
        Rejection::Malformed(reason) => Problem::malformed(reason),
        Rejection::BodyTooLarge => Problem::body_too_large(thread.body_bytes_max),
        Rejection::TargetTooLong => Problem::target_too_long(crate::limits::TARGET_BYTES_MAX),
        Rejection::NotHttp1 => return,
        Rejection::HeadersTooLarge => Problem::headers_too_large(crate::limits::HEAD_BYTES_MAX),
    };
    let request_id = thread.request_id(None);
    let mut body = Vec::new();
    let head = crate::hot::render_problem(&problem, &mut body);
    let shape = Shape { request_id: &request_id, without_body: false, keep_alive: false, is_http_1_0: false };
    write_answer(out, thread, shape, &head, &body);
}

fn write_status(out: &mut Vec<u8>, status: u16) {
    let line: &[u8] = match status {
        200 => b"HTTP/1.1 200 OK\r\n",
        201 => b"HTTP/1.1 201 Created\r\n",
        409 => b"HTTP/1.1 409 Conflict\r\n",
        503 => b"HTTP/1.1 503 Service Unavailable\r\n",
        other => {
            let reason =
                StatusCode::from_u16(other).ok().and_then(|s| s.canonical_reason()).unwrap_or_default();
            out.extend_from_slice(b"HTTP/1.1 ");
            out.extend_from_slice(itoa::Buffer::new().format(other).as_bytes());
            out.push(b' ');
            out.extend_from_slice(reason.as_bytes());
            b"\r\n"
        }
    };
    out.extend_from_slice(line);
}

fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn write_end(out: &mut Vec<u8>, thread: &EdgeThread, shape: Shape<'_>, length: Option<usize>) {
    if let Some(length) = length {
        write_field(out, b"content-length", itoa::Buffer::new().format(length).as_bytes());
    }
    write_field(out, b"x-request-id", shape.request_id.as_bytes());
    match (shape.keep_alive, shape.is_http_1_0) {
        (true, true) => out.extend_from_slice(b"connection: keep-alive\r\n"),
        (false, _) => out.extend_from_slice(b"connection: close\r\n"),
        (true, false) => {}
    }
    out.extend_from_slice(b"date: ");
    thread.write_date(out);
    out.extend_from_slice(b"\r\n\r\n");
}

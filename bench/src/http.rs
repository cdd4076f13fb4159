//! One blocking HTTP/1.1 exchange at a time: enough to set a benchmark up and to read figures back.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// How long a peer may take for one answer before the benchmark gives up.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(20);

/// Status and body of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Sends one request on a connection of its own.
pub(crate) fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<Answer> {
    exchange_with(address, method, path, "", body)
}

/// The same with these lines in its head.
fn exchange_with(
    address: SocketAddr,
    method: &str,
    path: &str,
    fields: &str,
    body: Option<&Value>,
) -> Result<Answer> {
    let mut request = request_bytes(method, path, body.map(ToString::to_string).as_deref());
    let end_of_headers = find_end_of_headers(&request).unwrap_or(request.len());
    let more = format!("Connection: close\r\n{fields}");
    request.splice(end_of_headers - 2..end_of_headers - 2, more.into_bytes());
    send(address, &request).with_context(|| format!("{method} {path}"))
}

/// Sends a request that asks for the end of its connection, and reads the answer.
fn send(address: SocketAddr, request: &[u8]) -> Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).context("connect")?;
    stream.set_read_timeout(Some(ANSWER_TIME_MAX))?;
    stream.set_nodelay(true)?;
    stream.write_all(request).context("send the request")?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).context("read the answer")?;
    let Some(head) = parse_head(&bytes)? else { bail!("the answer was cut off") };
    Ok(Answer { status: head.status, body: String::from_utf8_lossy(&bytes[head.bytes..]).into_owned() })
}

/// Posts lines of JSON (`application/x-ndjson`). Anything other than a 2xx is an error that quotes the answer.
pub(crate) fn post_lines(address: SocketAddr, path: &str, lines: &str) -> Result<Answer> {
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/x-ndjson\r\n\
         Content-Length: {}\r\n\r\n{lines}",
        lines.len()
    );
    let answer = send(address, request.as_bytes()).with_context(|| format!("POST {path}"))?;
    successful(answer, "POST", path)
}

/// Like [`exchange`], but anything other than a 2xx is an error that quotes the answer.
pub(crate) fn expect_success(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<Answer> {
    expect_success_with(address, method, path, "", body)
}

/// The same with these lines in its head.
pub(crate) fn expect_success_with(
    address: SocketAddr,
    method: &str,
    path: &str,
    fields: &str,
    body: Option<&Value>,
) -> Result<Answer> {
    successful(exchange_with(address, method, path, fields, body)?, method, path)
}

fn successful(answer: Answer, method: &str, path: &str) -> Result<Answer> {
    if !(200..300).contains(&answer.status) {
        bail!("{method} {path} answered {}: {}", answer.status, answer.body);
    }
    Ok(answer)
}

/// A keep-alive request as bytes, for the load generators.
pub(crate) fn request_bytes(method: &str, path: &str, body: Option<&str>) -> Vec<u8> {
    let body_headers = body.map_or(String::new(), |body| {
        format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())
    });
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{body_headers}\r\n{}", body.unwrap_or_default())
        .into_bytes()
}

/// The parsed head of an answer: where its body starts and how long that is.
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) bytes: usize,
    pub(crate) body_bytes: usize,
}

/// `None` while the head is incomplete. Only bodies with a stated length are understood.
pub(crate) fn parse_head(bytes: &[u8]) -> Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head_bytes) =
        response.parse(bytes).context("parse the head of an answer")?
    else {
        return Ok(None);
    };
    if response.headers.iter().any(|header| header.name.eq_ignore_ascii_case("transfer-encoding")) {
        bail!("an answer without a stated length");
    }
    let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let body_bytes = match length {
        Some(header) => {
            std::str::from_utf8(header.value)?.trim().parse().context("parse a Content-Length")?
        }
        None => 0,
    };
    Ok(Some(Head { status: response.code.unwrap_or(0), bytes: head_bytes, body_bytes }))
}

fn find_end_of_headers(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|position| position + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &str, expected: Option<(u16, usize, usize)>) {
        let head = parse_head(bytes.as_bytes()).unwrap();
        assert_eq!(head.map(|head| (head.status, head.bytes, head.body_bytes)), expected);
    }

    #[test]
    fn heads() {
        check("", None);
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", None);
        check("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", Some((200, 38, 2)));
        check("HTTP/1.1 304 Not Modified\r\n\r\n", Some((304, 29, 0)));
        assert!(parse_head(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
        assert!(parse_head(b"SMTP\r\n\r\n").is_err());
    }

    #[test]
    fn requests_state_their_length() {
        assert_eq!(request_bytes("GET", "/", None), b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let post = String::from_utf8(request_bytes("POST", "/a", Some("{}"))).unwrap();
        assert!(post.ends_with("Content-Length: 2\r\n\r\n{}"), "{post}");
    }
}

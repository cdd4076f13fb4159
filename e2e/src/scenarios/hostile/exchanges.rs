//! Exchanges of more than one request: pipelining, HTTP/1.0, HEAD, 100-continue, bytes that trickle, HTTP/2.

use anyhow::{Context as _, Result, ensure};
use std::thread;
use std::time::Duration;

use super::{CLOSE_TIMEOUT, GOOD_BODY, RESERVE, ZERO_BODY, reserve};
use crate::answers::value_of;
use crate::http::{Connection, once, request, request_json};
use crate::problem::check_problem;
use crate::server::Server;
use crate::tool::{CURL, H2LOAD};

/// A named check against a running server.
type Exchange = (&'static str, fn(&Server) -> Result<()>);

/// All exchanges.
pub(crate) const EXCHANGES: &[Exchange] = &[
    ("pipelining", pipelining),
    ("HTTP/1.0", http_1_0),
    ("HEAD", head),
    ("Connection: close", close),
    ("Expect: 100-continue", expect_continue),
    ("byte by byte", byte_by_byte),
    ("request ids", request_ids),
    ("conditional reads", conditional_reads),
    ("half-closed connections", half_closed),
    ("HTTP/2 by curl", http_2_curl),
    ("HTTP/2 by h2load", http_2_load),
];

/// 100 mixed requests in one write are answered in their order, errors among them.
fn pipelining(server: &Server) -> Result<()> {
    let kinds: [(Vec<u8>, u16); 6] = [
        (request("POST", "/v1/counters/pipeline"), 200),
        (request("GET", "/nothing"), 404),
        (request("HEAD", "/v1/sales/hostile"), 200),
        (reserve(ZERO_BODY), 400),
        (request("DELETE", "/v1/sales"), 405),
        (reserve(GOOD_BODY), 201),
    ];
    let order = (0..100).map(|number| (number * 7 + number / 6) % kinds.len()).collect::<Vec<_>>();
    let requests = order.iter().map(|kind| kinds[*kind].0.clone()).collect::<Vec<_>>();
    let mut connection = Connection::open(server.public())?;
    let answers = connection.pipeline(&requests, requests.len())?;
    let mut value = 0;
    for (at, (kind, answer)) in order.iter().zip(answers).enumerate() {
        let expected = kinds[*kind].1;
        ensure!(answer.status == expected, "answer {at} is {}, not {expected}", answer.status);
        if *kind == 0 {
            value += 1;
            ensure!(value_of(&answer)? == value, "addition {value} was answered {}", answer.text());
        }
    }
    Ok(())
}

fn http_1_0(server: &Server) -> Result<()> {
    let mut connection = Connection::open(server.public())?;
    let answer = connection.call(b"GET /v1/sales/hostile HTTP/1.0\r\n\r\n")?;
    ensure!(answer.status == 200, "answered {}", answer.status);
    ensure!(answer.header("transfer-encoding").is_none(), "a transfer coding for HTTP/1.0");
    ensure!(connection.closed_within(CLOSE_TIMEOUT), "without keep-alive the connection stays open");
    let mut connection = Connection::open(server.public())?;
    for _ in 0..2 {
        let kept = connection.call(b"GET /readyz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")?;
        ensure!(kept.status == 200, "answered {}", kept.status);
        let said = kept.header("connection").unwrap_or_default().to_ascii_lowercase();
        ensure!(said == "keep-alive" || kept.minor_version == 1, "keep-alive is not acknowledged");
    }
    Ok(())
}

fn head(server: &Server) -> Result<()> {
    let mut connection = Connection::open(server.public())?;
    for path in ["/v1/sales/hostile", "/v1/sales", "/nothing", "/openapi.json"] {
        let answers = connection.pipeline(&[request("HEAD", path), request("GET", path)], 2)?;
        let [head, get] = answers.as_slice() else { anyhow::bail!("{} answers", answers.len()) };
        ensure!(head.status == get.status, "HEAD {path} is {}, GET {}", head.status, get.status);
        ensure!(
            head.header("content-type") == get.header("content-type"),
            "HEAD and GET {path} differ in their type"
        );
    }
    Ok(())
}

fn close(server: &Server) -> Result<()> {
    let mut connection = Connection::open(server.public())?;
    let answer = connection.call(b"GET /readyz HTTP/1.1\r\nHost: onrush\r\nConnection: close\r\n\r\n")?;
    ensure!(answer.status == 200, "answered {}", answer.status);
    ensure!(connection.closed_within(CLOSE_TIMEOUT), "the connection stays open");
    Ok(())
}

fn expect_continue(server: &Server) -> Result<()> {
    let head = |expect: &str, length: usize| {
        format!(
            "POST {RESERVE} HTTP/1.1\r\nHost: onrush\r\nContent-Type: application/json\r\nExpect: {expect}\r\n\
             Content-Length: {length}\r\n\r\n"
        )
        .into_bytes()
    };
    let mut connection = Connection::open(server.public())?;
    connection.send(&head("100-continue", GOOD_BODY.len()))?;
    let mut interim = Connection::open(server.public())?;
    // Enough exchanges on another connection for the server to have seen the head and to have said 100.
    for _ in 0..20 {
        interim.call(&request("GET", "/readyz"))?;
        thread::sleep(Duration::from_millis(2));
    }
    connection.send(GOOD_BODY.as_bytes())?;
    let answer = connection.receive(false)?;
    ensure!(answer.status == 201, "answered {}: {}", answer.status, answer.text());
    ensure!(answer.interim_count == 1, "{} interim answers", answer.interim_count);
    let refused = once(server.public(), &head("100-continue", 1 << 20))?;
    ensure!(
        refused.status == 413 && refused.interim_count == 0,
        "a large body was answered {}",
        refused.status
    );
    Ok(())
}

fn byte_by_byte(server: &Server) -> Result<()> {
    let mut connection = Connection::open(server.public())?;
    for _ in 0..2 {
        for byte in reserve(GOOD_BODY) {
            connection.send(&[byte])?;
        }
        let answer = connection.receive(false)?;
        ensure!(answer.status == 201, "answered {}: {}", answer.status, answer.text());
    }
    Ok(())
}

fn request_ids(server: &Server) -> Result<()> {
    let mut connection = Connection::open(server.public())?;
    for path in ["/v1/counters/hostile", "/nothing"] {
        let with = format!("GET {path} HTTP/1.1\r\nHost: onrush\r\nX-Request-Id: abc-123\r\n\r\n");
        let answer = connection.call(with.as_bytes())?;
        ensure!(answer.header("x-request-id") == Some("abc-123"), "{path}: the id does not come back");
    }
    let first = connection.call(&request("GET", "/nothing"))?;
    let second = connection.call(&request("GET", "/nothing"))?;
    let (first, second) = (first.header("x-request-id"), second.header("x-request-id"));
    ensure!(first.is_some_and(|id| !id.is_empty()), "a request without an id gets none");
    ensure!(first != second, "two requests get one id, {first:?}");
    let long =
        format!("GET /nothing HTTP/1.1\r\nHost: onrush\r\nX-Request-Id: {}\r\n\r\n", "i".repeat(4_000));
    let answer = connection.call(long.as_bytes())?;
    ensure!(
        answer.header("x-request-id").is_some_and(|id| id.len() <= 256),
        "an id of 4,000 bytes comes back whole"
    );
    Ok(())
}

fn conditional_reads(server: &Server) -> Result<()> {
    let mut connection = Connection::open(server.public())?;
    for path in ["/v1/sales/hostile", "/v1/sales"] {
        let first = connection.call(&request("GET", path))?;
        let etag = first.header("etag").with_context(|| format!("{path} has no ETag"))?;
        let again = format!("GET {path} HTTP/1.1\r\nHost: onrush\r\nIf-None-Match: {etag}\r\n\r\n");
        let same = connection.call(again.as_bytes())?;
        ensure!(same.status == 304, "{path} unchanged is {}", same.status);
        connection.call(&reserve(GOOD_BODY))?;
        let changed = connection.call(again.as_bytes())?;
        ensure!(changed.status == 200, "{path} changed is {}", changed.status);
    }
    Ok(())
}

/// A client that has sent everything and says so still gets its answers.
fn half_closed(server: &Server) -> Result<()> {
    let mut connection = Connection::open(server.public())?;
    connection.send(&[reserve(GOOD_BODY), request("GET", "/v1/sales")].concat())?;
    connection.finish_sending()?;
    for expected in [201, 200] {
        let answer = connection.receive(false)?;
        ensure!(answer.status == expected, "expected {expected}, got {}: {}", answer.status, answer.text());
    }
    ensure!(connection.closed_within(CLOSE_TIMEOUT), "the connection stays open");
    Ok(())
}

fn http_2_curl(server: &Server) -> Result<()> {
    if !CURL.present() {
        return Ok(());
    }
    let url = |path: &str| format!("http://{}{path}", server.public());
    let base = [
        "--silent",
        "--max-time",
        "10",
        "--http2-prior-knowledge",
        "--write-out",
        "\n%{http_version} %{http_code} %{content_type}",
    ];
    let call = |more: &[&str]| CURL.run(&[&base, more].concat());
    for (more, expected) in [
        (vec![url("/v1/sales/hostile")], "2 200 application/json"),
        (vec![url("/nothing")], "2 404 application/problem+json"),
        (vec!["--request".into(), "DELETE".into(), url("/v1/sales")], "2 405 application/problem+json"),
        (vec!["--request".into(), "POST".into(), url("/v1/counters/http2")], "2 200 application/json"),
        (vec!["--json".into(), GOOD_BODY.into(), url(RESERVE)], "2 201 application/json"),
        (vec!["--json".into(), ZERO_BODY.into(), url(RESERVE)], "2 400 application/problem+json"),
        (
            vec!["--json".into(), format!("{GOOD_BODY}{}", " ".repeat(17_000)), url(RESERVE)],
            "2 413 application/problem+json",
        ),
    ] {
        let more = more.iter().map(String::as_str).collect::<Vec<_>>();
        let printed = call(&more)?;
        let last = printed.lines().last().unwrap_or_default();
        ensure!(last.starts_with(expected), "{more:?}: expected {expected}, got {printed}");
    }
    Ok(())
}

/// 2,000 additions over 20 connections of 10 streams: the counter says 2,000.
fn http_2_load(server: &Server) -> Result<()> {
    if !H2LOAD.present() {
        return Ok(());
    }
    let url = format!("http://{}/v1/counters/h2load", server.public());
    let printed = H2LOAD.run(&["-n2000", "-c20", "-m10", "-H:method: POST", &url])?;
    ensure!(printed.contains("2000 2xx"), "{printed}");
    let answer = once(server.public(), &request("GET", "/v1/counters/h2load"))?;
    ensure!(value_of(&answer)? == 2_000, "after 2,000 additions: {}", answer.text());
    let missing = once(server.public(), &request_json("POST", "/nothing", &[], "{}"))?;
    check_problem(&missing).map(|_| ())
}

//! Rows about where a request begins and ends: lengths, transfer codings, request lines, headers.

use super::{GOOD_BODY, RESERVE, Row, ZERO_BODY};

/// What a smuggled request would do, were it read as a request of its own.
const SMUGGLED: &str = "POST /v1/counters/hostile HTTP/1.1\r\nHost: onrush\r\n\r\n";

/// All rows.
pub(crate) fn rows() -> Vec<Row> {
    [lengths(), codings(), chunks(), lines(), sizes()].into_iter().flatten().collect()
}

/// A reserve request with header lines in place of a correct `Content-Length`, then raw bytes.
fn framed(headers: &str, rest: &str) -> Vec<u8> {
    format!(
        "POST {RESERVE} HTTP/1.1\r\nHost: onrush\r\nContent-Type: application/json\r\n{headers}\r\n\r\n{rest}"
    )
    .into_bytes()
}

fn lengths() -> Vec<Row> {
    let length = ZERO_BODY.len();
    let bad = |value: &str| {
        let bytes = framed(&format!("Content-Length: {value}"), ZERO_BODY);
        Row::new(format!("Content-Length {value:?}"), bytes, &[400, 413]).closed().code("invalid_request")
    };
    let mut rows =
        ["-1", "+5", "0x10", "5 5", "abc", "", "1.5", "1e1"].map(bad).into_iter().collect::<Vec<_>>();
    rows.extend([
        Row::new(
            "the same Content-Length twice",
            framed(&format!("Content-Length: {length}\r\nContent-Length: {length}"), ZERO_BODY),
            &[400],
        ),
        Row::new(
            "two different Content-Lengths",
            framed(
                &format!("Content-Length: {length}\r\nContent-Length: 3"),
                &format!("{ZERO_BODY}{SMUGGLED}"),
            ),
            &[400],
        )
        .closed(),
        Row::new(
            "a list of different Content-Lengths",
            framed(&format!("Content-Length: {length}, 3"), &format!("{ZERO_BODY}{SMUGGLED}")),
            &[400],
        )
        .closed(),
        Row::new(
            "a Content-Length beyond 64 bits",
            framed("Content-Length: 99999999999999999999999", ZERO_BODY),
            &[400, 413],
        )
        .closed(),
        Row::new("a body announced too large", framed("Content-Length: 100000000", ""), &[413]),
    ]);
    rows
}

fn codings() -> Vec<Row> {
    let smuggle = format!("0\r\n\r\n{SMUGGLED}");
    let bad = |coding: &str| Row::new(format!("{coding:?}"), framed(coding, &smuggle), &[400, 501]).closed();
    vec![
        bad(&format!("Content-Length: {}\r\nTransfer-Encoding: chunked", smuggle.len())),
        bad("Transfer-Encoding: chunked\r\nContent-Length: 4"),
        bad("Transfer-Encoding: gzip"),
        bad("Transfer-Encoding: identity"),
        bad("Transfer-Encoding: chunked, gzip"),
        bad("Transfer-Encoding: xchunked"),
        bad("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
        bad("Transfer-Encoding : chunked"),
        bad("Transfer-Encoding: \u{b}chunked"),
        bad("X-Fold: a\r\n Transfer-Encoding: chunked"),
        bad("Transfer-Encoding:\r\n chunked"),
        Row::new(
            "HTTP/1.0 with Transfer-Encoding",
            format!(
                "POST {RESERVE} HTTP/1.0\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{smuggle}"
            ),
            &[400, 501],
        )
        .closed(),
    ]
}

fn chunks() -> Vec<Row> {
    let chunked = |body: &str| framed("Transfer-Encoding: chunked", body);
    let length = GOOD_BODY.len();
    let (first, second) = GOOD_BODY.split_at(20);
    let good = |name: &str, body: String| Row::new(name, chunked(&body), &[201]).takes(1).open();
    let bad = |name: &str, body: String| Row::new(name, chunked(&body), &[400, 413, 431]).closed();
    vec![
        good("one chunk", format!("{length:x}\r\n{GOOD_BODY}\r\n0\r\n\r\n")),
        good("upper-case and padded chunk size", format!("000{length:X}\r\n{GOOD_BODY}\r\n0\r\n\r\n")),
        good("two chunks", format!("14\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n", second.len())),
        good("a chunk extension", format!("{length:x};a=b\r\n{GOOD_BODY}\r\n0\r\n\r\n")),
        good("a trailer", format!("{length:x}\r\n{GOOD_BODY}\r\n0\r\nX-Trailer: 1\r\n\r\n")),
        bad("a chunk size that is no number", format!("zz\r\n{GOOD_BODY}\r\n0\r\n\r\n")),
        bad("a negative chunk size", format!("-1\r\n{GOOD_BODY}\r\n0\r\n\r\n")),
        bad("a chunk size beyond 64 bits", format!("fffffffffffffffff\r\n{GOOD_BODY}\r\n0\r\n\r\n")),
        bad("a chunk without its end of line", format!("{length:x}\r\n{GOOD_BODY}0\r\n\r\n{SMUGGLED}")),
        bad("chunks without a size", format!("\r\n{GOOD_BODY}\r\n0\r\n\r\n")),
        bad(
            "chunks over the limit",
            format!("{}0\r\n\r\n", format!("800\r\n{}\r\n", " ".repeat(2048)).repeat(9)),
        ),
        bad("an endless chunk extension", format!("1;{}\r\n{{\r\n0\r\n\r\n", "x".repeat(100_000))),
    ]
}

fn lines() -> Vec<Row> {
    let get = |lines: &str| format!("GET /readyz HTTP/1.1\r\n{lines}\r\n\r\n").into_bytes();
    let bad = |name: &str, bytes: Vec<u8>| Row::new(name, bytes, &[400, 431, 505]).closed();
    vec![
        bad("a NUL in a header value", get("Host: onrush\r\nX-Nul: a\0b")),
        bad("a NUL in a header name", get("Host: onrush\r\nX-\0: a")),
        bad("a space in a header name", get("Host: onrush\r\nX Y: a")),
        bad("an empty header name", get("Host: onrush\r\n: a")),
        bad("a header without a colon", get("Host: onrush\r\nnothing")),
        bad("a bare CR in a header value", get("Host: onrush\r\nX: a\rb")),
        bad("a folded header", get("Host: onrush\r\nX: a\r\n b")),
        bad("a NUL in the target", b"GET /rea\0dyz HTTP/1.1\r\nHost: onrush\r\n\r\n".to_vec()),
        bad("a raw space in the target", b"GET /a b HTTP/1.1\r\nHost: onrush\r\n\r\n".to_vec()),
        bad("no target", b"GET  HTTP/1.1\r\nHost: onrush\r\n\r\n".to_vec()),
        bad("HTTP/0.9", b"GET /readyz\r\n\r\n".to_vec()),
        bad("HTTP/3.0 in a request line", b"GET /readyz HTTP/3.0\r\nHost: onrush\r\n\r\n".to_vec()),
        bad("words", b"hello there\r\n\r\n".to_vec()),
        bad("zero bytes", vec![0; 64]).no_http(),
        bad("high bytes", vec![0xff; 64]).no_http(),
        bad(
            "a TLS greeting",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".iter().chain(&[7; 90]).copied().collect(),
        )
        .no_http(),
        bad("half an HTTP/2 greeting", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".to_vec()).no_http(),
    ]
}

fn sizes() -> Vec<Row> {
    let target = |length: usize| format!("/{}", "a".repeat(length - 1));
    let get = |target: String| format!("GET {target} HTTP/1.1\r\nHost: onrush\r\n\r\n").into_bytes();
    let many = (0..2_000).map(|number| format!("X-{number}: y\r\n")).collect::<Vec<_>>().concat();
    vec![
        Row::new("a target of 2,048 bytes", get(target(2_048)), &[404]).code("not_found").open(),
        Row::new("a target of 2,049 bytes", get(target(2_049)), &[414]),
        Row::new("a target of 60,000 bytes", get(target(60_000)), &[414, 431]),
        Row::new(
            "a header of 100,000 bytes",
            get(format!("/readyz HTTP/1.1\r\nX: {}\r\nY: ", "y".repeat(100_000))),
            &[431],
        ),
        Row::new("2,000 headers", format!("GET /readyz HTTP/1.1\r\nHost: onrush\r\n{many}\r\n"), &[431]),
    ]
}

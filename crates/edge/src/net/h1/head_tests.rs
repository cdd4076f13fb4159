//! Requests as bytes, and what they are taken for.

use crate::http::size::TooLarge;

use super::head::is_worth_parsing;
use super::{Body, Parsed, Rejection, parse};

const BODY_MAX: usize = 64;

/// `METHOD target body` of a whole request, or how it was turned away.
fn check(bytes: &[u8]) -> String {
    match parse(bytes, BODY_MAX) {
        Parsed::Request(request) => {
            let part =
                |range: &std::ops::Range<usize>| String::from_utf8_lossy(&bytes[range.clone()]).into_owned();
            let body = match &request.body {
                Body::Inline(range) => part(range),
                Body::Unfolded(body) => String::from_utf8_lossy(body).into_owned(),
            };
            let path = if request.path.is_empty() { "/".to_owned() } else { part(&request.path) };
            let target =
                path + &request.query.as_ref().map_or(String::new(), |query| format!("?{}", part(query)));
            let keep = if request.keep_alive { "" } else { " close" };
            format!("{} {} [{body}]{keep} +{}", part(&request.method), target, bytes.len() - request.length)
        }
        Parsed::PartialHead => "partial head".to_owned(),
        Parsed::PartialBody(awaiting) => {
            format!("partial body{}", if awaiting.expects_continue() { " 100" } else { "" })
        }
        Parsed::Rejected(Rejection::Malformed(_)) => "400".to_owned(),
        Parsed::Rejected(Rejection::TooLarge(TooLarge::Body)) => "413".to_owned(),
        Parsed::Rejected(Rejection::TooLarge(TooLarge::Target)) => "414".to_owned(),
        Parsed::Rejected(Rejection::TooLarge(TooLarge::Head)) => "431".to_owned(),
        Parsed::Rejected(Rejection::NotHttp1) => "not HTTP/1".to_owned(),
    }
}

/// A request with a Host and these fields.
fn with(fields: &str, body: &str) -> Vec<u8> {
    format!("POST /x HTTP/1.1\r\nHost: h\r\n{fields}\r\n{body}").into_bytes()
}

#[test]
fn plain_requests() {
    let table: &[(&str, &str)] = &[
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / [] +0"),
        ("GET /a?b=c HTTP/1.1\r\nhost:h\r\n\r\nGET", "GET /a?b=c [] +3"),
        ("\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / [] +0"),
        ("GET / HTTP/1.0\r\n\r\n", "GET / [] close +0"),
        ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET / [] +0"),
        ("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "GET / [] close +0"),
        ("GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, close\r\n\r\n", "GET / [] close +0"),
        ("GET http://h/a HTTP/1.1\r\nHost: h\r\n\r\n", "GET /a [] +0"),
        ("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n", "GET / [] +0"),
        ("GET http://h?a=/b HTTP/1.1\r\nHost: h\r\n\r\n", "GET /?a=/b [] +0"),
        ("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS * [] +0"),
        ("GET / HTTP/1.1\nHost: h\n\n", "GET / [] +0"),
        ("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nabc", "POST /x [ab] +1"),
        (
            "POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\nc",
            "POST /x [ab] +1",
        ),
    ];
    for (bytes, expected) in table {
        assert_eq!(check(bytes.as_bytes()), *expected, "{bytes:?}");
    }
}

#[test]
fn every_prefix_of_a_request_waits_for_more() {
    for whole in [
        with("Content-Length: 5\r\nX-Request-Id: 1\r\n", "hello"),
        with("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
    ] {
        for end in 0..whole.len() {
            assert!(
                check(&whole[..end]).starts_with("partial"),
                "{:?}",
                String::from_utf8_lossy(&whole[..end])
            );
        }
        assert!(check(&whole).starts_with("POST /x [hello]"));
    }
}

#[test]
fn framing_that_smugglers_use_is_malformed() {
    for fields in [
        "Content-Length: 1\r\nContent-Length: 1\r\n",
        "Content-Length: 1\r\nContent-Length: 2\r\n",
        "Content-Length: 1, 1\r\n",
        "Content-Length: +1\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x1\r\n",
        "Content-Length: 1 1\r\n",
        "Content-Length:\r\n",
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "Host: second\r\n",
        "A\0: b\r\n",
        "A: b\0c\r\n",
    ] {
        assert_eq!(check(&with(fields, "a")), "400", "{fields:?}");
    }
    assert_eq!(check(b"GET / HTTP/1.1\r\n\r\n"), "400", "no Host");
    assert_eq!(check(b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), "400");
    assert_eq!(check(b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n"), "400");
    assert_eq!(check(b"GET / HTTP/2.0\r\nHost: h\r\n\r\n"), "400");
    assert_eq!(check(b"GET relative HTTP/1.1\r\nHost: h\r\n\r\n"), "400");
    assert_eq!(check(b"\0\0\0\0"), "400");
    assert_eq!(check(b"\x16\x03\x01\x02\x00"), "400", "TLS");
}

#[test]
fn sizes_have_limits_on_either_side() {
    let target =
        |length: usize| format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(length - 1)).into_bytes();
    assert!(check(&target(2048)).starts_with("GET"));
    assert_eq!(check(&target(2049)), "414");
    assert_eq!(check(&target(100_000)[..5_000]), "414", "before its end has come");
    let fields = |count: usize| with(&"A: b\r\n".repeat(count), "");
    assert!(check(&fields(60)).starts_with("POST"));
    assert_eq!(check(&fields(64)), "431");
    let field = |length: usize| with(&format!("A: {}\r\n", "b".repeat(length)), "");
    assert!(check(&field(16_000)).starts_with("POST"));
    assert_eq!(check(&field(17_000)), "431");
    assert_eq!(check(&field(100_000)[..20_000]), "431", "before its end has come");
    assert!(check(&with("Content-Length: 64\r\n", &"a".repeat(64))).starts_with("POST"));
    for length in ["65", "99999999999999999999999999"] {
        assert_eq!(check(&with(&format!("Content-Length: {length}\r\n"), "")), "413");
    }
    assert_eq!(check(&with("Transfer-Encoding: chunked\r\n", "41\r\n")), "413");
    let wrapped = "1;padding=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\na\r\n".repeat(10);
    assert_eq!(
        check(&with("Transfer-Encoding: chunked\r\n", &wrapped)),
        "413",
        "wrapped in more than it holds"
    );
}

#[test]
fn a_client_that_waits_for_leave_is_seen() {
    assert_eq!(check(&with("Expect: 100-continue\r\nContent-Length: 1\r\n", "")), "partial body 100");
    assert_eq!(check(&with("Content-Length: 1\r\n", "")), "partial body");
    let old = b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";
    assert_eq!(check(old), "partial body", "HTTP/1.0 knows no interim answers");
}

#[test]
fn connections_end_when_any_field_says_so() {
    for (version, fields, closes) in [
        ("1.1", "", false),
        ("1.1", "Connection: close\r\nConnection: keep-alive\r\n", true),
        ("1.1", "Connection: keep-alive\r\nConnection: close\r\n", true),
        ("1.1", "Connection: x, CLOSE ,y\r\n", true),
        ("1.1", "Connection: closed\r\n", false),
        ("1.0", "", true),
        ("1.0", "Connection: keep-alive\r\n", false),
        ("1.0", "Connection: close\r\nConnection: keep-alive\r\n", true),
        ("1.0", "Connection: x\r\nConnection: keep-alive\r\n", false),
    ] {
        let said = check(format!("GET / HTTP/{version}\r\nHost: h\r\n{fields}\r\n").as_bytes());
        assert_eq!(said, if closes { "GET / [] close +0" } else { "GET / [] +0" }, "{version} {fields:?}");
    }
}

#[test]
fn hosts_are_hosts() {
    for (host, taken) in [
        ("h", true),
        ("", true),
        ("h:80", true),
        ("[::1]:80", true),
        ("a b", false),
        ("a/b", false),
        ("a@b", false),
        ("h:x", false),
        ("[::1", false),
    ] {
        let said = check(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
        assert_eq!(said, if taken { "GET / [] +0" } else { "400" }, "{host:?}");
    }
}

#[test]
fn who_speaks_something_else_is_not_answered() {
    for (bytes, expected) in [
        ("INVALID CONNECTION PREFACE\r\n\r\n", "not HTTP/1"),
        ("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "not HTTP/1"),
        ("GET / HTTP/2.0\r\nHost: h\r\n\r\n", "400"),
        ("GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", "400"),
        ("GET /\r\n\r\n", "400"),
        ("hello there\r\n\r\n", "400"),
    ] {
        assert_eq!(check(bytes.as_bytes()), expected, "{bytes:?}");
    }
}

#[test]
fn what_comes_byte_by_byte_is_read_as_if_it_came_at_once() {
    for whole in [
        with("Content-Length: 5\r\nX-Request-Id: 1\r\n", "hello"),
        with("Transfer-Encoding: chunked\r\n", "2\r\nhe\r\n3\r\nllo\r\n0\r\nA: b\r\n\r\n"),
    ] {
        let mut parsed = Parsed::PartialHead;
        let mut head_count = 0;
        for end in 1..=whole.len() {
            if matches!(parsed, Parsed::PartialHead) {
                if !is_worth_parsing(&whole[..end], end - 1) {
                    continue;
                }
                head_count += 1;
            }
            parsed = parsed.go_on(&whole[..end], BODY_MAX);
        }
        assert_eq!(parsed, parse(&whole, BODY_MAX));
        assert!(head_count <= 5, "the head was read {head_count} times for 5 lines");
    }
}

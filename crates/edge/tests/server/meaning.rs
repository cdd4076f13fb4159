//! A request means the same in HTTP/1.1 and in HTTP/2.

use http::Request;
use onrush_edge::limits::TARGET_BYTES_MAX;

use crate::said::{Said, said};
use crate::support::{Http1, Rig, call_http2, settings};

const RESERVATION: &str = r#"{"customer":"ann","lines":[{"stock":"unit","quantity":1}]}"#;

fn reservation() -> Said {
    let json = vec![("content-type", "application/json")];
    Said { fields: json, body: RESERVATION, ..said("POST", "/v1/sales/both/reservations") }
}

#[test]
fn both_protocols_answer_alike() {
    let rig = Rig::start(settings());
    rig.put_sale("both");
    let plain = said("GET", "/v1/counters/none");
    for (said, status, words) in [
        (plain.clone(), 404, "counter_not_found"),
        (plain.clone().host(""), 404, "counter_not_found"),
        (plain.clone().host("a b"), 400, "Host is not a host"),
        (plain.clone().host("user@shop.example"), 400, "Host is not a host"),
        (plain.clone().host("shop.example:x"), 400, "Host is not a host"),
        (plain.field("host", "shop.example"), 400, "exactly one Host"),
        (said("GET", "/v1/counters/none?"), 404, "counter_not_found"),
        (said("POST", "/v1/counters/none?by=0"), 400, "invalid_request"),
        (said("GET", "/v1//counters/none"), 404, "not_found"),
        (said("GET", "/nothing"), 404, "not_found"),
        (said("PUT", "/v1/counters/a"), 405, "method_not_allowed"),
        (said("HEAD", "/readyz"), 200, "application/json"),
        (said("HEAD", "/"), 200, "application/json"),
        (said("OPTIONS", "*"), 404, "not_found"),
        (said("GET", "*"), 400, "belongs to OPTIONS"),
        (said("GET", "/openapi.json"), 200, "openapi"),
        (said("GET", "/docs"), 200, "x-frame-options"),
        (reservation().field("idempotency-key", ""), 400, "Idempotency-Key"),
        (reservation().field("idempotency-key", "a").field("idempotency-key", "b"), 400, "given twice"),
        (
            Said { fields: vec![("content-type", "text/plain")], ..reservation() },
            415,
            "unsupported_media_type",
        ),
        (
            reservation().field("content-type", "text/plain").field("idempotency-key", ""),
            400,
            "Idempotency-Key",
        ),
        (Said { body: "{", ..reservation() }, 400, "invalid_request"),
    ] {
        said.check(rig.public(), status, words);
    }
}

#[test]
fn a_key_is_the_same_with_blanks_around_it() {
    let rig = Rig::start(settings());
    rig.put_sale("both");
    let first = reservation().field("idempotency-key", "the key").over_http1(rig.public());
    assert_eq!(first.status, 201, "{first:?}");
    for key in ["the key", " the key", "the key\t", " \t the key  "] {
        let again = reservation().field("idempotency-key", key);
        again.check(rig.public(), 200, "idempotent-replayed");
    }
}

#[test]
fn connect_is_refused() {
    let rig = Rig::start(settings());
    let first =
        Http1::connect(rig.public()).call(b"CONNECT x.example:80 HTTP/1.1\r\nHost: x.example:80\r\n\r\n");
    let first = first.expect("an answer");
    let request = Request::builder().method("CONNECT").uri("x.example:80").body(()).expect("a request");
    assert_eq!(first, call_http2(rig.public(), request, b""));
    assert_eq!(first.status, 400, "{first:?}");
}

#[test]
fn an_absolute_target_has_its_own_path_and_host() {
    let rig = Rig::start(settings());
    let mut client = Http1::connect(rig.public());
    let call = |client: &mut Http1, line: &str| {
        client.call(format!("{line}\r\nHost: other.example\r\n\r\n").as_bytes()).expect("an answer")
    };
    let hidden = call(&mut client, "POST http://x?a=/v1/counters/smug HTTP/1.1");
    assert!(hidden.body.contains("`a` is not a query parameter"), "the path is /: {hidden:?}");
    let unseen = call(&mut client, "GET http://x/v1/counters/smug HTTP/1.1");
    assert_eq!(unseen.status, 404, "nothing was counted: {unseen:?}");
    let root = call(&mut client, "GET http://x HTTP/1.1");
    assert!(root.body.contains("requestCount"), "{root:?}");
    let plain = call(&mut client, "POST HTTP://x:80/v1/counters/plain HTTP/1.1");
    assert!(plain.body.contains("\"value\":1"), "{plain:?}");
    // On the operator listener it is the target that says whom the request is for.
    let mut operator = Http1::connect(rig.operator());
    let foreign = operator.call(b"GET http://evil.example/livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(foreign.expect("an answer").status, 403);
    let ours = operator.call(b"GET http://localhost/livez HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_eq!(ours.expect("an answer").status, 200);
}

#[test]
fn another_site_reaches_the_operator_by_neither_protocol() {
    let rig = Rig::start(settings());
    let get = |host: &str| {
        let uri = format!("http://{host}/livez");
        call_http2(rig.operator(), Request::builder().uri(uri).body(()).expect("a request"), b"").status
    };
    assert_eq!(get("localhost:8081"), 200);
    assert_eq!(get("evil.example"), 403);
}

#[test]
fn a_connection_closes_if_any_field_asks_for_it() {
    let rig = Rig::start(settings());
    for (fields, closes) in [
        ("Connection: close\r\nConnection: keep-alive\r\n", true),
        ("Connection: keep-alive\r\nConnection: close\r\n", true),
        ("Connection: keep-alive\r\n", false),
    ] {
        for target in ["/v1/counters/a", "/livez"] {
            let mut client = Http1::connect(rig.public());
            let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
            assert!(client.call(request.as_bytes()).is_some());
            if closes {
                assert!(client.is_closed(), "{target} {fields}");
            } else {
                assert!(client.call(request.as_bytes()).is_some(), "{target} {fields}");
            }
        }
    }
}

#[test]
fn what_is_no_request_is_counted_in_both_protocols() {
    let rig = Rig::start(settings());
    let rejected_count = || {
        let asked = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let page = Http1::connect(rig.operator()).call(asked).expect("an answer").body;
        let line =
            page.lines().find_map(|line| line.strip_prefix("onrush_requests_total{class=\"rejected\"} "));
        line.and_then(|count| count.parse::<u64>().ok()).expect("the figure")
    };
    let long = format!("/{}", "a".repeat(TARGET_BYTES_MAX)).leak();
    for (wrong, status) in [(said("GET", "/livez").host("a b"), 400), (said("GET", long), 414)] {
        let before = rejected_count();
        assert_eq!(wrong.over_http1(rig.public()).status, status);
        assert_eq!(rejected_count(), before + 1, "over HTTP/1.1: {status}");
        assert_eq!(wrong.over_http2(rig.public()).status, status);
        assert_eq!(rejected_count(), before + 2, "over HTTP/2: {status}");
    }
}

#[test]
fn http_1_0_is_told_nothing_before_its_answer() {
    let rig = Rig::start(settings());
    let mut client = Http1::connect(rig.public());
    client.send(b"POST /v1/counters/old HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    // The server has read that by the time another connection was answered several times.
    for _ in 0..5 {
        assert!(Http1::connect(rig.public()).call(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").is_some());
    }
    let answer = client.call(b"{}").expect("an answer");
    assert!(answer.body.contains("takes no body"), "{answer:?}");
}

#[test]
fn who_greets_in_another_protocol_gets_no_answer_of_http_1() {
    let rig = Rig::start(settings());
    for greeting in ["INVALID CONNECTION PREFACE\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"] {
        let mut client = Http1::connect(rig.public());
        client.send(greeting.as_bytes());
        assert!(client.is_closed(), "{greeting:?}");
    }
}

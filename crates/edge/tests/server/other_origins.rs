//! Pages of other origins: who may read answers, what browsers are told before such a page asks, and whose sessions count.

use std::collections::BTreeSet;

use onrush_edge::{Components, GateSettings, OperatorKey};
use onrush_gate::{GroupRates, RateLimitSettings};

use crate::said::{Said, said};
use crate::sessions::{ANN, SESSION, begin, hour, reserve};
use crate::support::{Answer, Http1, Rig, Settings, call_http2, call_json, settings};

const SHOP: &str = "https://shop.example";
const LOCAL: &str = "http://localhost:3000";

const SHARING: [&str; 3] =
    ["access-control-allow-origin", "access-control-allow-credentials", "access-control-expose-headers"];
const LEAVE: [&str; 3] =
    ["access-control-allow-methods", "access-control-allow-headers", "access-control-max-age"];

fn listing() -> GateSettings {
    let cors_origins = [SHOP, LOCAL].map(|origin| origin.parse().unwrap()).to_vec();
    GateSettings { cors_origins, ..GateSettings::default() }
}

fn rig(gate: GateSettings) -> Rig {
    let components = Components { sessions: Some(hour()), ..Components::default() };
    let rig = Rig::start_with(Settings { gate, ..settings() }, components);
    rig.put_sale("s");
    rig
}

/// The same answer over both protocols.
fn ask(rig: &Rig, request: &Said) -> Answer {
    let (first, second) = (request.over_http1(rig.public()), request.over_http2(rig.public()));
    // What counts has another body each time, and each reservation has a place of its own.
    let told = |answer: &Answer| {
        let fields = answer.fields.iter().filter(|(name, _)| name != "location");
        (answer.status, fields.cloned().collect::<Vec<_>>())
    };
    assert_eq!(told(&first), told(&second));
    first
}

/// What an answer says of origins: the one that may read it, if any.
#[track_caller]
fn reader(answer: &Answer) -> Option<&str> {
    let [origin, credentials, exposed] = SHARING.map(|name| answer.field(name));
    assert_eq!(credentials, origin.map(|_| "true"), "{answer:?}");
    assert_eq!(exposed.is_some(), origin.is_some(), "{answer:?}");
    origin
}

fn varies_by_origin(answer: &Answer) -> bool {
    answer.fields.iter().any(|(name, value)| name == "vary" && value == "Origin")
}

/// One of each kind: hot and routed, a success and a problem, for programs and for people.
fn requests() -> Vec<(Said, u16)> {
    let json = |target, body| Said { body, ..said("POST", target).field("content-type", "application/json") };
    let one = r#"{"customer":"ann","lines":[{"stock":"unit","quantity":1}]}"#;
    vec![
        (said("POST", "/v1/counters/a"), 200),
        (said("GET", "/v1/counters/a"), 200),
        (said("HEAD", "/v1/counters/a"), 200),
        (said("GET", "/v1/counters/none"), 404),
        (said("POST", "/v1/counters/a?by=2"), 200),
        (json("/v1/sales/s/reservations", one), 201),
        (json("/v1/sales/%73/reservations", one), 201),
        (json("/v1/sales/s/reservations", "{"), 400),
        (json("/v1/sales/none/reservations", one), 404),
        (said("GET", "/v1/sales"), 200),
        (said("GET", "/v1/session"), 401),
        (said("GET", "/nowhere"), 404),
        (said("PUT", "/v1/counters/a"), 405),
        (said("OPTIONS", "/v1/counters/a"), 405),
        (said("GET", "/livez"), 200),
        (said("GET", "/openapi.json"), 200),
        (said("GET", "/user/login"), 404),
        (said("GET", "/"), 200),
    ]
}

#[test]
fn pages_of_listed_origins_read_every_answer() {
    let rig = rig(listing());
    for (request, status) in requests() {
        for (origin, expected) in [
            (Some(SHOP), Some(SHOP)),
            (Some(LOCAL), Some(LOCAL)),
            (Some("https://other.example"), None),
            (None, None),
        ] {
            let asked = origin.map_or(request.clone(), |origin| request.clone().field("origin", origin));
            let answer = ask(&rig, &asked);
            let what = format!("{} {} from {origin:?}: {answer:?}", request.method, request.target);
            assert_eq!(answer.status, status, "{what}");
            assert_eq!(reader(&answer), expected, "{what}");
            assert!(varies_by_origin(&answer), "{what}");
            assert!(LEAVE.iter().all(|name| answer.field(name).is_none()), "{what}");
        }
    }
}

#[test]
fn without_a_list_no_answer_speaks_of_origins() {
    let rig = rig(GateSettings::default());
    let preflight = said("OPTIONS", "/v1/counters/a").field("access-control-request-method", "POST");
    for (request, status) in requests().into_iter().chain([(preflight, 204)]) {
        let answer = ask(&rig, &request.field("origin", SHOP));
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(
            !varies_by_origin(&answer) && !format!("{answer:?}").contains("access-control"),
            "{answer:?}"
        );
    }
}

#[test]
fn what_is_refused_before_any_route_can_be_read_as_well() {
    let long = Box::leak("x".repeat(17 << 10).into_boxed_str());
    let too_large = Said { body: long, ..said("POST", "/v1/counters/a") };
    let rig = rig(listing());
    for origin in [Some(SHOP), None] {
        let asked = origin.map_or(too_large.clone(), |origin| too_large.clone().field("origin", origin));
        let answer = ask(&rig, &asked);
        assert_eq!((answer.status, reader(&answer)), (413, origin), "{answer:?}");
        assert!(varies_by_origin(&answer), "{answer:?}");
    }
    let malformed = format!("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nOrigin: {SHOP}\r\n\r\n");
    let answer = Http1::connect(rig.public()).call(malformed.as_bytes()).expect("an answer");
    assert_eq!((answer.status, reader(&answer)), (400, Some(SHOP)), "{answer:?}");
    // The body is none of the head's lines.
    let smuggled = "POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\nOrigin: https://shop.example\r\n\r\n";
    let answer = Http1::connect(rig.public()).call(smuggled.as_bytes()).expect("an answer");
    assert_eq!((answer.status, reader(&answer)), (400, None), "{answer:?}");
}

fn preflight(target: &'static str, origin: &'static str) -> Said {
    said("OPTIONS", target).field("origin", origin).field("access-control-request-method", "POST")
}

#[test]
fn a_browser_is_told_what_pages_of_listed_origins_may_send() {
    let rig = rig(listing());
    for (target, methods) in [
        ("/v1/sales/s/reservations", Some("POST")),
        ("/v1/sales/none/reservations", Some("POST")),
        ("/v1/counters/a?by=2", Some("GET, POST")),
        ("/v1/session", Some("POST, GET, DELETE")),
        ("/v1/customers", Some("POST")),
        ("/livez", Some("GET")),
        ("/", Some("GET, POST, PUT, PATCH, DELETE")),
        ("/nowhere", None),
        ("/v1/counters/", None),
    ] {
        let answer = ask(&rig, &preflight(target, SHOP));
        assert_eq!((answer.status, answer.body.as_str(), reader(&answer)), (204, "", Some(SHOP)), "{target}");
        let [told, headers, max_age] = LEAVE.map(|name| answer.field(name));
        assert_eq!(told, methods, "{target}");
        assert!(headers.expect("fields").contains("idempotency-key"), "{answer:?}");
        assert_eq!(max_age, Some("7200"));
        assert!(varies_by_origin(&answer) && answer.field("content-type").is_none(), "{answer:?}");
    }
    // Nothing was done: a request to this path counts.
    let counted = said("GET", "/").over_http1(rig.public());
    assert_eq!(counted.body, r#"{"requestCount":1}"#);
    // A page of an origin that is not listed gets no leave.
    let answer = ask(&rig, &preflight("/v1/session", "https://other.example"));
    assert_eq!((answer.status, reader(&answer)), (204, None), "{answer:?}");
    assert!(varies_by_origin(&answer) && LEAVE.iter().all(|name| answer.field(name).is_none()), "{answer:?}");
}

#[test]
fn other_requests_follow_on_the_same_connection() {
    let rig = rig(listing());
    let mut client = Http1::connect(rig.public());
    let question = format!(
        "OPTIONS /v1/counters/a HTTP/1.1\r\nHost: x\r\nOrigin: {SHOP}\r\nX-Request-Id: mine\r\n\
         Access-Control-Request-Method: POST\r\n\r\n"
    );
    let count = "POST /v1/counters/a HTTP/1.1\r\nHost: x\r\n\r\n";
    client.send([&*question, count, &question, count].concat().as_bytes());
    let answers: Vec<_> = (0..4).map(|_| client.receive(false).expect("an answer")).collect();
    assert_eq!([204, 200, 204, 200], [0, 1, 2, 3].map(|at: usize| answers[at].status));
    assert_eq!(answers[3].body, r#"{"counter":"a","value":2}"#);
    client.send(question.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").as_bytes());
    assert_eq!(client.receive(false).expect("an answer").status, 204);
    assert!(client.is_closed());
}

#[test]
fn only_the_very_origin_that_is_listed_counts() {
    let rig = rig(listing());
    let cookie = begin(&rig, ANN);
    let cookie = cookie.as_str();
    for origin in [
        "null",
        "*",
        "",
        "http://shop.example",
        "https://shop.example:443",
        "https://shop.example:8443",
        "https://shop.example.",
        "https://shop.example/",
        "https://shop.exampl",
        "https://shop.examples",
        "https://shop.example.evil.example",
        "https://evil.example/https://shop.example",
        "https://evilshop.example",
        "https://m.shop.example",
        "HTTPS://SHOP.EXAMPLE",
        "https://shop.example,https://evil.example",
        "https://shop.example https://evil.example",
        "http://localhost",
        "http://localhost:3001",
        "http://127.0.0.1:3000",
    ] {
        let answer = ask(&rig, &said("GET", "/v1/sales").field("origin", origin));
        assert_eq!((answer.status, reader(&answer)), (200, None), "{origin}");
        let answer = ask(&rig, &preflight("/v1/session", origin));
        assert_eq!((answer.status, reader(&answer)), (204, None), "{origin}");
        assert!(LEAVE.iter().all(|name| answer.field(name).is_none()), "{origin}: {answer:?}");
        for site in ["", "Sec-Fetch-Site: same-site\r\n", "Sec-Fetch-Site: cross-site\r\n"] {
            let answer = reserve(&rig, &format!("{cookie}Origin: {origin}\r\n{site}"), None);
            let is_own = origin == "http://localhost" && site.is_empty();
            assert_eq!(answer.status, if is_own { 201 } else { 403 }, "{origin} {site}");
        }
    }
    // Of two origins it is not known which counts, in either order.
    for pair in [[SHOP, SHOP], [SHOP, "null"], ["https://evil.example", SHOP], [SHOP, LOCAL]] {
        let [first, second] = pair;
        let answer = ask(&rig, &said("GET", "/v1/sales").field("origin", first).field("origin", second));
        assert_eq!((answer.status, reader(&answer)), (200, None), "{pair:?}");
        let answer = ask(&rig, &preflight("/v1/session", first).field("origin", second));
        assert_eq!((answer.status, reader(&answer)), (204, None), "{pair:?}");
        let fields = format!("{cookie}Origin: {first}\r\nOrigin: {second}\r\n");
        assert_eq!(reserve(&rig, &fields, None).status, 403, "{pair:?}");
    }
}

#[test]
fn the_session_counts_for_pages_of_listed_origins() {
    let rig = rig(listing());
    let cookie = begin(&rig, ANN);
    let token = format!(r#"{{"token":"{ANN}"}}"#);
    for site in ["same-site", "cross-site"] {
        let from = |origin: &str| format!("Origin: {origin}\r\nSec-Fetch-Site: {site}\r\n");
        let (listed, other) = (from(SHOP), from("https://other.example"));
        for (fields, status) in [(&listed, 201), (&other, 403)] {
            let answer = reserve(&rig, &format!("{cookie}{fields}"), None);
            assert_eq!(answer.status, status, "{answer:?}");
        }
        for (fields, status) in [(&listed, 200), (&other, 403)] {
            let answer = call_json(rig.public(), "POST", SESSION, fields, &token);
            assert_eq!(answer.status, status, "{answer:?}");
            assert_eq!(answer.field("set-cookie").is_some(), status == 200, "{answer:?}");
            assert_eq!(reader(&answer), (status == 200).then_some(SHOP), "{answer:?}");
        }
        // A page that says nothing of itself is none that is listed.
        let silent = format!("{cookie}Sec-Fetch-Site: {site}\r\n");
        assert_eq!(reserve(&rig, &silent, None).status, 403);
    }
    let cookie = cookie.trim_end().strip_prefix("Cookie: ").unwrap();
    let request = http::Request::delete(format!("http://localhost{SESSION}")).header("cookie", cookie);
    let request = request.header("origin", SHOP).header("sec-fetch-site", "cross-site").body(()).unwrap();
    assert_eq!(call_http2(rig.public(), request, b"").status, 204);
    assert_eq!(rig.metric(r#"onrush_session_decisions_total{check="session",code="cross_site"}"#), 10);
}

#[test]
fn a_preflight_takes_from_no_limit_and_a_refusal_can_be_read() {
    let pages = GroupRates { address: Some("2/h burst 2".parse().unwrap()), ..GroupRates::default() };
    let rate_limits = RateLimitSettings { pages, ..RateLimitSettings::default() };
    let rig = rig(GateSettings { rate_limits, ..listing() });
    for _ in 0..5 {
        assert_eq!(preflight("/v1/session", SHOP).over_http1(rig.public()).status, 204);
    }
    let read = said("GET", "/v1/sales").field("origin", SHOP);
    for status in [200, 200, 429] {
        let answer = read.over_http1(rig.public());
        assert_eq!((answer.status, reader(&answer)), (status, Some(SHOP)), "{answer:?}");
        assert!(answer.field("ratelimit").is_some(), "{answer:?}");
        assert_eq!(answer.field("retry-after").is_some(), status == 429, "{answer:?}");
    }
    assert_eq!(preflight("/v1/session", SHOP).over_http2(rig.public()).status, 204);
}

#[test]
fn no_preflight_lets_a_request_through_to_another_application() {
    let rig = rig(listing());
    for target in ["/v1/gate/forward", "/v1/gate/forward?session=required"] {
        let answer = ask(&rig, &preflight(target, SHOP));
        assert_eq!((answer.status, answer.field("onrush-refusal")), (401, Some("session_required")));
        assert!(LEAVE.iter().all(|name| answer.field(name).is_none()), "{answer:?}");
    }
    assert_eq!(ask(&rig, &preflight("/v1/gate/check", SHOP)).status, 405);
}

#[test]
fn the_operator_listener_answers_no_page_of_another_origin() {
    let key = OperatorKey::new(|| Some("secret".to_owned()));
    let with_key = Rig::start(Settings { operator_key: Some(key), gate: listing(), ..settings() });
    let without_key = Rig::start(Settings { gate: listing(), ..settings() });
    let asked = |target| preflight(target, LOCAL).host("localhost");
    for (rig, request, status) in [
        (&without_key, preflight("/v1/sales/s", SHOP).host("localhost"), 403),
        // A page of this machine needs no leave, and gets none.
        (&without_key, asked("/v1/sales/s"), 405),
        (&with_key, asked("/v1/sales/s"), 401),
        (&with_key, asked("/v1/sales/s").field("authorization", "Bearer secret"), 405),
        (&with_key, said("GET", "/livez").field("authorization", "Bearer secret").field("origin", SHOP), 200),
    ] {
        for answer in [request.over_http1(rig.operator()), request.over_http2(rig.operator())] {
            assert_eq!(answer.status, status, "{answer:?}");
            assert!(!format!("{answer:?}").contains("access-control"), "{answer:?}");
            assert!(!varies_by_origin(&answer), "{answer:?}");
        }
    }
}

/// Browsers keep `Set-Cookie` from pages, and `Cache-Control` is theirs anyway. Nobody asks the page for the other two.
const NOT_EXPOSED: [&str; 4] = ["set-cookie", "cache-control", "www-authenticate", "allow"];

#[test]
fn pages_may_read_every_field_that_the_document_describes() {
    let rig = rig(listing());
    let answer = said("GET", "/livez").field("origin", SHOP).over_http1(rig.public());
    let exposed: BTreeSet<_> = answer.field(SHARING[2]).expect("names").split(", ").collect();
    let document: serde_json::Value = serde_json::from_str(&onrush_edge::openapi::document()).expect("JSON");
    let mut described = BTreeSet::new();
    for item in document["paths"].as_object().expect("paths").values() {
        for operation in item.as_object().expect("operations").values() {
            for response in operation["responses"].as_object().expect("responses").values() {
                let names = response["headers"].as_object().into_iter().flat_map(|headers| headers.keys());
                described.extend(names.map(|name| name.to_ascii_lowercase()));
            }
        }
    }
    let not_exposed = NOT_EXPOSED.map(str::to_owned);
    let missing: Vec<_> = described
        .iter()
        .filter(|name| !exposed.contains(name.as_str()) && !not_exposed.contains(name))
        .collect();
    assert!(missing.is_empty() && described.len() > 8, "{missing:?} of {described:?}");
}

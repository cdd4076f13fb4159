//! What proxies ask: the gate decides about the client that they speak of, and about nobody whom others name.

use std::net::IpAddr;
use std::sync::Arc;

use onrush_edge::{Components, GateSettings, SessionSettings, Sessions};
use onrush_gate::jwt::{JwtKeys, JwtRules};
use onrush_gate::session::{Cipher, KeyId, SessionKey, SessionKeys};
use onrush_gate::{GroupRates, RateLimitSettings};

use crate::support::{Answer, Http1, Rig, call_json, settings};

/// A secret of HS256, and a token under it: of ann until the year 2100.
const SECRET: &str = r#"{"kty":"oct","k":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"}"#;
const ANN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.UCbIWVrSlZEWDk-CJI4sPUofrLV853K_rm41b9p3ors";
const CHECK: &str = "/v1/gate/check";
const FORWARD: &str = "/v1/gate/forward";

/// The limit of pages is one request a minute for each address; the proxy on loopback is believed, or is not.
fn rig(trusts_proxy: bool, burst: &str) -> Rig {
    let jwt_rules = JwtRules { issuer: None, audience: None, customer_claim: "sub".into(), clock_skew_ms: 0 };
    let of_sessions = SessionSettings { ttl_ms: 60_000, secure_cookies: false, jwt_rules };
    let keys = SessionKeys::one(SessionKey::new(KeyId(1), Cipher::default(), &[1; 32], 0).unwrap());
    let sessions = Sessions::new(of_sessions, keys, JwtKeys::parse(SECRET).unwrap());
    let components = Components { sessions: Some(Arc::new(sessions)), ..Components::default() };
    let pages = GroupRates { address: Some(burst.parse().unwrap()), ..GroupRates::default() };
    let gate = GateSettings {
        trusted_proxies: if trusts_proxy { vec!["127.0.0.1".parse().unwrap()] } else { Vec::new() },
        rate_limits: RateLimitSettings { pages, ..RateLimitSettings::default() },
        ..GateSettings::default()
    };
    Rig::start_with(onrush_edge::Settings { gate, ..settings() }, components)
}

fn ask(rig: &Rig, method: &str, target: &str, client: &str, fields: &str) -> Answer {
    let client: IpAddr = client.parse().unwrap();
    let fields = format!("Host: shop.example\r\nX-Forwarded-For: {client}\r\n{fields}");
    let request = format!("{method} {target} HTTP/1.1\r\n{fields}\r\n");
    Http1::connect(rig.public()).call(request.as_bytes()).expect("an answer")
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.field("onrush-refusal")), (status, Some(code)), "{answer:?}");
    assert!(answer.body.contains(code) && answer.field("onrush-customer").is_none(), "{answer:?}");
}

#[track_caller]
fn let_through(answer: &Answer, status: u16, customer: Option<&str>) {
    assert_eq!((answer.status, answer.field("onrush-customer")), (status, customer), "{answer:?}");
    assert_eq!((answer.body.as_str(), answer.field("onrush-refusal")), ("", None), "{answer:?}");
}

fn bearer() -> String {
    format!("Authorization: Bearer {ANN}\r\n")
}

#[test]
fn a_session_lets_through_and_says_whose_it_is() {
    let rig = rig(true, "100/s burst 100");
    let_through(&ask(&rig, "GET", CHECK, "192.0.2.1", &bearer()), 204, Some("ann"));
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
        let_through(&ask(&rig, method, FORWARD, "192.0.2.1", &bearer()), 200, Some("ann"));
    }
    // Nobody becomes somebody by saying so.
    let says = "Onrush-Customer: ann\r\n";
    refused(&ask(&rig, "GET", CHECK, "192.0.2.1", says), 401, "session_required");
    refused(&ask(&rig, "GET", FORWARD, "192.0.2.1", says), 401, "session_required");
    let optional = format!("{CHECK}?session=optional");
    let_through(&ask(&rig, "GET", &optional, "192.0.2.1", says), 204, None);
    let_through(&ask(&rig, "GET", &optional, "192.0.2.1", &bearer()), 204, Some("ann"));
    let bad = "Authorization: Bearer a.b.c\r\n";
    refused(&ask(&rig, "GET", &optional, "192.0.2.1", bad), 401, "invalid_credentials");
    for query in ["session=maybe", "session=required&session=optional", "sale=s"] {
        let answer = ask(&rig, "GET", &format!("{CHECK}?{query}"), "192.0.2.1", &bearer());
        assert!(answer.status == 400 && answer.body.contains("invalid_request"), "{answer:?}");
    }
    assert_eq!(ask(&rig, "POST", CHECK, "192.0.2.1", &bearer()).status, 405);
}

#[test]
fn limits_hold_for_the_client_that_a_trusted_proxy_names() {
    let rig = rig(true, "1/m burst 2");
    for _ in 0..2 {
        let_through(&ask(&rig, "GET", CHECK, "192.0.2.1", &bearer()), 204, Some("ann"));
    }
    // nginx takes 401 and 403 alone.
    let answer = ask(&rig, "GET", CHECK, "192.0.2.1", &bearer());
    refused(&answer, 403, "rate_limited");
    let answer = ask(&rig, "GET", FORWARD, "192.0.2.1", &bearer());
    refused(&answer, 429, "rate_limited");
    assert!(answer.field("retry-after").is_some(), "{answer:?}");
    let_through(&ask(&rig, "GET", CHECK, "192.0.2.2", &bearer()), 204, Some("ann"));
}

#[test]
fn a_proxy_that_is_not_trusted_names_nobody() {
    let rig = rig(false, "1/m burst 2");
    for client in ["192.0.2.1", "192.0.2.2"] {
        let_through(&ask(&rig, "GET", CHECK, client, &bearer()), 204, Some("ann"));
    }
    refused(&ask(&rig, "GET", CHECK, "192.0.2.3", &bearer()), 403, "rate_limited");
}

#[test]
fn whoever_is_denied_is_denied_here_too() {
    let rig = rig(true, "100/s burst 100");
    for subject in ["address/192.0.2.7", "customer/ann"] {
        let denied = format!("/v1/denylist/{subject}");
        assert_eq!(call_json(rig.operator(), "PUT", &denied, "", "{}").status, 201);
        for target in [CHECK, FORWARD] {
            refused(&ask(&rig, "GET", target, "192.0.2.7", &bearer()), 403, "denied");
        }
    }
    refused(&ask(&rig, "GET", CHECK, "192.0.2.8", &bearer()), 403, "denied");
    let optional = format!("{CHECK}?session=optional");
    let_through(&ask(&rig, "GET", &optional, "192.0.2.8", ""), 204, None);
}

#[test]
fn a_request_of_another_site_does_not_count_as_the_customers() {
    let rig = rig(true, "100/s burst 100");
    let body = format!(r#"{{"token":"{ANN}"}}"#);
    let begun = call_json(rig.public(), "POST", "/v1/session", "", &body);
    let cookie = begun.field("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    for (target, field) in [(CHECK, "X-Original-Method"), (FORWARD, "X-Forwarded-Method")] {
        let from = |site: &str, method: &str| {
            let fields = format!("Cookie: {cookie}\r\nSec-Fetch-Site: {site}\r\n{field}: {method}\r\n");
            ask(&rig, "GET", target, "192.0.2.1", &fields)
        };
        refused(&from("cross-site", "POST"), 403, "cross_site");
        refused(&from("cross-site", "get"), 403, "cross_site");
        let_through(&from("cross-site", "GET"), if target == CHECK { 204 } else { 200 }, Some("ann"));
        let_through(&from("same-origin", "POST"), if target == CHECK { 204 } else { 200 }, Some("ann"));
    }
}

/// Traefik asks with a host of its own, and says the one that the browser used.
#[test]
fn the_site_is_the_host_that_a_trusted_proxy_names() {
    for (trusts_proxy, says) in [(true, true), (true, false), (false, true)] {
        let rig = rig(trusts_proxy, "100/s burst 100");
        let begun = call_json(rig.public(), "POST", "/v1/session", "", &format!(r#"{{"token":"{ANN}"}}"#));
        let cookie = begun.field("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        let host = if says { "X-Forwarded-Host: shop.example:444\r\n" } else { "" };
        let from = |origin: &str| {
            let fields =
                format!("Cookie: {cookie}\r\nX-Forwarded-Method: POST\r\n{host}Origin: http://{origin}\r\n");
            ask(&rig, "POST", FORWARD, "192.0.2.1", &fields)
        };
        if trusts_proxy && says {
            let_through(&from("shop.example:444"), 200, Some("ann"));
            refused(&from("shop.example"), 403, "cross_site");
        } else {
            let_through(&from("shop.example"), 200, Some("ann"));
            refused(&from("shop.example:444"), 403, "cross_site");
        }
        refused(&from("evil.example"), 403, "cross_site");
    }
}

#[test]
fn every_question_takes_from_the_limit_once() {
    let rig = rig(true, "1/m burst 9");
    let left =
        |answer: &Answer| answer.field("ratelimit").map(|limit| limit.split(';').nth(1).unwrap().to_owned());
    for (method, target, remaining) in
        [("GET", CHECK, "r=8"), ("HEAD", CHECK, "r=7"), ("HEAD", FORWARD, "r=6"), ("POST", FORWARD, "r=5")]
    {
        let answer = ask(&rig, method, target, "192.0.2.1", &bearer());
        assert_eq!(left(&answer).as_deref(), Some(remaining), "{method} {target}: {answer:?}");
    }
}

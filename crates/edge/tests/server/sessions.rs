//! Sessions over both protocols and both ways to an answer: begun, used, refused and ended.

use std::sync::Arc;

use onrush_edge::{Components, SessionSettings, Sessions};
use onrush_gate::jwt::{JwtKeys, JwtRules};
use onrush_gate::session::{Cipher, KeyId, SessionKey, SessionKeys};

use crate::support::{Answer, Http1, Rig, call_http2, call_json, settings};

pub(crate) const SESSION: &str = "/v1/session";
const RESERVE: &str = "/v1/sales/s/reservations";
/// The router has to answer this one.
const RESERVE_ROUTED: &str = "/v1/sales/%73/reservations";

/// A secret of HS256, and tokens under it: of ann and of bob until the year 2100, and of ann until 1970.
const SECRET: &str = r#"{"kty":"oct","k":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"}"#;
pub(crate) const ANN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.UCbIWVrSlZEWDk-CJI4sPUofrLV853K_rm41b9p3ors";
pub(crate) const BOB: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJib2IiLCJleHAiOjQxMDI0NDQ4MDB9.uIB_8i8CmfaepWv2DedgnWls5H8hFESo2jcjhBds8ng";
const OLD: &str =
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjF9.jeHm-ns5KdQoREhxq0W4xx9T85SeU5eroqAp8LoZnm0";

fn keys(secret: u8) -> SessionKeys {
    SessionKeys::one(SessionKey::new(KeyId(secret.into()), Cipher::default(), &[secret; 32], 0).unwrap())
}

fn sessions(ttl_ms: u64, secure_cookies: bool) -> Arc<Sessions> {
    let jwt_rules = JwtRules { issuer: None, audience: None, customer_claim: "sub".into(), clock_skew_ms: 0 };
    let settings = SessionSettings { ttl_ms, secure_cookies, jwt_rules };
    Arc::new(Sessions::new(settings, keys(1), JwtKeys::parse(SECRET).unwrap()))
}

fn rig(sessions: &Arc<Sessions>) -> Rig {
    let components = Components { sessions: Some(Arc::clone(sessions)), ..Components::default() };
    let rig = Rig::start_with(settings(), components);
    rig.put_sale("s");
    rig
}

pub(crate) fn hour() -> Arc<Sessions> {
    sessions(3_600_000, false)
}

fn call(rig: &Rig, method: &str, target: &str, fields: &str) -> Answer {
    let request = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
    Http1::connect(rig.public()).call(request.as_bytes()).expect("an answer")
}

/// The cookie of a new session, as a browser sends it.
pub(crate) fn begin(rig: &Rig, token: &str) -> String {
    let answer = call_json(rig.public(), "POST", SESSION, "", &format!(r#"{{"token":"{token}"}}"#));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.field("cache-control"), Some("no-store"));
    let cookie = answer.field("set-cookie").expect("a cookie").split(';').next().unwrap().to_owned();
    format!("Cookie: a=b; {cookie}\r\n")
}

/// Reserves one unit on both ways; `customer` is that of the body, if any.
pub(crate) fn reserve(rig: &Rig, fields: &str, customer: Option<&str>) -> Answer {
    let customer = customer.map(|name| format!(r#""customer":"{name}","#)).unwrap_or_default();
    let body = format!(r#"{{{customer}"lines":[{{"stock":"unit","quantity":1}}]}}"#);
    let hot = call_json(rig.public(), "POST", RESERVE, fields, &body);
    let routed = call_json(rig.public(), "POST", RESERVE_ROUTED, fields, &body);
    assert_eq!(hot.status, routed.status, "{hot:?} {routed:?}");
    if hot.status != 201 {
        assert_eq!(hot, routed);
    }
    hot
}

#[track_caller]
fn check(answer: &Answer, status: u16, word: &str) {
    assert!(answer.status == status && answer.body.contains(word), "{status} {word}: {answer:?}");
    assert_eq!(answer.field("www-authenticate").is_some(), status == 401, "{answer:?}");
}

#[test]
fn a_session_is_begun_read_used_and_ended() {
    let rig = rig(&hour());
    let answer = call_json(rig.public(), "POST", SESSION, "", &format!(r#"{{"token":"{ANN}"}}"#));
    check(&answer, 200, r#"{"customer":"ann","expires_at":"20"#);
    let cookie = answer.field("set-cookie").expect("a cookie");
    assert!(cookie.starts_with("onrush_session="), "{cookie}");
    assert!(cookie.ends_with("; Max-Age=3600; Path=/; HttpOnly; SameSite=Lax"), "{cookie}");

    let cookie = begin(&rig, ANN);
    check(&call(&rig, "GET", SESSION, &cookie), 200, r#"{"customer":"ann","expires_at":"20"#);
    check(&reserve(&rig, &cookie, None), 201, r#""customer":"ann""#);
    check(&reserve(&rig, &cookie, Some("ann")), 201, r#""customer":"ann""#);
    check(&reserve(&rig, &cookie, Some("bob")), 403, "customer_mismatch");
    let ended = call(&rig, "DELETE", SESSION, &cookie);
    assert_eq!(ended.status, 204);
    let forgotten = ended.field("set-cookie").expect("a cookie");
    assert!(forgotten.starts_with("onrush_session=; Max-Age=0; Path=/"), "{forgotten}");
    assert_eq!(rig.metric(r#"onrush_session_decisions_total{check="session",code="begun"}"#), 2);
    assert_eq!(rig.metric(r#"onrush_session_decisions_total{check="session",code="customer_mismatch"}"#), 2);
}

#[test]
fn a_token_may_come_as_a_bearer_token_and_has_to_be_good_then() {
    let rig = rig(&hour());
    let session = begin(&rig, BOB);
    let session = session.trim_end().rsplit_once('=').unwrap().1.to_owned();
    for (token, customer) in [(ANN, "ann"), (&session, "bob")] {
        let fields = format!("authorization: bearer {token}\r\n");
        check(&reserve(&rig, &fields, None), 201, &format!(r#""customer":"{customer}""#));
        check(&call(&rig, "GET", SESSION, &fields), 200, customer);
    }
    let forged = format!("{ANN}A");
    for (token, code) in [
        ("nonsense", "invalid_credentials"),
        (&*forged, "invalid_credentials"),
        (&session[..session.len() - 1], "invalid_credentials"),
        (OLD, "session_expired"),
    ] {
        let fields = format!("Authorization: Bearer {token}\r\n");
        check(&reserve(&rig, &fields, Some("ann")), 401, code);
        check(&call(&rig, "GET", SESSION, &fields), 401, code);
    }
    // What is no bearer token is somebody else's.
    check(&reserve(&rig, "Authorization: Basic YTpi\r\n", Some("ann")), 201, "ann");
}

#[test]
fn a_cookie_that_is_none_of_ours_changes_nothing() {
    let rig = rig(&hour());
    for cookie in
        ["", "Cookie: onrush_session=garbage\r\n", "Cookie: ;;=\r\n", "Cookie: __Host-onrush_session=x\r\n"]
    {
        check(&reserve(&rig, cookie, Some("ann")), 201, r#""customer":"ann""#);
        check(&reserve(&rig, cookie, None), 401, "session_required");
        check(&call(&rig, "GET", SESSION, cookie), 401, "session_required");
        check(&call(&rig, "DELETE", SESSION, cookie), 401, "session_required");
        check(&call(&rig, "GET", "/v1/sales/s", cookie), 200, "unit");
        check(&call(&rig, "POST", "/v1/counters/c", cookie), 200, "c");
    }
}

#[test]
fn a_session_that_has_expired_says_so() {
    let rig = rig(&sessions(1, false));
    let cookie = begin(&rig, ANN);
    rig.wait_until("the session has expired", |rig| call(rig, "GET", SESSION, &cookie).status == 401);
    check(&call(&rig, "GET", SESSION, &cookie), 401, "session_expired");
    rig.wait_until("every thread knows the time", |rig| reserve_hot(rig, &cookie).status == 401);
    check(&reserve_hot(&rig, &cookie), 401, "session_expired");
}

/// Where a sale takes a session, too, whether the request names its customer or not.
#[test]
fn a_sale_that_takes_a_session_tells_one_that_has_expired_from_none() {
    let rig = rig(&sessions(1, false));
    let body = r#"{"gate":{"session":"required"},"stocks":[{"stock":"unit","quantity_total":9}]}"#;
    assert_eq!(call_json(rig.operator(), "PUT", "/v1/sales/q", "", body).status, 201);
    let cookie = begin(&rig, ANN);
    rig.wait_until("the session has expired", |rig| call(rig, "GET", SESSION, &cookie).status == 401);
    rig.wait_until("every thread knows the time", |rig| reserve_hot(rig, &cookie).status == 401);
    let claim = r#"{"customer":"ann","lines":[{"stock":"unit","quantity":1}]}"#;
    for (fields, code) in [(cookie.as_str(), "session_expired"), ("", "session_required")] {
        for target in ["/v1/sales/q/reservations", "/v1/sales/%71/reservations"] {
            check(&call_json(rig.public(), "POST", target, fields, claim), 401, code);
        }
        check(&call(&rig, "GET", "/v1/sales/q/customers/ann/reservations", fields), 401, code);
    }
    let ended = call(&rig, "DELETE", SESSION, &cookie);
    assert_eq!(ended.status, 204, "{ended:?}");
    assert!(ended.field("set-cookie").is_some_and(|cookie| cookie.contains("Max-Age=0")), "{ended:?}");
}

#[test]
fn the_session_of_a_denied_customer_is_good_for_nothing() {
    let rig = rig(&hour());
    let (ann, bob) = (begin(&rig, ANN), begin(&rig, BOB));
    let made = reserve(&rig, &ann, None);
    let id = made.body.split('"').nth(3).expect("an id").to_owned();
    assert_eq!(call_json(rig.operator(), "PUT", "/v1/denylist/customer/ann", "", "{}").status, 201);
    let of_reservation = format!("/v1/sales/s/reservations/{id}");
    let token = format!("Authorization: Bearer {ANN}\r\n");
    for fields in [&ann, &token] {
        for (method, target) in [
            ("GET", SESSION),
            ("GET", of_reservation.as_str()),
            ("POST", &format!("{of_reservation}/release")),
            ("POST", &format!("{of_reservation}/confirm")),
            ("GET", "/v1/sales/s/customers/ann/reservations"),
        ] {
            check(&call(&rig, method, target, fields), 403, "denied");
        }
        // Before anything that the body says.
        check(&reserve(&rig, fields, Some("bob")), 403, "denied");
    }
    check(&call_json(rig.public(), "POST", SESSION, "", &format!(r#"{{"token":"{ANN}"}}"#)), 403, "denied");
    check(&call(&rig, "GET", SESSION, &bob), 200, "bob");
    check(&call(&rig, "DELETE", SESSION, &ann), 204, "");
    // The shop decides what becomes of what the customer has.
    check(&call(&rig, "GET", &of_reservation, ""), 200, "confirmed");
    assert_eq!(call_json(rig.operator(), "DELETE", "/v1/denylist/customer/ann", "", "").status, 204);
    check(&call(&rig, "GET", SESSION, &ann), 200, "ann");
}

fn reserve_hot(rig: &Rig, fields: &str) -> Answer {
    call_json(rig.public(), "POST", RESERVE, fields, r#"{"lines":[{"stock":"unit","quantity":1}]}"#)
}

#[test]
fn a_page_of_another_site_cannot_use_a_session() {
    let rig = rig(&hour());
    let cookie = begin(&rig, ANN);
    for site in [
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Origin: https://evil.example\r\n",
        "Origin: null\r\n",
        "Origin: http://localhost:81\r\n",
        "Sec-Fetch-Site: cross-site\r\nOrigin: http://localhost\r\n",
    ] {
        let fields = format!("{cookie}{site}");
        check(&reserve(&rig, &fields, None), 403, "cross_site");
        check(&call(&rig, "DELETE", SESSION, &fields), 403, "cross_site");
        check(&call(&rig, "GET", SESSION, &fields), 200, "ann");
        let body = format!(r#"{{"token":"{BOB}"}}"#);
        check(&call_json(rig.public(), "POST", SESSION, site, &body), 403, "cross_site");
        // Without a session of ours there is nothing to use.
        check(&reserve(&rig, site, Some("ann")), 201, "ann");
        check(&reserve(&rig, &format!("Authorization: Bearer {ANN}\r\n{site}"), None), 201, "ann");
    }
    for site in
        ["Sec-Fetch-Site: same-origin\r\n", "Sec-Fetch-Site: none\r\n", "Origin: http://localhost\r\n"]
    {
        check(&reserve(&rig, &format!("{cookie}{site}"), None), 201, "ann");
    }
}

#[test]
fn a_secure_cookie_has_a_name_that_only_this_host_can_set() {
    let rig = rig(&sessions(60_000, true));
    let answer = call_json(rig.public(), "POST", SESSION, "", &format!(r#"{{"token":"{ANN}"}}"#));
    let cookie = answer.field("set-cookie").expect("a cookie");
    assert!(cookie.starts_with("__Host-onrush_session="), "{cookie}");
    assert!(cookie.ends_with("; Max-Age=60; Path=/; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
    check(&call(&rig, "GET", SESSION, &begin(&rig, ANN)), 200, "ann");
}

#[test]
fn tokens_and_bodies_that_begin_no_session() {
    let rig = rig(&hour());
    for (body, status, code) in [
        (format!(r#"{{"token":"{OLD}"}}"#), 401, "invalid_credentials"),
        (format!(r#"{{"token":"{ANN}x"}}"#), 401, "invalid_credentials"),
        (r#"{"token":""}"#.to_owned(), 401, "invalid_credentials"),
        (format!(r#"{{"token":"{}"}}"#, "a.".repeat(4_000)), 401, "invalid_credentials"),
        (r#"{"token":7}"#.to_owned(), 400, "invalid_request"),
        (r#"{"token":"a","more":1}"#.to_owned(), 400, "more"),
        ("{}".to_owned(), 400, "token"),
        (String::new(), 400, "body"),
    ] {
        let answer = call_json(rig.public(), "POST", SESSION, "", &body);
        check(&answer, status, code);
        assert_eq!(answer.field("set-cookie"), None);
    }
}

#[test]
fn new_keys_count_at_once_and_older_ones_as_long_as_they_are_kept() {
    let sessions = hour();
    let rig = rig(&sessions);
    let cookie = begin(&rig, ANN);
    let newer = SessionKey::new(KeyId(9), Cipher::Aes128Gcm, &[9; 16], 1).unwrap();
    sessions.set_keys(keys(1).rotated(newer).unwrap());
    check(&call(&rig, "GET", SESSION, &cookie), 200, "ann");
    check(&call(&rig, "GET", SESSION, &begin(&rig, BOB)), 200, "bob");
    sessions.set_keys(keys(2));
    check(&call(&rig, "GET", SESSION, &cookie), 401, "session_required");
    check(&reserve(&rig, &cookie, Some("bob")), 201, "bob");
}

#[test]
fn while_sessions_are_off_everything_is_as_it_was() {
    let rig = Rig::start(settings());
    rig.put_sale("s");
    for method in ["GET", "DELETE"] {
        check(&call(&rig, method, SESSION, ""), 404, "gate.jwt_key_file");
    }
    check(&call_json(rig.public(), "POST", SESSION, "", "{}"), 404, "gate.jwt_key_file");
    check(
        &reserve(&rig, "Authorization: Bearer x\r\nSec-Fetch-Site: cross-site\r\n", Some("ann")),
        201,
        "ann",
    );
    check(&reserve(&rig, "", None), 400, r#""field":"customer""#);
}

#[test]
fn a_session_is_one_over_http2_as_well() {
    let rig = rig(&hour());
    let cookie = begin(&rig, ANN);
    let cookie = cookie.trim_end().strip_prefix("Cookie: ").unwrap();
    let post = |site: &str| {
        let request = http::Request::post(format!("http://localhost{RESERVE}"));
        let request = request.header("content-type", "application/json").header("cookie", cookie);
        let request = request.header("sec-fetch-site", site).body(()).unwrap();
        call_http2(rig.public(), request, br#"{"lines":[{"stock":"unit","quantity":1}]}"#)
    };
    check(&post("same-origin"), 201, r#""customer":"ann""#);
    check(&post("cross-site"), 403, "cross_site");
}

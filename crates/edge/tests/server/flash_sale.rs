//! The flash sale over a real partition: its page, its form and `/check`, in good and hostile hands.

use std::sync::Arc;

use onrush_edge::{Components, GateSettings, Scenarios, SessionSettings, Sessions, Settings};
use onrush_gate::jwt::{JwtKeys, JwtRules};
use onrush_gate::session::{Cipher, KeyId, SessionKey, SessionKeys};
use onrush_gate::{GroupRates, RateLimitSettings};

use crate::support::{Answer, Http1, Rig, call_json, settings};

/// A secret of HS256, and tokens under it: of ann and of bob until the year 2100.
const SECRET: &str = r#"{"kty":"oct","k":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"}"#;
pub(crate) const ANN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.UCbIWVrSlZEWDk-CJI4sPUofrLV853K_rm41b9p3ors";
pub(crate) const BOB: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJib2IiLCJleHAiOjQxMDI0NDQ4MDB9.uIB_8i8CmfaepWv2DedgnWls5H8hFESo2jcjhBds8ng";

const PAGE: &str = "/product/detail?productID=1";
pub(crate) const CHECK: &str = "/check?productID=1";
/// What no text of a page may become.
const HOSTILE: &str = r#"<script>alert('1')</script>\"&"#;

pub(crate) fn with_sessions() -> Components {
    let key = SessionKey::new(KeyId(1), Cipher::default(), &[1; 32], 0).expect("a key");
    let jwt_rules = JwtRules { issuer: None, audience: None, customer_claim: "sub".into(), clock_skew_ms: 0 };
    let settings = SessionSettings { ttl_ms: 3_600_000, secure_cookies: false, jwt_rules };
    let jwt_keys = JwtKeys::parse(SECRET).expect("a key");
    let sessions = Sessions::new(settings, SessionKeys::one(key), jwt_keys);
    Components { sessions: Some(Arc::new(sessions)), ..Components::default() }
}

pub(crate) fn with_flash_sale() -> Settings {
    Settings { scenarios: Scenarios { flash_sale: true, ..Scenarios::default() }, ..settings() }
}

/// A shop whose sale has these terms beside one product.
pub(crate) fn shop(terms: &str, quantity: u32) -> Rig {
    let rig = Rig::start_with(with_flash_sale(), with_sessions());
    let stocks = format!(r#"[{{"stock":"1","title":"{HOSTILE}","quantity_total":{quantity}}}]"#);
    let body = format!(r#"{{{terms}"stocks":{stocks}}}"#);
    assert_eq!(call_json(rig.operator(), "PUT", "/v1/sales/flash", "", &body).status, 201);
    rig
}

/// The cookie of a session as a whole header line.
pub(crate) fn log_in(rig: &Rig, token: &str) -> String {
    let answer = call_json(rig.public(), "POST", "/v1/session", "", &format!(r#"{{"token":"{token}"}}"#));
    let cookie = answer.field("set-cookie").and_then(|cookie| cookie.split(';').next());
    format!("Cookie: {}\r\n", cookie.expect("a session"))
}

pub(crate) fn get(rig: &Rig, target: &str, fields: &str) -> Answer {
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
    Http1::connect(rig.public()).call(request.as_bytes()).expect("an answer")
}

pub(crate) fn post_form(rig: &Rig, target: &str, fields: &str, body: &str) -> Answer {
    let length = body.len();
    let form = "Content-Type: application/x-www-form-urlencoded";
    let request = format!(
        "POST {target} HTTP/1.1\r\nHost: localhost\r\n{fields}{form}\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    Http1::connect(rig.public()).call(request.as_bytes()).expect("an answer")
}

/// The key that the form of a page has.
fn key_of(page: &Answer) -> String {
    let (_, rest) = page.body.split_once("name=\"key\" value=\"").expect("a form");
    rest.split_once('"').expect("a value").0.to_owned()
}

/// How many units are taken.
fn taken(rig: &Rig) -> u64 {
    let sale: serde_json::Value =
        serde_json::from_str(&get(rig, "/v1/sales/flash", "").body).expect("a sale");
    let of = |field: &str| sale["stocks"][0][field].as_u64().expect("a number");
    of("quantity_held") + of("quantity_confirmed")
}

#[test]
fn a_page_is_there_for_everybody_and_lets_nothing_in() {
    let rig = shop("", 3);
    let page = get(&rig, PAGE, "");
    assert_eq!(page.status, 200, "{page:?}");
    assert!(
        page.body.contains("&#60;script&#62;alert(&#39;1&#39;)") && !page.body.contains("<script>"),
        "{page:?}"
    );
    assert!(page.body.contains("3 left") && !page.body.contains("name=\"key\""), "{page:?}");
    for (field, words) in [
        ("content-security-policy", "default-src 'none'; style-src 'self'; script-src 'self'"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("x-frame-options", "DENY"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cache-control", "public, max-age=1"),
        ("vary", "Cookie"),
        ("content-type", "text/html; charset=utf-8"),
    ] {
        assert!(page.field(field).is_some_and(|value| value.starts_with(words)), "{field}: {page:?}");
    }
    assert!(!page.body.contains(" style=") && !page.body.contains(" onclick="), "{page:?}");
    // All that it loads is here, and may be kept.
    let loaded: Vec<&str> = page.body.split('"').filter(|text| text.starts_with("/pages/")).collect();
    assert_eq!(loaded.len(), 3, "{page:?}");
    for path in loaded {
        let file = get(&rig, path, "");
        assert_eq!(file.status, 200, "{path}");
        assert_eq!(file.field("cache-control"), Some("public, max-age=31536000, immutable"), "{path}");
    }
    let personal = get(&rig, PAGE, &log_in(&rig, ANN));
    assert_eq!(personal.field("cache-control"), Some("no-store"));
    assert!(personal.body.contains("<strong>ann</strong>"), "{personal:?}");
}

#[test]
fn pages_that_cannot_be_shown_say_why() {
    let rig = shop("", 3);
    for (target, status, words) in [
        ("/product/detail", 400, "`productID` is missing"),
        ("/product/detail?productID=01x", 400, "must be a whole number"),
        ("/product/detail?productID=0", 400, "must be a whole number"),
        ("/product/detail?productID=1&x=%3Cb%3E", 400, "`x` is not a query parameter"),
        ("/product/detail?%3Cscript%3E=1", 400, "`&#60;script&#62;` is not a query parameter"),
        ("/product/detail?productID=2", 404, "There is no such page or product"),
    ] {
        let page = get(&rig, target, "");
        assert_eq!(page.status, status, "{target}: {page:?}");
        assert!(page.body.contains(words), "{target}: {page:?}");
        assert_eq!(page.field("cache-control"), Some("no-store"), "{target}");
    }
    // What sold without asking for stock is no path here.
    for target in
        ["/product/order?productID=1", "/product/generate/html?productID=1", "/html/htmlProduct.html"]
    {
        assert_eq!(get(&rig, target, &log_in(&rig, ANN)).status, 404, "{target}");
    }
    assert_eq!(taken(&rig), 0);
}

#[test]
fn a_form_buys_once_however_often_it_is_sent() {
    let rig = shop(r#""per_customer_max":2,"#, 3);
    let ann = log_in(&rig, ANN);
    let form = format!("productID=1&key={}", key_of(&get(&rig, PAGE, &ann)));
    for _ in 0..3 {
        let bought = post_form(&rig, "/product/buy", &ann, &form);
        assert_eq!((bought.status, bought.field("location")), (303, Some(PAGE)), "{bought:?}");
    }
    assert_eq!(taken(&rig), 1);
    let page = get(&rig, PAGE, &ann);
    assert!(page.body.contains("You have it") && page.body.contains("2 left"), "{page:?}");
    let again = format!("productID=1&key={}", key_of(&page));
    assert_eq!(post_form(&rig, "/product/buy", &ann, &again).status, 303);
    let page = get(&rig, PAGE, &ann);
    assert!(
        page.body.contains("as many as the sale allows") && !page.body.contains("name=\"key\""),
        "{page:?}"
    );
    let more = post_form(&rig, "/product/buy", &ann, "productID=1&key=more");
    assert_eq!(more.status, 409);
    assert!(more.body.contains("as many as the sale allows. Nothing was bought."), "{more:?}");
    // A key is of the customer who used it.
    let bob = log_in(&rig, BOB);
    assert_eq!(post_form(&rig, "/product/buy", &bob, &form).status, 422);
    assert_eq!(taken(&rig), 2);
}

#[test]
fn a_form_that_buys_nothing_says_why() {
    let rig = shop(r#""gate":{"cooldown_ms":60000},"#, 2);
    let (ann, bob) = (log_in(&rig, ANN), log_in(&rig, BOB));
    let buy = |fields: &str, body: &str| post_form(&rig, "/product/buy", fields, body);
    for (fields, body, status, words) in [
        ("", "productID=1&key=a", 401, "Log in first"),
        (&*ann, "productID=1", 400, "`key` is missing"),
        (&*ann, "productID=1&key=", 400, "must be 1 to 128 printable"),
        (&*ann, "productID=1&key=a&key=b", 400, "is given twice"),
        (&*ann, "productID=one&key=a", 400, "must be a whole number"),
        (&*ann, "productID=7&key=a", 404, "no such page or product"),
        (&*ann, "productID=1&key=a&%3Cb%3E=1", 400, "`&#60;b&#62;` is not a known field"),
    ] {
        let answer = buy(fields, body);
        assert_eq!(answer.status, status, "{body}: {answer:?}");
        assert!(answer.body.contains(words), "{body}: {answer:?}");
    }
    for site in
        ["Sec-Fetch-Site: cross-site\r\n", "Sec-Fetch-Site: same-site\r\n", "Origin: http://evil.example\r\n"]
    {
        let refused = buy(&format!("{ann}{site}"), "productID=1&key=a");
        assert_eq!(refused.status, 403, "{site}: {refused:?}");
        assert!(refused.body.contains("Another site made this request"), "{refused:?}");
    }
    assert_eq!(call_json(rig.public(), "POST", "/product/buy", &ann, "{}").status, 415);
    assert_eq!(taken(&rig), 0);
    assert_eq!(buy(&format!("{ann}Sec-Fetch-Site: same-origin\r\n"), "productID=1&key=a").status, 303);
    let soon = buy(&ann, "productID=1&key=b");
    assert_eq!(soon.status, 429);
    assert!(soon.field("retry-after").is_some() && soon.body.contains("data-wait-s=\"60\""), "{soon:?}");
    assert_eq!(buy(&bob, "productID=1&key=c").status, 303);
    assert!(get(&rig, PAGE, "").body.contains("Sold out"));
}

#[test]
fn check_says_true_once_and_false_with_the_reason() {
    let rig = shop(r#""per_customer_max":1,"#, 1);
    let (ann, bob) = (log_in(&rig, ANN), log_in(&rig, BOB));
    let check = |fields: &str| {
        let answer = get(&rig, CHECK, fields);
        (answer.status, answer.body.clone(), answer.field("onrush-refusal").map(str::to_owned))
    };
    let no = |status: u16, code: &str| (status, "false".to_owned(), Some(code.to_owned()));
    assert_eq!(check(""), no(401, "session_required"));
    assert_eq!(check("Cookie: uid=1; sign=AAAA\r\n"), no(401, "session_required"));
    for hostile in [
        "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n",
        "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n",
        "Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: cors\r\n",
        "Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\n",
        "Accept: text/html,application/xhtml+xml\r\n",
        "Origin: http://evil.example\r\n",
    ] {
        assert_eq!(check(&format!("{ann}{hostile}")), no(403, "cross_site"), "{hostile}");
    }
    assert_eq!(get(&rig, "/check", &ann).field("onrush-refusal"), Some("invalid_request"));
    assert_eq!(get(&rig, "/check?productID=7", &ann).field("onrush-refusal"), Some("stock_not_found"));
    assert_eq!(get(&rig, "/check?productID=1&x=1", &ann).status, 400);
    let head = format!("HEAD {CHECK} HTTP/1.1\r\nHost: localhost\r\n{ann}\r\n");
    assert_eq!(Http1::connect(rig.public()).call(head.as_bytes()).expect("an answer").status, 405);
    assert_eq!(taken(&rig), 0);
    assert_eq!(get(&rig, "/checkRight", &ann).body, "true");
    assert_eq!(get(&rig, "/checkRight", "").field("onrush-refusal"), Some("session_required"));
    assert_eq!(
        check(&format!("{ann}Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n")),
        (200, "true".into(), None)
    );
    assert_eq!(check(&ann), no(409, "customer_limit_reached"));
    assert_eq!(check(&bob), no(409, "insufficient_stock"));
    let by_token = get(&rig, CHECK, &format!("Authorization: Bearer {BOB}\r\n"));
    assert_eq!(by_token.status, 409);
    assert_eq!(taken(&rig), 1);
}

#[test]
fn a_crowd_buys_what_there_is() {
    let rig = shop("", 10);
    let ann = log_in(&rig, ANN);
    let request = format!("GET {CHECK} HTTP/1.1\r\nHost: localhost\r\n{ann}\r\n");
    let bought: usize = std::thread::scope(|scope| {
        let buyers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = Http1::connect(rig.public());
                    let answers = (0..10).map(|_| client.call(request.as_bytes()).expect("an answer"));
                    answers.filter(|answer| answer.status == 200 && answer.body == "true").count()
                })
            })
            .collect();
        buyers.into_iter().map(|buyer| buyer.join().expect("a buyer")).sum()
    });
    assert_eq!((bought, taken(&rig)), (10, 10));
}

#[test]
fn before_it_opens_and_after_it_ended_a_page_says_so() {
    let rig = shop(r#""opens_at":"2100-01-01T00:00:00Z","#, 1);
    let ann = log_in(&rig, ANN);
    let page = get(&rig, PAGE, &ann);
    assert!(page.body.contains("2100-01-01 00:00:00 UTC") && page.body.contains(" disabled>Buy"), "{page:?}");
    assert_eq!(get(&rig, CHECK, &ann).field("onrush-refusal"), Some("sale_not_open"));
    let rig = shop(r#""closes_at":"2001-01-01T00:00:00Z","#, 1);
    let page = get(&rig, PAGE, &log_in(&rig, ANN));
    assert!(page.body.contains("The sale has ended.") && !page.body.contains("id=\"buy\""), "{page:?}");
}

#[test]
fn a_customer_logs_out_and_no_other_site_does_that() {
    let rig = shop("", 1);
    let ann = log_in(&rig, ANN);
    assert_eq!(
        post_form(&rig, "/user/logout", &format!("{ann}Sec-Fetch-Site: cross-site\r\n"), "").status,
        403
    );
    let ended = post_form(&rig, "/user/logout", &ann, "");
    assert_eq!((ended.status, ended.field("location")), (303, Some(PAGE)), "{ended:?}");
    let cookie = ended.field("set-cookie").expect("a cookie");
    assert!(cookie.starts_with("onrush_session=; Max-Age=0;"), "{cookie}");
}

#[test]
fn without_sessions_nobody_buys() {
    let rig = Rig::start(with_flash_sale());
    let body = r#"{"stocks":[{"stock":"1","quantity_total":1}]}"#;
    assert_eq!(call_json(rig.operator(), "PUT", "/v1/sales/flash", "", body).status, 201);
    assert!(get(&rig, PAGE, "").body.contains("Log in at the shop to buy."));
    let answer = get(&rig, CHECK, "");
    assert_eq!((answer.status, answer.field("onrush-refusal")), (404, Some("not_found")));
}

/// `/check` says `false` whoever refuses: the limits and the denylist are asked before it is looked at.
#[test]
fn what_the_gate_refuses_of_check_is_false_too() {
    let reserve = GroupRates { address: "1/s burst 2".parse().ok(), ..GroupRates::default() };
    let rate_limits = RateLimitSettings { keys_max: 100, reserve, ..RateLimitSettings::default() };
    let gate = GateSettings { rate_limits, ..GateSettings::default() };
    let rig = Rig::start_with(Settings { gate, ..with_flash_sale() }, with_sessions());
    let said = |status: u16, code: &str| {
        let answer = get(&rig, CHECK, "");
        assert_eq!((answer.status, answer.body.as_str()), (status, "false"), "{answer:?}");
        assert_eq!(answer.field("onrush-refusal"), Some(code), "{answer:?}");
        answer
    };
    said(401, "session_required");
    let denial = r#"{"reason":"a test"}"#;
    let denied = call_json(rig.operator(), "PUT", "/v1/denylist/address/127.0.0.1", "", denial);
    assert_eq!(denied.status, 201, "{denied:?}");
    said(403, "denied");
    assert!(said(429, "rate_limited").field("retry-after").is_some());
}

/// Whoever looks at a page reads a page, whoever refuses it.
#[test]
fn what_the_gate_refuses_of_a_page_is_a_page() {
    let once = GroupRates { address: "1/m burst 1".parse().ok(), ..GroupRates::default() };
    let rate_limits = RateLimitSettings { keys_max: 100, pages: once, ..RateLimitSettings::default() };
    let gate = GateSettings { rate_limits, ..GateSettings::default() };
    let rig = Rig::start_with(Settings { gate, ..with_flash_sale() }, with_sessions());
    let said = |path: &str, status: u16, text: &str| {
        let answer = get(&rig, path, "");
        assert_eq!((answer.status, answer.field("content-type")), (status, Some("text/html; charset=utf-8")));
        assert!(answer.body.contains(text), "{answer:?}");
        assert!(answer.body.starts_with("<!doctype html>") && answer.body.ends_with("</html>"), "{answer:?}");
        for field in ["content-security-policy", "x-frame-options"] {
            assert!(answer.field(field).is_some(), "{field}: {answer:?}");
        }
        assert_eq!(answer.field("cache-control"), Some("no-store"));
        answer
    };
    assert_eq!(get(&rig, "/v1/counters/x", "").status, 404);
    let limited = said(PAGE, 429, "Too many requests came from you.");
    assert!(limited.field("retry-after").is_some() && limited.field("ratelimit").is_some(), "{limited:?}");
    said("/user/login", 429, "Too many requests came from you.");
    let for_programs = get(&rig, "/v1/counters/x", "");
    assert_eq!(for_programs.field("content-type"), Some("application/problem+json"));

    let rig = Rig::start_with(with_flash_sale(), with_sessions());
    let denied = call_json(rig.operator(), "PUT", "/v1/denylist/address/127.0.0.1", "", "{}");
    assert_eq!(denied.status, 201, "{denied:?}");
    for path in [PAGE, "/user/register"] {
        let answer = get(&rig, path, "");
        assert_eq!((answer.status, answer.field("content-type")), (403, Some("text/html; charset=utf-8")));
        assert!(answer.body.contains("The shop does not serve you."), "{answer:?}");
    }
    let answer = get(&rig, "/checkRight", "");
    assert_eq!((answer.body.as_str(), answer.field("onrush-refusal")), ("false", Some("denied")));
}

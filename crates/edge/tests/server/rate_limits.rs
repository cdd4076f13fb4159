//! How often may be asked, over both protocols and both ways to an answer. Rates are so low that no test lasts long enough
//! for another request.

use onrush_edge::{Components, GateSettings};
use onrush_gate::{Algorithm, ForwardedField, GroupRates, RateLimitSettings};

use crate::said::said;
use crate::sessions::{ANN, begin, hour};
use crate::support::{Answer, Http1, Rig, Settings, call_http2, call_json, settings};

const RESERVE: &str = "/v1/sales/s/reservations";
/// The router has to answer this one.
const RESERVE_ROUTED: &str = "/v1/sales/%73/reservations";

fn rig(gate: GateSettings) -> Rig {
    let rig = Rig::start(Settings { gate, ..settings() });
    rig.put_sale("s");
    rig
}

fn limited(reserve: GroupRates, pages: GroupRates) -> GateSettings {
    let rate_limits = RateLimitSettings { algorithm: Algorithm::Bucket, keys_max: 100, reserve, pages };
    GateSettings { rate_limits, ..GateSettings::default() }
}

fn of_address(rate: &str) -> GroupRates {
    GroupRates { address: rate.parse().ok(), ..GroupRates::default() }
}

fn reserve(rig: &Rig, target: &str, fields: &str, customer: &str) -> Answer {
    let body = format!(r#"{{"customer":"{customer}","lines":[{{"stock":"unit","quantity":1}}]}}"#);
    call_json(rig.public(), "POST", target, fields, &body)
}

fn reserve_by_http2(rig: &Rig, target: &str, customer: &str) -> Answer {
    let body = format!(r#"{{"customer":"{customer}","lines":[{{"stock":"unit","quantity":1}}]}}"#);
    let uri = format!("http://localhost{target}");
    let request = http::Request::post(uri).header("content-type", "application/json").body(()).unwrap();
    call_http2(rig.public(), request, body.as_bytes())
}

fn get(rig: &Rig, target: &str) -> Answer {
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    Http1::connect(rig.public()).call(request.as_bytes()).expect("an answer")
}

/// `limit` is the field as it is when no time has passed since the first request.
#[track_caller]
fn check(answer: &Answer, status: u16, policy: &str, limit: &str) {
    assert_eq!((answer.status, answer.field("ratelimit-policy")), (status, Some(policy)), "{answer:?}");
    let (expected, longest) = limit.split_once(";t=").expect("a time");
    let (limit, seconds) =
        answer.field("ratelimit").and_then(|limit| limit.split_once(";t=")).expect("a time");
    let (longest, seconds): (u64, u64) = (longest.parse().unwrap(), seconds.parse().unwrap());
    assert_eq!(limit, expected, "{answer:?}");
    assert!((longest - 30..=longest).contains(&seconds), "{answer:?}");
    assert_eq!(answer.field("retry-after").is_some(), status == 429, "{answer:?}");
}

#[test]
fn an_answer_says_how_the_limit_stands_and_a_refusal_when_to_come_back() {
    let rig = rig(limited(of_address("1/m burst 4"), GroupRates::default()));
    let policy = "\"address\";q=4;w=240";
    check(&reserve(&rig, RESERVE, "", "a"), 201, policy, "\"address\";r=3;t=60");
    check(&reserve(&rig, RESERVE_ROUTED, "", "b"), 201, policy, "\"address\";r=2;t=120");
    check(&reserve_by_http2(&rig, RESERVE, "c"), 201, policy, "\"address\";r=1;t=180");
    check(&reserve_by_http2(&rig, RESERVE_ROUTED, "d"), 201, policy, "\"address\";r=0;t=240");
    for answer in [
        reserve(&rig, RESERVE, "", "e"),
        reserve(&rig, RESERVE_ROUTED, "", "e"),
        reserve(&rig, "/v1/sales/s/reservations?x=1", "", "e"),
        reserve_by_http2(&rig, RESERVE, "e"),
        reserve_by_http2(&rig, RESERVE_ROUTED, "e"),
    ] {
        check(&answer, 429, policy, "\"address\";r=0;t=240");
        assert!(answer.body.contains(r#""code":"rate_limited""#), "{answer:?}");
        assert!(answer.body.contains(r#""limit":"address""#), "{answer:?}");
        let seconds: u64 = answer.field("retry-after").unwrap().parse().unwrap();
        assert!((30..=90).contains(&seconds), "{answer:?}");
    }
    let page = get(&rig, "/v1/sales/s");
    assert_eq!((page.status, page.field("ratelimit"), page.field("ratelimit-policy")), (200, None, None));
    assert!(page.body.contains(r#""quantity_held":4"#) || page.body.contains(r#""quantity_confirmed":4"#));
    let labels = r#"routes="reserve",limit="address""#;
    for (code, decision, count) in [("none", "admitted", 4), ("rate_limited", "refused", 5)] {
        let labels = format!(r#"check="rate_limits",code="{code}",{labels},decision="{decision}""#);
        assert_eq!(rig.metric(&format!("onrush_rate_limit_decisions_total{{{labels}}}")), count);
    }
    assert_eq!(rig.metric(&format!("onrush_rate_limit_keys{{{labels}}}")), 1);
}

#[test]
fn a_request_that_fails_counts_as_well() {
    let rig = rig(limited(of_address("1/m burst 2"), of_address("1/m burst 2")));
    assert_eq!(call_json(rig.public(), "POST", RESERVE, "", "{").status, 400);
    assert_eq!(reserve(&rig, "/v1/sales/none/reservations", "", "a").status, 404);
    assert_eq!(reserve(&rig, RESERVE, "", "a").status, 429);
    assert_eq!((get(&rig, "/v1/none").status, get(&rig, "/docs").status), (404, 200));
    for target in ["/v1/none", "/docs", "/v1/sales", "/v1/counters/x"] {
        assert_eq!(get(&rig, target).status, 429, "{target}");
    }
    // Whoever watches the server is not told that it was asked too often, and the operator has no limits.
    said("GET", "/livez").check(rig.public(), 200, "live");
    said("GET", "/readyz").check(rig.public(), 200, "ready");
    for _ in 0..3 {
        said("GET", "/v1/sinks").host("localhost").check(rig.operator(), 200, "sinks");
    }
}

#[test]
fn a_customer_has_a_limit_of_their_own_and_nothing_else_is_taken_then() {
    let parse = |rate: &str| rate.parse().ok();
    let rates = GroupRates {
        address: parse("1/m burst 4"),
        route: parse("1/m burst 3"),
        customer: parse("1/m burst 1"),
    };
    let rig = rig(limited(rates, GroupRates::default()));
    let policy = "\"address\";q=4;w=240, \"route\";q=3;w=180, \"customer\";q=1;w=60";
    check(&reserve(&rig, RESERVE, "", "a"), 201, policy, "\"customer\";r=0;t=60");
    for _ in 0..3 {
        check(&reserve(&rig, RESERVE, "", "a"), 429, policy, "\"customer\";r=0;t=60");
        check(&reserve(&rig, RESERVE_ROUTED, "", "a"), 429, policy, "\"customer\";r=0;t=60");
    }
    check(&reserve(&rig, RESERVE_ROUTED, "", "b"), 201, policy, "\"customer\";r=0;t=60");
    check(&reserve_by_http2(&rig, RESERVE, "c"), 201, policy, "\"route\";r=0;t=180");
    let refused = reserve(&rig, RESERVE, "", "d");
    check(&refused, 429, policy, "\"route\";r=0;t=180");
    assert!(refused.body.contains(r#""limit":"route""#), "{refused:?}");
    let booked = r#"{"mysejahteraId":"e","location":"s","date":"20210516"}"#;
    assert_eq!(call_json(rig.public(), "POST", "/booking", "", booked).status, 429);
}

/// Whoever only knows a name cannot use up the limit of the customer who has it.
#[test]
fn without_a_session_nobody_takes_from_the_limit_of_a_customer_who_has_one() {
    let customer = GroupRates { customer: "1/m burst 2".parse().ok(), ..GroupRates::default() };
    let gate = limited(customer, GroupRates::default());
    let components = Components { sessions: Some(hour()), ..Components::default() };
    let rig = Rig::start_with(Settings { gate, ..settings() }, components);
    rig.put_sale("s");
    let cookie = begin(&rig, ANN);
    for target in [RESERVE, RESERVE_ROUTED] {
        assert_eq!(reserve(&rig, target, "", "ann").status, 201);
    }
    for target in [RESERVE, RESERVE_ROUTED] {
        assert_eq!(reserve(&rig, target, "", "ann").status, 429);
    }
    for (target, left) in [(RESERVE, "\"customer\";r=1"), (RESERVE_ROUTED, "\"customer\";r=0")] {
        let answer = reserve(&rig, target, &cookie, "ann");
        assert_eq!(answer.status, 201, "{answer:?}");
        assert!(answer.field("ratelimit").is_some_and(|limit| limit.starts_with(left)), "{answer:?}");
    }
    assert_eq!(reserve(&rig, RESERVE, &cookie, "ann").status, 429);
}

#[test]
fn without_a_trusted_proxy_nobody_can_say_who_they_are() {
    let rig = rig(limited(of_address("1/m burst 1"), GroupRates::default()));
    let forwarded =
        |number: u8| format!("X-Forwarded-For: 192.0.2.{number}\r\nForwarded: for=192.0.2.{number}\r\n");
    assert_eq!(reserve(&rig, RESERVE, &forwarded(1), "a").status, 201);
    assert_eq!(reserve(&rig, RESERVE, &forwarded(2), "b").status, 429);
}

#[test]
fn a_trusted_proxy_says_whom_it_was_asked_by() {
    for (field, name, prefix) in [
        (ForwardedField::XForwardedFor, "X-Forwarded-For", ""),
        (ForwardedField::Forwarded, "Forwarded", "for="),
    ] {
        let trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        let rates = limited(of_address("1/m burst 1"), GroupRates::default());
        let rig = rig(GateSettings { trusted_proxies, forwarded_field: field, ..rates });
        let status = |chain: &[&str]| {
            let chain: Vec<_> = chain.iter().map(|address| format!("{prefix}{address}")).collect();
            // The field of the other name, which a proxy passes on as it came, says nothing.
            let other = "X-Forwarded-For: 203.0.113.1\r\nForwarded: for=203.0.113.1\r\n";
            let other = other.split_inclusive('\n').filter(|line| !line.starts_with(&format!("{name}:")));
            let fields = format!("{name}: {}\r\n{}", chain.join(", "), other.collect::<String>());
            reserve(&rig, RESERVE, &fields, chain.join("-").replace(['=', '"'], "").as_str()).status
        };
        assert_eq!((status(&["192.0.2.1"]), status(&["192.0.2.1"])), (201, 429), "{name}");
        assert_eq!(status(&["192.0.2.2"]), 201, "{name}");
        assert_eq!(status(&["198.51.100.1", "192.0.2.2"]), 429, "a client's own invention");
        assert_eq!(status(&["192.0.2.3", "127.0.0.2"]), 201, "{name}");
        assert_eq!((status(&["unknown"]), status(&["unknown"])), (201, 429), "the proxy itself counts");
    }
}

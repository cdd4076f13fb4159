//! What the gate decides is counted by the check that decided and by the code of the answer.

use onrush_edge::{Components, GateSettings};
use onrush_gate::{GroupRates, RateLimitSettings};

use crate::sessions::hour;
use crate::support::{Rig, call_json, settings};

fn figure(rig: &Rig, family: &str, check: &str, code: &str, further: &str) -> u64 {
    rig.metric(&format!(r#"{family}{{check="{check}",code="{code}"{further}}}"#))
}

fn put_sale(rig: &Rig, terms: &str) {
    let stock = r#"{"stock":"unit","quantity_total":1}"#;
    let stocks = if terms.contains("stocks") { String::new() } else { format!(r#","stocks":[{stock}]"#) };
    let answer = call_json(rig.operator(), "PUT", "/v1/sales/s", "", &format!("{{{terms}{stocks}}}"));
    assert_eq!(answer.status, 201, "{terms}: {answer:?}");
}

/// Reserves a unit for a customer with a key, unless they are empty.
fn reserve(rig: &Rig, customer: &str, key: &str) -> u16 {
    let named = if customer.is_empty() { String::new() } else { format!(r#""customer":"{customer}","#) };
    let key = if key.is_empty() { String::new() } else { format!("Idempotency-Key: {key}\r\n") };
    let body = format!(r#"{{{named}"lines":[{{"stock":"unit","quantity":1}}]}}"#);
    call_json(rig.public(), "POST", "/v1/sales/s/reservations", &key, &body).status
}

#[test]
fn every_refusal_is_counted_by_its_check_and_its_code() {
    const REFUSALS: &str = "onrush_refusals_total";
    const SHADOW: &str = "onrush_shadow_refusals_total";
    const SESSIONS: &str = "onrush_session_decisions_total";
    let gate = |terms: &str| format!(r#""title":"","gate":{{{terms}}}"#);
    let titled = r#""title":"""#.to_owned();
    for (terms, asked, status, family, check, code) in [
        (titled.clone(), &[("", "")][..], 401, SESSIONS, "session", "session_required"),
        (gate(r#""session":"required""#), &[("ann", "")], 401, REFUSALS, "session", "session_required"),
        (titled.clone(), &[("ann", "k"), ("bob", "k")], 422, REFUSALS, "replay", "idempotency_key_reused"),
        (
            r#""opens_at":"2100-01-01T00:00:00Z""#.into(),
            &[("ann", "")],
            409,
            REFUSALS,
            "sale_open",
            "sale_not_open",
        ),
        (
            r#""closes_at":"2020-01-01T00:00:00Z""#.into(),
            &[("ann", "")],
            409,
            REFUSALS,
            "sale_open",
            "sale_closed",
        ),
        (
            gate(r#""cooldown_ms":60000"#),
            &[("ann", ""), ("ann", "")],
            429,
            REFUSALS,
            "cooldown",
            "cooling_down",
        ),
        (gate(r#""challenge":"image""#), &[("ann", "")], 403, REFUSALS, "challenge", "challenge_required"),
        (
            r#""stocks":[{"stock":"unit","quantity_total":1,"closes_at":"2020-01-01T00:00:00Z"}]"#.into(),
            &[("ann", "")],
            409,
            REFUSALS,
            "stock_open",
            "stock_closed",
        ),
        (
            r#""per_customer_max":1"#.into(),
            &[("ann", ""), ("ann", "")],
            409,
            REFUSALS,
            "customer_limit",
            "customer_limit_reached",
        ),
        (titled.clone(), &[("ann", ""), ("bob", "")], 409, REFUSALS, "stock", "insufficient_stock"),
        (
            gate(r#""session":"required","mode":"shadow""#),
            &[("ann", "")],
            201,
            SHADOW,
            "session",
            "session_required",
        ),
    ] {
        let components = Components { sessions: Some(hour()), ..Components::default() };
        let rig = Rig::start_with(settings(), components);
        put_sale(&rig, &terms);
        let statuses: Vec<_> = asked.iter().map(|(customer, key)| reserve(&rig, customer, key)).collect();
        assert_eq!(statuses.last(), Some(&status), "{terms}");
        assert_eq!(figure(&rig, family, check, code, ""), 1, "{terms}");
    }
}

#[test]
fn what_is_asked_before_any_sale_is_counted_alike() {
    let pages = GroupRates { address: Some("2/h burst 2".parse().unwrap()), ..GroupRates::default() };
    let rate_limits = RateLimitSettings { pages, ..RateLimitSettings::default() };
    let gate = GateSettings { rate_limits, ..GateSettings::default() };
    let rig = Rig::start(onrush_edge::Settings { gate, ..settings() });
    let get = || call_json(rig.public(), "GET", "/v1/sales", "", "").status;
    assert_eq!(get(), 200);
    assert_eq!(call_json(rig.operator(), "PUT", "/v1/denylist/address/127.0.0.1", "", "{}").status, 201);
    assert_eq!([get(), get()], [403, 429]);
    let labels = r#",routes="pages",limit="address",decision="#;
    let limits = |code, decision| {
        let further = format!("{labels}\"{decision}\"");
        figure(&rig, "onrush_rate_limit_decisions_total", "rate_limits", code, &further)
    };
    assert_eq!((limits("none", "admitted"), limits("rate_limited", "refused")), (2, 1));
    let denied =
        |kind| figure(&rig, "onrush_denied_total", "denylist", "denied", &format!(",kind=\"{kind}\""));
    assert_eq!((denied("address"), denied("customer")), (1, 0));
}

#[test]
fn who_may_confirm_is_a_check_of_its_own() {
    let rig = Rig::start(settings());
    put_sale(&rig, r#""hold_ttl_ms":60000,"gate":{"confirm_by":"operator"}"#);
    let claim = r#"{"customer":"ann","lines":[{"stock":"unit","quantity":1}]}"#;
    let answer = call_json(rig.public(), "POST", "/v1/sales/s/reservations", "", claim);
    let confirm = format!("{}/confirm", answer.field("location").expect("a reservation"));
    assert_eq!(call_json(rig.public(), "POST", &confirm, "", "").status, 403);
    assert_eq!(figure(&rig, "onrush_refusals_total", "confirm_by", "operator_only", ""), 1);
    assert_eq!(call_json(rig.public(), "GET", "/v1/sales/none", "", "").status, 404);
    assert_eq!(figure(&rig, "onrush_refusals_total", "none", "sale_not_found", ""), 1);
}

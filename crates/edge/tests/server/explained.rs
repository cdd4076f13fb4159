//! Explaining over a whole server: what is told is what happens, and asking takes nothing.

use onrush_edge::GateSettings;
use onrush_gate::{GroupRates, RateLimitSettings};
use serde_json::{Value, json};

use crate::support::{Http1, Rig, Settings, call_json, settings};

/// Each address may reserve four times.
fn rig() -> Rig {
    let reserve = GroupRates { address: Some("4/h burst 4".parse().unwrap()), ..GroupRates::default() };
    let rate_limits = RateLimitSettings { reserve, keys_max: 100, ..RateLimitSettings::default() };
    let gate = GateSettings { rate_limits, ..GateSettings::default() };
    Rig::start(Settings { gate, ..settings() })
}

fn explained(rig: &Rig, query: &str) -> Value {
    let request = format!("GET /v1/gate/explain?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = Http1::connect(rig.operator()).call(request.as_bytes()).expect("an answer");
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_str(&answer.body).expect("JSON")
}

/// The code of the first check that refuses.
fn first_refusal(explanation: &Value) -> Option<&str> {
    let checks = explanation["checks"].as_array().expect("checks");
    let refused = checks.iter().find(|check| check["verdict"] == "refused");
    assert_eq!(explanation["verdict"], if refused.is_some() { "refused" } else { "allowed" });
    refused.map(|check| check["code"].as_str().expect("a code"))
}

fn detail<'a>(explanation: &'a Value, check: &str) -> &'a str {
    let checks = explanation["checks"].as_array().expect("checks");
    let found = checks.iter().find(|one| one["check"] == check).expect("the check");
    found["detail"].as_str().expect("a sentence")
}

#[test]
fn what_is_explained_is_what_happens() {
    let rig = rig();
    let terms = json!({
        "per_customer_max": 1,
        "gate": {"cooldown_ms": 3_600_000},
        "stocks": [{"stock": "a", "quantity_total": 1}, {"stock": "b", "quantity_total": 1}],
    });
    let put = call_json(rig.operator(), "PUT", "/v1/sales/s", "", &terms.to_string());
    assert_eq!(put.status, 201, "{put:?}");
    let reserve = |customer: &str, stock: &str| {
        let body = json!({"customer": customer, "lines": [{"stock": stock, "quantity": 1}]}).to_string();
        let answer = call_json(rig.public(), "POST", "/v1/sales/s/reservations", "", &body);
        let body: Value = serde_json::from_str(&answer.body).expect("JSON");
        body["code"].as_str().map(str::to_owned)
    };
    let events = || rig.metric("onrush_log_events_total");
    let about = "sale=s&address=127.0.0.1&customer";
    for (customer, stock, code, left) in [
        ("ann", "a", None, "4 of 4"),
        ("ann", "b", Some("cooling_down"), "3 of 4"),
        ("bob", "b", None, "2 of 4"),
        ("eve", "b", Some("insufficient_stock"), "1 of 4"),
        ("eve", "b", Some("rate_limited"), "0 of 4"),
    ] {
        let events_before = events();
        let asked: Vec<_> = (0..3).map(|_| explained(&rig, &format!("{about}={customer}"))).collect();
        assert_eq!(events(), events_before, "asking wrote something");
        for explanation in &asked {
            assert_eq!(first_refusal(explanation), code, "{customer}: {explanation}");
            assert!(detail(explanation, "rate_limits").starts_with(left), "{left}: {explanation}");
        }
        assert_eq!(reserve(customer, stock).as_deref(), code, "{customer}");
    }
    // Another address has its own limit, and of a customer who has units every refusal is told.
    let other = explained(&rig, "sale=s&customer=ann&address=192.0.2.7");
    let codes: Vec<_> =
        other["checks"].as_array().unwrap().iter().filter_map(|one| one["code"].as_str()).collect();
    assert_eq!(codes, ["cooling_down", "customer_limit_reached", "insufficient_stock"], "{other}");
}

#[test]
fn the_denylist_is_told_with_its_reason_and_nobody_counts_as_denied() {
    let rig = rig();
    rig.put_sale("s");
    let denied = r#"{"reason":"a bot","expires_at":null}"#;
    for subject in ["customer/eve", "address/192.0.2.0%2F24"] {
        let put = call_json(rig.operator(), "PUT", &format!("/v1/denylist/{subject}"), "", denied);
        assert_eq!(put.status, 201, "{put:?}");
    }
    for (query, word) in [
        ("customer=eve", "customer eve (reason: a bot)."),
        ("sale=s&address=192.0.2.9", "address 192.0.2.0/24 (reason: a bot)."),
        ("sale=s&customer=eve&address=192.0.3.9", "customer eve (reason: a bot)."),
    ] {
        let explanation = explained(&rig, query);
        assert_eq!(first_refusal(&explanation), Some("denied"), "{explanation}");
        assert!(detail(&explanation, "denylist").contains(word), "{explanation}");
    }
    assert_eq!(first_refusal(&explained(&rig, "sale=s&customer=ann&address=192.0.3.9")), None);
    for kind in ["customer", "address"] {
        let labels = format!(r#"check="denylist",code="denied",kind="{kind}""#);
        assert_eq!(rig.metric(&format!("onrush_denied_total{{{labels}}}")), 0);
    }
}

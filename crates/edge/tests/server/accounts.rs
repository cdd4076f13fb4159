//! Accounts: registered once, logged in to with their password alone, and nothing told about whose they are.

use std::sync::{Arc, Barrier};
use std::thread;

use onrush_edge::{Components, PasswordPool, SessionSettings, Sessions};
use onrush_gate::jwt::{JwtKeys, JwtRules};
use onrush_gate::session::{Cipher, KeyId, SessionKey, SessionKeys};

use crate::support::{Answer, Http1, Rig, call_json, settings};

const PASSWORD: &str = "correct horse";

fn rig() -> Rig {
    let jwt_rules = JwtRules { issuer: None, audience: None, customer_claim: "sub".into(), clock_skew_ms: 0 };
    let settings_of_sessions = SessionSettings { ttl_ms: 60_000, secure_cookies: false, jwt_rules };
    let keys = SessionKeys::one(SessionKey::new(KeyId(1), Cipher::default(), &[1; 32], 0).unwrap());
    let sessions = Sessions::new(settings_of_sessions, keys, JwtKeys::none());
    let components = Components {
        sessions: Some(Arc::new(sessions)),
        passwords: Some(Arc::new(PasswordPool::start().unwrap())),
        ..Components::default()
    };
    Rig::start_with(settings(), components)
}

fn account(customer: &str, password: &str) -> String {
    serde_json::json!({"customer": customer, "password": password}).to_string()
}

fn register(rig: &Rig, customer: &str, password: &str) -> Answer {
    call_json(rig.public(), "POST", "/v1/customers", "", &account(customer, password))
}

fn log_in(rig: &Rig, fields: &str, customer: &str, password: &str) -> Answer {
    call_json(rig.public(), "POST", "/v1/session", fields, &account(customer, password))
}

#[track_caller]
fn check(answer: &Answer, status: u16, word: &str) {
    assert!(answer.status == status && answer.body.contains(word), "{status} {word}: {answer:?}");
}

#[test]
fn a_customer_registers_logs_in_and_is_known() {
    let rig = rig();
    check(&register(&rig, "ada", PASSWORD), 201, r#"{"customer":"ada"}"#);
    check(&register(&rig, "ada", "another one"), 409, "customer_exists");
    let begun = log_in(&rig, "", "ada", PASSWORD);
    check(&begun, 200, r#""customer":"ada""#);
    assert_eq!(begun.field("cache-control"), Some("no-store"));
    let cookie = begun.field("set-cookie").unwrap().split(';').next().unwrap();
    let request = format!("GET /v1/session HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n");
    check(&Http1::connect(rig.public()).call(request.as_bytes()).unwrap(), 200, r#""customer":"ada""#);
    assert_eq!(rig.metric("onrush_accounts"), 1);
    // Characters are counted, not bytes.
    check(&register(&rig, "bob", &"é".repeat(8)), 201, "bob");
    check(&log_in(&rig, "", "bob", &"é".repeat(8)), 200, "bob");
    check(&register(&rig, "eve", &"é".repeat(128)), 201, "eve");
}

#[test]
fn a_wrong_password_and_a_customer_without_an_account_are_told_alike() {
    let rig = rig();
    check(&register(&rig, "ada", PASSWORD), 201, "ada");
    let wrong = log_in(&rig, "", "ada", "correct hors");
    check(&wrong, 401, "invalid_credentials");
    for (customer, password) in [
        ("nobody", PASSWORD),
        ("Ada", PASSWORD),
        ("ada ", PASSWORD),
        ("ada", ""),
        ("ada", "correct horse "),
        ("", PASSWORD),
        ("a/b", PASSWORD),
        ("ada", &"x".repeat(3_000)),
    ] {
        let answer = log_in(&rig, "", customer, password);
        assert_eq!((answer.status, &answer.body), (wrong.status, &wrong.body), "{customer} {password}");
    }
    assert!(wrong.field("set-cookie").is_none());
}

#[test]
fn names_passwords_and_bodies_have_bounds() {
    let rig = rig();
    for (customer, password, field) in [
        ("", PASSWORD, "customer"),
        ("a/b", PASSWORD, "customer"),
        (&"a".repeat(65), PASSWORD, "customer"),
        ("ada", "", "password"),
        ("ada", "seven 7", "password"),
        ("ada", &"x".repeat(129), "password"),
    ] {
        check(&register(&rig, customer, password), 400, &format!(r#""field":"{field}""#));
    }
    for body in [
        "{}",
        r#"{"customer":"ada"}"#,
        r#"{"password":"correct horse"}"#,
        r#"{"customer":"ada","password":"correct horse","admin":true}"#,
        r#"{"customer":"ada","password":["correct horse"]}"#,
        r#"{"token":"a.b.c","password":"correct horse"}"#,
        "[]",
    ] {
        check(&call_json(rig.public(), "POST", "/v1/customers", "", body), 400, "invalid_request");
        check(&call_json(rig.public(), "POST", "/v1/session", "", body), 400, "invalid_request");
    }
    assert_eq!(rig.metric("onrush_accounts"), 0);
}

#[test]
fn of_two_who_register_the_same_name_at_once_one_has_it() {
    let rig = rig();
    let barrier = Barrier::new(4);
    let answers = thread::scope(|scope| {
        let asking: Vec<_> = (0..4)
            .map(|number| {
                let (rig, barrier) = (&rig, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    register(rig, "ada", &format!("password {number}")).status
                })
            })
            .collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
    });
    let winners: Vec<_> = (0..4).filter(|number| answers[*number] == 201).collect();
    assert_eq!(winners.len(), 1, "{answers:?}");
    assert!(answers.iter().all(|status| matches!(status, 201 | 409)), "{answers:?}");
    check(&log_in(&rig, "", "ada", &format!("password {}", winners[0])), 200, "ada");
}

#[test]
fn a_page_of_another_site_registers_nobody_and_logs_nobody_in() {
    let rig = rig();
    check(&register(&rig, "ada", PASSWORD), 201, "ada");
    for fields in ["Sec-Fetch-Site: cross-site\r\n", "Origin: https://evil.example\r\n"] {
        let answer =
            call_json(rig.public(), "POST", "/v1/customers", fields, &account("eve", "correct horse"));
        check(&answer, 403, "cross_site");
        check(&log_in(&rig, fields, "ada", PASSWORD), 403, "cross_site");
    }
    assert_eq!(rig.metric("onrush_accounts"), 1);
}

#[test]
fn a_storm_of_log_ins_is_bounded_and_leaves_the_rest_alone() {
    let rig = rig();
    check(&register(&rig, "ada", PASSWORD), 201, "ada");
    let statuses = thread::scope(|scope| {
        let asking: Vec<_> = (0..90)
            .map(|_| {
                let rig = &rig;
                scope.spawn(move || log_in(rig, "", "ada", "wrong password"))
            })
            .collect();
        // Whoever counts meanwhile is answered.
        check(&call_json(rig.public(), "POST", "/v1/counters/home", "", ""), 200, "value");
        asking.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
    });
    for answer in &statuses {
        if answer.status == 401 {
            check(answer, 401, "invalid_credentials");
        } else {
            check(answer, 503, "overloaded");
            assert!(answer.field("retry-after").is_some(), "{answer:?}");
        }
    }
    for status in [401, 503] {
        assert!(statuses.iter().any(|answer| answer.status == status), "nobody was answered {status}");
    }
    check(&log_in(&rig, "", "ada", PASSWORD), 200, "ada");
}

#[test]
fn without_accounts_there_are_none() {
    let rig = Rig::start(settings());
    check(&register(&rig, "ada", PASSWORD), 404, "gate.accounts");
    check(&log_in(&rig, "", "ada", PASSWORD), 404, "gate.accounts");
}

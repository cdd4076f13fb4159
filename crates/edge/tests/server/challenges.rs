//! Challenges over a real partition: solved, wrong, used, and in the hands of others.

use std::fmt::Write as _;
use std::sync::{Arc, Barrier};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use onrush_edge::{ChallengeSettings, GateSettings, Settings};
use onrush_gate::challenge::Answer as Digits;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::flash_sale::{ANN, BOB, get, log_in, with_flash_sale, with_sessions};
use crate::support::{Answer, Rig, call_json};

pub(crate) const DIGITS: &str = "012345";

/// Settings with which every picture has the same answer, and work is little.
pub(crate) fn with_known_answers() -> Settings {
    let unsafe_answer = Digits::parse(DIGITS);
    let challenges = ChallengeSettings { work_min: 200, work_max: 200, unsafe_answer };
    Settings { gate: GateSettings { challenges, ..GateSettings::default() }, ..with_flash_sale() }
}

fn start(gate: &str) -> Rig {
    let rig = Rig::start_with(with_known_answers(), with_sessions());
    put(&rig, "flash", gate, 1_000);
    rig
}

fn put(rig: &Rig, sale: &str, gate: &str, quantity: u32) {
    let body = format!(r#"{{"gate":{gate},"stocks":[{{"stock":"1","quantity_total":{quantity}}}]}}"#);
    let answer = call_json(rig.operator(), "PUT", &format!("/v1/sales/{sale}"), "", &body);
    assert_eq!(answer.status, 201, "{answer:?}");
}

fn parsed(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"))
}

fn ask(rig: &Rig, sale: &str, query: &str, fields: &str) -> Value {
    let target = format!("/v1/sales/{sale}/challenges{query}");
    let answer = call_json(rig.public(), "POST", &target, fields, "");
    assert_eq!((answer.status, answer.field("cache-control")), (201, Some("no-store")), "{answer:?}");
    parsed(&answer)
}

fn reserve(rig: &Rig, fields: &str, challenge: Option<&str>) -> Answer {
    let mut body = json!({"lines": [{"stock": "1", "quantity": 1}]});
    if let Some(challenge) = challenge {
        body["challenge"] = challenge.into();
    }
    call_json(rig.public(), "POST", "/v1/sales/flash/reservations", fields, &body.to_string())
}

#[track_caller]
fn check(answer: &Answer, status: u16, word: &str) {
    assert!(answer.status == status && answer.body.contains(word), "{status} {word}: {answer:?}");
}

fn digits(challenge: &Value, digits: &str) -> String {
    format!("{}:{digits}", challenge["challenge"].as_str().expect("an id"))
}

/// What the widget makes of a challenge.
fn work(challenge: &Value, number: u64) -> String {
    let payload = json!({
        "algorithm": challenge["algorithm"], "challenge": challenge["challenge"], "number": number,
        "salt": challenge["salt"], "signature": challenge["signature"], "took": 7,
    });
    STANDARD.encode(payload.to_string())
}

fn found(challenge: &Value) -> u64 {
    let text = |field: &str| challenge[field].as_str().expect("a text").to_owned();
    let (salt, hash) = (text("salt"), text("challenge"));
    let most = challenge["maxnumber"].as_u64().expect("a number");
    let hash_of = |number: u64| {
        let hash = digest(&SHA256, format!("{salt}{number}").as_bytes());
        hash.as_ref().iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a string takes all");
            text
        })
    };
    (0..=most).find(|number| hash_of(*number) == hash).expect("one of them")
}

#[test]
fn a_challenge_is_shown_and_solved_once() {
    let rig = start(r#"{"session":"required","challenge":"image"}"#);
    let ann = log_in(&rig, ANN);
    check(&reserve(&rig, &ann, None), 403, r#""code":"challenge_required""#);
    check(&reserve(&rig, &ann, None), 403, r#""kinds":["image"]"#);
    let challenge = ask(&rig, "flash", "", &ann);
    assert_eq!(challenge["kind"], "image");
    for (field, media_type) in [("image", "image/png"), ("audio", "audio/wav")] {
        let shown = get(&rig, challenge[field].as_str().expect("a path"), "");
        assert_eq!((shown.status, shown.field("content-type")), (200, Some(media_type)));
        assert_eq!(shown.field("cache-control"), Some("no-store"));
    }
    check(&reserve(&rig, &ann, Some(&digits(&challenge, " 012 345 "))), 201, "confirmed");
    check(&reserve(&rig, &ann, Some(&digits(&challenge, DIGITS))), 403, "challenge_failed");
    assert_eq!(rig.metric("onrush_challenges_total{kind=\"image\"}"), 1);
}

#[test]
fn one_wrong_answer_uses_a_challenge_up() {
    let rig = start(r#"{"challenge":"either"}"#);
    let ann = log_in(&rig, ANN);
    let challenge = ask(&rig, "flash", "?kind=image", &ann);
    check(&reserve(&rig, &ann, Some(&digits(&challenge, "012346"))), 403, "challenge_failed");
    check(&reserve(&rig, &ann, Some(&digits(&challenge, DIGITS))), 403, "challenge_failed");
    let challenge = ask(&rig, "flash", "?kind=proof_of_work", &ann);
    let number = found(&challenge);
    check(&reserve(&rig, &ann, Some(&work(&challenge, number + 1))), 403, "challenge_failed");
    check(&reserve(&rig, &ann, Some(&work(&challenge, number))), 403, "challenge_failed");
}

#[test]
fn a_proof_of_work_is_as_good() {
    let rig = start(r#"{"challenge":"either"}"#);
    let ann = log_in(&rig, ANN);
    check(&reserve(&rig, &ann, None), 403, r#""kinds":["image","proof_of_work"]"#);
    let challenge = ask(&rig, "flash", "?kind=proof_of_work", &ann);
    assert_eq!(challenge["maxnumber"], 200);
    check(&reserve(&rig, &ann, Some(&work(&challenge, found(&challenge)))), 201, "confirmed");
    // The widget asks with GET and takes 200 alone.
    let answer = get(&rig, "/v1/sales/flash/challenges?kind=proof_of_work", &ann);
    assert_eq!(answer.status, 200);
    let challenge = parsed(&answer);
    check(&reserve(&rig, &ann, Some(&work(&challenge, found(&challenge)))), 201, "confirmed");
    check(&get(&rig, "/v1/challenges/x.png", ""), 404, "not_found");
    let id = challenge["salt"].as_str().and_then(|salt| salt.split('?').next()).expect("an id");
    check(&get(&rig, &format!("/v1/challenges/{id}.png"), ""), 404, "not_found");
}

#[test]
fn a_challenge_of_another_kind_does_not_do() {
    let rig = start(r#"{"challenge":"either"}"#);
    let ann = log_in(&rig, ANN);
    let challenge = ask(&rig, "flash", "?kind=proof_of_work", &ann);
    let change = r#"{"gate":{"challenge":"image"}}"#;
    let merge = "Content-Type: application/merge-patch+json\r\n";
    let changed = crate::support::call_with(rig.operator(), "PATCH", "/v1/sales/flash", merge, change);
    assert_eq!(changed.status, 200, "{changed:?}");
    check(&reserve(&rig, &ann, Some(&work(&challenge, found(&challenge)))), 403, "challenge_required");
    let refused = call_json(rig.public(), "POST", "/v1/sales/flash/challenges?kind=proof_of_work", &ann, "");
    check(&refused, 400, "`kind` is not what the sale asks for");
}

#[test]
fn nobody_solves_or_spoils_the_challenge_of_another() {
    let rig = start(r#"{"session":"required","challenge":"image"}"#);
    put(&rig, "other", r#"{"challenge":"image"}"#, 10);
    let (ann, bob) = (log_in(&rig, ANN), log_in(&rig, BOB));
    let of_ann = ask(&rig, "flash", "", &ann);
    check(&reserve(&rig, &bob, Some(&digits(&of_ann, DIGITS))), 403, "challenge_failed");
    check(&reserve(&rig, &ann, Some(&digits(&of_ann, DIGITS))), 201, "confirmed");
    let of_other_sale = ask(&rig, "other", "", &ann);
    check(&reserve(&rig, &ann, Some(&digits(&of_other_sale, DIGITS))), 403, "challenge_failed");
}

#[test]
fn what_is_no_challenge_is_refused_and_changes_nothing() {
    let rig = start(r#"{"challenge":"image"}"#);
    let ann = log_in(&rig, ANN);
    let long = "A".repeat(4_000);
    for text in ["", ":", "x", ":012345", "AAAA:012345", "e30=", &long, &format!("{long}:012345"), "é:é"] {
        check(&reserve(&rig, &ann, Some(text)), 403, "challenge_failed");
    }
    let with = |challenge: Value| {
        let body = json!({"lines": [{"stock": "1", "quantity": 1}], "challenge": challenge}).to_string();
        call_json(rig.public(), "POST", "/v1/sales/flash/reservations", &ann, &body)
    };
    for challenge in [json!(null), json!(1), json!(["a"]), json!({})] {
        check(&with(challenge), 400, "`challenge`");
    }
    for (target, body, status, word) in [
        ("/v1/sales/nothing/challenges", "", 404, "sale_not_found"),
        ("/v1/sales/flash/challenges?kind=sound", "", 400, "`kind` must be image or proof_of_work"),
        ("/v1/sales/flash/challenges?kind=image&kind=image", "", 400, "`kind` is given twice"),
        ("/v1/sales/flash/challenges", r#"{"customer":"bob"}"#, 403, "customer_mismatch"),
        ("/v1/sales/flash/challenges", r#"{"name":"ann"}"#, 400, "name"),
    ] {
        check(&call_json(rig.public(), "POST", target, &ann, body), status, word);
    }
    check(&call_json(rig.public(), "POST", "/v1/sales/flash/challenges", "", ""), 401, "session_required");
}

#[test]
fn a_customer_without_a_session_is_named() {
    let rig = Rig::start(with_known_answers());
    put(&rig, "flash", r#"{"challenge":"image"}"#, 10);
    let asked = |body: &str| call_json(rig.public(), "POST", "/v1/sales/flash/challenges", "", body);
    check(&asked(""), 400, "`customer` is missing");
    let challenge = parsed(&asked(r#"{"customer":"cy"}"#));
    let claim = |customer: &str| {
        let lines = json!([{"stock": "1", "quantity": 1}]);
        let body = json!({"customer": customer, "lines": lines, "challenge": digits(&challenge, DIGITS)});
        call_json(rig.public(), "POST", "/v1/sales/flash/reservations", "", &body.to_string())
    };
    check(&claim("dee"), 403, "challenge_failed");
    check(&claim("cy"), 201, "confirmed");
}

/// Challenges for customers who are not there would make everybody's harder.
#[test]
fn a_sale_that_takes_a_session_gives_no_challenge_without_one() {
    let rig = start(r#"{"session":"required","challenge":"either"}"#);
    let asked = |fields: &str, body: &str| {
        call_json(rig.public(), "POST", "/v1/sales/flash/challenges?kind=proof_of_work", fields, body)
    };
    check(&asked("", r#"{"customer":"ann"}"#), 401, "session_required");
    check(&asked(&log_in(&rig, ANN), r#"{"customer":"ann"}"#), 201, "challenge");
    put(&rig, "watched", r#"{"session":"required","challenge":"image","mode":"shadow"}"#, 10);
    let body = r#"{"customer":"ann"}"#;
    check(&call_json(rig.public(), "POST", "/v1/sales/watched/challenges", "", body), 201, "challenge");
}

#[test]
fn a_retry_finds_its_reservation_whatever_its_challenge_is_worth() {
    let rig = start(r#"{"session":"required","challenge":"image","cooldown_ms":60000}"#);
    let ann = log_in(&rig, ANN);
    let keyed = format!("{ann}Idempotency-Key: k\r\n");
    let challenge = digits(&ask(&rig, "flash", "", &ann), DIGITS);
    check(&reserve(&rig, &keyed, Some(&challenge)), 201, "confirmed");
    for brought in [Some(challenge.as_str()), Some("wrong"), None] {
        check(&reserve(&rig, &keyed, brought), 200, "confirmed");
    }
}

#[test]
fn a_cool_down_leaves_a_challenge_as_it_is() {
    let rig = start(r#"{"session":"required","challenge":"image","cooldown_ms":60000}"#);
    let ann = log_in(&rig, ANN);
    check(&reserve(&rig, &ann, Some(&digits(&ask(&rig, "flash", "", &ann), DIGITS))), 201, "confirmed");
    let challenge = digits(&ask(&rig, "flash", "", &ann), DIGITS);
    check(&reserve(&rig, &ann, Some(&challenge)), 429, "cooling_down");
    let merge = "Content-Type: application/merge-patch+json\r\n";
    let change = r#"{"gate":{"cooldown_ms":0}}"#;
    assert_eq!(
        crate::support::call_with(rig.operator(), "PATCH", "/v1/sales/flash", merge, change).status,
        200
    );
    check(&reserve(&rig, &ann, Some(&challenge)), 201, "confirmed");
}

#[test]
fn of_many_at_once_with_one_challenge_one_passes() {
    const THREADS: usize = 8;
    let rig = Arc::new(start(r#"{"challenge":"image"}"#));
    let ann = log_in(&rig, ANN);
    for _ in 0..5 {
        let challenge = digits(&ask(&rig, "flash", "", &ann), DIGITS);
        let barrier = Arc::new(Barrier::new(THREADS));
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let (rig, ann, challenge, barrier) =
                    (Arc::clone(&rig), ann.clone(), challenge.clone(), Arc::clone(&barrier));
                thread::spawn(move || {
                    barrier.wait();
                    reserve(&rig, &ann, Some(&challenge)).status
                })
            })
            .collect();
        let statuses: Vec<u16> =
            threads.into_iter().map(|thread| thread.join().expect("an answer")).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
        assert!(statuses.iter().all(|status| matches!(status, 201 | 403)), "{statuses:?}");
    }
}

#[test]
fn a_challenge_does_not_outlive_its_server() {
    let rig = start(r#"{"challenge":"image"}"#);
    let ann = log_in(&rig, ANN);
    let used = digits(&ask(&rig, "flash", "", &ann), DIGITS);
    let unused = digits(&ask(&rig, "flash", "", &ann), DIGITS);
    check(&reserve(&rig, &ann, Some(&used)), 201, "confirmed");
    let rig = Rig::start_again(rig.leave(), with_known_answers(), with_sessions());
    let ann = log_in(&rig, ANN);
    check(&reserve(&rig, &ann, Some(&used)), 403, "challenge_failed");
    check(&reserve(&rig, &ann, Some(&unused)), 403, "challenge_failed");
    check(&reserve(&rig, &ann, Some(&digits(&ask(&rig, "flash", "", &ann), DIGITS))), 201, "confirmed");
}

#[test]
fn the_operator_is_asked_for_nothing() {
    let rig = start(r#"{"session":"required","challenge":"image"}"#);
    let claim = |challenge: Value| {
        let lines = json!([{"stock": "1", "quantity": 1}]);
        let body = json!({"customer": "cy", "lines": lines, "challenge": challenge}).to_string();
        call_json(rig.operator(), "POST", "/v1/sales/flash/reservations", "", &body)
    };
    check(&claim(json!("wrong")), 201, "confirmed");
}

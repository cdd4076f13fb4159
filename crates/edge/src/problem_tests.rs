//! Every refusal and every fault against the status, code, members and headers of the contract.

use super::*;
use onrush_core::{Ceiling, InvalidTerms, Refusal, Unmet};
use onrush_node::{Asker, ChallengeCall, ReserveCall};
use serde_json::{Value, json};
use smallvec::smallvec;

const NOW_MS: TimeMs = 1_621_152_000_000;

fn claim() -> Box<ReserveCall> {
    let line = |stock: &str| onrush_node::LineCall { stock: stock.into(), quantity: 2 };
    Box::new(ReserveCall {
        sale: "pwtc".into(),
        asker: Asker::Anyone,
        customer: "ann".into(),
        lines: smallvec![line("mon"), line("tue")],
        details: Box::default(),
        challenge: ChallengeCall::Missing,
        key: None,
    })
}

/// `expected` is `status code`, the members beyond those that every problem has, and the header fields.
fn check(problem: &Problem, expected: &str, members: &Value, headers: &str) {
    assert_eq!(format!("{} {}", problem.status(), problem.code()), expected);
    let mut body = Vec::new();
    problem.write_body(&mut body);
    let mut body: serde_json::Map<String, Value> =
        serde_json::from_slice(&body).expect("the body is a JSON object");
    assert_eq!(body.remove("type"), Some(format!("{TYPE_PREFIX}{}", problem.code()).into()));
    assert_eq!(body.remove("status"), Some(problem.status().into()));
    assert_eq!(body.remove("code"), Some(problem.code().into()));
    assert!(body.remove("title").is_some_and(|title| title.as_str().is_some_and(|text| !text.is_empty())));
    assert_eq!(body.remove("detail"), Some(problem.detail().into()));
    assert_eq!(Value::Object(body), *members, "{expected}");
    let sent: Vec<String> = problem.headers().map(|(name, value)| format!("{name}: {value}")).collect();
    assert_eq!(sent.join(", "), headers, "{expected}");
}

#[test]
fn every_refusal_has_its_answer() {
    let invalid = InvalidTerms { field: "stocks[3].title".into(), rule: "must be at most 256 bytes" };
    let table: Vec<(Refusal, &str, Value, &str)> = vec![
        (Refusal::InvalidName { field: "customer" }, "400 invalid_request", json!({"field": "customer"}), ""),
        (
            Refusal::InvalidTerms(Box::new(invalid)),
            "400 invalid_request",
            json!({"field": "stocks[3].title"}),
            "",
        ),
        (
            Refusal::Invalid { field: "lines", rule: "must be 1 to 16" },
            "400 invalid_request",
            json!({"field": "lines"}),
            "",
        ),
        (Refusal::CounterNotFound, "404 counter_not_found", json!({}), ""),
        (Refusal::WindowNotFound, "404 window_not_found", json!({}), ""),
        (Refusal::SaleNotFound, "404 sale_not_found", json!({}), ""),
        (Refusal::StockNotFound { line: 1 }, "404 stock_not_found", json!({"stock": "tue"}), ""),
        (Refusal::ReservationNotFound, "404 reservation_not_found", json!({}), ""),
        (
            Refusal::InsufficientStock { line: 0, quantity_available: 1 },
            "409 insufficient_stock",
            json!({"stock": "mon", "quantity_available": 1}),
            "",
        ),
        (
            Refusal::CustomerLimitReached { per_customer_max: 4, quantity_taken: 3 },
            "409 customer_limit_reached",
            json!({"per_customer_max": 4, "quantity_taken": 3}),
            "",
        ),
        (
            Refusal::SaleNotOpen { opens_at: NOW_MS + 1_001 },
            "409 sale_not_open",
            json!({"opens_at": "2021-05-16T08:00:01.001Z"}),
            "retry-after: 2",
        ),
        (
            Refusal::SaleNotOpen { opens_at: NOW_MS - 5 },
            "409 sale_not_open",
            json!({"opens_at": "2021-05-16T07:59:59.995Z"}),
            "retry-after: 1",
        ),
        (
            Refusal::SaleClosed { closes_at: NOW_MS },
            "409 sale_closed",
            json!({"closes_at": "2021-05-16T08:00:00.000Z"}),
            "",
        ),
        (
            Refusal::StockClosed { line: 0, closes_at: NOW_MS },
            "409 stock_closed",
            json!({"stock": "mon", "closes_at": "2021-05-16T08:00:00.000Z"}),
            "",
        ),
        (Refusal::ReservationNotHeld, "409 reservation_not_held", json!({}), ""),
        (Refusal::HoldExpired, "410 hold_expired", json!({}), ""),
    ];
    check_all(table);
}

#[test]
fn every_refusal_of_a_gate_has_its_answer() {
    check_all(vec![
        (Refusal::SessionExpired, "401 session_expired", json!({}), "www-authenticate: Bearer"),
        (Refusal::SessionRequired, "401 session_required", json!({}), "www-authenticate: Bearer"),
        (Refusal::CustomerMismatch, "403 customer_mismatch", json!({}), ""),
        (Refusal::RowNotFound, "404 row_not_found", json!({}), ""),
        (Refusal::CustomerExists, "409 customer_exists", json!({}), ""),
        (
            Refusal::CoolingDown { left_ms: 9_001 },
            "429 cooling_down",
            json!({"cooldown_left_ms": 9_001}),
            "retry-after: 10",
        ),
        (
            Refusal::HoldsUnpaid { holds_unpaid_max: 3 },
            "403 holds_unpaid",
            json!({"holds_unpaid_max": 3}),
            "",
        ),
        (
            Refusal::ChallengeRequired { challenge: onrush_core::ChallengeTerms::Either },
            "403 challenge_required",
            json!({"kinds": ["image", "proof_of_work"]}),
            "",
        ),
        (
            Refusal::ChallengeRequired { challenge: onrush_core::ChallengeTerms::ProofOfWork },
            "403 challenge_required",
            json!({"kinds": ["proof_of_work"]}),
            "",
        ),
        (Refusal::ChallengeFailed, "403 challenge_failed", json!({}), ""),
        (Refusal::OperatorOnly, "403 operator_only", json!({}), ""),
    ]);
}

#[test]
fn every_refusal_of_an_operator_has_its_answer() {
    let table: Vec<(Refusal, &str, Value, &str)> = vec![
        (
            Refusal::QuantityBelowReserved { stock: "mon".into(), quantity_held: 1, quantity_confirmed: 2 },
            "409 quantity_below_reserved",
            json!({"stock": "mon", "quantity_held": 1, "quantity_confirmed": 2}),
            "",
        ),
        (
            Refusal::StockInUse { stock: "mon".into(), quantity_held: 0, quantity_confirmed: 0 },
            "409 stock_in_use",
            json!({"stock": "mon", "quantity_held": 0, "quantity_confirmed": 0}),
            "",
        ),
        (Refusal::PreconditionFailed(Unmet::Missing), "412 precondition_failed", json!({}), ""),
        (Refusal::PreconditionFailed(Unmet::Exists), "412 precondition_failed", json!({}), ""),
        (Refusal::PreconditionFailed(Unmet::TermsDiffer), "412 precondition_failed", json!({}), ""),
        (Refusal::SaleOpen, "409 sale_open", json!({}), ""),
        (
            Refusal::HoldsPending { quantity_held: 5, held_count: 2, held_until: NOW_MS },
            "409 holds_pending",
            json!({"quantity_held": 5, "held_count": 2, "held_until": "2021-05-16T08:00:00.000Z"}),
            "",
        ),
        (Refusal::DenialNotFound, "404 denial_not_found", json!({}), ""),
        (Refusal::IdempotencyKeyReused, "422 idempotency_key_reused", json!({}), ""),
        (Refusal::PartitionExists, "400 invalid_request", json!({}), ""),
    ];
    check_all(table);
}

fn check_all(table: Vec<(Refusal, &str, Value, &str)>) {
    for (refusal, expected, members, headers) in table {
        let code = refusal.code().as_str();
        let failure = Failure::Refused { refusal, call: Some(claim()) };
        assert_eq!(Problem::from_failure(&failure, NOW_MS).code(), code);
        check(&Problem::from_failure(&failure, NOW_MS), expected, &members, headers);
    }
}

#[test]
fn every_refusal_of_a_sink_has_its_answer() {
    for (refusal, expected, headers) in [
        (SinkRefusal::NotFound, "404 sink_not_found", ""),
        (SinkRefusal::NotStoppedThere, "409 sink_not_stopped", ""),
        (SinkRefusal::Unrecorded("disk \"full\"".into()), "503 log_unavailable", "retry-after: 5"),
    ] {
        check(&Problem::from_sink_refusal(&refusal), expected, &json!({}), headers);
    }
}

#[test]
fn a_ceiling_names_its_setting() {
    for (ceiling, words) in [
        (Ceiling::Counters, "limits.counters_max"),
        (Ceiling::Windows, "limits.windows_max"),
        (Ceiling::Sales, "limits.sales_max"),
        (Ceiling::Stocks, "limits.stocks_max"),
        (Ceiling::Reservations, "limits.reservations_max"),
        (Ceiling::DetailsBytes, "limits.details_bytes_max"),
        (Ceiling::Denials, "limits.denials_max"),
        (Ceiling::Accounts, "limits.accounts_max"),
        (Ceiling::StateBytes, "limits.state_bytes_max"),
        (Ceiling::CounterValue, "64 bits"),
    ] {
        let failure = Failure::Refused { refusal: Refusal::CeilingReached(ceiling), call: None };
        let problem = Problem::from_failure(&failure, NOW_MS);
        check(&problem, "503 overloaded", &json!({}), "retry-after: 60");
        assert!(problem.detail().contains(words), "{}", problem.detail());
    }
}

#[test]
fn faults_of_the_edge_and_the_node() {
    let quoted = Problem::invalid("lines[0].\"x\\", "is \u{1} unknown");
    for (problem, expected, members, headers) in [
        (Problem::from_failure(&Failure::Overloaded, 0), "503 overloaded", json!({}), "retry-after: 1"),
        (
            Problem::from_failure(&Failure::LogUnavailable, 0),
            "503 log_unavailable",
            json!({}),
            "retry-after: 5",
        ),
        (Problem::from_failure(&Failure::Draining, 0), "503 draining", json!({}), "retry-after: 5"),
        (Problem::not_found(), "404 not_found", json!({}), ""),
        (Problem::unauthorized(), "401 unauthorized", json!({}), "www-authenticate: Bearer"),
        (Problem::cross_site(), "403 cross_site", json!({}), ""),
        (Problem::method_not_allowed(Some("GET")), "405 method_not_allowed", json!({}), "allow: GET"),
        (Problem::method_not_allowed(None), "405 method_not_allowed", json!({}), ""),
        (Problem::body_too_large(16_384), "413 body_too_large", json!({}), ""),
        (Problem::target_too_long(2_048), "414 target_too_long", json!({}), ""),
        (Problem::unsupported_media_type(), "415 unsupported_media_type", json!({}), ""),
        (Problem::headers_too_large(16_384), "431 headers_too_large", json!({}), ""),
        (Problem::malformed("The body is missing."), "400 invalid_request", json!({}), ""),
        (quoted, "400 invalid_request", json!({"field": "lines[0].\"x\\"}), ""),
    ] {
        check(&problem, expected, &members, headers);
    }
}

#[test]
fn codes_are_distinct_and_need_no_escapes() {
    for (at, code) in Code::ALL.iter().enumerate() {
        assert!(code.as_str().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{code:?}");
        assert!(code.title().bytes().all(|byte| byte != b'"' && byte != b'\\'), "{code:?}");
        assert!(!Code::ALL[..at].iter().any(|other| other.as_str() == code.as_str()), "{code:?}");
    }
}

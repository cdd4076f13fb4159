//! Claims on both sides of every bound, and the answers byte for byte.

use super::*;
use onrush_core::{ReservationNo, SaleNo};

const ID: &[u8; 26] = b"0123456789abcdefghjkmnpqrs";

/// `expected` is the claim in short, or `!` and the field at fault.
fn check(body: &str, expected: &str) {
    let found = match parse_reservation("pwtc", None, body.as_bytes()) {
        Ok(call) => {
            let lines: Vec<String> =
                call.lines.iter().map(|line| format!("{}x{}", line.quantity, line.stock)).collect();
            format!("{} {} {}", call.customer, lines.join("+"), String::from_utf8_lossy(&call.details))
        }
        Err(problem) => {
            assert_eq!((problem.status(), problem.code()), (400, "invalid_request"), "{body}");
            let mut written = Vec::new();
            problem.write_body(&mut written);
            let written: serde_json::Value = serde_json::from_slice(&written).unwrap();
            format!("!{}", written["field"].as_str().unwrap_or_default())
        }
    };
    assert_eq!(found, expected, "{body}");
}

#[test]
fn claims_that_are_taken() {
    check(r#"{"customer":"ann","lines":[{"stock":"mon","quantity":1}]}"#, "ann 1xmon ");
    check(r#" {"lines":[{"quantity":1000,"stock":"m"}] , "customer":"a"} "#, "a 1000xm ");
    check(r#"{"customer":"\u0061nn","lines":[{"stock":"mo\u006e","quantity":2}]}"#, "ann 2xmon ");
    check(
        r#"{"customer":"a","lines":[{"stock":"b","quantity":1},{"stock":"c","quantity":2}],"details":{}}"#,
        "a 1xb+2xc {}",
    );
    check(
        r#"{"details": { "a" : [1, {"b":null}] } ,"customer":"a","lines":[{"stock":"b","quantity":1}]}"#,
        r#"a 1xb { "a" : [1, {"b":null}] }"#,
    );
}

#[test]
fn claims_that_name_the_field_at_fault() {
    for (body, expected) in [
        ("", "!"),
        ("nonsense", "!"),
        ("null", "!"),
        ("[]", "!"),
        (r#"["a",[{"stock":"b","quantity":1}]]"#, "!"),
        (r#"{"customer":"a","lines":[{"stock":"b","quantity":1}]} x"#, "!"),
        ("{}", "!lines"),
        (r#"{"customer":"a"}"#, "!lines"),
        (r#"{"customer":"","lines":[{"stock":"b","quantity":1}]}"#, "!customer"),
        (r#"{"customer":"a b","lines":[{"stock":"b","quantity":1}]}"#, "!customer"),
        (r#"{"customer":7,"lines":[{"stock":"b","quantity":1}]}"#, "!customer"),
        (r#"{"customer":null,"lines":[{"stock":"b","quantity":1}]}"#, "!customer"),
        (r#"{"customer":"a","customer":"a","lines":[{"stock":"b","quantity":1}]}"#, "!customer"),
        (r#"{"customer":"a","lines":[]}"#, "!lines"),
        (r#"{"customer":"a","lines":{}}"#, "!lines"),
        (r#"{"customer":"a","lines":[["b",1]]}"#, "!lines[0]"),
        (r#"{"customer":"a","lines":[{"stock":"b"}]}"#, "!lines[0].quantity"),
        (r#"{"customer":"a","lines":[{"quantity":1}]}"#, "!lines[0].stock"),
        (r#"{"customer":"a","lines":[{"stock":"","quantity":1}]}"#, "!lines[0].stock"),
        (r#"{"customer":"a","lines":[{"stock":"b","quantity":0}]}"#, "!lines[0].quantity"),
        (r#"{"customer":"a","lines":[{"stock":"b","quantity":1001}]}"#, "!lines[0].quantity"),
        (r#"{"customer":"a","lines":[{"stock":"b","quantity":-1}]}"#, "!lines[0].quantity"),
        (r#"{"customer":"a","lines":[{"stock":"b","quantity":1.5}]}"#, "!lines[0].quantity"),
        (r#"{"customer":"a","lines":[{"stock":"b","quantity":1e3}]}"#, "!lines[0].quantity"),
        (r#"{"customer":"a","lines":[{"stock":"b","quantity":"1"}]}"#, "!lines[0].quantity"),
        (
            r#"{"customer":"a","lines":[{"stock":"b","quantity":99999999999999999999999}]}"#,
            "!lines[0].quantity",
        ),
        (r#"{"customer":"a","lines":[{"stock":"b","quantity":1,"price":2}]}"#, "!lines[0].price"),
        (
            r#"{"customer":"a","lines":[{"stock":"b","quantity":1},{"stock":"b","quantity":1}]}"#,
            "!lines[1].stock",
        ),
        (r#"{"customer":"a","lines":[{"stock":"b","quantity":1}],"detail":{}}"#, "!detail"),
        (r#"{"customer":"a","lines":[{"stock":"b","quantity":1}],"details":null}"#, "!details"),
        (r#"{"customer":"a","lines":[{"stock":"b","quantity":1}],"details":[]}"#, "!details"),
        (r#"{"customer":"a","lines":[{"stock":"b","quantity":1}],"details":"{}"}"#, "!details"),
    ] {
        check(body, expected);
    }
}

#[test]
fn counts_and_sizes_at_their_bounds() {
    let lines = |count: usize| {
        let lines: Vec<String> =
            (0..count).map(|at| format!(r#"{{"stock":"s{at}","quantity":1}}"#)).collect();
        format!(r#"{{"customer":"a","lines":[{}]}}"#, lines.join(","))
    };
    assert_eq!(parse_reservation("s", None, lines(16).as_bytes()).unwrap().lines.len(), 16);
    check(&lines(17), "!lines");
    let details = |bytes: usize| {
        let filler = "x".repeat(bytes - r#"{"a":""}"#.len());
        format!(r#"{{"customer":"a","lines":[{{"stock":"s","quantity":1}}],"details":{{"a":"{filler}"}}}}"#)
    };
    assert_eq!(parse_reservation("s", None, details(4_096).as_bytes()).unwrap().details.len(), 4_096);
    check(&details(4_097), "!details");
    let customer = |bytes: usize| {
        format!(r#"{{"customer":"{}","lines":[{{"stock":"s","quantity":1}}]}}"#, "c".repeat(bytes))
    };
    assert_eq!(parse_reservation("s", None, customer(64).as_bytes()).unwrap().customer.len(), 64);
    check(&customer(65), "!customer");
}

#[test]
fn names_outside_the_body_are_checked_too() {
    let body = br#"{"customer":"a","lines":[{"stock":"b","quantity":1}]}"#;
    assert_eq!(parse_reservation("a b", None, body).unwrap_err().code(), "invalid_request");
    assert_eq!(parse_reservation("a", Some(""), body).unwrap_err().code(), "invalid_request");
    assert_eq!(parse_reservation("a", Some("k"), body).unwrap().key.unwrap().key, "k");
}

#[test]
fn a_fingerprint_tells_claims_apart() {
    let print = |body: &str| {
        parse_reservation("s", Some("k"), body.as_bytes()).unwrap().key.expect("a key was given").fingerprint
    };
    let first = print(r#"{"customer":"a","lines":[{"stock":"b","quantity":1}]}"#);
    assert_eq!(first, print(r#" { "lines" : [ {"quantity":1,"stock":"b"} ], "customer":"a"}"#));
    for other in [
        r#"{"customer":"b","lines":[{"stock":"b","quantity":1}]}"#,
        r#"{"customer":"a","lines":[{"stock":"a","quantity":1}]}"#,
        r#"{"customer":"a","lines":[{"stock":"b","quantity":2}]}"#,
        r#"{"customer":"a","lines":[{"stock":"b","quantity":1}],"details":{}}"#,
        r#"{"customer":"ab","lines":[{"stock":"b","quantity":1},{"stock":"c","quantity":1}]}"#,
    ] {
        assert_ne!(first, print(other), "{other}");
    }
}

#[test]
fn invalid_utf8_is_invalid_json() {
    let mut body = br#"{"customer":"a","lines":[{"stock":"b","quantity":1}],"details":{"a":"?"}}"#.to_vec();
    let at = body.iter().position(|byte| *byte == b'?').unwrap();
    body[at] = 0xff;
    assert_eq!(parse_reservation("s", None, &body).unwrap_err().code(), "invalid_request");
}

#[test]
fn answers_byte_for_byte() {
    let body = br#"{"customer":"ann","lines":[{"stock":"b","quantity":1},{"stock":"c","quantity":20}],"details":{"x": 1}}"#;
    let call = parse_reservation("pwtc", None, body).unwrap();
    let mut out = Vec::new();
    write_reserved(&mut out, ID, &call, ReservationStatus::Held, 0, Some(1));
    assert_eq!(
        String::from_utf8(out).unwrap(),
        r#"{"reservation":"0123456789abcdefghjkmnpqrs","sale":"pwtc","customer":"ann","status":"held","lines":[{"stock":"b","quantity":1},{"stock":"c","quantity":20}],"details":{"x": 1},"created_at":"1970-01-01T00:00:00.000Z","expires_at":"1970-01-01T00:00:00.001Z"}"#
    );
    let view = ReservationView {
        reservation: ReservationNo { sale: SaleNo(0), seq: 0 }.into(),
        sale: "pwtc".into(),
        customer: "ann".into(),
        status: ReservationStatus::Expired,
        lines: vec![("b".into(), 1)],
        details: Vec::new(),
        created_at: 0,
        expires_at: None,
    };
    let one = r#"{"reservation":"0123456789abcdefghjkmnpqrs","sale":"pwtc","customer":"ann","status":"expired","lines":[{"stock":"b","quantity":1}],"details":{},"created_at":"1970-01-01T00:00:00.000Z","expires_at":null}"#;
    let mut out = Vec::new();
    write_reservations(&mut out, &[view.clone(), view], |_| *ID);
    assert_eq!(String::from_utf8(out).unwrap(), format!(r#"{{"reservations":[{one},{one}]}}"#));
    let mut out = Vec::new();
    write_reservations(&mut out, &[], |_| *ID);
    assert_eq!(out, br#"{"reservations":[]}"#);
}

#[test]
fn details_nest_to_a_depth() {
    let parse = |details: &str| {
        let body = format!(
            r#"{{"customer":"a","lines":[{{"stock":"b","quantity":1}}],"details":{{"a":{details}}}}}"#
        );
        parse_reservation("s", None, body.as_bytes())
    };
    let lists = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let objects = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    // The object around them is one as well.
    for details in [
        lists(63),
        objects(63),
        format!("[{},{}]", lists(62), lists(62)),
        format!(r#""{}""#, "[".repeat(2_000)),
        format!(r#"["\"{0}\\",{1}]"#, "{".repeat(100), lists(62)),
    ] {
        assert!(parse(&details).is_ok(), "{details}");
    }
    for details in [lists(64), objects(64), lists(1_900), format!(r#"["\\",{}]"#, lists(63))] {
        let problem = parse(&details).expect_err(&details);
        assert_eq!(
            problem.detail(),
            "`details` must not nest objects and lists deeper than 64.",
            "{details}"
        );
    }
}

//! Gates on both sides of every bound, and as readers get them.

use super::super::terms::{parse_sale, parse_sale_change};
use super::*;

fn put(gate: &str) -> String {
    format!(r#"{{"gate":{gate},"stocks":[{{"stock":"a","quantity_total":1}}]}}"#)
}

#[test]
fn every_field_comes_back_as_it_was_put() {
    let gate = GateTerms {
        session: SessionTerms::Required,
        challenge: ChallengeTerms::Either,
        cooldown_ms: 10_000,
        holds_unpaid_max: Some(3),
        confirm_by: ConfirmBy::Operator,
        mode: GateMode::Shadow,
    };
    let text = r#"{"session":"required","challenge":"either","cooldown_ms":10000,"holds_unpaid_max":3,"confirm_by":"operator","mode":"shadow"}"#;
    let (terms, left_out) = parse_sale(put(text).as_bytes()).unwrap();
    assert_eq!(terms.gate, gate);
    assert!(!left_out.iter().any(|field| matches!(field, TermsField::Gate(_))));
    let mut out = Vec::new();
    write_gate(&mut out, gate);
    assert_eq!(String::from_utf8(out).unwrap(), text);
}

#[test]
fn what_is_left_out_is_told_from_what_is_given() {
    let (terms, left_out) = parse_sale(put(r#"{"session":null,"mode":"enforce"}"#).as_bytes()).unwrap();
    assert_eq!(terms.gate, GateTerms::default());
    let of_gate: Vec<_> = left_out.iter().filter(|field| matches!(field, TermsField::Gate(_))).collect();
    let fields =
        [GateField::Challenge, GateField::CooldownMs, GateField::HoldsUnpaidMax, GateField::ConfirmBy];
    assert_eq!(of_gate, fields.map(TermsField::Gate).iter().collect::<Vec<_>>());
}

#[test]
fn a_change_has_the_fields_that_are_there() {
    let changed = |text: &str| parse_sale_change(text.as_bytes()).unwrap().gate;
    assert_eq!(changed("{}"), GateChange::default());
    assert_eq!(changed(r#"{"gate":{}}"#), GateChange::default());
    assert_eq!(changed(r#"{"gate":null}"#), GateChange::to_default());
    let cooldown = GateChange { cooldown_ms: Some(7), ..GateChange::default() };
    assert_eq!(changed(r#"{"gate":{"cooldown_ms":7}}"#), cooldown);
    let unlimited = GateChange {
        holds_unpaid_max: Some(None),
        session: Some(SessionTerms::Off),
        ..GateChange::default()
    };
    assert_eq!(changed(r#"{"gate":{"holds_unpaid_max":null,"session":null}}"#), unlimited);
}

#[test]
fn anything_else_is_refused_by_the_name_of_its_field() {
    for (gate, start) in [
        ("[]", "`gate` must be a JSON object."),
        ("7", "`gate` must be a JSON object."),
        (r#"{"session":"on"}"#, "`gate.session` must be off, optional or required."),
        (r#"{"session":1}"#, "`gate.session` must be off, optional or required."),
        (r#"{"challenge":"sound"}"#, "`gate.challenge` must be off, image, proof_of_work or either."),
        (r#"{"cooldown_ms":-1}"#, "`gate.cooldown_ms` must be a whole number from 0 to 86400000."),
        (r#"{"cooldown_ms":86400001}"#, "`gate.cooldown_ms` must be at most 86400000."),
        (r#"{"holds_unpaid_max":0}"#, "`gate.holds_unpaid_max` must be 1 to 100."),
        (
            r#"{"holds_unpaid_max":"a"}"#,
            "`gate.holds_unpaid_max` must be a whole number from 1 to 100, or null.",
        ),
        (r#"{"confirm_by":"me"}"#, "`gate.confirm_by` must be anyone or operator."),
        (r#"{"mode":"loud"}"#, "`gate.mode` must be enforce or shadow."),
        (r#"{"captcha":1}"#, "`gate.captcha` is not a known field."),
        (r#"{"mode":"shadow","mode":"shadow"}"#, "`gate.mode` is given twice."),
    ] {
        let problem = parse_sale(put(gate).as_bytes()).unwrap_err();
        assert_eq!(problem.detail(), start, "{gate}");
    }
    let problem = parse_sale(put("null").as_bytes()).unwrap_err();
    assert_eq!(problem.detail(), "`gate` must be a JSON object.");
}

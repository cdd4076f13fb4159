//! Terms of sales on both sides of every bound, and changes of single fields.

use onrush_core::GateField;

use super::*;

/// `expected` is nothing, or the field at fault.
fn check(body: &str, expected: Option<&str>) {
    match (parse_sale(body.as_bytes()), expected) {
        (Ok(_), None) => {}
        (Err(problem), Some(field)) => {
            assert_eq!(problem.status(), 400);
            let start = if field.is_empty() { "The body".to_owned() } else { format!("`{field}` ") };
            assert!(problem.detail().starts_with(&start), "{body}: {}", problem.detail());
        }
        (found, _) => panic!("{body}: {found:?}"),
    }
}

#[test]
fn absent_fields_take_their_defaults() {
    let (terms, left_out) = parse_sale(br#"{"stocks":[{"stock":"a","quantity_total":0}]}"#).unwrap();
    let stock = StockTerms {
        stock: "a".into(),
        title: String::new(),
        starts_at: None,
        ends_at: None,
        closes_at: None,
        quantity_total: 0,
    };
    let expected = SaleTerms {
        title: String::new(),
        opens_at: None,
        closes_at: None,
        per_customer_max: None,
        hold_ttl_ms: 0,
        gate: onrush_core::GateTerms::default(),
        stocks: vec![stock],
    };
    assert_eq!(*terms, expected);
    assert_eq!(
        left_out,
        [
            TermsField::Title,
            TermsField::OpensAt,
            TermsField::ClosesAt,
            TermsField::PerCustomerMax,
            TermsField::HoldTtlMs,
            TermsField::Gate(GateField::Session),
            TermsField::Gate(GateField::Challenge),
            TermsField::Gate(GateField::CooldownMs),
            TermsField::Gate(GateField::HoldsUnpaidMax),
            TermsField::Gate(GateField::ConfirmBy),
            TermsField::Gate(GateField::Mode),
            TermsField::StockTitle(0),
            TermsField::StockStartsAt(0),
            TermsField::StockEndsAt(0),
            TermsField::StockClosesAt(0),
        ]
    );
}

#[test]
fn a_field_that_says_its_default_is_not_left_out() {
    let body = br#"{"title":"","opens_at":null,"closes_at":null,"per_customer_max":null,"hold_ttl_ms":0,
        "gate":{"session":"off","challenge":"off","cooldown_ms":0,"holds_unpaid_max":null,"confirm_by":"anyone","mode":"enforce"},
        "stocks":[{"stock":"a","title":"","starts_at":null,"ends_at":null,"closes_at":null,"quantity_total":0}]}"#;
    assert_eq!(parse_sale(body).unwrap().1, []);
}

#[test]
fn a_change_has_what_it_says_and_nothing_else() {
    let change = |body: &str| parse_sale_change(body.as_bytes()).map(|change| *change);
    assert_eq!(change("{}").unwrap(), TermsChange::default());
    let all = r#"{"title":null,"opens_at":null,"closes_at":"1970-01-01T00:00:01Z","per_customer_max":null,"hold_ttl_ms":null}"#;
    let expected = TermsChange {
        title: Some(String::new()),
        opens_at: Some(None),
        closes_at: Some(Some(1_000)),
        per_customer_max: Some(None),
        hold_ttl_ms: Some(0),
        ..TermsChange::default()
    };
    assert_eq!(change(all).unwrap(), expected);
    let stocks = change(r#"{"stocks":[{"stock":"a","title":"A","quantity_total":3}]}"#).unwrap();
    assert_eq!(stocks.stocks.unwrap()[0].quantity_total, 3);
    let expected = [TermsField::StockStartsAt(0), TermsField::StockEndsAt(0), TermsField::StockClosesAt(0)];
    assert_eq!(stocks.left_out, expected);
    for (body, field) in [
        (r#"{"per_customer_maximum":1}"#, "per_customer_maximum"),
        (r#"{"opens_at":"soon"}"#, "opens_at"),
        (r#"{"stocks":null}"#, "stocks"),
        (r#"{"stocks":[{"stock":"a"}]}"#, "stocks[0].quantity_total"),
    ] {
        let problem = change(body).unwrap_err();
        assert!(problem.detail().starts_with(&format!("`{field}` ")), "{body}: {}", problem.detail());
    }
}

#[test]
fn fields_on_both_sides_of_their_bounds() {
    let with = |fields: &str| format!(r#"{{{fields},"stocks":[{{"stock":"a","quantity_total":1}}]}}"#);
    for (fields, expected) in [
        (r#""title":"t""#, None),
        (r#""title":null"#, Some("title")),
        (r#""title":7"#, Some("title")),
        (r#""opens_at":null,"closes_at":null,"per_customer_max":null"#, None),
        (r#""opens_at":"2021-05-16T08:00:00+08:00""#, None),
        (r#""opens_at":"2021-05-16""#, Some("opens_at")),
        (r#""opens_at":1621152000"#, Some("opens_at")),
        (r#""opens_at":"2021-05-16T00:00:00Z","closes_at":"2021-05-16T00:00:00.001Z""#, None),
        (r#""opens_at":"2021-05-16T00:00:00Z","closes_at":"2021-05-16T00:00:00Z""#, Some("closes_at")),
        (r#""per_customer_max":1"#, None),
        (r#""per_customer_max":1000000"#, None),
        (r#""per_customer_max":0"#, Some("per_customer_max")),
        (r#""per_customer_max":1000001"#, Some("per_customer_max")),
        (r#""per_customer_max":1.0"#, Some("per_customer_max")),
        (r#""hold_ttl_ms":86400000"#, None),
        (r#""hold_ttl_ms":86400001"#, Some("hold_ttl_ms")),
        (r#""hold_ttl_ms":null"#, Some("hold_ttl_ms")),
        (r#""hold_ttl_ms":-1"#, Some("hold_ttl_ms")),
        (r#""per_customer":1"#, Some("per_customer")),
        (r#""status":"open""#, Some("status")),
    ] {
        check(&with(fields), expected);
    }
}

#[test]
fn stocks_on_both_sides_of_their_bounds() {
    for (stocks, expected) in [
        ("[]", Some("stocks")),
        ("{}", Some("stocks")),
        ("null", Some("stocks")),
        (r#"[["a","",null,null,1]]"#, Some("stocks[0]")),
        (r#"[{"stock":"a"}]"#, Some("stocks[0].quantity_total")),
        (r#"[{"quantity_total":1}]"#, Some("stocks[0].stock")),
        (r#"[{"stock":"a b","quantity_total":1}]"#, Some("stocks[0].stock")),
        (r#"[{"stock":"a","quantity_total":1000000000}]"#, None),
        (r#"[{"stock":"a","quantity_total":1000000001}]"#, Some("stocks[0].quantity_total")),
        (r#"[{"stock":"a","quantity_total":5000000000}]"#, Some("stocks[0].quantity_total")),
        (r#"[{"stock":"a","quantity_total":1},{"stock":"a","quantity_total":1}]"#, Some("stocks[1].stock")),
        (r#"[{"stock":"a","quantity_total":1,"quantity_held":0}]"#, Some("stocks[0].quantity_held")),
        (
            r#"[{"stock":"a","starts_at":"2021-05-16T00:00:00Z","ends_at":"2021-05-17T00:00:00Z","quantity_total":1}]"#,
            None,
        ),
        (
            r#"[{"stock":"a","starts_at":"2021-05-16T00:00:00Z","ends_at":"2021-05-15T00:00:00Z","quantity_total":1}]"#,
            Some("stocks[0].ends_at"),
        ),
        (r#"[{"stock":"a","closes_at":"2021-05-16T00:00:00Z","quantity_total":1}]"#, None),
        (r#"[{"stock":"a","closes_at":"soon","quantity_total":1}]"#, Some("stocks[0].closes_at")),
        (r#"[{"stock":"a","starts_at":"soon","quantity_total":1}]"#, Some("stocks[0].starts_at")),
    ] {
        check(&format!(r#"{{"stocks":{stocks}}}"#), expected);
    }
    check("{}", Some("stocks"));
    check("[]", Some(""));
    check("", Some(""));
}

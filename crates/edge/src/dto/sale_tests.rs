//! Sales on both sides of every bound, and their JSON byte for byte.

use super::*;
use onrush_core::SaleNo;

fn view() -> SaleView {
    let stock = |stock: &str, starts_at: Option<TimeMs>| StockView {
        stock: stock.into(),
        title: "Day \"1\"".into(),
        starts_at,
        ends_at: None,
        quantity_total: 1_000,
        quantity_held: 1,
        quantity_confirmed: 2,
    };
    SaleView {
        sale_no: SaleNo(3),
        sale: "pwtc".into(),
        version: 17,
        title: "Größe".into(),
        opens_at: Some(0),
        closes_at: None,
        per_customer_max: Some(1),
        hold_ttl_ms: 0,
        status: SaleStatus::Open,
        stocks: vec![stock("a", None), stock("b", Some(1))],
    }
}

#[test]
fn a_sale_byte_for_byte() {
    let mut out = Vec::new();
    write_sale(&mut out, &view());
    let figures = r#""ends_at":null,"quantity_total":1000,"quantity_held":1,"quantity_confirmed":2,"quantity_available":997"#;
    let expected = format!(
        r#"{{"sale":"pwtc","title":"Größe","opens_at":"1970-01-01T00:00:00.000Z","closes_at":null,"per_customer_max":1,"hold_ttl_ms":0,"status":"open","stocks":[{{"stock":"a","title":"Day \"1\"","starts_at":null,{figures}}},{{"stock":"b","title":"Day \"1\"","starts_at":"1970-01-01T00:00:00.001Z",{figures}}}]}}"#
    );
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn pages_byte_for_byte() {
    let sale = SaleView {
        stocks: Vec::new(),
        title: String::new(),
        opens_at: None,
        per_customer_max: None,
        ..view()
    };
    let one = r#"{"sale":"pwtc","title":"","opens_at":null,"closes_at":null,"per_customer_max":null,"hold_ttl_ms":0,"status":"open","stocks":[]}"#;
    let mut out = Vec::new();
    write_sales(&mut out, &[sale.clone(), sale], Some("PWTC"));
    assert_eq!(
        String::from_utf8(out).unwrap(),
        format!(r#"{{"sales":[{one},{one}],"next_cursor":"0150575443"}}"#)
    );
    let mut out = Vec::new();
    write_sales(&mut out, &[], None);
    assert_eq!(out, br#"{"sales":[],"next_cursor":null}"#);
}

#[test]
fn tags_follow_every_change() {
    let sale = view();
    assert_eq!(sale_etag(&sale), "\"3-17-open\"");
    let others = [
        SaleView { version: 18, ..view() },
        SaleView { sale_no: SaleNo(4), ..view() },
        SaleView { status: SaleStatus::SoldOut, ..view() },
    ];
    let page = sales_etag(&[sale], None);
    assert_ne!(page, sales_etag(&[view()], Some("pwtc")));
    assert_ne!(page, sales_etag(&[], None));
    for other in others {
        assert_ne!(sale_etag(&other), sale_etag(&view()));
        assert_ne!(page, sales_etag(&[other], None));
    }
}

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
    let terms = parse_sale(br#"{"stocks":[{"stock":"a","quantity_total":0}]}"#).unwrap();
    let stock = StockTerms {
        stock: "a".into(),
        title: String::new(),
        starts_at: None,
        ends_at: None,
        quantity_total: 0,
    };
    let expected = SaleTerms {
        title: String::new(),
        opens_at: None,
        closes_at: None,
        per_customer_max: None,
        hold_ttl_ms: 0,
        stocks: vec![stock],
    };
    assert_eq!(*terms, expected);
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
        (r#"[{"stock":"a","starts_at":"soon","quantity_total":1}]"#, Some("stocks[0].starts_at")),
    ] {
        check(&format!(r#"{{"stocks":{stocks}}}"#), expected);
    }
    check("{}", Some("stocks"));
    check("[]", Some(""));
    check("", Some(""));
}

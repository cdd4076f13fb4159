//! Sales byte for byte.

use super::*;
use onrush_core::{Incarnation, SaleNo, SaleVersion, TermsVersion};

const GATE: &str = r#"{"session":"off","challenge":"off","cooldown_ms":0,"holds_unpaid_max":null,"confirm_by":"anyone","mode":"enforce"}"#;

fn view() -> SaleView {
    let stock = |stock: &str, starts_at: Option<TimeMs>| StockView {
        stock: stock.into(),
        title: "Day \"1\"".into(),
        starts_at,
        ends_at: None,
        closes_at: None,
        is_closed: false,
        quantity_total: 1_000,
        quantity_held: 1,
        quantity_confirmed: 2,
    };
    SaleView {
        sale_no: SaleNo(3),
        sale: "pwtc".into(),
        version: SaleVersion { number: 17, incarnation: Incarnation::FIRST, terms: TermsVersion(0) },
        title: "Größe".into(),
        opens_at: Some(0),
        closes_at: None,
        per_customer_max: Some(1),
        hold_ttl_ms: 0,
        gate: onrush_core::GateTerms::default(),
        status: SaleStatus::Open,
        stocks: vec![stock("a", None), stock("b", Some(1))],
    }
}

#[test]
fn a_sale_byte_for_byte() {
    let mut out = Vec::new();
    write_sale(&mut out, &view());
    let figures = r#""ends_at":null,"closes_at":null,"quantity_total":1000,"quantity_held":1,"quantity_confirmed":2,"quantity_available":997"#;
    let expected = format!(
        r#"{{"sale":"pwtc","title":"Größe","opens_at":"1970-01-01T00:00:00.000Z","closes_at":null,"per_customer_max":1,"hold_ttl_ms":0,"gate":{GATE},"status":"open","stocks":[{{"stock":"a","title":"Day \"1\"","starts_at":null,{figures}}},{{"stock":"b","title":"Day \"1\"","starts_at":"1970-01-01T00:00:00.001Z",{figures}}}]}}"#
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
    let one = r#"{"sale":"pwtc","title":"","opens_at":null,"closes_at":null,"per_customer_max":null,"hold_ttl_ms":0,"gate":GATE,"status":"open","stocks":[]}"#.replace("GATE", GATE);
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

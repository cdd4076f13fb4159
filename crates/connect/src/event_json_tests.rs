//! Golden JSON for every kind of event, and names that JSON has to escape.

use onrush_core::{
    GateTerms, Incarnation, ReservationNo, SaleNo, SaleTerms, StockNo, StockTerms, TIME_MS_MAX, WindowShape,
};
use onrush_sinks::{Change, Claim, ReservationSubject, SinkEvent, SinkLine, Source};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

const SUBJECT: ReservationSubject<'_> = ReservationSubject {
    reservation_no: ReservationNo { sale: SaleNo(1), seq: 7 },
    reservation: *b"01hzy3v7k2m4n6p8q0r2s4t6v8",
    sale: "flash",
};

const BARE: Claim<'_> = Claim {
    customer: "ann",
    lines: &[SinkLine { stock_no: StockNo(0), stock: "a", quantity: 2 }],
    details: b"",
    idempotency_key: "",
};

const FULL: Claim<'_> = Claim {
    customer: "ann",
    lines: &[
        SinkLine { stock_no: StockNo(3), stock: "b", quantity: 65_535 },
        SinkLine { stock_no: StockNo(0), stock: "a", quantity: 1 },
    ],
    details: br#"{ "b":1.50, "a":"\u00e9", "a":null }"#,
    idempotency_key: "\"key\"",
};

fn json(change: Change<'_>) -> String {
    let mut out = b"before ".to_vec();
    write_event_data(&mut out, &SinkEvent { offset: 1, incarnation: Incarnation::FIRST, at: 2, change });
    String::from_utf8(out).unwrap().strip_prefix("before ").expect("it appends").to_owned()
}

fn terms() -> SaleTerms {
    SaleTerms {
        title: "Flash".into(),
        opens_at: Some(1_760_000_000_000),
        closes_at: None,
        per_customer_max: Some(2),
        hold_ttl_ms: 60_000,
        gate: GateTerms::default(),
        stocks: vec![StockTerms {
            stock: "a".into(),
            title: "A".into(),
            starts_at: Some(0),
            ends_at: Some(TIME_MS_MAX),
            closes_at: None,
            quantity_total: u32::MAX,
        }],
    }
}

#[test]
fn a_stock_has_when_it_closes_only_if_it_does() {
    let mut terms = terms();
    terms.stocks[0].closes_at = Some(1_760_000_000_000);
    let put =
        json(Change::SalePut { sale_no: SaleNo(1), sale: "flash", terms: &terms, stock_nos: &[StockNo(0)] });
    let expected = r#","ends_at":"9999-12-31T00:00:00.000Z","closes_at":"2025-10-09T08:53:20.000Z","quantity_total":4294967295}]}"#;
    assert!(put.ends_with(expected), "{put}");
}

#[test]
fn each_change_has_its_golden_json() {
    let (sale_no, sale, subject) = (SaleNo(1), "flash", SUBJECT);
    let shape = WindowShape { span_ms: 60_000, precision_ms: 1_000 };
    for (change, expected) in [
        (
            Change::CounterAdded { counter: "visits", by: 3, value: u64::MAX },
            r#"{"counter":"visits","by":3,"value":18446744073709551615}"#,
        ),
        (Change::WindowPut { window: "w", shape }, r#"{"window":"w","span_ms":60000,"precision_ms":1000}"#),
        (
            Change::WindowHit { window: "w", pane: 1_760_000_000, by: 1 },
            r#"{"window":"w","pane":1760000000,"by":1}"#,
        ),
        (
            Change::SalePut { sale_no, sale, terms: &terms(), stock_nos: &[StockNo(0)] },
            r#"{"sale":"flash","title":"Flash","opens_at":"2025-10-09T08:53:20.000Z","closes_at":null,"per_customer_max":2,"hold_ttl_ms":60000,"stocks":[{"stock":"a","title":"A","starts_at":"1970-01-01T00:00:00.000Z","ends_at":"9999-12-31T00:00:00.000Z","quantity_total":4294967295}]}"#,
        ),
        (Change::SaleArchived { sale_no, sale }, r#"{"sale":"flash"}"#),
        (
            Change::Reserved { subject, claim: BARE, expires_at: Some(1_760_000_000_001) },
            r#"{"sale":"flash","reservation":"01hzy3v7k2m4n6p8q0r2s4t6v8","status":"held","customer":"ann","lines":[{"stock":"a","quantity":2}],"expires_at":"2025-10-09T08:53:20.001Z"}"#,
        ),
        (
            Change::Reserved { subject, claim: FULL, expires_at: None },
            r#"{"sale":"flash","reservation":"01hzy3v7k2m4n6p8q0r2s4t6v8","status":"confirmed","customer":"ann","lines":[{"stock":"b","quantity":65535},{"stock":"a","quantity":1}],"details":{ "b":1.50, "a":"\u00e9", "a":null },"idempotency_key":"\"key\"","expires_at":null}"#,
        ),
        (
            Change::Confirmed { subject, claim: BARE },
            r#"{"sale":"flash","reservation":"01hzy3v7k2m4n6p8q0r2s4t6v8","status":"confirmed","customer":"ann","lines":[{"stock":"a","quantity":2}]}"#,
        ),
        (
            Change::Released { subject, claim: Some(BARE) },
            r#"{"sale":"flash","reservation":"01hzy3v7k2m4n6p8q0r2s4t6v8","status":"released","customer":"ann","lines":[{"stock":"a","quantity":2}]}"#,
        ),
        (
            Change::Released { subject, claim: None },
            r#"{"sale":"flash","reservation":"01hzy3v7k2m4n6p8q0r2s4t6v8","status":"released"}"#,
        ),
        (
            Change::Expired { subject, claim: BARE },
            r#"{"sale":"flash","reservation":"01hzy3v7k2m4n6p8q0r2s4t6v8","status":"expired","customer":"ann","lines":[{"stock":"a","quantity":2}]}"#,
        ),
    ] {
        assert_eq!(json(change), expected);
    }
}

#[test]
fn ids_sources_and_types_are_stable() {
    let log_id = "01JAVXN0WZ9Q4T8S7R6P5M4K3H".to_owned();
    let source = Source { log_id, partition: 3, sink: "shop".to_owned() };
    assert_eq!(source_uri(&source), "/onrush/01JAVXN0WZ9Q4T8S7R6P5M4K3H");
    let event = SinkEvent {
        offset: 1,
        incarnation: Incarnation::FIRST,
        at: 2,
        change: Change::SaleArchived { sale_no: SaleNo(0), sale: "s" },
    };
    assert_eq!(event_type(&event), "dev.onrush.sale.archived");
    let last = SinkEvent { offset: u64::MAX, ..event };
    assert_eq!(event_id(&source, &last), "3-18446744073709551615");
    // After an older copy of the log went on, the same offset belongs to another event.
    let later = SinkEvent { incarnation: Incarnation(0x00ab_cdef), ..last };
    assert_eq!(event_id(&source, &later), "3-18446744073709551615-00abcdef");
    for id in ["3-7", "3-7-00abcdef"] {
        assert_eq!((offset_in_id(3, id), offset_in_id(4, id)), (Some(7), None));
    }
}

proptest! {
    #[test]
    fn any_text_comes_back_as_it_was(text in any::<String>(), other in any::<String>(), value: u64) {
        let read: Value = serde_json::from_str(&json(Change::CounterAdded { counter: &text, by: 1, value })).unwrap();
        prop_assert_eq!(&read, &serde_json::json!({"counter": &text, "by": 1, "value": value}));

        let details = serde_json::to_vec(&serde_json::json!({ &other: &text })).unwrap();
        let lines = [SinkLine { stock_no: StockNo(0), stock: &text, quantity: 1 }];
        let claim = Claim { customer: &other, lines: &lines, details: &details, idempotency_key: "" };
        let subject = ReservationSubject { sale: &text, ..SUBJECT };
        let read: Value = serde_json::from_str(&json(Change::Confirmed { subject, claim })).unwrap();
        prop_assert_eq!(&read["sale"], &text);
        prop_assert_eq!(&read["customer"], &other);
        prop_assert_eq!(&read["lines"][0]["stock"], &text);
        prop_assert_eq!(&read["details"][&other], &text);
    }
}

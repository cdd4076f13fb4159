//! Bytes of released formats. What these files hold must decode to the same for ever; today's encoder must write the
//! newest of them.

use std::fmt::Write as _;

use onrush_core::{
    Event, Fact, IdempotencyKey, Line, Lines, ReservationNo, ReservationStatus, SaleNo, SaleTerms, StockNo,
    StockTerms, WindowShape,
};

use super::{DecodeError, FactDecoder, decode_records, encode_event, encode_fact, encode_time};

const BATCH_TIME: u64 = 1_700_000_000_000;
const RECORDS_V1: &[u8] = include_bytes!("../../golden/records-v1.bin");
const RECORDS_V1_TEXT: &str = include_str!("../../golden/records-v1.txt");
const FACTS_V1: &[u8] = include_bytes!("../../golden/facts-v1.bin");
const FACTS_V1_TEXT: &str = include_str!("../../golden/facts-v1.txt");

fn terms() -> SaleTerms {
    let stock = |name: &str, starts_at| StockTerms {
        stock: name.into(),
        title: "Tuesday é".into(),
        starts_at,
        ends_at: starts_at.map(|at| at + 3_600_000),
        quantity_total: 1_000_000_000,
    };
    SaleTerms {
        title: "Clinic".into(),
        opens_at: Some(BATCH_TIME),
        closes_at: None,
        per_customer_max: Some(2),
        hold_ttl_ms: 86_400_000,
        stocks: vec![stock("2021-05-16", Some(BATCH_TIME)), stock("b", None)],
    }
}

fn lines() -> Lines {
    let line = |stock, quantity| Line { stock: StockNo(stock), quantity };
    [line(0, 1), line(65_534, 1_000)].into_iter().collect()
}

fn write_records() -> Vec<u8> {
    let terms = terms();
    let reservation = ReservationNo { sale: SaleNo(300), seq: 70_000 };
    let plain = Event::Reserved {
        reservation,
        customer: "900127015527",
        lines: lines(),
        expires_at: None,
        key: None,
        details: b"",
    };
    let full = Event::Reserved {
        reservation,
        customer: "c",
        lines: lines(),
        expires_at: Some(BATCH_TIME + 60_000),
        key: Some(IdempotencyKey { key: b"key", fingerprint: 0x0123_4567_89ab_cdef }),
        details: br#"{"a":1}"#,
    };
    let shape = WindowShape { span_ms: 60_000, precision_ms: 100 };
    let mut out = Vec::new();
    encode_event(&mut out, &Event::Founded { id_key: *b"0123456789abcdef" });
    encode_event(&mut out, &Event::SalePut { sale_no: SaleNo(300), sale: "PWTC", terms: &terms });
    encode_time(&mut out, BATCH_TIME, BATCH_TIME + 5);
    encode_event(&mut out, &plain);
    encode_event(&mut out, &full);
    encode_event(&mut out, &Event::Confirmed { reservation });
    encode_event(&mut out, &Event::Released { reservation });
    encode_time(&mut out, BATCH_TIME, BATCH_TIME + 70_000);
    encode_event(&mut out, &Event::Expired { reservation });
    encode_event(&mut out, &Event::WindowPut { window: "requests", shape });
    encode_event(&mut out, &Event::WindowHit { window: "requests", pane: 17_000_000_000, by: 12 });
    encode_event(&mut out, &Event::CounterAdded { counter: "home", by: 1_000_000, value: u64::MAX });
    encode_event(&mut out, &Event::SaleArchived { sale_no: SaleNo(300) });
    out
}

fn write_facts() -> Vec<u8> {
    let terms = terms();
    let reservation = |seq| ReservationNo { sale: SaleNo(300), seq };
    let shape = WindowShape { span_ms: 60_000, precision_ms: 100 };
    let facts = [
        Fact::Partition { id_key: Some(*b"0123456789abcdef"), time: BATCH_TIME, sales_ever: 301 },
        Fact::Counter { counter: "home", value: u64::MAX },
        Fact::Window { window: "requests", shape },
        Fact::Pane { pane: 17_000_000_000, count: 12 },
        Fact::Sale {
            sale_no: SaleNo(300),
            sale: "PWTC",
            terms: &terms,
            stock_nos: &[StockNo(0), StockNo(65_534)],
            stocks_ever: 65_535,
            version: 9,
        },
        Fact::Reservation {
            reservation: reservation(0),
            customer: "900127015527",
            status: ReservationStatus::Confirmed,
            lines: lines(),
            created_at: BATCH_TIME,
            hold_until: None,
            key: None,
            details: b"",
        },
        Fact::Reservation {
            reservation: reservation(1),
            customer: "c",
            status: ReservationStatus::Expired,
            lines: lines(),
            created_at: BATCH_TIME,
            hold_until: Some(BATCH_TIME + 60_000),
            key: Some(IdempotencyKey { key: b"key", fingerprint: 0x0123_4567_89ab_cdef }),
            details: br#"{"a":1}"#,
        },
    ];
    let mut out = Vec::new();
    for fact in &facts {
        encode_fact(&mut out, fact);
    }
    out
}

fn records_as_text(bytes: &[u8]) -> String {
    let mut text = String::new();
    decode_records::<DecodeError>(bytes, BATCH_TIME, |record| {
        writeln!(text, "{} {} {:?}", record.index, record.at, record.event).unwrap();
        Ok(())
    })
    .unwrap();
    text
}

fn facts_as_text(bytes: &[u8]) -> String {
    let mut text = String::new();
    FactDecoder::default()
        .decode(bytes, |fact| {
            writeln!(text, "{fact:?}").unwrap();
            Ok(())
        })
        .unwrap();
    text
}

#[test]
fn records_of_version_1_decode_for_ever() {
    assert_eq!(records_as_text(RECORDS_V1), RECORDS_V1_TEXT);
    assert_eq!(
        write_records(),
        RECORDS_V1,
        "a new record needs a new kind or flag, and a golden file of its own"
    );
}

#[test]
fn facts_of_version_1_decode_for_ever() {
    assert_eq!(facts_as_text(FACTS_V1), FACTS_V1_TEXT);
    assert_eq!(write_facts(), FACTS_V1, "a new fact needs a new kind or flag, and a golden file of its own");
}

#[test]
fn every_cut_is_refused_or_falls_between_two_records() {
    let whole = records_as_text(RECORDS_V1);
    for end in 0..RECORDS_V1.len() {
        let mut text = String::new();
        let decoded = decode_records::<DecodeError>(&RECORDS_V1[..end], BATCH_TIME, |record| {
            writeln!(text, "{} {} {:?}", record.index, record.at, record.event).unwrap();
            Ok(())
        });
        assert!(whole.starts_with(&text), "cut at {end}: {decoded:?}");
    }
}

//! Bytes of released formats. What these files hold must decode to the same for ever; today's encoder must write the
//! newest of them.
//!
//! `ONRUSH_WRITE_GOLDEN=1 cargo test -p onrush-node golden` writes those anew, which only a new format may need.

use std::fmt::{Debug, Write as _};
use std::path::Path;

use onrush_core::{
    ChallengeTerms, ConfirmBy, DenialKind, Event, Fact, GateMode, GateTerms, IdempotencyKey, Incarnation,
    Line, Lines, PasswordHash, ReclaimedClaim, ReservationNo, ReservationStatus, RowLine, SESSION_MS_MAX,
    SaleNo, SaleTerms, SessionTerms, StockNo, StockTerms, WindowShape,
};

use onrush_log::Format;

use super::{DecodeError, FactDecoder, decode_records, encode_event, encode_fact, encode_time};

const BATCH_TIME: u64 = 1_700_000_000_000;
const RECORDS_V1: &[u8] = include_bytes!("../../golden/records-v1.bin");
const RECORDS_V1_TEXT: &str = include_str!("../../golden/records-v1.txt");
const RECORDS_V2: &[u8] = include_bytes!("../../golden/records-v2.bin");
const RECORDS_V2_TEXT: &str = include_str!("../../golden/records-v2.txt");
const FACTS_V1: &[u8] = include_bytes!("../../golden/facts-v1.bin");
const FACTS_V1_TEXT: &str = include_str!("../../golden/facts-v1.txt");
const FACTS_V2: &[u8] = include_bytes!("../../golden/facts-v2.bin");
const FACTS_V2_TEXT: &str = include_str!("../../golden/facts-v2.txt");
/// What came to version 2 with the incarnations.
const INCARNATION_RECORDS: &[u8] = include_bytes!("../../golden/incarnation-records-v2.bin");
const INCARNATION_RECORDS_TEXT: &str = include_str!("../../golden/incarnation-records-v2.txt");
const INCARNATION_FACTS: &[u8] = include_bytes!("../../golden/incarnation-facts-v2.bin");
const INCARNATION_FACTS_TEXT: &str = include_str!("../../golden/incarnation-facts-v2.txt");

/// What came to version 2 with stocks that close.
const CLOSING_RECORDS: &[u8] = include_bytes!("../../golden/closing-records-v2.bin");
const CLOSING_RECORDS_TEXT: &str = include_str!("../../golden/closing-records-v2.txt");
const CLOSING_FACTS: &[u8] = include_bytes!("../../golden/closing-facts-v2.bin");
const CLOSING_FACTS_TEXT: &str = include_str!("../../golden/closing-facts-v2.txt");

/// What came to version 2 with the gates of sales.
const GATE_RECORDS: &[u8] = include_bytes!("../../golden/gate-records-v2.bin");
const GATE_RECORDS_TEXT: &str = include_str!("../../golden/gate-records-v2.txt");
const GATE_FACTS: &[u8] = include_bytes!("../../golden/gate-facts-v2.bin");
const GATE_FACTS_TEXT: &str = include_str!("../../golden/gate-facts-v2.txt");

/// What came to version 2 with challenges.
const CHALLENGE_RECORDS: &[u8] = include_bytes!("../../golden/challenge-records-v2.bin");
const CHALLENGE_RECORDS_TEXT: &str = include_str!("../../golden/challenge-records-v2.txt");
const CHALLENGE_FACTS: &[u8] = include_bytes!("../../golden/challenge-facts-v2.bin");
const CHALLENGE_FACTS_TEXT: &str = include_str!("../../golden/challenge-facts-v2.txt");

/// What came to version 2 with accounts.
const ACCOUNT_RECORDS: &[u8] = include_bytes!("../../golden/account-records-v2.bin");
const ACCOUNT_RECORDS_TEXT: &str = include_str!("../../golden/account-records-v2.txt");
const ACCOUNT_FACTS: &[u8] = include_bytes!("../../golden/account-facts-v2.bin");
const ACCOUNT_FACTS_TEXT: &str = include_str!("../../golden/account-facts-v2.txt");

/// What came to version 2 with rows of the catalogue.
const ROW_RECORDS: &[u8] = include_bytes!("../../golden/row-records-v2.bin");
const ROW_RECORDS_TEXT: &str = include_str!("../../golden/row-records-v2.txt");
const ROW_FACTS: &[u8] = include_bytes!("../../golden/row-facts-v2.bin");
const ROW_FACTS_TEXT: &str = include_str!("../../golden/row-facts-v2.txt");

/// What came to version 2 with payments that come late.
const RECLAIM_RECORDS: &[u8] = include_bytes!("../../golden/reclaim-records-v2.bin");
const RECLAIM_RECORDS_TEXT: &str = include_str!("../../golden/reclaim-records-v2.txt");

/// As [`terms`], with a gate that asks for everything.
fn gate_terms() -> SaleTerms {
    let gate = GateTerms {
        session: SessionTerms::Required,
        challenge: ChallengeTerms::Off,
        cooldown_ms: 10_000,
        holds_unpaid_max: Some(3),
        confirm_by: ConfirmBy::Operator,
        mode: GateMode::Shadow,
    };
    SaleTerms { gate, ..terms() }
}

/// As [`terms`], with a gate that asks for a challenge.
fn challenge_terms() -> SaleTerms {
    let gate = GateTerms { challenge: ChallengeTerms::Either, ..GateTerms::default() };
    SaleTerms { gate, ..terms() }
}
/// What came to version 2 with the denylist.
const DENIAL_RECORDS: &[u8] = include_bytes!("../../golden/denial-records-v2.bin");
const DENIAL_RECORDS_TEXT: &str = include_str!("../../golden/denial-records-v2.txt");
const DENIAL_FACTS: &[u8] = include_bytes!("../../golden/denial-facts-v2.bin");
const DENIAL_FACTS_TEXT: &str = include_str!("../../golden/denial-facts-v2.txt");
const SESSION_END_RECORDS: &[u8] = include_bytes!("../../golden/session-end-records-v2.bin");
const SESSION_END_RECORDS_TEXT: &str = include_str!("../../golden/session-end-records-v2.txt");
const SESSION_END_FACTS: &[u8] = include_bytes!("../../golden/session-end-facts-v2.bin");
const SESSION_END_FACTS_TEXT: &str = include_str!("../../golden/session-end-facts-v2.txt");

/// As [`terms`], where the first stock closes.
fn closing_terms() -> SaleTerms {
    let mut terms = terms();
    terms.stocks[0].closes_at = Some(BATCH_TIME + 1_800_000);
    terms
}

fn terms() -> SaleTerms {
    let stock = |name: &str, starts_at| StockTerms {
        stock: name.into(),
        title: "Tuesday é".into(),
        starts_at,
        ends_at: starts_at.map(|at| at + 3_600_000),
        closes_at: None,
        quantity_total: 1_000_000_000,
    };
    SaleTerms {
        title: "Clinic".into(),
        opens_at: Some(BATCH_TIME),
        closes_at: None,
        per_customer_max: Some(2),
        hold_ttl_ms: 86_400_000,
        gate: GateTerms::default(),
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
    encode_event(&mut out, &Event::PartitionCreated { id_key: *b"0123456789abcdef" });
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
        Fact::Partition {
            id_key: Some(*b"0123456789abcdef"),
            time: BATCH_TIME,
            sales_ever: 301,
            incarnation: Incarnation::FIRST,
        },
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

fn try_records(format: Format, bytes: &[u8]) -> (String, Result<(), DecodeError>) {
    let mut text = String::new();
    let decoded = decode_records(format, bytes, BATCH_TIME, |record| {
        writeln!(text, "{} {} {}", record.index, record.at, as_before(&record.event)).unwrap();
        Ok(())
    });
    (text, decoded)
}

/// Replaces golden files if that was asked for; the tests see them when they are built again.
fn write_golden(name: &str, bytes: &[u8], text: &str) {
    if std::env::var_os("ONRUSH_WRITE_GOLDEN").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
        std::fs::write(path.with_extension("bin"), bytes).unwrap();
        std::fs::write(path.with_extension("txt"), text).unwrap();
    }
}

fn records_as_text(format: Format, bytes: &[u8]) -> String {
    let (text, decoded) = try_records(format, bytes);
    decoded.unwrap();
    text
}

/// A record or a fact as text, without the fields that came later where they are at their defaults: texts from before do not
/// have them.
fn as_before(one: &impl Debug) -> String {
    let text = format!("{one:?}").replace(", incarnation: Incarnation(0)", "");
    let text = text.replace(&format!(", gate: {:?}", GateTerms::default()), "");
    text.replace(", closes_at: None, quantity_total", ", quantity_total").replace("challenge: Off, ", "")
}

fn facts_as_text(format: Format, bytes: &[u8]) -> String {
    let mut text = String::new();
    FactDecoder::new(format)
        .decode(bytes, |fact| {
            writeln!(text, "{}", as_before(fact)).unwrap();
            Ok(())
        })
        .unwrap();
    text
}

#[test]
fn records_of_version_1_decode_for_ever() {
    assert_eq!(records_as_text(Format::V1, RECORDS_V1), RECORDS_V1_TEXT);
}

#[test]
fn records_of_version_2_decode_for_ever() {
    check_records("records-v2", &write_records(), RECORDS_V2, RECORDS_V2_TEXT);
    let begun = Event::IncarnationBegun { incarnation: Incarnation(0xfedc_ba98) };
    let mut written = Vec::new();
    encode_event(&mut written, &begun);
    check_records("incarnation-records-v2", &written, INCARNATION_RECORDS, INCARNATION_RECORDS_TEXT);
    let sale = |terms: &SaleTerms| {
        let mut written = Vec::new();
        encode_event(&mut written, &Event::SalePut { sale_no: SaleNo(300), sale: "PWTC", terms });
        written
    };
    check_records("closing-records-v2", &sale(&closing_terms()), CLOSING_RECORDS, CLOSING_RECORDS_TEXT);
    check_records("gate-records-v2", &sale(&gate_terms()), GATE_RECORDS, GATE_RECORDS_TEXT);
    let written = sale(&challenge_terms());
    check_records("challenge-records-v2", &written, CHALLENGE_RECORDS, CHALLENGE_RECORDS_TEXT);
}

#[test]
fn reclaimed_reservations_of_version_2_decode_for_ever() {
    let mut written = Vec::new();
    for (key, details) in [(&b""[..], &b""[..]), (b"key", br#"{"a":1}"#)] {
        let claim = ReclaimedClaim {
            customer: "900127015527".into(),
            lines: lines(),
            key: key.into(),
            details: details.into(),
        };
        let reservation = ReservationNo { sale: SaleNo(300), seq: 70_000 };
        encode_event(&mut written, &Event::Reclaimed { reservation, claim: Box::new(claim) });
    }
    check_records("reclaim-records-v2", &written, RECLAIM_RECORDS, RECLAIM_RECORDS_TEXT);
}

#[test]
fn rows_of_version_2_decode_for_ever() {
    let rows = vec![RowLine { key: "1", json: b"{}" }, RowLine { key: "a/b é", json: br#"{"a":1}"# }];
    let events = [
        Event::RowsPut { collection: "products", rows: rows.clone() },
        Event::RowDeleted { collection: "products", key: "1" },
    ];
    let mut written = Vec::new();
    for event in &events {
        encode_event(&mut written, event);
    }
    check_records("row-records-v2", &written, ROW_RECORDS, ROW_RECORDS_TEXT);
    let mut expected = events.iter();
    decode_records(Format::V2, ROW_RECORDS, BATCH_TIME, |record| {
        assert_eq!(Some(&record.event), expected.next());
        Ok::<_, DecodeError>(())
    })
    .unwrap();
    let facts = [
        Fact::Collection { collection: "products", version: 300 },
        Fact::Row { row: rows[0] },
        Fact::Row { row: rows[1] },
    ];
    let mut written = Vec::new();
    for fact in &facts {
        encode_fact(&mut written, fact);
    }
    check_facts("row-facts-v2", &written, ROW_FACTS, ROW_FACTS_TEXT);
    let mut expected = facts.iter();
    FactDecoder::new(Format::V2)
        .decode(ROW_FACTS, |read| {
            assert_eq!(Some(read), expected.next());
            Ok(())
        })
        .unwrap();
}

#[test]
fn accounts_of_version_2_decode_for_ever() {
    let (customer, password) = ("900127015527", PasswordHash(&[1, 0xff, 0, b'h']));
    let mut written = Vec::new();
    encode_event(&mut written, &Event::AccountCreated { customer, password });
    check_records("account-records-v2", &written, ACCOUNT_RECORDS, ACCOUNT_RECORDS_TEXT);
    decode_records(Format::V2, ACCOUNT_RECORDS, BATCH_TIME, |record| {
        assert_eq!(record.event, Event::AccountCreated { customer, password });
        Ok::<_, DecodeError>(())
    })
    .unwrap();
    let fact = Fact::Account { customer, password };
    let mut written = Vec::new();
    encode_fact(&mut written, &fact);
    check_facts("account-facts-v2", &written, ACCOUNT_FACTS, ACCOUNT_FACTS_TEXT);
    FactDecoder::new(Format::V2)
        .decode(ACCOUNT_FACTS, |read| {
            assert_eq!(*read, fact);
            Ok(())
        })
        .unwrap();
}

#[test]
fn denials_of_version_2_decode_for_ever() {
    let (ada, network) = ("ada", "2001:db8::/32");
    let expires_at = Some(BATCH_TIME + 60_000);
    let mut written = Vec::new();
    for event in [
        Event::Denied { kind: DenialKind::Customer, value: ada, reason: "", expires_at: None },
        Event::Denied { kind: DenialKind::Address, value: network, reason: "bots é", expires_at },
        Event::Undenied { kind: DenialKind::Customer, value: ada },
        Event::DenialExpired { kind: DenialKind::Address, value: network },
    ] {
        encode_event(&mut written, &event);
    }
    check_records("denial-records-v2", &written, DENIAL_RECORDS, DENIAL_RECORDS_TEXT);
    let mut written = Vec::new();
    encode_fact(
        &mut written,
        &Fact::Denial { kind: DenialKind::Customer, value: ada, reason: "", expires_at: None },
    );
    encode_fact(
        &mut written,
        &Fact::Denial { kind: DenialKind::Address, value: network, reason: "bots é", expires_at },
    );
    check_facts("denial-facts-v2", &written, DENIAL_FACTS, DENIAL_FACTS_TEXT);
}

#[test]
fn ends_of_sessions_of_version_2_decode_for_ever() {
    let (kind, value) = (DenialKind::Session, "ada");
    let expires_at = Some(BATCH_TIME + SESSION_MS_MAX);
    let mut written = Vec::new();
    for event in [
        Event::Denied { kind, value, reason: "", expires_at },
        Event::Undenied { kind, value },
        Event::DenialExpired { kind, value },
    ] {
        encode_event(&mut written, &event);
    }
    check_records("session-end-records-v2", &written, SESSION_END_RECORDS, SESSION_END_RECORDS_TEXT);
    let mut written = Vec::new();
    encode_fact(&mut written, &Fact::Denial { kind, value, reason: "a bot", expires_at });
    check_facts("session-end-facts-v2", &written, SESSION_END_FACTS, SESSION_END_FACTS_TEXT);
}

#[test]
fn a_denial_of_a_kind_that_is_not_known_is_refused() {
    // Kind 3 of denial, of a customer `a` without a reason.
    assert!(try_records(Format::V2, &[13, 4, 3, 1, b'a', 0]).1.is_err());
    assert!(try_records(Format::V2, &[13, 4, 1, 1, b'a', 0]).1.is_ok());
    assert!(try_records(Format::V1, &[13, 0, 1, b'a', 0]).1.is_err());
}

fn check_records(name: &str, written: &[u8], golden: &[u8], golden_text: &str) {
    write_golden(name, written, &records_as_text(Format::V2, written));
    assert_eq!(records_as_text(Format::V2, golden), golden_text);
    assert_eq!(written, golden, "what is new goes to a new kind or field, and to a golden file of its own");
}

#[test]
fn facts_of_version_1_decode_for_ever() {
    assert_eq!(facts_as_text(Format::V1, FACTS_V1), FACTS_V1_TEXT);
}

#[test]
fn facts_of_version_2_decode_for_ever() {
    check_facts("facts-v2", &write_facts(), FACTS_V2, FACTS_V2_TEXT);
    let incarnation = Incarnation(0xfedc_ba98);
    let first = ReservationNo { sale: SaleNo(300), seq: 70_000 };
    let mut written = Vec::new();
    encode_fact(
        &mut written,
        &Fact::Partition { id_key: None, time: BATCH_TIME, sales_ever: 301, incarnation },
    );
    encode_fact(&mut written, &Fact::Incarnation { first, incarnation });
    check_facts("incarnation-facts-v2", &written, INCARNATION_FACTS, INCARNATION_FACTS_TEXT);
    check_facts("closing-facts-v2", &sale_fact(&closing_terms()), CLOSING_FACTS, CLOSING_FACTS_TEXT);
    check_facts("gate-facts-v2", &sale_fact(&gate_terms()), GATE_FACTS, GATE_FACTS_TEXT);
    let written = sale_fact(&challenge_terms());
    check_facts("challenge-facts-v2", &written, CHALLENGE_FACTS, CHALLENGE_FACTS_TEXT);
}

fn sale_fact(terms: &SaleTerms) -> Vec<u8> {
    let mut written = Vec::new();
    let stock_nos = &[StockNo(0), StockNo(1)];
    let (sale_no, sale) = (SaleNo(300), "PWTC");
    encode_fact(&mut written, &Fact::Sale { sale_no, sale, terms, stock_nos, stocks_ever: 2, version: 1 });
    written
}

fn check_facts(name: &str, written: &[u8], golden: &[u8], golden_text: &str) {
    write_golden(name, written, &facts_as_text(Format::V2, written));
    assert_eq!(facts_as_text(Format::V2, golden), golden_text);
    assert_eq!(written, golden, "what is new goes to a new kind or field, and to a golden file of its own");
}

#[test]
fn every_cut_is_refused_or_falls_between_two_records() {
    for (format, bytes) in [(Format::V1, RECORDS_V1), (Format::V2, RECORDS_V2)] {
        let whole = records_as_text(format, bytes);
        for end in 0..bytes.len() {
            let (text, decoded) = try_records(format, &bytes[..end]);
            assert!(whole.starts_with(&text), "cut at {end}: {decoded:?}");
        }
    }
}

/// A confirmation with these bytes behind the fields that it has today, between two that have none.
fn with_tail(kind: u8, tail: &[u8]) -> Vec<u8> {
    let confirmed = Event::Confirmed { reservation: ReservationNo { sale: SaleNo(1), seq: 2 } };
    let mut out = Vec::new();
    encode_event(&mut out, &confirmed);
    out.push(kind);
    out.push(u8::try_from(2 + tail.len()).unwrap());
    out.extend_from_slice(&[1, 2]);
    out.extend_from_slice(tail);
    encode_event(&mut out, &confirmed);
    out
}

#[test]
fn what_a_later_version_adds_is_passed_over_or_refused_by_name() {
    const CONFIRMED: u8 = 9;
    let plain = records_as_text(Format::V2, &with_tail(CONFIRMED, &[]));
    assert_eq!(plain.lines().count(), 3);
    // Field 5, which may be passed over, of three bytes.
    assert_eq!(records_as_text(Format::V2, &with_tail(CONFIRMED, &[5 << 1, 3, 7, 7, 7])), plain);
    // The same, which may not.
    let (text, refused) = try_records(Format::V2, &with_tail(CONFIRMED, &[5 << 1 | 1, 3, 7, 7, 7]));
    let refused = refused.unwrap_err();
    assert_eq!((text.lines().count(), refused.position), (1, 8));
    assert!(refused.to_string().contains("field 5 of `confirmed` is not known"), "{refused}");
    // A kind that may be passed over: it counts as an event.
    let (first, second) = (plain.lines().next().unwrap(), plain.lines().nth(2).unwrap());
    assert_eq!(records_as_text(Format::V2, &with_tail(200, &[9, 9])), format!("{first}\n{second}\n"));
    // A kind that may not.
    let refused = try_records(Format::V2, &with_tail(100, &[9, 9])).1.unwrap_err();
    assert!(refused.to_string().contains("record kind 100 is not known"), "{refused}");
    // Format 1 has no such thing.
    assert!(try_records(Format::V1, &[200, 2, 1, 2]).1.is_err());
}

//! True histories are taken, and each false one is noticed.

use super::events::Reserved;
use super::written::{batch_of, claim, encoded, mark, resignation};
use super::*;
use crate::api::{Gate, Line, Reservation, Sale, Status, Stock};
use crate::http::Lost;
use crate::ledger::{self, Ask, Outcome, Times, Verb};
use std::sync::Arc;

/// What became of the questions: `Yes` with an answer, `No` with a code, or nobody knows.
#[derive(Clone, Copy)]
enum Said<'a> {
    Yes,
    No(&'a str),
    Unknown,
}
use Said::{No, Unknown, Yes};

/// A log, and what clients were told.
#[derive(Default)]
struct Story {
    records: Vec<Vec<u8>>,
    answers: Vec<Answer>,
}

fn reserved(key: &str, seq: u64, customer: &str, quantity: u64) -> Event {
    Event::Reserved(Reserved {
        reservation: (0, seq),
        customer: customer.into(),
        lines: vec![(0, quantity)],
        expires_at_ms: None,
        key: Some(key.into()),
    })
}

fn added(by: u64, value: u64) -> Event {
    Event::CounterAdded { counter: "n".into(), by, value }
}

fn shown(id: &str, customer: &str, quantity: u64, status: Status) -> Reservation {
    Reservation {
        reservation: id.into(),
        sale: "s".into(),
        customer: customer.into(),
        status,
        lines: vec![Line { stock: "u".into(), quantity }],
        details: None,
        created_at: "1970-01-01T00:00:00.000Z".into(),
        expires_at: None,
    }
}

fn said<T>(said: Said<'_>, yes: T) -> Outcome<T> {
    match said {
        Yes => Outcome::Acknowledged(yes),
        No(code) => Outcome::Refused { status: 409, code: code.into() },
        Unknown => Outcome::Unknown(Lost::TimedOut),
    }
}

impl Story {
    /// A sale of 5 units, 3 of them for a customer at most, put by the leader whose epoch is 0.
    fn begun() -> Self {
        let stocks = vec![("u".to_owned(), 5)];
        let sale = Event::SalePut { sale_no: 0, sale: "s".into(), per_customer_max: Some(3), stocks };
        let mut story = Self::default();
        story.write(&claim(1, None, 0));
        story.write(&batch_of(0, 1, 0, &[sale]));
        story
    }

    fn write(&mut self, record: &Record) {
        self.records.push(encoded(record));
    }

    fn tell(&mut self, sent_ns: u64, ended_ns: u64, told: Told) {
        self.answers.push(Answer { node: 0, times: Times { sent_ns, ended_ns }, told });
    }

    fn reserve(
        &mut self,
        (sent, ended): (u64, u64),
        key: &str,
        customer: &str,
        quantity: u64,
        outcome: Said<'_>,
    ) {
        self.reserve_as((sent, ended), key, customer, quantity, said(outcome, (key, false)));
    }

    /// With the id, and whether it is said to be a replay.
    fn reserve_as(
        &mut self,
        (sent, ended): (u64, u64),
        key: &str,
        customer: &str,
        quantity: u64,
        outcome: Outcome<(&str, bool)>,
    ) {
        let ask = Ask {
            sale: "s".into(),
            customer: customer.into(),
            lines: vec![("u".into(), quantity)],
            details: None,
            key: Some(key.into()),
        };
        let outcome = match outcome {
            Outcome::Acknowledged((id, replayed)) => {
                let reservation = shown(id, customer, quantity, Status::Confirmed);
                Outcome::Acknowledged(ledger::Reserved { reservation, replayed })
            }
            Outcome::Refused { status, code } => Outcome::Refused { status, code },
            Outcome::Unknown(lost) => Outcome::Unknown(lost),
        };
        self.tell(sent, ended, Told::Reserved { ask: Arc::new(ask), outcome });
    }

    fn release(
        &mut self,
        (sent, ended): (u64, u64),
        id: &str,
        customer: &str,
        quantity: u64,
        outcome: Said<'_>,
    ) {
        let outcome = said(outcome, shown(id, customer, quantity, Status::Released));
        self.tell(sent, ended, Told::Stepped { verb: Verb::Release, reservation: id.into(), outcome });
    }

    fn add(&mut self, (sent, ended): (u64, u64), by: u64, value: u64, outcome: Said<'_>) {
        let outcome = said(outcome, value);
        self.tell(sent, ended, Told::Added { number: "counters/n".into(), by, outcome });
    }

    fn read_number(&mut self, (sent, ended): (u64, u64), value: u64) {
        self.tell(sent, ended, Told::NumberRead { number: "counters/n".into(), value });
    }

    fn read_sale(&mut self, (sent, ended): (u64, u64), quantity_confirmed: u64) {
        let stock = Stock {
            stock: "u".into(),
            title: None,
            starts_at: None,
            ends_at: None,
            closes_at: None,
            quantity_total: 5,
            quantity_held: 0,
            quantity_confirmed,
            quantity_available: 5 - quantity_confirmed,
        };
        let sale = Sale {
            sale: "s".into(),
            title: None,
            opens_at: None,
            closes_at: None,
            per_customer_max: Some(3),
            hold_ttl_ms: 0,
            gate: Gate::default(),
            status: "open".into(),
            stocks: vec![stock],
        };
        self.tell(sent, ended, Told::SaleRead(sale));
    }

    /// `expected` is a part of what is wrong, or empty.
    fn check(self, expected: &str) {
        let mut checker = Checker::default();
        let read = (0..).zip(&self.records).try_for_each(|(no, bytes)| checker.read(no, bytes));
        match read.and_then(|()| checker.judge(self.answers)) {
            Ok(()) => assert_eq!(expected, "", "not noticed"),
            Err(error) => {
                let text = format!("{error:#}");
                assert!(!expected.is_empty() && text.contains(expected), "{text}");
            }
        }
    }
}

#[test]
fn a_true_history_of_two_leaders_is_taken() {
    let mut story = Story::begun();
    story.read_sale((5, 8), 0);
    story.write(&batch_of(0, 2, 1, &[reserved("a", 0, "c", 2), added(3, 3)]));
    story.reserve((10, 20), "a", "c", 2, Yes);
    story.add((11, 21), 1, 2, Yes);
    story.add((11, 22), 2, 3, Unknown);
    story.write(&claim(2, Some(0), 3));
    // The first leader was frozen, and did not know.
    story.write(&batch_of(0, 3, 3, &[reserved("b", 1, "d", 3)]));
    story.reserve((30, 60), "b", "d", 3, Unknown);
    story.write(&batch_of(3, 1, 3, &[reserved("b", 1, "d", 3)]));
    story.reserve((40, 50), "b", "d", 3, Yes);
    story.reserve_as((52, 55), "b", "d", 3, Outcome::Acknowledged(("b", true)));
    story.reserve((60, 70), "e", "x", 1, No("insufficient_stock"));
    story.reserve((60, 70), "f", "c", 2, No("customer_limit_reached"));
    story.reserve((60, 70), "g", "c", 2, No("not_leader"));
    story.read_sale((60, 75), 5);
    story.write(&batch_of(3, 2, 4, &[Event::Released((0, 0))]));
    story.release((71, 80), "a", "c", 2, Yes);
    story.read_sale((72, 81), 3);
    story.write(&mark(3, 3, 5));
    story.write(&resignation(3, 4, 5));
    story.check("");
}

#[test]
fn a_lost_success_is_noticed() {
    let mut story = Story::begun();
    story.reserve((10, 20), "a", "c", 2, Yes);
    story.check("was told for key a and is not in force");
    let mut story = Story::begun();
    story.add((10, 20), 2, 2, Yes);
    story.check("2 was told and is not in force");
    let mut story = Story::begun();
    story.write(&batch_of(0, 2, 1, &[reserved("a", 0, "c", 2)]));
    story.reserve((10, 20), "a", "c", 2, Yes);
    story.release((30, 40), "a", "c", 2, Yes);
    story.check("it was never true");
}

#[test]
fn a_record_of_a_deposed_leader_that_was_counted_is_noticed() {
    let mut story = Story::begun();
    story.write(&claim(2, Some(0), 1));
    story.write(&batch_of(0, 2, 1, &[reserved("a", 0, "c", 2)]));
    story.reserve((10, 20), "a", "c", 2, Yes);
    story.check("was told for key a and is not in force");
}

#[test]
fn a_gap_that_was_skipped_is_noticed() {
    let mut story = Story::begun();
    story.write(&batch_of(0, 3, 2, &[reserved("b", 1, "c", 2)]));
    story.reserve((10, 20), "b", "c", 2, Yes);
    story.check("was told for key b and is not in force");
    let mut checker = Checker::default();
    assert!(checker.read(1, b"junk").is_err(), "record 0 is missing");
}

#[test]
fn doubled_units_are_noticed() {
    let mut story = Story::begun();
    story.write(&batch_of(0, 2, 1, &[reserved("a", 0, "c", 3), reserved("b", 1, "d", 3)]));
    story.check("are more than 5");
    let mut story = Story::begun();
    story.write(&batch_of(0, 2, 1, &[reserved("a", 0, "c", 2), reserved("b", 1, "c", 2)]));
    story.check("c has 4 units");
    let mut story = Story::begun();
    story.write(&batch_of(0, 2, 1, &[reserved("a", 0, "c", 1), reserved("a", 1, "c", 1)]));
    story.check("made two reservations");
    let mut story = Story::begun();
    story.write(&batch_of(0, 2, 1, &[reserved("a", 0, "c", 1), reserved("b", 1, "d", 1)]));
    story.reserve((10, 20), "a", "c", 1, Yes);
    story.reserve_as((10, 20), "b", "d", 1, Outcome::Acknowledged(("a", false)));
    story.check("was told of two reservations");
    let mut story = Story::begun();
    story.write(&batch_of(0, 2, 1, &[reserved("a", 0, "c", 1)]));
    story.reserve((10, 20), "a", "c", 1, Yes);
    story.reserve((10, 30), "a", "c", 1, Yes);
    story.check("was answered 201 twice");
}

#[test]
fn what_nobody_asked_for_is_noticed() {
    let mut story = Story::begun();
    story.write(&batch_of(0, 2, 1, &[reserved("a", 0, "c", 1)]));
    story.check("nobody asked for");
    let mut story = Story::begun();
    story.write(&batch_of(0, 2, 1, &[reserved("a", 0, "c", 1)]));
    story.reserve((10, 20), "a", "c", 1, No("not_leader"));
    story.check("nobody asked for");
    let mut story = Story::begun();
    story.write(&batch_of(0, 2, 1, &[reserved("a", 0, "c", 2)]));
    story.reserve((10, 20), "a", "c", 1, Unknown);
    story.check("was asked for");
    let mut story = Story::begun();
    story.write(&batch_of(0, 2, 1, &[reserved("a", 0, "c", 1), Event::Released((0, 0))]));
    story.reserve((10, 20), "a", "c", 1, Yes);
    story.check("nobody asked for Release");
    let mut story = Story::begun();
    story.write(&batch_of(0, 2, 1, &[added(3, 3)]));
    story.add((10, 20), 2, 3, Yes);
    story.check("issued to nobody");
}

#[test]
fn a_counter_value_that_was_told_twice_is_noticed() {
    let mut story = Story::begun();
    story.write(&batch_of(0, 2, 1, &[added(2, 2)]));
    story.add((10, 20), 1, 1, Yes);
    story.add((10, 20), 1, 1, Yes);
    story.check("from 0 on too");
    let mut story = Story::begun();
    story.write(&batch_of(0, 2, 1, &[added(4, 4)]));
    story.add((10, 20), 3, 3, Yes);
    story.add((10, 20), 2, 4, Yes);
    story.check("was told for");
}

#[test]
fn refusals_that_were_never_true_are_noticed() {
    let full = [reserved("a", 0, "c", 3), reserved("b", 1, "d", 2)];
    // The stock was full, but only after the answer.
    let mut story = Story::begun();
    story.write(&batch_of(0, 2, 1, &full));
    story.reserve((30, 40), "a", "c", 3, Yes);
    story.reserve((30, 40), "b", "d", 2, Yes);
    story.reserve((10, 20), "e", "x", 1, No("insufficient_stock"));
    story.check("it was never true");
    // It was full, but no longer when it was asked for.
    let mut story = Story::begun();
    story.write(&batch_of(0, 2, 1, &full));
    story.reserve((10, 20), "a", "c", 3, Yes);
    story.reserve((10, 20), "b", "d", 2, Yes);
    story.write(&batch_of(0, 3, 3, &[Event::Released((0, 1))]));
    story.release((30, 40), "b", "d", 2, Yes);
    story.reserve((50, 60), "e", "x", 1, No("insufficient_stock"));
    story.check("it was never true");
    // The limit was not reached.
    let mut story = Story::begun();
    story.write(&batch_of(0, 2, 1, &[reserved("a", 0, "c", 2)]));
    story.reserve((10, 20), "a", "c", 2, Yes);
    story.reserve((30, 40), "e", "c", 1, No("customer_limit_reached"));
    story.check("it was never true");
    // The key had a reservation.
    let mut story = Story::begun();
    story.write(&batch_of(0, 2, 1, &full));
    story.reserve((10, 20), "a", "c", 3, Yes);
    story.reserve((10, 20), "b", "d", 2, Yes);
    story.reserve((30, 40), "a", "c", 3, No("insufficient_stock"));
    story.check("it was never true");
    let mut story = Story::begun();
    story.reserve((30, 40), "a", "c", 3, No("sale_closed"));
    story.check("nothing is refused with sale_closed");
}

#[test]
fn stale_reads_are_noticed() {
    let begun = || {
        let mut story = Story::begun();
        story.write(&batch_of(0, 2, 1, &[reserved("a", 0, "c", 2), added(1, 1)]));
        story.reserve((10, 20), "a", "c", 2, Yes);
        story.add((10, 20), 1, 1, Yes);
        story
    };
    let mut story = begun();
    story.read_sale((30, 40), 0);
    story.check("it was never true");
    let mut story = begun();
    story.read_number((30, 40), 0);
    story.check("it was never true");
    // Before it was asked for.
    let mut story = begun();
    story.read_sale((5, 9), 2);
    story.check("it was never true");
    let mut story = begun();
    story.read_number((5, 9), 1);
    story.check("it was never true");
    // One after the other, while it is not known when the event was.
    let mut story = begun();
    story.read_sale((11, 12), 2);
    story.read_sale((13, 14), 0);
    story.check("it was never true");
    let mut story = begun();
    story.read_sale((11, 12), 0);
    story.read_sale((13, 14), 2);
    story.read_number((15, 16), 1);
    story.check("");
    let mut story = begun();
    story.tell(30, 40, Told::ReservationRead(shown("a", "c", 2, Status::Released)));
    story.check("it was never true");
    let mut story = begun();
    story.tell(30, 40, Told::ReservationRead(shown("a", "c", 1, Status::Confirmed)));
    story.check("was asked for");
}

#[test]
fn answers_out_of_order_are_noticed() {
    let mut story = Story::begun();
    story.write(&batch_of(0, 2, 1, &[reserved("b", 0, "d", 1)]));
    story.write(&batch_of(0, 3, 2, &[reserved("a", 1, "c", 1)]));
    story.reserve((10, 20), "a", "c", 1, Yes);
    story.reserve((30, 40), "b", "d", 1, Yes);
    story.check("was asked for after it was told");
}

#[test]
fn what_was_told_in_an_earlier_part_of_a_run_holds() {
    let mut first = Story::begun();
    first.write(&batch_of(0, 2, 1, &[reserved("a", 0, "c", 2)]));
    first.reserve((10, 20), "a", "c", 2, Yes);
    // Nobody knows of this one for a while.
    first.reserve((15, 25), "b", "d", 1, Unknown);
    let mut checker = Checker::default();
    let mut no = 0;
    let mut take = |checker: &mut Checker, story: Story| {
        for bytes in &story.records {
            checker.read(no, bytes)?;
            no += 1;
        }
        checker.judge(story.answers)
    };
    take(&mut checker, first).expect("a true beginning");
    let mut late = Story::default();
    late.write(&batch_of(0, 3, 2, &[reserved("b", 1, "d", 1)]));
    late.read_sale((30, 40), 2);
    take(&mut checker, late).expect("it may come late");
    let mut stale = Story::default();
    stale.read_sale((50, 60), 0);
    assert!(take(&mut checker, stale).is_err(), "what was told before must be seen");
}

#[test]
fn a_copy_that_differs_is_noticed() {
    let mut story = Story::begun();
    let events = [added(2, 2)];
    story.write(&batch_of(0, 2, 1, &events));
    let mut checker = Checker::default();
    for (no, bytes) in (0..).zip(&story.records) {
        checker.read(no, bytes).expect("a true history");
    }
    let kept = || Kept { offset: 1, event_count: 1, time_ms: 0, payload: super::written::payload(&events) };
    checker.check_copy(&[kept()]).expect("a true copy, trimmed");
    let mut whole = story.records.iter().filter_map(|bytes| record::read(bytes).expect("a record"));
    let first = whole.find(|record| record.kind == Kind::Batch).expect("the sale");
    let first = Kept { offset: 0, event_count: 1, time_ms: 0, payload: first.payload };
    for copy in [
        vec![],
        vec![first],
        vec![kept(), kept()],
        vec![Kept { payload: vec![1], ..kept() }],
        vec![Kept { time_ms: 1, ..kept() }],
        vec![Kept { event_count: 2, ..kept() }],
    ] {
        assert!(checker.check_copy(&copy).is_err(), "{copy:?}");
    }
}

#[test]
fn a_batch_that_its_leader_writes_once_more_is_noticed() {
    let mut story = Story::begun();
    story.write(&batch_of(0, 2, 1, &[added(2, 2)]));
    let mut checker = Checker::default();
    for (no, bytes) in (0..).zip(&story.records) {
        checker.read(no, bytes).expect("a true history");
    }
    let forged = checker.forged(&story.records[2]).expect("a record").expect("somebody leads");
    let error = checker.read(3, &forged).expect_err("the counter does not fit");
    assert!(format!("{error:#}").contains("n grew from 2 by 2 to 2"), "{error:#}");
    assert_eq!(checker.forged(&story.records[0]).expect("a claim"), None);
}

#[test]
fn rows_of_a_sink_that_differ_are_noticed() {
    let mut story = Story::begun();
    let hold = Event::WindowPut { window: "w".into() };
    story.write(&batch_of(0, 2, 1, &[Event::Other, hold, reserved("a", 0, "c", 2), Event::Released((0, 0))]));
    let mut checker = Checker::default();
    for (no, bytes) in (0..).zip(&story.records) {
        checker.read(no, bytes).expect("a true history");
    }
    let row = |offset, kind: &str, key: &str| EventRow { offset, kind: kind.into(), key: key.into() };
    let events = [
        row(0, "sale.put", "s"),
        row(2, "window.put", "w"),
        row(3, "reservation.reserved", "s"),
        row(4, "reservation.released", "s"),
    ];
    let reservations = [shown("a", "c", 2, Status::Released)];
    checker.check_rows(&events, &reservations).expect("true rows");
    let doubled = [&events[..1], &events[..]].concat();
    let reservation_twice = [shown("a", "c", 2, Status::Released), shown("b", "c", 2, Status::Released)];
    for (events, reservations) in [
        (&events[..3], &reservations[..]),
        (&events[1..], &reservations),
        (&doubled, &reservations),
        (&[&events[..3], &[row(4, "reservation.confirmed", "s")]].concat(), &reservations),
        (&events, &[]),
        (&events, &reservation_twice),
        (&events, &[shown("a", "c", 2, Status::Confirmed)]),
        (&events, &[shown("a", "c", 1, Status::Released)]),
    ] {
        assert!(checker.check_rows(events, reservations).is_err(), "{events:?} {reservations:?}");
    }
}

//! What reservations, sales and counters cost in memory, by the state's own count and by the system's.

use std::{fmt::Write, fs};

use onrush_core::{
    Asker, BroughtChallenge, Command, GateTerms, IdempotencyKey, KEY_BYTES_MAX, LINES_MAX, Limits,
    LineRequest, NAME_BYTES_MAX, Now, Precondition, Reserve, SaleTerms, State, StockTerms, decide,
};

/// One test, so that nothing else in the process asks for memory meanwhile.
#[test]
fn memory_stays_within_its_bounds() {
    check_reservations();
    check_largest_reservations();
    check_small_sales();
    check_counters();
}

/// A million confirmed reservations of as many customers with names of 12 bytes, without details: 66 bytes each, at any
/// moment of growth.
fn check_reservations() {
    let mut state = State::new(Limits::default(), 1);
    let terms = terms("a sneaker", "42", 1_000_000_000);
    run(
        &mut state,
        &Command::PutSale { sale: "drop", terms: &terms, left_out: &[], only_if: &Precondition::None },
        0,
    );
    let before = resident_bytes();
    let mut customer = String::new();
    let lines = [LineRequest { stock: "42", quantity: 1 }];
    for number in 1..=1_000_000 {
        customer.clear();
        write!(customer, "{:012}", number * 7_919).unwrap();
        let claim = Reserve {
            asker: Asker::Anyone,
            sale: "drop",
            customer: &customer,
            lines: &lines,
            details: &[],
            challenge: BroughtChallenge::Missing,
            key: None,
        };
        run(&mut state, &Command::Reserve(claim), number);
        if number >= 200_000 && number.is_multiple_of(10_000) {
            assert_at_most(state.memory_bytes() as u64, 66 * number, "reservations");
        }
    }
    if let (Some(before), Some(after)) = (before, resident_bytes()) {
        assert_at_most(after - before, 75 * 1_000_000, "reservations, as the system sees them");
    }
    state.check_memory_bytes();
}

/// Two hundred thousand holds of 16 lines, each of a customer with a name of 64 bytes and under a key of 128: 400 bytes each.
/// A second state, as there is one while a snapshot is taken, is made from the first one's facts and is no larger.
fn check_largest_reservations() {
    const COUNT: u64 = 200_000;
    let mut state = State::new(Limits::default(), 1);
    let names: Vec<String> = (0..LINES_MAX).map(|number| format!("stock-{number}")).collect();
    let mut terms = terms("a sneaker", "any", 1_000_000_000);
    let stock = terms.stocks.remove(0);
    terms.stocks = names.iter().map(|name| StockTerms { stock: name.clone(), ..stock.clone() }).collect();
    terms.per_customer_max = None;
    terms.hold_ttl_ms = 60_000;
    run(
        &mut state,
        &Command::PutSale { sale: "drop", terms: &terms, left_out: &[], only_if: &Precondition::None },
        0,
    );
    let before = resident_bytes();
    let lines: Vec<_> = names.iter().map(|name| LineRequest { stock: name, quantity: 1 }).collect();
    for number in 0..COUNT {
        let customer = format!("{number:0NAME_BYTES_MAX$}");
        let key = format!("{number:0KEY_BYTES_MAX$}");
        let key = Some(IdempotencyKey { key: key.as_bytes(), fingerprint: number });
        let claim = Reserve {
            asker: Asker::Anyone,
            sale: "drop",
            customer: &customer,
            lines: &lines,
            details: &[],
            challenge: BroughtChallenge::Missing,
            key,
        };
        run(&mut state, &Command::Reserve(claim), 1);
    }
    assert_at_most(state.memory_bytes() as u64, 400 * COUNT, "the largest reservations");
    let one = resident_bytes();
    let mut second = State::restore(Limits::default(), 2);
    state.facts(&mut |fact| second.restore_fact(&fact).expect("a state's own facts are sound"));
    assert_at_most(second.memory_bytes() as u64, 400 * COUNT, "the same in a second state");
    if let (Some(before), Some(one), Some(two)) = (before, one, resident_bytes()) {
        assert_at_most(one - before, 420 * COUNT, "the largest reservations, as the system sees them");
        assert_at_most(two - before, 2 * 420 * COUNT, "two states, as the system sees them");
    }
    state.check_memory_bytes();
    second.check_memory_bytes();
}

/// Twenty thousand sales of one stock and two reservations: 1,200 bytes each.
fn check_small_sales() {
    let mut state = State::new(Limits::default(), 1);
    let terms = terms("Station one hundred and one", "2021-05-16", 1_000);
    let mut name = String::new();
    for number in 0..20_000 {
        name.clear();
        write!(name, "station-{number:06}").unwrap();
        run(
            &mut state,
            &Command::PutSale { sale: &name, terms: &terms, left_out: &[], only_if: &Precondition::None },
            0,
        );
        for customer in ["900127015527", "900127015528"] {
            let lines = [LineRequest { stock: "2021-05-16", quantity: 1 }];
            let claim = Reserve {
                asker: Asker::Anyone,
                sale: &name,
                customer,
                lines: &lines,
                details: &[],
                challenge: BroughtChallenge::Missing,
                key: None,
            };
            run(&mut state, &Command::Reserve(claim), 1);
        }
    }
    assert_at_most(state.memory_bytes() as u64, 1_200 * 20_000, "sales");
}

/// A hundred thousand counters with names of 13 bytes: 48 bytes each.
fn check_counters() {
    let mut state = State::new(Limits::default(), 1);
    let mut name = String::new();
    for number in 0..100_000 {
        name.clear();
        write!(name, "page-{number:08}").unwrap();
        run(&mut state, &Command::AddToCounter { counter: &name, by: 1 }, 1);
    }
    assert_at_most(state.memory_bytes() as u64, 48 * 100_000, "counters");
}

fn assert_at_most(bytes: u64, bytes_max: u64, what: &str) {
    assert!(bytes <= bytes_max, "{what}: {bytes} bytes are more than {bytes_max}");
}

fn terms(title: &str, stock: &str, quantity_total: u32) -> SaleTerms {
    let stock = StockTerms {
        stock: stock.to_owned(),
        title: title.to_owned(),
        starts_at: Some(1_700_000_000_000),
        ends_at: Some(1_700_000_100_000),
        closes_at: None,
        quantity_total,
    };
    SaleTerms {
        title: title.to_owned(),
        opens_at: None,
        closes_at: None,
        per_customer_max: Some(1),
        hold_ttl_ms: 0,
        gate: GateTerms::default(),
        stocks: vec![stock],
    }
}

fn run(state: &mut State, command: &Command<'_>, now: u64) {
    let decision = decide(state, command, Now::both(now)).expect("nothing stands in the way");
    state.apply(&decision.event.expect("everything is new"), now);
}

/// Memory that the system has given to this process, where it tells.
fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1_024)
}

//! Facts as they go into a snapshot: the digest over them is pinned, and no fact that was left out, repeated, moved or
//! changed in any field makes restoring panic, or makes a state that later commands could break.

use onrush_core::{
    Asker, BroughtChallenge, Command, Fact, GateTerms, IdempotencyKey, Incarnation, Limits, Line,
    LineRequest, Now, Precondition, ReservationNo, ReservationStatus, Reserve, SaleNo, SaleTerms, State,
    StockNo, StockTerms, TIME_MS_MAX, WindowShape, decide, decide_expiry,
};

/// Numbers at which something might break.
const VALUES: [u64; 15] = [
    0,
    1,
    2,
    3,
    5,
    7_000,
    9_000,
    65_535,
    86_400_001,
    1 << 31,
    u32::MAX as u64,
    TIME_MS_MAX,
    TIME_MS_MAX + 1,
    1 << 63,
    u64::MAX,
];
const NAMES: [&str; 4] = ["", "a b", "a", "zz"];

#[test]
fn the_digest_is_what_it_was() {
    // Snapshots carry it. If this changes, so does the version of the snapshot format.
    assert_eq!(State::new(Limits::default(), 1).digest().to_string(), "0ad0aa4823cee1d60874238db4108b4f");
    assert_eq!(sample().digest().to_string(), "d881b36f652190dd0dd5aeddace2be92");
    assert_eq!(grown_sample().digest().to_string(), "36cbd7fe8a1349c6525c8ad50200c9d0");
}

#[test]
fn a_state_is_its_facts() {
    let state = grown_sample();
    let mut restored = State::restore(Limits::default(), 77);
    state.facts(&mut |fact| restored.restore_fact(&fact).unwrap());
    assert_eq!(restored.digest(), state.digest());
    assert_eq!(restored.next_expiry(), state.next_expiry());
    assert_eq!(restored.unit_totals(), state.unit_totals());
    assert_eq!(restored.details_bytes(), state.details_bytes());
    for sale in ["s", "t"] {
        // Which incarnation a version is from is not among the facts. It is told apart from that of other histories all the same.
        let expected = state.sale(sale, 0).map(|mut view| {
            view.version.incarnation = state.incarnation();
            view
        });
        assert_eq!(restored.sale(sale, 0), expected);
        assert_eq!(restored.reservations_of(sale, "c"), state.reservations_of(sale, "c"));
    }
}

#[test]
fn the_digest_and_the_facts_have_when_a_stock_closes() {
    let of = |closes_at| {
        let mut state = State::new(Limits::default(), 1);
        let mut terms = terms(&["a", "b"], 0);
        terms.stocks[1].closes_at = closes_at;
        let only_if = &Precondition::None;
        run(&mut state, &Command::PutSale { sale: "s", terms: &terms, left_out: &[], only_if }, 1);
        state
    };
    let state = of(Some(9_000));
    assert_ne!(state.digest(), of(None).digest());
    assert_ne!(state.digest(), of(Some(9_001)).digest());
    let mut restored = State::restore(Limits::default(), 2);
    state.facts(&mut |fact| restored.restore_fact(&fact).unwrap());
    assert_eq!(restored.digest(), state.digest());
    assert!(restored.sale("s", 9_000).unwrap().stocks[1].is_closed);
}

#[test]
fn facts_out_of_place_are_turned_away() {
    let fact_count = each_fact(&grown_sample(), |_, _| {});
    for at in 0..fact_count {
        // Leaving out what others build on is noticed; leaving out the rest is what the snapshot's own digest is for.
        let mut left_out = Restoring::new();
        each_fact(&grown_sample(), |number, fact| {
            if number != at {
                left_out.take(fact);
            }
        });
        left_out.finish();

        let mut repeated = Restoring::new();
        each_fact(&grown_sample(), |number, fact| {
            repeated.take(fact);
            if number == at {
                repeated.take(fact);
            }
        });
        assert!(repeated.finish().is_some(), "fact {at} was taken twice");

        let mut early = Restoring::new();
        each_fact(&grown_sample(), |number, fact| {
            if number == at {
                early.take(fact);
            }
        });
        each_fact(&grown_sample(), |number, fact| {
            if number != at {
                early.take(fact);
            }
        });
        assert!(early.finish().is_some() || at == 0, "fact {at} was taken before all others");
    }
}

#[test]
fn facts_with_any_field_changed_do_no_harm() {
    let fact_count = each_fact(&grown_sample(), |_, _| {});
    let mut refused_count = 0;
    for at in 0..fact_count {
        for field in 0..FIELDS {
            for value in VALUES {
                let mut restoring = Restoring::new();
                each_fact(&grown_sample(), |number, fact| {
                    if number == at {
                        change(fact, field, value, &mut |fact| restoring.take(fact));
                    } else {
                        restoring.take(fact);
                    }
                });
                refused_count += usize::from(restoring.finish().is_some());
            }
        }
    }
    assert!(refused_count > 1_000, "only {refused_count} changes were turned away");
}

/// What was wrong with the first bad fact, if one was; otherwise the state must go through a day without a panic.
struct Restoring {
    state: State,
    wrong: Option<&'static str>,
}

impl Restoring {
    fn new() -> Self {
        Self { state: State::restore(Limits::default(), 5), wrong: None }
    }

    fn take(&mut self, fact: &Fact<'_>) {
        if self.wrong.is_none() {
            self.wrong = self.state.restore_fact(fact).err();
        }
    }

    fn finish(mut self) -> Option<&'static str> {
        if self.wrong.is_none() {
            live(&mut self.state);
            self.state.digest();
        }
        self.wrong
    }
}

/// Asks everything of a state, now, later and at the end of time.
fn live(state: &mut State) {
    let lines = [LineRequest { stock: "a", quantity: 1 }, LineRequest { stock: "b", quantity: 2 }];
    let asker = Asker::Anyone;
    for now in [0, state.time(), state.time() + 86_400_000, TIME_MS_MAX] {
        while let Some(event) = decide_expiry(state, now) {
            state.apply(&event, now);
        }
        for name in ["a", "zz", "home", "requests"] {
            run(state, &Command::AddToCounter { counter: name, by: 1 }, now);
            run(state, &Command::HitWindow { window: name, default_shape: shape(1_000, 100) }, now);
        }
        for sale in ["s", "t", "a", "zz"] {
            state.reservations_of(sale, "c");
            for sale_no in 0..4 {
                for seq in 0..9 {
                    let reservation = ReservationNo { sale: SaleNo(sale_no), seq };
                    state.reservation(sale, reservation.into());
                    if seq % 2 == 0 {
                        run(state, &Command::Confirm { sale, reservation: reservation.into(), asker }, now);
                    }
                    if seq % 3 == 0 {
                        run(state, &Command::Release { sale, reservation: reservation.into(), asker }, now);
                    }
                }
            }
            for customer in ["c", "d", "zz"] {
                let key = Some(IdempotencyKey { key: b"key", fingerprint: 1 });
                run(
                    state,
                    &Command::Reserve(Reserve {
                        asker,
                        sale,
                        customer,
                        lines: &lines,
                        details: b"{}",
                        challenge: BroughtChallenge::Missing,
                        key,
                    }),
                    now,
                );
                run(
                    state,
                    &Command::Reserve(Reserve {
                        asker,
                        sale,
                        customer,
                        lines: &lines,
                        details: b"{}",
                        challenge: BroughtChallenge::Missing,
                        key: None,
                    }),
                    now,
                );
            }
            run(
                state,
                &Command::PutSale {
                    sale,
                    terms: &terms(&["a", "b", "c"], 60_000),
                    left_out: &[],
                    only_if: &Precondition::None,
                },
                now,
            );
        }
    }
    run(state, &Command::ArchiveSale { sale: "t", only_if: &Precondition::None }, TIME_MS_MAX);
}

/// A state that also has what came later.
fn grown_sample() -> State {
    let mut state = sample();
    for tag in [7, 8] {
        run(&mut state, &Command::BeginIncarnation { incarnation: Incarnation(tag) }, 8_500);
        run(&mut state, &Command::Reserve(claim("s", "d", &one("c", 1))), 8_500);
        run(&mut state, &Command::Reserve(claim("s", "zz", &one("c", 1))), 8_500);
    }
    state
}

/// A state that has some of everything that there was from the beginning.
fn sample() -> State {
    let mut state = State::new(Limits::default(), 9);
    let number = |sale, seq| ReservationNo { sale: SaleNo(sale), seq };
    run(&mut state, &Command::CreatePartition { id_key: *b"0123456789abcdef" }, 1_000);
    run(&mut state, &Command::AddToCounter { counter: "home", by: 5 }, 1_000);
    run(&mut state, &Command::AddToCounter { counter: "away", by: 1 }, 1_000);
    for now in [1_000, 1_050, 1_100, 1_900] {
        run(&mut state, &Command::HitWindow { window: "requests", default_shape: shape(1_000, 100) }, now);
    }
    run(&mut state, &Command::PutWindow { window: "empty", shape: shape(1, 1) }, 2_000);
    run(
        &mut state,
        &Command::PutSale {
            sale: "gone",
            terms: &closed(terms(&["a"], 0), 1),
            left_out: &[],
            only_if: &Precondition::None,
        },
        2_000,
    );
    run(&mut state, &Command::ArchiveSale { sale: "gone", only_if: &Precondition::None }, 2_000);
    run(
        &mut state,
        &Command::PutSale {
            sale: "s",
            terms: &terms(&["b", "a", "old"], 5_000),
            left_out: &[],
            only_if: &Precondition::None,
        },
        2_000,
    );
    run(
        &mut state,
        &Command::PutSale {
            sale: "s",
            terms: &terms(&["c", "a", "b"], 5_000),
            left_out: &[],
            only_if: &Precondition::None,
        },
        2_000,
    );
    run(&mut state, &Command::Reserve(claim("s", "c", &one("a", 1))), 2_000);
    run(&mut state, &Command::Reserve(claim("s", "d", &one("c", 2))), 3_000);
    let key = Some(IdempotencyKey { key: b"key", fingerprint: u64::MAX - 1 });
    let lines = [one("b", 3)[0], one("a", 4)[0]];
    let full = Reserve { details: br#"{"seat":7}"#, key, ..claim("s", "c", &lines) };
    run(&mut state, &Command::Reserve(full), 4_000);
    run(&mut state, &Command::Reserve(claim("s", "c", &one("a", 1))), 4_000);
    let asker = Asker::Anyone;
    run(&mut state, &Command::Confirm { sale: "s", reservation: number(1, 0).into(), asker }, 4_000);
    run(&mut state, &Command::Release { sale: "s", reservation: number(1, 3).into(), asker }, 4_000);
    run(
        &mut state,
        &Command::PutSale {
            sale: "t",
            terms: &closed(terms(&["a"], 0), 10_000),
            left_out: &[],
            only_if: &Precondition::None,
        },
        4_000,
    );
    run(&mut state, &Command::Reserve(claim("t", "c", &one("a", 1_000))), 8_000);
    let event = decide_expiry(&state, 8_500).expect("the second reservation is over");
    state.apply(&event, 8_500);
    state
}

fn run(state: &mut State, command: &Command<'_>, now: u64) {
    if let Ok(decision) = decide(state, command, Now::both(now))
        && let Some(event) = decision.event
    {
        state.apply(&event, now);
    }
}

fn terms(stocks: &[&str], hold_ttl_ms: u32) -> SaleTerms {
    let stock = |name: &&str| StockTerms {
        stock: (*name).to_owned(),
        title: format!("Stock {name}"),
        starts_at: Some(10),
        ends_at: None,
        closes_at: None,
        quantity_total: 1_000,
    };
    SaleTerms {
        title: "Sale".to_owned(),
        opens_at: Some(500),
        closes_at: None,
        per_customer_max: Some(1_000),
        hold_ttl_ms,
        gate: GateTerms::default(),
        stocks: stocks.iter().map(stock).collect(),
    }
}

fn closed(terms: SaleTerms, closes_at: u64) -> SaleTerms {
    SaleTerms { opens_at: None, closes_at: Some(closes_at), ..terms }
}

fn one(stock: &str, quantity: u32) -> [LineRequest<'_>; 1] {
    [LineRequest { stock, quantity }]
}

fn claim<'a>(sale: &'a str, customer: &'a str, lines: &'a [LineRequest<'a>]) -> Reserve<'a> {
    Reserve {
        asker: Asker::Anyone,
        sale,
        customer,
        lines,
        details: &[],
        challenge: BroughtChallenge::Missing,
        key: None,
    }
}

fn shape(span_ms: u32, precision_ms: u32) -> WindowShape {
    WindowShape { span_ms, precision_ms }
}

fn each_fact(state: &State, mut take: impl FnMut(usize, &Fact<'_>)) -> usize {
    let mut number = 0;
    state.facts(&mut |fact| {
        take(number, &fact);
        number += 1;
    });
    number
}

/// Fields of the fact that has the most.
const FIELDS: usize = 10;

/// Gives the fact with one field changed; as it is, if it has no such field.
#[expect(clippy::cast_possible_truncation, reason = "any number will do")]
fn change(fact: &Fact<'_>, field: usize, value: u64, give: &mut impl FnMut(&Fact<'_>)) {
    let (mut fact, name) = (fact.clone(), NAMES[value as usize % NAMES.len()]);
    match &mut fact {
        Fact::Partition { id_key, time, sales_ever, incarnation } => match field {
            0 => *id_key = None,
            1 => *time = value,
            2 => incarnation.0 = value as u32,
            _ => *sales_ever = value as u32,
        },
        Fact::Counter { counter, value: total } => match field {
            0 => *counter = name,
            _ => *total = value,
        },
        Fact::Window { window, shape } => match field {
            0 => *window = name,
            1 => shape.span_ms = value as u32,
            _ => shape.precision_ms = value as u32,
        },
        Fact::Pane { pane, count } => match field {
            0 => *pane = value,
            _ => *count = value,
        },
        // The samples have none; `denials.rs`, `accounts.rs` and `rows.rs` change these.
        Fact::Denial { .. } | Fact::Account { .. } | Fact::Collection { .. } | Fact::Row { .. } => {}
        Fact::Incarnation { first, incarnation } => match field {
            0 => first.sale.0 = value as u32,
            1 => first.seq = value as u32,
            _ => incarnation.0 = value as u32,
        },
        Fact::Sale { .. } => return change_sale(&fact, field, value, give),
        Fact::Reservation { reservation, customer, status, lines, created_at, hold_until, key, details } => {
            match field {
                0 => reservation.sale.0 = value as u32,
                1 => reservation.seq = value as u32,
                2 => *customer = name,
                3 => *status = STATUSES[value as usize % STATUSES.len()],
                4 => lines[0].stock = StockNo(value as u16),
                5 => lines[0].quantity = value as u16,
                6 if value == 0 => lines.clear(),
                6 => lines.push(Line { stock: StockNo(value as u16), quantity: value as u16 }),
                7 => *created_at = value,
                8 => *hold_until = (value != 0).then_some(value),
                _ => {
                    *details = &LONG[..value as usize % LONG.len()];
                    *key = Some(IdempotencyKey { key: &LONG[..value as usize % 200], fingerprint: value });
                }
            }
        }
    }
    give(&fact);
}

const STATUSES: [ReservationStatus; 4] = [
    ReservationStatus::Held,
    ReservationStatus::Confirmed,
    ReservationStatus::Released,
    ReservationStatus::Expired,
];
const LONG: &[u8] = &[b'x'; 5_000];

#[expect(clippy::cast_possible_truncation, reason = "any number will do")]
fn change_sale(fact: &Fact<'_>, field: usize, value: u64, give: &mut impl FnMut(&Fact<'_>)) {
    let &Fact::Sale { mut sale_no, mut sale, terms, stock_nos, mut stocks_ever, mut version } = fact else {
        return;
    };
    let (mut terms, mut stock_nos) = (terms.clone(), stock_nos.to_vec());
    match field {
        0 => sale_no.0 = value as u32,
        1 => sale = NAMES[value as usize % NAMES.len()],
        2 => stocks_ever = value as u16,
        3 => version = value,
        4 => stock_nos[0].0 = value as u16,
        5 => stock_nos.push(StockNo(value as u16)),
        6 => terms.stocks[0].quantity_total = value as u32,
        7 => terms.stocks.reverse(),
        8 => terms.stocks[0].stock = NAMES[value as usize % NAMES.len()].into(),
        _ => terms.per_customer_max = Some(value as u32),
    }
    give(&Fact::Sale { sale_no, sale, terms: &terms, stock_nos: &stock_nos, stocks_ever, version });
}

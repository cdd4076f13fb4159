//! The ceiling of a state's bytes: what needs memory is refused at it, what does not goes on, and what frees it lets more in.

use onrush_core::{
    Asker, BroughtChallenge, Ceiling, Command, Decision, GateTerms, IdempotencyKey, Limits, LineRequest, Now,
    Precondition, Refusal, ReservationNo, Reserve, SaleNo, SaleTerms, State, StockTerms, TermsField, decide,
    decide_expiry,
};

/// What one command may take beyond the ceiling: the next chunk of every table of a sale, and the tables that list them.
const COMMAND_BYTES_MAX: usize = 1 << 20;
const STATE_BYTES_MAX: u64 = 8 << 20;
const CLOSES_AT: u64 = 1_000_000;

#[test]
fn a_full_state_takes_what_needs_no_memory_and_has_room_again_once_a_sale_is_archived() {
    let mut state = State::new(Limits { state_bytes_max: STATE_BYTES_MAX, ..Limits::default() }, 1);
    let terms = terms();
    for sale in ["first", "second"] {
        run(
            &mut state,
            &Command::PutSale { sale, terms: &terms, left_out: &[], only_if: &Precondition::None },
            1,
        )
        .unwrap();
    }
    let taken = fill(&mut state, "first", 1);
    assert!(taken > 10_000, "{taken} reservations are fewer than so many bytes hold");
    assert_eq!(reserve(&mut state, "second", 1, 1), Err(Refusal::CeilingReached(Ceiling::StateBytes)));
    let add = Command::AddToCounter { counter: "new", by: 1 };
    assert_eq!(run(&mut state, &add, 1), Err(Refusal::CeilingReached(Ceiling::StateBytes)));

    let named = |seq| ReservationNo { sale: SaleNo(0), seq }.into();
    let full = state.memory_bytes();
    for seq in 0..10 {
        run(
            &mut state,
            &Command::Confirm { sale: "first", reservation: named(seq), asker: Asker::Anyone },
            2,
        )
        .unwrap();
        run(
            &mut state,
            &Command::Release { sale: "first", reservation: named(seq + 10), asker: Asker::Anyone },
            2,
        )
        .unwrap();
    }
    assert!(state.memory_bytes() <= full, "what needs no memory takes none");
    while let Some(expired) = decide_expiry(&state, 2_000) {
        state.apply(&expired, 2_000);
    }
    assert_eq!(state.held_count(), 0);
    assert!(state.memory_bytes() < full, "a hold that is over gives back its place among those that expire");
    state.check_memory_bytes();

    run(&mut state, &Command::ArchiveSale { sale: "first", only_if: &Precondition::None }, CLOSES_AT)
        .unwrap();
    assert!((state.memory_bytes() as u64) < STATE_BYTES_MAX / 4, "an archived sale takes no memory");
    state.check_memory_bytes();
    let closes_at = Some(CLOSES_AT * 2);
    let longer = SaleTerms { closes_at, ..terms };
    let left_out = [TermsField::OpensAt];
    let put = Command::PutSale {
        sale: "second",
        terms: &longer,
        left_out: &left_out,
        only_if: &Precondition::None,
    };
    run(&mut state, &put, CLOSES_AT).unwrap();
    assert!(fill(&mut state, "second", CLOSES_AT) > 10_000, "there is room again");
    state.check_memory_bytes();
}

/// Reserves until the state is full, and tells how many there were. The state grows past its ceiling by one of them at most.
fn fill(state: &mut State, sale: &str, now: u64) -> u64 {
    for number in 0.. {
        let before = state.memory_bytes();
        if let Err(refusal) = reserve(state, sale, number, now) {
            assert_eq!(refusal, Refusal::CeilingReached(Ceiling::StateBytes));
            assert!(before as u64 >= STATE_BYTES_MAX, "{before} bytes are no reason to refuse");
            return number;
        }
        let after = state.memory_bytes();
        assert!(after - before.min(after) <= COMMAND_BYTES_MAX, "{before} bytes became {after}");
    }
    unreachable!("numbers do not end")
}

fn reserve(state: &mut State, sale: &str, number: u64, now: u64) -> Result<(), Refusal> {
    let customer = format!("customer-{number}");
    let key = format!("key-{number}");
    let lines = [LineRequest { stock: "a", quantity: 1 }, LineRequest { stock: "b", quantity: 1 }];
    let key = Some(IdempotencyKey { key: key.as_bytes(), fingerprint: number });
    run(
        state,
        &Command::Reserve(Reserve {
            asker: Asker::Anyone,
            sale,
            customer: &customer,
            lines: &lines,
            details: &[],
            challenge: BroughtChallenge::Missing,
            key,
        }),
        now,
    )
}

fn run(state: &mut State, command: &Command<'_>, now: u64) -> Result<(), Refusal> {
    let Decision { event, .. } = decide(state, command, Now::both(now))?;
    state.apply(&event.expect("it changes something"), now);
    Ok(())
}

fn terms() -> SaleTerms {
    let stock = |name: &str| StockTerms {
        stock: name.to_owned(),
        title: String::new(),
        starts_at: None,
        ends_at: None,
        closes_at: None,
        quantity_total: 1_000_000,
    };
    SaleTerms {
        title: "a sale".to_owned(),
        opens_at: None,
        closes_at: Some(CLOSES_AT),
        per_customer_max: None,
        hold_ttl_ms: 1_000,
        gate: GateTerms::default(),
        stocks: vec![stock("a"), stock("b")],
    }
}

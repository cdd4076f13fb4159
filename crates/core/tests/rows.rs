//! Rows of the catalogue as facts: a state without any is as it always was, a restored one has them all, and nothing out of place is
//! taken back.

use onrush_core::{Command, Event, Fact, Limits, Now, RowLine, State, decide};

fn line<'a>(key: &'a str, json: &'a [u8]) -> RowLine<'a> {
    RowLine { key, json }
}

fn sample() -> State {
    let mut state = State::new(Limits::default(), 1);
    let puts: [(&str, &[RowLine<'_>]); 3] = [
        ("products", &[line("2", b"{}"), line("1", br#"{"a":1}"#)]),
        ("a", &[line("schlüssel", b"{}")]),
        ("products", &[line("1", br#"{"a":2}"#)]),
    ];
    for (collection, rows) in puts {
        apply(&mut state, &Command::PutRows { collection, rows });
    }
    apply(&mut state, &Command::DeleteRow { collection: "products", key: "2" });
    state
}

fn apply(state: &mut State, command: &Command<'_>) {
    let decision = decide(state, command, Now::both(10)).expect("nothing stands in the way");
    state.apply(&decision.event.expect("it is a change"), 10);
}

fn collection(collection: &str, version: u64) -> Fact<'_> {
    Fact::Collection { collection, version }
}

fn row<'a>(key: &'a str, json: &'a [u8]) -> Fact<'a> {
    Fact::Row { row: line(key, json) }
}

fn restore(facts: &[Fact<'_>]) -> Result<State, &'static str> {
    let mut state = State::restore(Limits::default(), 7);
    facts.iter().try_for_each(|fact| state.restore_fact(fact)).map(|()| state)
}

#[test]
fn a_state_is_its_facts() {
    let state = sample();
    let mut restored = State::restore(Limits::default(), 77);
    state.facts(&mut |fact| restored.restore_fact(&fact).unwrap());
    assert_eq!(restored.digest(), state.digest());
    assert_eq!(restored.memory_bytes(), state.memory_bytes());
    restored.check_memory_bytes();
    let shown: Vec<_> = restored
        .collections()
        .map(|(name, found)| format!("{name} {} {:?}", found.version(), found.sorted()))
        .collect();
    let expected =
        [r#"a 1 [Row { key: "schlüssel", json: {} }]"#, r#"products 3 [Row { key: "1", json: {"a":2} }]"#];
    assert_eq!(shown, expected);
}

#[test]
fn the_digest_has_all_of_a_row() {
    // Snapshots carry it. If this changes, so does the version of the snapshot format.
    assert_eq!(sample().digest().to_string(), "f7e6447ea27cbd8d596bfee1702007ce");
    let digest = |facts: &[Fact<'_>]| restore(facts).unwrap().digest();
    let all = [
        digest(&[]),
        digest(&[collection("a", 2)]),
        digest(&[collection("a", 3)]),
        digest(&[collection("b", 2)]),
        digest(&[collection("a", 2), row("k", b"{}")]),
        digest(&[collection("a", 2), row("k", b"[]")]),
        digest(&[collection("a", 2), row("l", b"{}")]),
        digest(&[collection("a", 2), row("k{", b"}")]),
    ];
    for (at, one) in all.iter().enumerate() {
        assert!(all[..at].iter().all(|other| other != one), "{at}");
    }
}

#[test]
fn facts_out_of_place_or_out_of_bounds_are_turned_away() {
    let facts = [collection("a", 5), row("1", b"{}"), row("2", b"{}"), collection("b", 1)];
    assert!(restore(&facts).is_ok());
    for at in 0..facts.len() {
        let mut repeated = facts.to_vec();
        repeated.insert(at, facts[at].clone());
        assert!(restore(&repeated).is_err(), "{at} is taken twice");
    }
    let long = vec![b' '; 16_385];
    let out_of_bounds = [row("", b"{}"), row("a\n", b"{}"), row("k", b""), row("k", &long)];
    for wrong in out_of_bounds {
        assert!(restore(&[collection("a", 1), wrong.clone()]).is_err(), "{wrong:?}");
    }
    assert!(restore(&[row("k", b"{}")]).is_err());
    assert!(restore(&[collection("a/b", 1)]).is_err());
    assert!(restore(&[collection("a", 0)]).is_err());
    let counter = Fact::Counter { counter: "home", value: 1 };
    assert!(restore(&[counter.clone(), facts[0].clone()]).is_ok());
    assert!(restore(&[facts[0].clone(), counter]).is_err());
}

#[test]
fn a_row_that_is_not_there_cannot_be_deleted() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let event = Event::RowDeleted { collection: "products", key: "2" };
    let survived = std::panic::catch_unwind(|| sample().apply(&event, 100)).is_ok();
    std::panic::set_hook(hook);
    assert!(!survived);
}

//! Denials as facts and in memory: a state without any is as it always was, a restored one has them all, and nothing out of
//! place is taken back.

use onrush_core::{
    Command, DenialKind, Event, Fact, Limits, Now, SESSION_MS_MAX, State, decide, decide_denial_expiry,
};

const FACTS: [(DenialKind, &str, &str, Option<u64>); 4] = [
    (DenialKind::Customer, "ada", "a bot", None),
    (DenialKind::Customer, "eve", "", Some(60_000)),
    (DenialKind::Address, "192.0.2.0/24", "é", Some(9_000)),
    (DenialKind::Address, "2001:db8::7", "", None),
];

fn sample() -> State {
    let mut state = State::new(Limits::default(), 1);
    for (kind, value, reason, expires_at) in FACTS {
        run(&mut state, &Command::Deny { kind, value, reason, expires_at });
    }
    state
}

fn run(state: &mut State, command: &Command<'_>) {
    let decision = decide(state, command, Now::both(10)).expect("nothing stands in the way");
    state.apply(&decision.event.expect("it is new"), 10);
}

fn restore(facts: &[Fact<'_>]) -> Result<State, &'static str> {
    let mut state = State::restore(Limits::default(), 7);
    facts.iter().try_for_each(|fact| state.restore_fact(fact)).map(|()| state)
}

#[test]
fn the_digest_has_every_field_and_is_as_before_without_denials() {
    // Snapshots carry it. If this changes, so does the version of the snapshot format.
    assert_eq!(sample().digest().to_string(), "bcbcddf486ae718030fe3df8a95a9ac5");
    let mut emptied = sample();
    for (kind, value, ..) in FACTS {
        run(&mut emptied, &Command::Undeny { kind, value });
    }
    let mut untouched = State::new(Limits::default(), 1);
    untouched.advance_time(10);
    assert_eq!(emptied.digest(), untouched.digest());
    assert_eq!(emptied.memory_bytes(), untouched.memory_bytes());
    let deny = |kind, value, reason, expires_at| {
        let mut state = State::new(Limits::default(), 1);
        run(&mut state, &Command::Deny { kind, value, reason, expires_at });
        state.digest()
    };
    let digest = deny(DenialKind::Customer, "192.0.2.7", "a", None);
    for other in [
        deny(DenialKind::Address, "192.0.2.7", "a", None),
        deny(DenialKind::Customer, "192.0.2.8", "a", None),
        deny(DenialKind::Customer, "192.0.2.7", "b", None),
        deny(DenialKind::Customer, "192.0.2.7", "a", Some(60_000)),
    ] {
        assert_ne!(digest, other);
    }
}

#[test]
fn a_state_is_its_facts() {
    let state = sample();
    let mut restored = State::restore(Limits::default(), 77);
    state.facts(&mut |fact| restored.restore_fact(&fact).unwrap());
    assert_eq!(restored.digest(), state.digest());
    assert_eq!(restored.memory_bytes(), state.memory_bytes());
    restored.check_memory_bytes();
    assert!(restored.denials().eq(state.denials()));
    let over = decide_denial_expiry(&restored, Now::both(9_000)).unwrap();
    assert_eq!(&*over.value, "192.0.2.0/24");
}

#[test]
fn ends_of_sessions_are_facts_as_other_denials_are() {
    let mut state = State::new(Limits::default(), 1);
    let end = Command::Deny { kind: DenialKind::Session, value: "ada", reason: "a bot", expires_at: None };
    run(&mut state, &end);
    assert_eq!(state.digest().to_string(), "b00c53c95f75e99628b4cff81c94341d");
    let ended_at =
        |state: &State| state.denials().map(|denial| denial.sessions_ended_at()).collect::<Vec<_>>();
    assert_eq!(ended_at(&state), [Some(10)]);
    let mut restored = State::restore(Limits::default(), 77);
    state.facts(&mut |fact| restored.restore_fact(&fact).unwrap());
    assert_eq!((restored.digest(), ended_at(&restored)), (state.digest(), ended_at(&state)));
    restored.check_memory_bytes();
}

#[test]
fn facts_out_of_place_or_out_of_bounds_are_turned_away() {
    let denial = |kind, value, reason, expires_at| Fact::Denial { kind, value, reason, expires_at };
    let facts = FACTS.map(|(kind, value, reason, expires_at)| denial(kind, value, reason, expires_at));
    assert!(restore(&facts).is_ok());
    for at in 0..facts.len() {
        let mut repeated = facts.to_vec();
        repeated.insert(at, facts[at].clone());
        assert!(restore(&repeated).is_err(), "{at} is taken twice");
        let mut moved = facts.to_vec();
        let first = moved.remove(0);
        moved.insert(at, first);
        assert_eq!(restore(&moved).is_ok(), at == 0, "the first is taken at {at}");
    }
    let long = "r".repeat(257);
    for wrong in [
        denial(DenialKind::Customer, "", "", None),
        denial(DenialKind::Customer, "a/b", "", None),
        denial(DenialKind::Customer, "a", &long, None),
        denial(DenialKind::Customer, "a", "", Some(253_402_300_800_000)),
        denial(DenialKind::Address, "example.org", "", None),
        denial(DenialKind::Address, "192.0.2.7/32", "", None),
        denial(DenialKind::Session, "a/b", "", Some(SESSION_MS_MAX)),
        denial(DenialKind::Session, "a", "", Some(SESSION_MS_MAX - 1)),
        denial(DenialKind::Session, "a", "", None),
    ] {
        assert!(restore(std::slice::from_ref(&wrong)).is_err(), "{wrong:?}");
    }
    let ended = denial(DenialKind::Session, "a", "", Some(SESSION_MS_MAX));
    assert!(restore(&[facts[3].clone(), ended.clone()]).is_ok());
    assert!(restore(&[ended, facts[3].clone()]).is_err());
    let counter = Fact::Counter { counter: "home", value: 1 };
    assert!(restore(&[counter.clone(), facts[0].clone()]).is_ok());
    assert!(restore(&[facts[0].clone(), counter]).is_err());
}

#[test]
fn events_that_cannot_be_stop_the_process() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let survived = [
        (Event::Undenied { kind: DenialKind::Customer, value: "nobody" }, 100),
        (Event::DenialExpired { kind: DenialKind::Customer, value: "nobody" }, 100),
        (Event::DenialExpired { kind: DenialKind::Customer, value: "ada" }, 100),
        (Event::DenialExpired { kind: DenialKind::Customer, value: "eve" }, 59_999),
    ]
    .into_iter()
    .chain([None, Some(SESSION_MS_MAX - 1)].map(|expires_at| {
        (Event::Denied { kind: DenialKind::Session, value: "ada", reason: "", expires_at }, 100)
    }))
    .map(|(event, at)| std::panic::catch_unwind(|| sample().apply(&event, at)).is_ok())
    .collect::<Vec<_>>();
    std::panic::set_hook(hook);
    assert_eq!(survived, [false; 6]);
    sample().apply(&Event::DenialExpired { kind: DenialKind::Customer, value: "eve" }, 60_000);
}

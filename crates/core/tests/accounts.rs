//! Accounts as facts and in memory: a state without any is as it always was, a restored one has them all, and nothing out of place
//! is taken back. What a password is checked against shows in no text.

use onrush_core::{Command, Event, Fact, Limits, Now, PasswordHash, State, decide};

const ACCOUNTS: [(&str, &[u8]); 3] = [("ada", b"one"), ("eve", &[0xff; 128]), ("x", b"y")];

fn sample() -> State {
    let mut state = State::new(Limits::default(), 1);
    for (customer, password) in ACCOUNTS {
        let password = PasswordHash(password);
        let decision = decide(&state, &Command::CreateAccount { customer, password }, Now::both(10));
        let event = decision.expect("nothing stands in the way").event.expect("it is new");
        state.apply(&event, 10);
    }
    state
}

fn account<'a>(customer: &'a str, password: &'a [u8]) -> Fact<'a> {
    Fact::Account { customer, password: PasswordHash(password) }
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
    for (customer, password) in ACCOUNTS {
        assert_eq!(restored.account(customer), Some(PasswordHash(password)));
    }
}

#[test]
fn the_digest_has_names_and_passwords() {
    // Snapshots carry it. If this changes, so does the version of the snapshot format.
    assert_eq!(sample().digest().to_string(), "2ea1817f657f9141cec85d1bd3708617");
    let digest = |customer, password| restore(&[account(customer, password)]).unwrap().digest();
    let all = [
        restore(&[]).unwrap().digest(),
        digest("a", b"bc"),
        digest("a", b"bd"),
        digest("ab", b"c"),
        digest("b", b"bc"),
    ];
    for (at, one) in all.iter().enumerate() {
        assert!(all[..at].iter().all(|other| other != one), "{at}");
    }
}

#[test]
fn facts_out_of_place_or_out_of_bounds_are_turned_away() {
    let facts = ACCOUNTS.map(|(customer, password)| account(customer, password));
    assert!(restore(&facts).is_ok());
    for at in 0..facts.len() {
        let mut repeated = facts.to_vec();
        repeated.insert(at, facts[at].clone());
        assert!(restore(&repeated).is_err(), "{at} is taken twice");
    }
    let long = [b'h'; 129];
    for wrong in [account("", b"h"), account("a/b", b"h"), account("a", b""), account("a", &long)] {
        assert!(restore(std::slice::from_ref(&wrong)).is_err(), "{wrong:?}");
    }
    let counter = Fact::Counter { counter: "home", value: 1 };
    assert!(restore(&[counter.clone(), facts[0].clone()]).is_ok());
    assert!(restore(&[facts[0].clone(), counter]).is_err());
}

#[test]
fn a_second_account_stops_the_process() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let event = Event::AccountCreated { customer: "ada", password: PasswordHash(b"two") };
    let survived = std::panic::catch_unwind(|| sample().apply(&event, 100)).is_ok();
    std::panic::set_hook(hook);
    assert!(!survived);
}

#[test]
fn what_a_password_is_checked_against_shows_in_no_text() {
    let event = Event::AccountCreated { customer: "ada", password: PasswordHash(b"secret") };
    let fact = account("ada", b"secret");
    let command = Command::CreateAccount { customer: "ada", password: PasswordHash(b"secret") };
    for text in [format!("{event:?}"), format!("{fact:?}"), format!("{command:?}")] {
        assert!(text.contains("ada") && !text.contains("secret") && !text.contains("115"), "{text}");
    }
}

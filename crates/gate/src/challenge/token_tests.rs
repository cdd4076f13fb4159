//! Ids of challenges: whole, changed, cut, and of somebody else.

use super::*;

const TASKS: [Task; 3] = [Task::Digits(42), Task::Work(u32::MAX), Task::Done];

fn key(byte: u8) -> ChallengeKey {
    ChallengeKey::new(&[byte; CHALLENGE_KEY_BYTES])
}

fn challenge(task: Task) -> Challenge {
    Challenge {
        number: 7,
        task,
        expires_at: 1_700_000_000_000,
        seed: 9,
        binding: Binding::new("flash", "ada"),
    }
}

#[test]
fn a_challenge_is_opened_as_it_was_sealed() {
    for task in TASKS {
        let id = key(1).seal(&challenge(task));
        assert_eq!(id.len(), CHALLENGE_ID_CHARS);
        assert!(key(1).open(id.as_bytes()) == Some(challenge(task)));
    }
}

#[test]
fn whatever_was_changed_opens_nothing() {
    let id = key(1).seal(&challenge(Task::Digits(42)));
    assert!(key(2).open(id.as_bytes()).is_none(), "another key");
    let bytes = URL_SAFE_NO_PAD.decode(id.as_bytes()).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(key(1).open(URL_SAFE_NO_PAD.encode(changed).as_bytes()).is_none(), "bit {bit}");
    }
    for end in 0..id.len() {
        assert!(key(1).open(&id.as_bytes()[..end]).is_none(), "cut at {end}");
        let mut wrong = id.as_bytes().to_vec();
        wrong[end] = b'.';
        assert!(key(1).open(&wrong).is_none(), "no letter of the alphabet at {end}");
    }
    assert!(key(1).open(format!("{id}A").as_bytes()).is_none());
}

#[test]
fn equal_challenges_tell_nobody_that_they_are() {
    let one = key(1).seal(&challenge(Task::Digits(42)));
    let other = key(1).seal(&Challenge { number: 8, ..challenge(Task::Digits(42)) });
    assert_ne!(one[12..], other[12..]);
}

#[test]
fn a_binding_is_that_of_one_customer_in_one_sale() {
    let bindings = [("flash", "ada"), ("flas", "hada"), ("ada", "flash"), ("flash", "ad"), ("flash", "")];
    for (at, (sale, customer)) in bindings.into_iter().enumerate() {
        for (sale_too, customer_too) in &bindings[..at] {
            assert_ne!(Binding::new(sale, customer), Binding::new(sale_too, customer_too));
        }
    }
}

//! Any bytes as the id of a challenge and as what the widget sends: no challenge that nobody gave out, never a panic; and whatever an
//! id was changed into is none.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use onrush_gate::challenge::{Answer, Binding, Challenge, ChallengeId, ChallengeKey, Found, Task};

static KEY: LazyLock<ChallengeKey> = LazyLock::new(|| ChallengeKey::new(&[3; 32]));

static ID: LazyLock<ChallengeId> = LazyLock::new(|| {
    let binding = Binding::new("flash", "ann");
    KEY.seal(&Challenge { number: 7, task: Task::Digits(12_345), expires_at: 9, seed: 11, binding })
});

fuzz_target!(|bytes: &[u8]| {
    // The one challenge that there is is known to nobody else.
    assert!(KEY.open(bytes).is_none());
    let mut changed = ID.as_bytes().to_vec();
    for (at, byte) in bytes.iter().enumerate() {
        let length = changed.len();
        changed[at % length] ^= byte;
    }
    assert_eq!(KEY.open(&changed).is_some(), changed == ID.as_bytes());
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Some(found) = Found::parse(text) {
            assert!(KEY.open(found.id.as_bytes()).is_none());
        }
        let digits = text.chars().filter(|letter| !letter.is_whitespace()).collect::<String>();
        let answer = Answer::of_number(12_345).expect("six digits");
        assert_eq!(answer.matches(text), digits == "012345");
    }
});

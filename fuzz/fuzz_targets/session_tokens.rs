//! Any bytes as the token of a session, and as a file of keys: no session that nobody made, never a panic; and whatever a token was
//! changed into is none.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use onrush_gate::session::{Cipher, KeyId, Session, SessionKey, SessionKeys, Token};

const NOW: u64 = 1_795_000_000_000;

static KEYS: LazyLock<SessionKeys> = LazyLock::new(|| {
    SessionKeys::one(SessionKey::new(KeyId(1), Cipher::Aes256Gcm, &[3; 32], NOW).expect("a key"))
});

static TOKEN: LazyLock<Token> = LazyLock::new(|| {
    KEYS.seal(&Session::new("ann", NOW, NOW + 1_000).expect("a session"), &[7; 24])
});

fuzz_target!(|bytes: &[u8]| {
    // The one token that there is is known to nobody else.
    assert!(KEYS.open(bytes, NOW).is_err());
    let mut changed = TOKEN.as_bytes().to_vec();
    for (at, byte) in bytes.iter().enumerate() {
        let length = changed.len();
        changed[at % length] ^= byte;
    }
    if changed != TOKEN.as_bytes() {
        assert!(KEYS.open(&changed, NOW).is_err());
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(keys) = text.parse::<SessionKeys>()
    {
        let again: SessionKeys = keys.to_text().parse().expect("what was written is read");
        assert_eq!(again.to_text(), keys.to_text());
    }
});

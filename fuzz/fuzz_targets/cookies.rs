//! Arbitrary values of the fields `Cookie`: nothing panics, the cookie that is found is the first of its name, whatever stands around it
//! and however many fields it comes in, and what is found is a session only if the server made it.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use onrush_edge::find_cookie;
use onrush_gate::session::{Cipher, KeyId, Session, SessionKey, SessionKeys, Token};

const NOW: u64 = 1_795_000_000_000;

/// Those of sessions, and two that begin or end alike.
const NAMES: [&str; 4] = ["onrush_session", "__Host-onrush_session", "session", "onrush"];

static KEYS: LazyLock<SessionKeys> = LazyLock::new(|| {
    SessionKeys::one(SessionKey::new(KeyId(1), Cipher::Aes256Gcm, &[3; 32], NOW).expect("a key"))
});

static TOKEN: LazyLock<Token> = LazyLock::new(|| {
    KEYS.seal(&Session::new("ann", NOW, NOW + 1_000).expect("a session"), &[7; 24])
});

/// The first cookie of a name, in as many steps as it takes.
fn naive(fields: &[&[u8]], name: &str) -> Option<Vec<u8>> {
    let text = fields.join(&b';');
    for pair in text.split(|byte| *byte == b';') {
        let Some(equals) = pair.iter().position(|byte| *byte == b'=') else { continue };
        if pair[..equals].trim_ascii_start() == name.as_bytes() {
            let value = pair[equals + 1..].trim_ascii_end();
            let is_quoted = value.len() > 1 && value[0] == b'"' && value[value.len() - 1] == b'"';
            return Some(if is_quoted { value[1..value.len() - 1].to_vec() } else { value.to_vec() });
        }
    }
    None
}

fuzz_target!(|bytes: &[u8]| {
    let fields: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    for name in NAMES {
        let found = find_cookie(fields.iter().copied(), name);
        assert_eq!(found.map(<[u8]>::to_vec), naive(&fields, name));
        assert!(found.is_none_or(|token| KEYS.open(token, NOW).is_err()), "nobody else made a session");
        // HTTP/2 may have each cookie in a field of its own, and a proxy joins them (RFC 9113, section 8.2.3).
        let joined = fields.join(&b"; "[..]);
        assert_eq!(find_cookie([&joined[..]].into_iter(), name), found, "one field is as good as several");
        let own = format!("{name}={}", *TOKEN);
        let first = find_cookie([own.as_bytes()].into_iter().chain(fields.iter().copied()), name);
        assert_eq!(first, Some(TOKEN.as_bytes()), "what stands behind the first changes nothing");
        let last = find_cookie(fields.iter().copied().chain([own.as_bytes()]), name);
        assert_eq!(last, found.or(Some(TOKEN.as_bytes())), "what stands before it is another one, or counts");
        let others = NAMES.iter().filter(|other| **other != name);
        for other in others {
            let with_other = fields.iter().copied().chain([own.as_bytes()]);
            assert_eq!(find_cookie(with_other, other), find_cookie(fields.iter().copied(), other));
        }
    }
    assert!(KEYS.open(TOKEN.as_bytes(), NOW).is_ok());
});

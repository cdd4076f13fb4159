//! Files of keys: what is read, what is refused, and which keys a rotation keeps.

use onrush_core::SESSION_MS_MAX;

use super::super::{NoRotation, Session, TokenRefused};
use super::*;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
const KEY: &str = "0000000a A256GCM AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= 2026-11-26T18:00:00.000Z";
const SHORT_KEY: &str = "0000000b A128GCM AAECAwQFBgcICQoLDA0ODw== 2026-11-27T18:00:00Z";

fn key(id: u32, made_at: u64) -> SessionKey {
    SessionKey::new(KeyId(id), Cipher::Aes256Gcm, &[7; 32], made_at).unwrap()
}

#[test]
fn what_is_written_is_read() {
    let text = format!("# for people\n\n {KEY}\r\n{SHORT_KEY}\n");
    let keys: SessionKeys = text.parse().unwrap();
    let found: Vec<_> =
        keys.as_slice().iter().map(|key| (key.id().0, key.cipher(), key.secret().len())).collect();
    assert_eq!(found, [(10, Cipher::Aes256Gcm, 32), (11, Cipher::Aes128Gcm, 16)]);
    assert_eq!(keys.current().id(), KeyId(11));
    let again: SessionKeys = keys.to_text().parse().unwrap();
    assert_eq!(again.to_text(), keys.to_text());
    assert!(again.to_text().contains(KEY));
    assert!(!format!("{keys:?}").contains("AAECAw"), "a key is never printed");
}

#[test]
fn what_is_no_file_of_keys_is_refused_and_nothing_of_it_is_repeated() {
    let wrong = |line: &str, reason| (line.to_owned(), KeyFileError::Line { line: 1, reason });
    let many = (0..65).map(|id| format!("{id:08x} {}", &SHORT_KEY[9..])).collect::<Vec<_>>().join("\n");
    for (text, error) in [
        (String::new(), KeyFileError::Empty),
        ("# nothing\n".to_owned(), KeyFileError::Empty),
        (format!("{KEY}\n{KEY}\n"), KeyFileError::SameId),
        (many, KeyFileError::TooManyKeys),
        ("#".repeat(16_385), KeyFileError::TooLong),
        wrong("0000000a A256GCM", "it does not have four words"),
        wrong(&format!("{KEY} more"), "it does not have four words"),
        wrong(&KEY.replace("0000000a", "0000000A"), "the id is wrong"),
        wrong(&KEY.replace("0000000a", "+000000a"), "the id is wrong"),
        wrong(&KEY.replace("0000000a", "a"), "the id is wrong"),
        wrong(&KEY.replace("A256GCM", "A192GCM"), "the cipher is not known"),
        wrong(&KEY.replace("h8=", "h8"), "the key is not base64"),
        wrong(&KEY.replace("h8=", "h9="), "the key is not base64"),
        wrong(&KEY.replace("A256GCM", "A128GCM"), "the key is not as long as its cipher asks for"),
        wrong(&KEY.replace("11-26T", "13-26T"), "the time is not RFC 3339"),
    ] {
        let found = text.parse::<SessionKeys>().expect_err(&text);
        assert_eq!(found, error, "{text}");
        assert!(!found.to_string().contains("AAECAw"), "{found}");
    }
}

#[test]
fn a_rotation_logs_nobody_out_and_keeps_no_key_for_longer_than_it_is_needed() {
    let start = 1_000 * DAY_MS;
    let keys = SessionKeys::one(key(1, start));
    let session = Session::new("ann", start + DAY_MS, start + DAY_MS + SESSION_MS_MAX).unwrap();
    let token = keys.seal(&session, &[9; 24]);

    let keys = keys.rotated(key(2, start + DAY_MS)).unwrap();
    assert_eq!(keys.current().id(), KeyId(2));
    let last = session.expires_at() - 1;
    assert_eq!(
        keys.open(token.as_bytes(), last),
        Ok(session),
        "whatever its key, it lasts as long as it says"
    );

    let keys = keys.rotated(key(3, last)).unwrap();
    assert_eq!(keys.open(token.as_bytes(), last), Ok(session));
    let keys = keys.rotated(key(4, last + 1)).unwrap();
    assert_eq!(keys.as_slice().iter().map(|key| key.id().0).collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(keys.open(token.as_bytes(), last), Err(TokenRefused::Invalid), "nothing under it can last");
}

#[test]
fn there_is_a_bound_for_keys_that_are_still_needed() {
    let mut keys = SessionKeys::one(key(0, 0));
    for id in 1..64 {
        keys = keys.rotated(key(id, u64::from(id))).unwrap();
    }
    let text = keys.to_text();
    assert!(text.len() < FILE_BYTES_MAX);
    assert_eq!(keys.rotated(key(64, 64)).unwrap_err(), NoRotation::TooManyKeys(64));
    let keys: SessionKeys = text.parse().unwrap();
    assert_eq!(keys.rotated(key(63, SESSION_MS_MAX)).unwrap_err(), NoRotation::TooManyKeys(64));
    let keys: SessionKeys = text.parse().unwrap();
    assert_eq!(keys.rotated(key(5, SESSION_MS_MAX + 1)).unwrap_err(), NoRotation::SameId);
}

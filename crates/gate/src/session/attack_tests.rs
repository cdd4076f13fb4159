//! What somebody may send instead of a token of theirs: nothing of it opens a session, and nothing panics.

use proptest::prelude::*;

use super::*;

const NOW: TimeMs = 1_795_000_000_000;
const HOUR_MS: u64 = 60 * 60 * 1_000;
const NONCE: Nonce = [0x5a; NONCE_BYTES];

fn keys(secret: u8) -> SessionKeys {
    keys_of(Cipher::Aes256Gcm, secret, 1)
}

fn keys_of(cipher: Cipher, secret: u8, id: u32) -> SessionKeys {
    let secret = vec![secret; cipher.key_bytes()];
    SessionKeys::one(SessionKey::new(KeyId(id), cipher, &secret, NOW).unwrap())
}

fn session(customer: &str) -> Session {
    Session::new(customer, NOW, NOW + HOUR_MS).unwrap()
}

#[test]
fn a_token_opens_its_session_with_every_cipher_and_every_length_of_name() {
    for cipher in [Cipher::Aes128Gcm, Cipher::Aes256Gcm] {
        let keys = keys_of(cipher, 3, 0xffff_fffe);
        for length in 1..=NAME_BYTES_MAX {
            let session = session(&"n".repeat(length));
            let token = keys.seal(&session, &NONCE);
            assert!(token.len() <= TOKEN_CHARS_MAX);
            assert_eq!(keys.open(token.as_bytes(), NOW), Ok(session));
        }
        assert_eq!(keys.seal(&session(&"n".repeat(NAME_BYTES_MAX)), &NONCE).len(), TOKEN_CHARS_MAX);
    }
}

#[test]
fn sessions_that_cannot_be() {
    for (customer, issued_at, expires_at) in [
        ("", NOW, NOW + 1),
        (".", NOW, NOW + 1),
        ("a b", NOW, NOW + 1),
        ("ü", NOW, NOW + 1),
        ("ann", NOW, NOW),
        ("ann", NOW, NOW - 1),
        ("ann", NOW, NOW + SESSION_MS_MAX + 1),
        (&"n".repeat(65), NOW, NOW + 1),
    ] {
        assert_eq!(
            Session::new(customer, issued_at, expires_at),
            None,
            "{customer} {issued_at} {expires_at}"
        );
    }
}

#[test]
fn a_token_with_any_bit_flipped_is_none() {
    let keys = keys(3);
    let token = keys.seal(&session("ann"), &NONCE);
    for at in 0..token.len() {
        for bit in 0..8 {
            let mut flipped = token.as_bytes().to_vec();
            flipped[at] ^= 1 << bit;
            assert_eq!(keys.open(&flipped, NOW), Err(TokenRefused::Invalid), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn a_token_that_was_cut_or_made_longer_is_none() {
    let keys = keys(3);
    for customer in ["a", "ann", &"n".repeat(NAME_BYTES_MAX)] {
        let token = keys.seal(&session(customer), &NONCE);
        for end in 0..token.len() {
            assert_eq!(keys.open(&token.as_bytes()[..end], NOW), Err(TokenRefused::Invalid), "{end}");
            assert_eq!(keys.open(&token.as_bytes()[end + 1..], NOW), Err(TokenRefused::Invalid), "{end}");
        }
        for more in ["A", "=", "==", " ", "\0", "AAAA", &"A".repeat(10_000)] {
            let longer = format!("{token}{more}");
            assert_eq!(keys.open(longer.as_bytes(), NOW), Err(TokenRefused::Invalid), "{more:?}");
            let longer = format!("{more}{token}");
            assert_eq!(keys.open(longer.as_bytes(), NOW), Err(TokenRefused::Invalid), "{more:?}");
        }
    }
}

#[test]
fn parts_of_two_tokens_make_none() {
    let keys = keys(3);
    let one = keys.seal(&session("ann"), &NONCE);
    let two = keys.seal(&session("bob"), &[0x3c; NONCE_BYTES]);
    for at in 1..one.len() {
        let mixed = format!("{}{}", &one[..at], &two[at..]);
        if mixed != *one && mixed != *two {
            assert_eq!(keys.open(mixed.as_bytes(), NOW), Err(TokenRefused::Invalid), "{at}");
        }
    }
}

#[test]
fn a_token_under_another_key_is_none() {
    let token = keys(3).seal(&session("ann"), &NONCE);
    for others in [keys(4), keys_of(Cipher::Aes256Gcm, 3, 2), keys_of(Cipher::Aes128Gcm, 3, 1)] {
        assert_eq!(others.open(token.as_bytes(), NOW), Err(TokenRefused::Invalid), "{others:?}");
    }
}

#[test]
fn equal_sessions_have_tokens_that_share_nothing_but_their_beginning() {
    let keys = keys(3);
    let one = keys.seal(&session("ann"), &[1; NONCE_BYTES]);
    let mut nonce = [1; NONCE_BYTES];
    for at in [0, NONCE_BYTES - 1] {
        nonce[at] = 2;
        let two = keys.seal(&session("ann"), &nonce);
        // 29 bytes in clear are 38 characters and a part of the next.
        let same = one[39..].bytes().zip(two[39..].bytes()).filter(|(one, two)| one == two).count();
        assert!(same < 15, "{same} of {} characters are the same", one.len() - 39);
    }
}

#[test]
fn a_session_lasts_as_long_as_it_says_whatever_becomes_of_the_clock() {
    let keys = keys(3);
    let session = session("ann");
    let token = keys.seal(&session, &NONCE);
    for (now, expected) in [
        (NOW, Ok(session)),
        (NOW + HOUR_MS - 1, Ok(session)),
        (NOW + HOUR_MS, Err(TokenRefused::Expired)),
        (u64::MAX, Err(TokenRefused::Expired)),
        (NOW - CLOCK_STEP_MS_MAX, Ok(session)),
        (NOW - CLOCK_STEP_MS_MAX - 1, Err(TokenRefused::Expired)),
        (0, Err(TokenRefused::Expired)),
    ] {
        assert_eq!(keys.open(token.as_bytes(), now), expected, "{now}");
    }
}

proptest! {
    #[test]
    fn any_session_comes_back(
        customer in "[A-Za-z0-9_~:@-]{1,64}",
        issued_at in 0..u64::MAX - SESSION_MS_MAX,
        ttl_ms in 1..=SESSION_MS_MAX,
        nonce: Nonce,
        secret: u8,
    ) {
        let keys = keys(secret);
        let session = Session::new(&customer, issued_at, issued_at + ttl_ms).unwrap();
        let token = keys.seal(&session, &nonce);
        prop_assert_eq!(keys.open(token.as_bytes(), issued_at), Ok(session));
        prop_assert_eq!(keys.open(token.as_bytes(), session.expires_at()), Err(TokenRefused::Expired));
    }

    #[test]
    fn any_bytes_are_no_token(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert_eq!(keys(3).open(&bytes, NOW), Err(TokenRefused::Invalid));
    }

    #[test]
    fn any_text_of_the_alphabet_is_no_token(text in "[A-Za-z0-9_-]{60,200}", begin: bool) {
        // Half of them begin as a token under our key does.
        let text = if begin { format!("AQAAAAFa{text}") } else { text };
        prop_assert_eq!(keys(3).open(text.as_bytes(), NOW), Err(TokenRefused::Invalid));
    }
}

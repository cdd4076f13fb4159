//! The token of a session: `version, key id, nonce, encrypted (issued at, expires at, customer), tag` in base64url. Version and
//! key id are authenticated as well. Whatever is no token costs a look at its length, or one decryption, and no memory.

use arrayvec::{ArrayString, ArrayVec};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use onrush_core::{NAME_BYTES_MAX, TimeMs};

use super::key::{KeyId, NONCE_BYTES, Nonce, SessionKey};
use super::keys::SessionKeys;
use super::{Customer, Session};

/// Characters of the longest token.
pub const TOKEN_CHARS_MAX: usize = (BYTES_MAX * 8).div_ceil(6);

const VERSION: u8 = 1;
/// Version and key id.
const PUBLIC_BYTES: usize = 1 + 4;
const TIMES_BYTES: usize = 8 + 8;
const TAG_BYTES: usize = 16;
const HEAD_BYTES: usize = PUBLIC_BYTES + NONCE_BYTES;
const BYTES_MIN: usize = HEAD_BYTES + TIMES_BYTES + 1 + TAG_BYTES;
const BYTES_MAX: usize = HEAD_BYTES + TIMES_BYTES + NAME_BYTES_MAX + TAG_BYTES;
const CHARS_MIN: usize = (BYTES_MIN * 8).div_ceil(6);
/// The decoder asks for room for whole groups of three.
const DECODED_BYTES_MAX: usize = BYTES_MAX.next_multiple_of(3);

/// A token as text: `A-Z a-z 0-9 _ -`.
pub type Token = ArrayString<TOKEN_CHARS_MAX>;

/// Why a token opens no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefused {
    /// It is not one that a key of ours made, or was changed since.
    #[error("it is no token of a session, or one under a key that is no longer known")]
    Invalid,
    /// It was one of ours. It has expired, or it is from the future of a clock that was set back.
    #[error("the session has expired")]
    Expired,
}

impl SessionKeys {
    /// The token of a session under the current key. `nonce` has to be drawn for it alone.
    pub fn seal(&self, session: &Session, nonce: &Nonce) -> Token {
        seal(self.current(), session, nonce)
    }

    /// The session of a token that somebody sent, at `now`.
    ///
    /// # Errors
    /// It is none, or was one.
    pub fn open(&self, token: &[u8], now: TimeMs) -> Result<Session, TokenRefused> {
        let session = self.decrypt(token).ok_or(TokenRefused::Invalid)?;
        if session.lasts_at(now) { Ok(session) } else { Err(TokenRefused::Expired) }
    }

    fn decrypt(&self, token: &[u8]) -> Option<Session> {
        if !(CHARS_MIN..=TOKEN_CHARS_MAX).contains(&token.len()) {
            return None;
        }
        let mut bytes = [0; DECODED_BYTES_MAX];
        let length = URL_SAFE_NO_PAD.decode_slice(token, &mut bytes).ok()?;
        let (head, sealed) = bytes[..length].split_first_chunk_mut::<HEAD_BYTES>()?;
        let (public, nonce) = head.split_first_chunk::<PUBLIC_BYTES>()?;
        let [VERSION, id @ ..] = *public else { return None };
        let key = self.find(KeyId(u32::from_be_bytes(id)))?;
        let plain = key.decrypt(nonce.try_into().ok()?, public, sealed)?;
        let (issued_at, rest) = plain.split_first_chunk::<8>()?;
        let (expires_at, customer) = rest.split_first_chunk::<8>()?;
        let customer = std::str::from_utf8(customer).ok()?;
        Session::new(customer, u64::from_be_bytes(*issued_at), u64::from_be_bytes(*expires_at))
    }
}

fn seal(key: &SessionKey, session: &Session, nonce: &Nonce) -> Token {
    let mut public = [VERSION; PUBLIC_BYTES];
    public[1..].copy_from_slice(&key.id().0.to_be_bytes());
    let mut plain: ArrayVec<u8, { TIMES_BYTES + NAME_BYTES_MAX }> = ArrayVec::new();
    let Session { customer, issued_at, expires_at } = session;
    let customer: &Customer = customer;
    plain.extend(issued_at.to_be_bytes());
    plain.extend(expires_at.to_be_bytes());
    plain.extend(customer.bytes());
    let tag = key.encrypt(nonce, &public, &mut plain);
    let mut bytes: ArrayVec<u8, BYTES_MAX> = ArrayVec::new();
    for part in [&public[..], nonce, &plain, tag.as_ref()] {
        bytes.extend(part.iter().copied());
    }
    let mut text = [0; TOKEN_CHARS_MAX];
    let length = URL_SAFE_NO_PAD.encode_slice(&bytes, &mut text).expect("room for the longest token");
    let text = std::str::from_utf8(&text[..length]).expect("base64 is ASCII");
    Token::from(text).expect("room for the longest token")
}

//! One key for session tokens. Each token is encrypted under a key of its own, which comes from this one and from the first half
//! of the token's nonce. So there is no number of tokens after which a key is worn out (`docs/decisions/0035-sessions.md`).

use std::fmt;
use std::str::FromStr;

use onrush_core::TimeMs;
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, Nonce as GcmNonce, Tag, UnboundKey};
use ring::hmac;

/// Bytes of a nonce. They have to be random, and are never used again.
pub const NONCE_BYTES: usize = 24;

/// Random bytes for one token.
pub type Nonce = [u8; NONCE_BYTES];

/// What the derivation of a token's key begins with, so that the same secret used elsewhere gives other bytes.
const DERIVATION: &[u8; 18] = b"onrush session v1\0";
/// Bytes of the nonce that go into the token's key. The rest is the nonce of the encryption.
const DERIVING_BYTES: usize = 12;

/// Which encryption a key is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cipher {
    /// AES-128 in Galois counter mode.
    Aes128Gcm,
    /// AES-256 in Galois counter mode.
    #[default]
    Aes256Gcm,
}

/// Which key a token is under; it can be read in the token.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub u32);

/// A key with its id. Not for printing.
pub struct SessionKey {
    id: KeyId,
    cipher: Cipher,
    made_at: TimeMs,
    secret: Box<[u8]>,
    deriving: hmac::Key,
}

/// Bytes that are no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key of {} has {} bytes", .0, .0.key_bytes())]
pub struct UnusableKey(Cipher);

impl Cipher {
    /// Bytes of a key.
    pub const fn key_bytes(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes256Gcm => 32,
        }
    }

    const fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::Aes128Gcm => &AES_128_GCM,
            Self::Aes256Gcm => &AES_256_GCM,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Aes128Gcm => "A128GCM",
            Self::Aes256Gcm => "A256GCM",
        }
    }
}

impl fmt::Display for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Cipher {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Aes128Gcm, Self::Aes256Gcm].into_iter().find(|cipher| cipher.as_str() == text).ok_or(())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKey({}, {}, …)", self.id, self.cipher)
    }
}

impl SessionKey {
    /// # Errors
    /// The bytes are not as many as the cipher takes.
    pub fn new(id: KeyId, cipher: Cipher, secret: &[u8], made_at: TimeMs) -> Result<Self, UnusableKey> {
        if secret.len() != cipher.key_bytes() {
            return Err(UnusableKey(cipher));
        }
        let deriving = hmac::Key::new(hmac::HMAC_SHA256, secret);
        Ok(Self { id, cipher, made_at, secret: secret.into(), deriving })
    }

    /// What tokens call it.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// What it is for.
    pub const fn cipher(&self) -> Cipher {
        self.cipher
    }

    /// When it was made.
    pub const fn made_at(&self) -> TimeMs {
        self.made_at
    }

    pub(super) fn secret(&self) -> &[u8] {
        &self.secret
    }

    /// Encrypts `plain` in place. `public` is authenticated with it.
    pub(super) fn encrypt(&self, nonce: &Nonce, public: &[u8], plain: &mut [u8]) -> Tag {
        let (key, nonce) = self.token_key(nonce);
        let sealed = key.seal_in_place_separate_tag(nonce, Aad::from(public), plain);
        sealed.expect("a token is far shorter than what the cipher takes")
    }

    /// Decrypts `sealed`, which ends in its tag, in place; nothing if it was not encrypted under this key with this nonce and
    /// `public`.
    pub(super) fn decrypt<'s>(&self, nonce: &Nonce, public: &[u8], sealed: &'s mut [u8]) -> Option<&'s [u8]> {
        let (key, nonce) = self.token_key(nonce);
        key.open_in_place(nonce, Aad::from(public), sealed).ok().map(|plain| &*plain)
    }

    fn token_key(&self, nonce: &Nonce) -> (LessSafeKey, GcmNonce) {
        let mut input = [0; DERIVATION.len() + DERIVING_BYTES];
        input[..DERIVATION.len()].copy_from_slice(DERIVATION);
        input[DERIVATION.len()..].copy_from_slice(&nonce[..DERIVING_BYTES]);
        let derived = hmac::sign(&self.deriving, &input);
        let bytes = &derived.as_ref()[..self.cipher.key_bytes()];
        let key = UnboundKey::new(self.cipher.algorithm(), bytes).expect("the bytes of one key");
        let rest = nonce[DERIVING_BYTES..].try_into().expect("the other half of the nonce");
        (LessSafeKey::new(key), GcmNonce::assume_unique_for_key(rest))
    }
}

const _: () = assert!(NONCE_BYTES - DERIVING_BYTES == ring::aead::NONCE_LEN);

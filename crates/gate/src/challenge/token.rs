//! A challenge as the text that a client carries: what it is, until when, for whom, and its answer, encrypted and authenticated
//! under a key that lives as long as the process. So nothing is kept of a challenge that nobody solves.
//!
//! `number, encrypted (kind, expires at, answer, seed, binding), tag` in base64url. The number is the nonce: no two challenges
//! under a key have the same.

use arrayvec::ArrayString;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use onrush_core::{ChallengeKind, TimeMs};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{Context, SHA256};

/// Bytes of the key of challenges.
pub const CHALLENGE_KEY_BYTES: usize = 32;

/// Characters of the id of a challenge.
pub const CHALLENGE_ID_CHARS: usize = (BYTES * 8).div_ceil(6);

/// How long a challenge may be solved, in milliseconds: 5 minutes.
pub const CHALLENGE_TTL_MS: u64 = 5 * 60 * 1_000;

const NUMBER_BYTES: usize = 8;
const BINDING_BYTES: usize = 16;
const PLAIN_BYTES: usize = 1 + 8 + 4 + 8 + BINDING_BYTES;
const TAG_BYTES: usize = 16;
const BYTES: usize = NUMBER_BYTES + PLAIN_BYTES + TAG_BYTES;
/// The decoder asks for room for whole groups of three.
const DECODED_BYTES: usize = BYTES.next_multiple_of(3);

/// The text of a challenge: `A-Z a-z 0-9 _ -`.
pub type ChallengeId = ArrayString<CHALLENGE_ID_CHARS>;

/// What has to be brought.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// The digits of a picture, as one number.
    Digits(u32),
    /// The number that was drawn.
    Work(u32),
    /// Nothing: the digits of another challenge were brought before.
    Done,
}

/// Whom and what a challenge is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding([u8; BINDING_BYTES]);

/// A challenge that was given out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Challenge {
    /// Which one. It is used up by its number.
    pub number: u64,
    /// What has to be brought.
    pub task: Task,
    /// From this time on nobody can solve it.
    pub expires_at: TimeMs,
    /// What its picture and its sound are drawn with.
    pub seed: u64,
    /// For whom and what.
    pub binding: Binding,
}

/// What makes and opens challenges. Not for printing.
pub struct ChallengeKey(LessSafeKey);

impl Binding {
    /// Of a customer in a sale.
    pub fn new(sale: &str, customer: &str) -> Self {
        let mut context = Context::new(&SHA256);
        for part in [sale, customer] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let digest = context.finish();
        Self(*digest.as_ref().first_chunk().expect("a digest is longer"))
    }
}

impl Task {
    /// What it is to a sale.
    pub const fn kind(self) -> ChallengeKind {
        match self {
            Self::Digits(_) | Self::Done => ChallengeKind::Image,
            Self::Work(_) => ChallengeKind::ProofOfWork,
        }
    }

    const fn parts(self) -> (u8, u32) {
        match self {
            Self::Digits(digits) => (0, digits),
            Self::Work(number) => (1, number),
            Self::Done => (2, 0),
        }
    }

    const fn from_parts(parts: (u8, u32)) -> Option<Self> {
        match parts {
            (0, digits) => Some(Self::Digits(digits)),
            (1, number) => Some(Self::Work(number)),
            (2, 0) => Some(Self::Done),
            _ => None,
        }
    }
}

impl ChallengeKey {
    /// The bytes have to be drawn for it alone, and used in one process only.
    pub fn new(secret: &[u8; CHALLENGE_KEY_BYTES]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, secret).expect("as many bytes as a key has");
        Self(LessSafeKey::new(key))
    }

    /// The text of a challenge, whose number was never sealed before.
    pub fn seal(&self, challenge: &Challenge) -> ChallengeId {
        let Challenge { number, task, expires_at, seed, binding } = challenge;
        let (kind, answer) = task.parts();
        let mut bytes = [0; BYTES];
        let (number_bytes, rest) = bytes.split_at_mut(NUMBER_BYTES);
        number_bytes.copy_from_slice(&number.to_be_bytes());
        let (plain, tag) = rest.split_at_mut(PLAIN_BYTES);
        let mut at = 0;
        for part in
            [&[kind][..], &expires_at.to_be_bytes(), &answer.to_be_bytes(), &seed.to_be_bytes(), &binding.0]
        {
            plain[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        let sealed = self.0.seal_in_place_separate_tag(nonce(*number), Aad::empty(), plain);
        tag.copy_from_slice(sealed.expect("it is far shorter than what the cipher takes").as_ref());
        let mut text = [0; CHALLENGE_ID_CHARS];
        URL_SAFE_NO_PAD.encode_slice(bytes, &mut text).expect("room for all of it");
        let text = std::str::from_utf8(&text).expect("base64 is ASCII");
        ChallengeId::from(text).expect("room for all of it")
    }

    /// The challenge of a text that somebody sent; nothing if this key did not make it, or it was changed since.
    pub fn open(&self, id: &[u8]) -> Option<Challenge> {
        if id.len() != CHALLENGE_ID_CHARS {
            return None;
        }
        let mut bytes = [0; DECODED_BYTES];
        let length = URL_SAFE_NO_PAD.decode_slice(id, &mut bytes).ok()?;
        let (number, sealed) = bytes.get_mut(..length)?.split_first_chunk_mut::<NUMBER_BYTES>()?;
        let number = u64::from_be_bytes(*number);
        let plain = self.0.open_in_place(nonce(number), Aad::empty(), sealed).ok()?;
        let ([kind], rest) = plain.split_first_chunk()?;
        let (expires_at, rest) = rest.split_first_chunk()?;
        let (answer, rest) = rest.split_first_chunk()?;
        let (seed, binding) = rest.split_first_chunk()?;
        Some(Challenge {
            number,
            task: Task::from_parts((*kind, u32::from_be_bytes(*answer)))?,
            expires_at: u64::from_be_bytes(*expires_at),
            seed: u64::from_be_bytes(*seed),
            binding: Binding(binding.try_into().ok()?),
        })
    }
}

fn nonce(number: u64) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[..NUMBER_BYTES].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;

//! Passwords of customers: argon2id (RFC 9106) with the parameters that OWASP's password storage cheat sheet names for it, 19 MiB
//! of memory, two passes, one lane.
//!
//! What is kept is a version byte and what that version says. Version 1: a salt of 16 bytes and the hash of 32. Other parameters
//! will be another version, so that what is kept stays good.

use std::fmt;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use subtle::ConstantTimeEq as _;

/// Characters that a password may have.
pub const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 8..=128;

/// Bytes of a salt, which should be random.
pub const SALT_BYTES: usize = 16;

/// Memory of one hash, in bytes.
pub const HASHING_BYTES: usize = MEMORY_KIB as usize * 1_024;

const HASH_BYTES: usize = 32;
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const VERSION_1: u8 = 1;

/// What is kept was written by a later version, or is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the account was written by a later version")]
pub struct UnknownHash;

/// Makes and checks hashes, one at a time, in memory of its own.
pub struct PasswordHasher {
    argon2: Argon2<'static>,
    memory: Vec<Block>,
}

impl PasswordHasher {
    /// Takes [`HASHING_BYTES`] of memory.
    pub fn new() -> Self {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH_BYTES)).expect("they are in bounds");
        let memory = vec![Block::default(); params.block_count()];
        Self { argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params), memory }
    }

    /// What is kept of a password.
    pub fn hash(&mut self, password: &[u8], salt: &[u8; SALT_BYTES]) -> Vec<u8> {
        let mut kept = Vec::with_capacity(1 + SALT_BYTES + HASH_BYTES);
        kept.push(VERSION_1);
        kept.extend_from_slice(salt);
        kept.extend_from_slice(&self.derive(password, salt));
        kept
    }

    /// Whether `kept` was made of this password. It takes the same time for every password, and for nobody's: without
    /// `kept` it works as long and says no.
    ///
    /// # Errors
    /// `kept` is of no known version.
    pub fn verify(&mut self, password: &[u8], kept: Option<&[u8]>) -> Result<bool, UnknownHash> {
        let Some(kept) = kept else {
            let _ = self.derive(password, &[0; SALT_BYTES]);
            return Ok(false);
        };
        let (salt, hash) = split(kept).ok_or(UnknownHash)?;
        Ok(self.derive(password, salt).ct_eq(hash).into())
    }

    fn derive(&mut self, password: &[u8], salt: &[u8; SALT_BYTES]) -> [u8; HASH_BYTES] {
        let mut hash = [0; HASH_BYTES];
        let derived = self.argon2.hash_password_into_with_memory(password, salt, &mut hash, &mut self.memory);
        derived.expect("a password has fewer than 2^32 bytes, and salt and memory are as asked for");
        hash
    }
}

impl Default for PasswordHasher {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for PasswordHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHasher(…)")
    }
}

fn split(kept: &[u8]) -> Option<(&[u8; SALT_BYTES], &[u8; HASH_BYTES])> {
    let (&version, rest) = kept.split_first()?;
    let (salt, hash) = rest.split_first_chunk()?;
    let hash = hash.try_into().ok()?;
    (version == VERSION_1).then_some((salt, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: [u8; SALT_BYTES] = [7; SALT_BYTES];

    #[test]
    fn a_password_is_good_and_no_other_is() {
        let mut hasher = PasswordHasher::new();
        let kept = hasher.hash(b"correct horse", &SALT);
        assert_eq!(kept.len(), 49);
        assert_eq!(hasher.verify(b"correct horse", Some(&kept)), Ok(true));
        for wrong in [&b"correct hors"[..], b"correct horse ", b"Correct horse", b""] {
            assert_eq!(hasher.verify(wrong, Some(&kept)), Ok(false), "{wrong:?}");
        }
        assert_ne!(hasher.hash(b"correct horse", &[8; SALT_BYTES]), kept);
        assert_eq!(hasher.verify(b"correct horse", None), Ok(false));
    }

    /// The work is what takes time: nobody's password has to cause as much of it as somebody's.
    #[test]
    fn nobodys_password_is_as_much_work() {
        let untouched_count = |hasher: &PasswordHasher| {
            hasher.memory.iter().filter(|block| block.as_ref().iter().all(|word| *word == 0)).count()
        };
        let kept = PasswordHasher::new().hash(b"correct horse", &SALT);
        for kept in [None, Some(&kept[..])] {
            let mut hasher = PasswordHasher::new();
            assert_eq!(untouched_count(&hasher), hasher.memory.len());
            assert_eq!(hasher.verify(b"wrong password", kept), Ok(false));
            assert_eq!(untouched_count(&hasher), 0, "all memory was written");
        }
    }

    /// Made with the reference implementation: `printf 'correct horse' | argon2 '0123456789abcdef' -id -k 19456 -t 2 -p 1 -r`.
    #[test]
    fn a_hash_is_that_of_the_reference_implementation() {
        let kept = PasswordHasher::new().hash(b"correct horse", b"0123456789abcdef");
        let reference = 0xae4d_8c8b_7138_7604_4c83_47c7_6986_a9b5_u128.to_be_bytes();
        let rest = 0x6559_44aa_acff_fe9b_ea4d_ff9e_7b6a_1899_u128.to_be_bytes();
        assert_eq!(kept[17..], [reference, rest].concat());
    }

    #[test]
    fn what_no_version_wrote_is_told() {
        let mut hasher = PasswordHasher::new();
        let kept = hasher.hash(b"correct horse", &SALT);
        let mut later = kept.clone();
        later[0] = 2;
        let longer = [&kept[..], b"x"].concat();
        for wrong in [&b""[..], &kept[..48], &later, &longer] {
            assert_eq!(hasher.verify(b"correct horse", Some(wrong)), Err(UnknownHash), "{wrong:?}");
        }
        // Of what was damaged in its salt or its hash nobody knows the password.
        let mut damaged = kept;
        damaged[30] ^= 1;
        assert_eq!(hasher.verify(b"correct horse", Some(&damaged)), Ok(false));
    }
}

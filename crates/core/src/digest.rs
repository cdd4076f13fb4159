//! A fingerprint of a state: equal for equal states, whatever their hash seeds, limits and histories.
//!
//! It is the XXH3-128 (seed 0), in big-endian bytes, of the state's facts in their order, each as [`crate::encoding`] has it.

use std::fmt;

use xxhash_rust::xxh3::Xxh3;

use crate::{State, encoding::Encoding};

/// The fingerprint of a state. Displayed as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 16]);

impl State {
    /// The fingerprint of everything that the state knows.
    pub fn digest(&self) -> Digest {
        let mut hasher = Box::new(Xxh3::new());
        let mut encoding = Encoding(Vec::with_capacity(FLUSH_BYTES * 2));
        self.facts(&mut |fact| {
            encoding.fact(&fact);
            if encoding.0.len() >= FLUSH_BYTES {
                hasher.update(&encoding.0);
                encoding.0.clear();
            }
        });
        hasher.update(&encoding.0);
        Digest(hasher.digest128().to_be_bytes())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// Encoded facts are hashed whenever they are so many bytes.
const FLUSH_BYTES: usize = 1 << 14;

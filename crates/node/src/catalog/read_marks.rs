//! Which rows were read lately, as far as it matters for which of them go when there are too many.

use std::sync::atomic::{AtomicU64, Ordering};

use xxhash_rust::xxh3::xxh3_64;

/// A bit for each of 2^20 hashes of keys: 128 KiB, whatever the number of rows. Rows that share a bit are taken for one another, which costs
/// a row that could have stayed, or keeps one that could have gone.
pub(super) struct ReadMarks(Box<[AtomicU64]>);

const WORDS: usize = 1 << 14;

impl ReadMarks {
    pub(super) fn new() -> Self {
        Self((0..WORDS).map(|_| AtomicU64::new(0)).collect())
    }

    /// Notes that the row of this key was read.
    pub(super) fn mark(&self, key: &str) {
        let (word, bit) = self.place(key);
        // A row that is read often is marked once, so that its word stays in the caches of all cores.
        if word.load(Ordering::Relaxed) & bit == 0 {
            word.fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// Whether the row of this key was read since this was asked last.
    pub(super) fn take(&self, key: &str) -> bool {
        let (word, bit) = self.place(key);
        word.fetch_and(!bit, Ordering::Relaxed) & bit != 0
    }

    fn place(&self, key: &str) -> (&AtomicU64, u64) {
        let hash = xxh3_64(key.as_bytes());
        let word = usize::try_from((hash >> 6) % WORDS as u64).expect("fewer than 2^14");
        (&self.0[word], 1 << (hash % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_taken_once() {
        let marks = ReadMarks::new();
        assert!(!marks.take("a"));
        marks.mark("a");
        marks.mark("a");
        assert!(marks.take("a") && !marks.take("a"));
        assert!(!marks.take("b"));
    }
}

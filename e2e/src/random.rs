//! Seeded chance: everything an end-to-end run decides by chance comes from here, so that a printed seed repeats the
//! decisions (though not the scheduling of threads and processes).

use std::time::Duration;

/// A small generator after Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (`SplitMix64`).
#[derive(Debug, Clone)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    /// A generator that gives the same sequence for the same seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// An independent generator for the part of a run numbered `label`.
    pub(crate) fn fork(&self, label: u64) -> Self {
        let mut mixed = Self::new(self.state ^ label.wrapping_mul(0xd134_2543_de82_ef95));
        Self::new(mixed.next())
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `bound` exclusive; `bound` must not be 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A number from `low` to `high`, both inclusive.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True in `percent` of 100 cases.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of the items; the slice must not be empty.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let bound = items.len() as u64;
        &items[usize::try_from(self.below(bound)).expect("an index fits usize")]
    }

    /// A span of `low_ms` to `high_ms` milliseconds, both inclusive.
    pub(crate) fn span_ms(&mut self, low_ms: u64, high_ms: u64) -> Duration {
        Duration::from_millis(self.between(low_ms, high_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_repeats_and_forks_differ() {
        let mut first = Random::new(7);
        let mut second = Random::new(7);
        assert_eq!(first.next(), second.next());
        assert_ne!(first.fork(1).next(), first.fork(2).next());
        assert!((1..1000).all(|_| (3..=5).contains(&first.between(3, 5))));
    }
}

//! Keys of which a source said that no row has them, for a while.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::xxh3_128_with_seed;

/// Two sets of keys, one younger than the other. A key is kept as 128 bits of a hash that no client knows the seed of: two keys of one hash are not to be
/// expected in the life of a server, and a million keys are some 40 MB.
#[derive(Clone, Debug)]
pub(super) struct AbsentKeys {
    seed: u64,
    /// How long a key is kept at least, unless there are too many.
    kept_for: Duration,
    /// Keys of one set.
    count_max: usize,
    young: HashSet<u128>,
    old: HashSet<u128>,
    young_since: Option<Instant>,
}

impl AbsentKeys {
    /// Of at most `count_max` keys.
    pub(super) fn new(seed: u64, kept_for: Duration, count_max: usize) -> Self {
        let count_max = (count_max / 2).max(1);
        Self { seed, kept_for, count_max, young: HashSet::new(), old: HashSet::new(), young_since: None }
    }

    pub(super) fn insert(&mut self, key: &str, now: Instant) {
        self.turn(now);
        if self.young.len() >= self.count_max {
            self.old = std::mem::take(&mut self.young);
            self.young_since = Some(now);
        }
        self.young.insert(self.hash(key));
    }

    /// Whether no row had this key when the source was asked, which is not long ago.
    pub(super) fn has(&mut self, key: &str, now: Instant) -> bool {
        self.turn(now);
        let hash = self.hash(key);
        self.young.contains(&hash) || self.old.contains(&hash)
    }

    pub(super) fn remove(&mut self, key: &str) {
        if self.young.is_empty() && self.old.is_empty() {
            return;
        }
        let hash = self.hash(key);
        self.young.remove(&hash);
        self.old.remove(&hash);
    }

    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    /// Makes the young set the old one once all keys of that may go.
    fn turn(&mut self, now: Instant) {
        let since = *self.young_since.get_or_insert(now);
        let age = now.saturating_duration_since(since);
        if age < self.kept_for {
            return;
        }
        let young = std::mem::take(&mut self.young);
        self.old = if age < 2 * self.kept_for { young } else { HashSet::new() };
        self.young_since = Some(now);
    }

    fn hash(&self, key: &str) -> u128 {
        xxh3_128_with_seed(key.as_bytes(), self.seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: Duration = Duration::from_secs(10);

    #[test]
    #[allow(clippy::disallowed_methods, reason = "some moment has to be the first")]
    fn keys_are_kept_for_a_while_and_are_not_too_many() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut absent = AbsentKeys::new(7, KEPT, 4);
        absent.insert("a", at(0));
        assert!(absent.has("a", at(10)) && !absent.has("b", at(10)), "kept for ten seconds");
        assert!(absent.has("a", at(19)), "and goes with its set");
        assert!(!absent.has("a", at(20)));
        absent.insert("b", at(20));
        assert!(!absent.has("b", at(50)), "nothing is kept for longer than twice that");
        for key in ["c", "d", "e"] {
            absent.insert(key, at(60));
        }
        assert!(absent.has("c", at(60)) && absent.has("e", at(60)));
        absent.insert("f", at(60));
        absent.insert("g", at(60));
        assert!(!absent.has("c", at(60)) && absent.has("g", at(60)), "the oldest go");
        absent.remove("g");
        assert!(!absent.has("g", at(60)));
        absent.clear();
        assert!(!absent.has("f", at(60)));
    }
}

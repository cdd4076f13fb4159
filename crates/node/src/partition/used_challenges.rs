//! Which challenges were verified, so that none is verified twice. They live as long as the process, as what opens them does, and
//! outlive a log that is opened again.

use crate::limits::CHALLENGES_REMEMBERED;

const BITS: u64 = u64::BITS as u64;

/// A bit for each of the newest numbers up to the highest that was used. What is older counts as used: it is not known.
#[derive(Default)]
pub(crate) struct UsedChallenges {
    /// The bit of a number is at the number modulo [`CHALLENGES_REMEMBERED`]. Empty until the first is used.
    words: Box<[u64]>,
    /// One more than the highest number that was used.
    end: u64,
}

impl UsedChallenges {
    /// Whether nobody used this number before. The last number of all counts as used.
    pub(crate) fn is_unused(&self, number: u64) -> bool {
        if number >= self.end {
            return number < u64::MAX;
        }
        self.end - number <= CHALLENGES_REMEMBERED && {
            let (word, bit) = place(number);
            self.words[word] & bit == 0
        }
    }

    /// From now on it is used.
    pub(crate) fn use_up(&mut self, number: u64) {
        if self.words.is_empty() {
            let count = usize::try_from(CHALLENGES_REMEMBERED / BITS).expect("as many as there are places");
            self.words = vec![0; count].into();
        }
        if number >= self.end {
            self.forget_for(number);
        } else if self.end - number > CHALLENGES_REMEMBERED {
            return;
        }
        let (word, bit) = place(number);
        self.words[word] |= bit;
    }

    /// Frees the places of all numbers from the end up to this one, which will be the highest.
    fn forget_for(&mut self, number: u64) {
        let end = number.saturating_add(1);
        if number - self.end >= CHALLENGES_REMEMBERED {
            self.words.fill(0);
        } else {
            let mut next = self.end;
            while next < end {
                let (word, bit) = place(next);
                if bit == 1 && end - next >= BITS {
                    self.words[word] = 0;
                    next += BITS;
                } else {
                    self.words[word] &= !bit;
                    next += 1;
                }
            }
        }
        self.end = end;
    }
}

fn place(number: u64) -> (usize, u64) {
    let place = number % CHALLENGES_REMEMBERED;
    (usize::try_from(place / BITS).expect("it is one of the places"), 1 << (place % BITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_used_once_in_whatever_order() {
        let mut used = UsedChallenges::default();
        for number in [5, 0, 3, 64, 63, 200, 127, 128] {
            assert!(used.is_unused(number), "{number}");
            used.use_up(number);
            assert!(!used.is_unused(number), "{number}");
        }
        for number in [1, 4, 62, 65, 126, 129, 199, 201] {
            assert!(used.is_unused(number), "{number}");
        }
    }

    #[test]
    fn what_is_too_old_to_be_known_counts_as_used() {
        let mut used = UsedChallenges::default();
        used.use_up(1);
        used.use_up(CHALLENGES_REMEMBERED + 1);
        assert!(!used.is_unused(0) && !used.is_unused(1));
        assert!(used.is_unused(2), "its place was never that of another");
        used.use_up(0);
        assert!(!used.is_unused(CHALLENGES_REMEMBERED + 1), "an old number changes nothing");
        assert!(used.is_unused(CHALLENGES_REMEMBERED), "and takes no place of a newer one");
        used.use_up(u64::MAX);
        assert!(!used.is_unused(u64::MAX) && !used.is_unused(CHALLENGES_REMEMBERED));
    }

    #[test]
    fn a_place_is_free_again_for_a_newer_number() {
        for step in [1, 63, 64, 1_000, CHALLENGES_REMEMBERED - 1, CHALLENGES_REMEMBERED, u64::MAX / 2] {
            let mut used = UsedChallenges::default();
            for number in 0..100 {
                used.use_up(number);
            }
            let highest = 99 + step;
            used.use_up(highest);
            for number in highest.saturating_sub(70).max(100)..highest {
                assert!(used.is_unused(number), "{number} after a step of {step}");
            }
            assert!(!used.is_unused(99) && !used.is_unused(highest), "after a step of {step}");
        }
    }
}

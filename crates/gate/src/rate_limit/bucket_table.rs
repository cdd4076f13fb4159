//! Token buckets of many keys in a table of fixed size: 8 bytes for each, no lock, and nothing that is freed or moved.
//!
//! A slot is one number: 24 bits tell its key from others of the same set, 40 bits are the time at which its bucket is full
//! again. A bucket that is full says the same as no bucket, so a slot whose time has come is free. A key has two sets, each
//! a cache line, and takes the one with more room: so next to no key is lost until the table is full. Two keys that agree in
//! both sets and in 24 bits share a bucket, one in a million of them; which ones depends on a secret.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::bucket::{Level, Wait, admit, level};
use super::rate::{Rate, TICKS_PER_S};

const SLOTS: usize = 8;
/// Keys for each set at `keys_max`: the rest is room for what chance makes uneven.
const KEYS_PER_SET: usize = 5;
const TIME_BITS: u32 = 40;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;
/// Readings of the clock by different threads differ by less.
const SKEW_TICKS: u64 = 600 * TICKS_PER_S;
/// Calls of [`BucketTable::sweep`] in which the whole table is swept. It must be within the 29 hours after which a time of 40
/// bits looks like one of the future again; at ten calls a second it takes 10 minutes.
const SWEEP_CALLS: usize = 6_000;

/// A cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Set([AtomicU64; SLOTS]);

/// Buckets by key. A key is a hash, with a secret, of what is limited.
#[derive(Debug)]
pub(super) struct BucketTable {
    sets: Box<[Set]>,
    swept: AtomicUsize,
    key_count: AtomicU64,
    forgotten_count: AtomicU64,
}

/// A slot for a key, as it was seen.
struct Place<'a> {
    slot: &'a AtomicU64,
    word: u64,
    ahead: u64,
    is_of_key: bool,
}

impl BucketTable {
    /// A table for `keys_max` keys. It takes its memory now: 8 bytes for a slot, and eight slots for five keys.
    pub(super) fn new(keys_max: u32) -> Self {
        let count = (keys_max as usize).div_ceil(KEYS_PER_SET).max(1);
        Self {
            sets: (0..count).map(|_| Set::default()).collect(),
            swept: AtomicUsize::new(0),
            key_count: AtomicU64::new(0),
            forgotten_count: AtomicU64::new(0),
        }
    }

    pub(super) fn take(&self, rate: Rate, key: u64, now: u64) -> Result<Level, Wait> {
        loop {
            let place = self.place(rate, key, now);
            let known = if place.is_of_key { place.ahead } else { 0 };
            let after = admit(rate, known)?;
            if !place.replace(word_of(key, now + after)) {
                continue;
            }
            if place.word == 0 {
                self.key_count.fetch_add(1, Ordering::Relaxed);
            } else if !place.is_of_key && place.ahead > 0 {
                self.forgotten_count.fetch_add(1, Ordering::Relaxed);
            }
            return Ok(level(rate, after));
        }
    }

    /// How the bucket of `key` stands. Nothing is taken of it, and it needs no slot for that.
    pub(super) fn level(&self, rate: Rate, key: u64, now: u64) -> Level {
        let place = self.place(rate, key, now);
        level(rate, if place.is_of_key { place.ahead } else { 0 })
    }

    /// Undoes one [`BucketTable::take`]. A bucket that was forgotten since is full anyway.
    pub(super) fn give_back(&self, rate: Rate, key: u64, now: u64) {
        loop {
            let place = self.place(rate, key, now);
            if !place.is_of_key || place.ahead == 0 {
                return;
            }
            if place.replace(word_of(key, now + place.ahead.saturating_sub(rate.interval()))) {
                return;
            }
        }
    }

    /// Frees slots whose time has come, in a small part of the table. To be called ten times a second.
    pub(super) fn sweep(&self, rate: Rate, now: u64) {
        let count = self.sets.len().div_ceil(SWEEP_CALLS);
        let start = self.swept.fetch_add(count, Ordering::Relaxed);
        for number in start..start.saturating_add(count) {
            for slot in &self.sets[number % self.sets.len()].0 {
                let word = slot.load(Ordering::Relaxed);
                let place = Place { slot, word, ahead: ahead(rate, word, now), is_of_key: false };
                if word != 0 && place.ahead == 0 && place.replace(0) {
                    self.key_count.fetch_sub(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// Slots in use. A bucket that is full again counts until the sweep comes by.
    pub(super) fn key_count(&self) -> u64 {
        self.key_count.load(Ordering::Relaxed)
    }

    /// Buckets that were not full and were forgotten for want of room.
    pub(super) fn forgotten_count(&self) -> u64 {
        self.forgotten_count.load(Ordering::Relaxed)
    }

    /// Of memory.
    pub(super) fn bytes(&self) -> usize {
        self.sets.len() * size_of::<Set>()
    }

    /// Where the bucket of `key` is, or else where it may be put: in a free slot of the set that has more of them, or, when
    /// there is none, in place of the bucket that is nearest to full, which has been idle for longest.
    fn place(&self, rate: Rate, key: u64, now: u64) -> Place<'_> {
        let tag = tag_of(key);
        let mut best: Option<(usize, Place<'_>)> = None;
        let mut fullest: Option<Place<'_>> = None;
        for set in self.sets_of(key) {
            let mut free = None;
            let mut free_count = 0;
            for slot in &set.0 {
                let word = slot.load(Ordering::Relaxed);
                let place = Place { slot, word, ahead: ahead(rate, word, now), is_of_key: false };
                if word >> TIME_BITS == tag {
                    return Place { is_of_key: true, ..place };
                }
                if place.ahead == 0 {
                    free_count += 1;
                    free.get_or_insert(place);
                } else if fullest.as_ref().is_none_or(|other| place.ahead < other.ahead) {
                    fullest = Some(place);
                }
            }
            if let Some(free) = free
                && best.as_ref().is_none_or(|(count, _)| free_count > *count)
            {
                best = Some((free_count, free));
            }
        }
        best.map(|(_, place)| place).or(fullest).expect("a set has slots, and each is free or not")
    }

    fn sets_of(&self, key: u64) -> [&Set; 2] {
        // The second draws on all bits of the key (the finalizer of MurmurHash3), because the first has used the upper half.
        let mut mixed = (key ^ (key >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed ^= mixed >> 33;
        [key, mixed].map(|bits| {
            let number = (u128::from(bits) * self.sets.len() as u128) >> 64;
            &self.sets[usize::try_from(number).expect("it is below the number of sets")]
        })
    }
}

impl Place<'_> {
    fn replace(&self, word: u64) -> bool {
        self.slot.compare_exchange(self.word, word, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// The lower bits of a key; never 0, so that no slot in use is 0.
fn tag_of(key: u64) -> u64 {
    (key & (u64::MAX >> TIME_BITS)).max(1)
}

fn word_of(key: u64, full_at: u64) -> u64 {
    tag_of(key) << TIME_BITS | (full_at & TIME_MASK)
}

/// How far the time of a slot is ahead of `now`; 0 if it has come, or if the slot is empty.
fn ahead(rate: Rate, word: u64, now: u64) -> u64 {
    let ahead = word.wrapping_sub(now) & TIME_MASK;
    if word != 0 && ahead <= rate.depth() + SKEW_TICKS { ahead } else { 0 }
}

#[cfg(test)]
#[path = "bucket_table_tests.rs"]
mod tests;

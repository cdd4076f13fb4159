//! The table of buckets against buckets that are kept one by one, and at its bounds.

use std::collections::HashMap;

use super::*;

const MS: u64 = TICKS_PER_S / 1_000;

fn rate(text: &str) -> Rate {
    text.parse().unwrap()
}

/// A bucket that counts tokens, in parts of an interval.
struct NaiveBucket {
    parts: u64,
    at: u64,
}

impl NaiveBucket {
    fn take(&mut self, rate: Rate, now: u64) -> bool {
        self.parts = (self.parts + now - self.at).min(rate.depth());
        self.at = now;
        let is_enough = self.parts >= rate.interval();
        if is_enough {
            self.parts -= rate.interval();
        }
        is_enough
    }
}

/// A small generator of numbers (splitmix64), so that a seed repeats a test.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

#[test]
fn a_table_decides_as_buckets_that_are_kept_one_by_one() {
    for seed in 0..20 {
        let mut numbers = Numbers(seed);
        let rate = Rate::new(1 + numbers.below(50), TICKS_PER_S, 1 + numbers.below(20)).unwrap();
        let (table, mut naive) = (BucketTable::new(1_000), HashMap::new());
        let keys: Vec<u64> = (0..50).map(|_| numbers.next()).collect();
        let mut now = numbers.next() >> 8;
        for step in 0..5_000 {
            now += numbers.below(40 * MS);
            let key = keys[usize::try_from(numbers.below(50)).unwrap()];
            let bucket = naive.entry(key).or_insert(NaiveBucket { parts: rate.depth(), at: now });
            let expected = bucket.take(rate, now);
            let taken = table.take(rate, key, now);
            assert_eq!(taken.is_ok(), expected, "seed {seed}, step {step}");
            match taken {
                Ok(level) => assert_eq!(u64::from(level.remaining), bucket.parts / rate.interval()),
                Err(Wait(wait)) => assert_eq!(bucket.parts + wait, rate.interval(), "seed {seed}"),
            }
            if taken.is_ok() && numbers.below(4) == 0 {
                table.give_back(rate, key, now);
                bucket.parts += rate.interval();
            }
            table.sweep(rate, now);
        }
        assert_eq!(table.forgotten_count(), 0);
    }
}

#[test]
fn many_threads_take_no_more_of_one_key_than_its_burst() {
    let (rate, table) = (rate("1/s burst 1000"), BucketTable::new(100));
    let take_all = || (0..1_000).filter(|_| table.take(rate, 7, 5 * TICKS_PER_S).is_ok()).count();
    let taken: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(take_all)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(taken, 1_000);
    assert_eq!(table.key_count(), 1);
}

#[test]
fn a_table_keeps_as_many_keys_as_it_is_made_for() {
    const KEYS: u32 = 200_000;
    let (rate, table) = (rate("1/s burst 10"), BucketTable::new(KEYS));
    let mut numbers = Numbers(1);
    let keys: Vec<u64> = (0..KEYS).map(|_| numbers.next()).collect();
    for key in &keys {
        assert_eq!(table.take(rate, *key, 0).unwrap().remaining, 9);
    }
    assert_eq!((table.key_count(), table.forgotten_count()), (KEYS.into(), 0));
    let kept = keys.iter().filter(|key| table.take(rate, **key, 0).unwrap().remaining == 8).count();
    assert_eq!(kept, KEYS as usize);
    assert!(table.bytes() < KEYS as usize * 13, "{} bytes", table.bytes());
}

#[test]
fn in_a_full_table_the_key_that_is_idle_for_longest_goes() {
    let (rate, table) = (rate("1/s burst 100"), BucketTable::new(5));
    for key in 1..=8 {
        table.take(rate, key, key * MS).unwrap();
    }
    assert_eq!((table.key_count(), table.forgotten_count()), (8, 0));
    table.take(rate, 9, 9 * MS).unwrap();
    assert_eq!((table.key_count(), table.forgotten_count()), (8, 1));
    let level = |key| table.take(rate, key, 9 * MS).unwrap().remaining;
    assert_eq!((level(2), level(8), level(9)), (98, 98, 98));
    assert_eq!(level(1), 99, "it was forgotten, and took the place of another now");
}

#[test]
fn slots_whose_time_has_come_are_free_and_swept() {
    let (rate, table) = (rate("1/s burst 1"), BucketTable::new(5));
    for key in 1..=8 {
        table.take(rate, key, 0).unwrap();
    }
    for key in 11..=14 {
        table.take(rate, key, TICKS_PER_S).unwrap();
    }
    assert_eq!((table.key_count(), table.forgotten_count()), (8, 0));
    table.sweep(rate, TICKS_PER_S);
    assert_eq!(table.key_count(), 4);
    table.sweep(rate, 2 * TICKS_PER_S);
    assert_eq!(table.key_count(), 0);
}

#[test]
fn the_time_of_a_slot_may_run_over() {
    let rate = rate("1/s burst 2");
    for start in [TIME_MASK - TICKS_PER_S, TIME_MASK, TIME_MASK * 5 - 1] {
        let table = BucketTable::new(5);
        let take = |now| table.take(rate, 1, now).is_ok();
        assert!(take(start) && take(start) && !take(start));
        assert!(!take(start + TICKS_PER_S - 1) && take(start + TICKS_PER_S) && !take(start + TICKS_PER_S));
        table.sweep(rate, start + 10 * TICKS_PER_S);
        assert_eq!(table.key_count(), 0);
    }
}

#[test]
fn a_reading_of_the_clock_that_is_older_lets_nothing_more_through() {
    let (rate, table) = (rate("1/s burst 3"), BucketTable::new(5));
    let taken = [5, 3, 4, 5, 2].map(|second| table.take(rate, 1, second * TICKS_PER_S).is_ok());
    assert_eq!(taken, [true, false, true, true, false]);
}

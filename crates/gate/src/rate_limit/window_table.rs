//! True sliding windows of many keys: of any stretch of time that is as long as the window, no more than the burst is let
//! through. Unlike a bucket it has to remember each request that it let through until the window has passed over it.
//!
//! All of them stand in one queue in the order of time, and those of a key are linked. A step costs the same however many
//! there are. Shards have a lock each, so this costs more than a bucket.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use super::bucket::{Level, Wait};
use super::rate::Rate;

const SHARDS_MAX: usize = 64;
/// Bursts of one key that a shard has room for at least.
const BURSTS_PER_SHARD: usize = 4;
/// The sequence number of no request.
const NONE: u64 = 0;

#[derive(Debug)]
pub(super) struct WindowTable {
    shards: Box<[Mutex<Shard>]>,
    requests_max: usize,
}

#[derive(Debug, Default)]
struct Shard {
    requests: VecDeque<Remembered>,
    /// How many left the queue before the first of it.
    left_count: u64,
    keys: HashMap<u64, Requests>,
    forgotten_count: u64,
}

/// A request that was let through.
#[derive(Debug)]
struct Remembered {
    at: u64,
    key: u64,
    /// The next of the same key.
    next: u64,
    /// It was given back and counts no more.
    is_void: bool,
}

/// Those of one key.
#[derive(Debug)]
struct Requests {
    count: u32,
    first: u64,
    last: u64,
}

impl WindowTable {
    /// Remembers `requests_max` requests of all keys together, or a few bursts if those are more. Beyond that the oldest are
    /// forgotten before their time.
    pub(super) fn new(requests_max: u32, rate: Rate) -> Self {
        let bursts = rate.burst() as usize * BURSTS_PER_SHARD;
        let shard_count = (requests_max as usize / bursts).clamp(1, SHARDS_MAX);
        Self {
            shards: (0..shard_count).map(|_| Mutex::default()).collect(),
            requests_max: (requests_max as usize / shard_count).max(bursts),
        }
    }

    /// The level, and the number by which the request can be given back.
    pub(super) fn take(&self, rate: Rate, key: u64, now: u64) -> Result<(Level, u64), Wait> {
        let span = rate.depth();
        self.with_shard(key, |shard| {
            shard.pass(now.saturating_sub(span), now >= span);
            let count = shard.keys.get(&key).map_or(0, |requests| requests.count);
            if count >= rate.burst() {
                let first = shard.keys.get(&key).map_or(now, |requests| shard.at(requests.first));
                return Err(Wait((first + span).saturating_sub(now).max(1)));
            }
            if shard.requests.len() == self.requests_max {
                shard.leave();
                shard.forgotten_count += 1;
            }
            let number = shard.remember(key, now);
            Ok((Level { remaining: rate.burst() - count - 1, full_after: span }, number))
        })
    }

    /// How the window of `key` stands. Nothing is taken of it.
    pub(super) fn level(&self, rate: Rate, key: u64, now: u64) -> Level {
        let span = rate.depth();
        self.with_shard(key, |shard| {
            shard.pass(now.saturating_sub(span), now >= span);
            let count = shard.keys.get(&key).map_or(0, |requests| requests.count);
            Level { remaining: rate.burst() - count, full_after: if count == 0 { 0 } else { span } }
        })
    }

    /// Undoes a [`WindowTable::take`].
    pub(super) fn give_back(&self, key: u64, number: u64) {
        self.with_shard(key, |shard| {
            let Some(index) = shard.index(number) else { return };
            shard.requests[index].is_void = true;
            if let Some(requests) = shard.keys.get_mut(&key) {
                requests.count -= 1;
            }
        });
    }

    pub(super) fn key_count(&self) -> u64 {
        self.sum(|shard| shard.keys.len() as u64)
    }

    pub(super) fn forgotten_count(&self) -> u64 {
        self.sum(|shard| shard.forgotten_count)
    }

    fn sum(&self, of: impl Fn(&Shard) -> u64) -> u64 {
        self.shards.iter().map(|shard| of(&shard.lock().unwrap_or_else(PoisonError::into_inner))).sum()
    }

    fn with_shard<T>(&self, key: u64, run: impl FnOnce(&mut Shard) -> T) -> T {
        let number = (u128::from(key) * self.shards.len() as u128) >> 64;
        let shard = &self.shards[usize::try_from(number).expect("it is below the number of shards")];
        run(&mut shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shard {
    /// Lets the requests leave that are as old as `until` or older.
    fn pass(&mut self, until: u64, is_any_so_old: bool) {
        while is_any_so_old && self.requests.front().is_some_and(|request| request.at <= until) {
            self.leave();
        }
    }

    fn leave(&mut self) {
        let Some(Remembered { key, next, is_void, .. }) = self.requests.pop_front() else { return };
        self.left_count += 1;
        if next == NONE {
            self.keys.remove(&key);
        } else if let Some(requests) = self.keys.get_mut(&key) {
            requests.first = next;
            requests.count -= u32::from(!is_void);
        }
    }

    fn remember(&mut self, key: u64, now: u64) -> u64 {
        let number = self.left_count + self.requests.len() as u64 + 1;
        // A thread whose reading of the clock is older counts as the one before it, so that the queue stays in order.
        let at = self.requests.back().map_or(now, |last| last.at.max(now));
        let requests = self.keys.entry(key).or_insert(Requests { count: 0, first: number, last: NONE });
        requests.count += 1;
        let last = std::mem::replace(&mut requests.last, number);
        if let Some(index) = self.index(last) {
            self.requests[index].next = number;
        }
        self.requests.push_back(Remembered { at, key, next: NONE, is_void: false });
        number
    }

    fn at(&self, number: u64) -> u64 {
        self.index(number).map_or(0, |index| self.requests[index].at)
    }

    fn index(&self, number: u64) -> Option<usize> {
        let index = usize::try_from(number.checked_sub(self.left_count + 1)?).ok()?;
        (index < self.requests.len()).then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate_limit::rate::TICKS_PER_S;

    const MS: u64 = TICKS_PER_S / 1_000;

    #[test]
    fn no_stretch_as_long_as_the_window_has_more_than_the_burst() {
        let rate: Rate = "10/s burst 5".parse().unwrap();
        let table = WindowTable::new(1_000, rate);
        let mut let_through: HashMap<u64, Vec<u64>> = HashMap::new();
        let (mut now, mut seed) = (0, 1_u64);
        for step in 0..20_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            now += (seed >> 40) % (60 * MS);
            let key = (seed >> 33) % 7 * (u64::MAX / 7);
            let times = let_through.entry(key).or_default();
            let in_window = times.iter().filter(|at| **at + rate.depth() > now).count();
            let taken = table.take(rate, key, now);
            assert_eq!(taken.is_ok(), in_window < 5, "step {step}");
            match taken {
                Ok((level, number)) if seed.is_multiple_of(3) => {
                    assert_eq!(level.remaining as usize, 4 - in_window);
                    table.give_back(key, number);
                }
                Ok(_) => times.push(now),
                // What was given back is remembered still, so the wait can be too short, and is never too long.
                Err(Wait(wait)) => {
                    let longest = times[times.len() - 5] + rate.depth() - now;
                    assert!((1..=longest).contains(&wait), "step {step}: {wait} of {longest}");
                }
            }
        }
        assert_eq!(table.forgotten_count(), 0);
        table.take(rate, 0, now + 10 * TICKS_PER_S).unwrap();
        assert_eq!(table.shards[0].lock().unwrap().keys.len(), 1, "keys whose window is empty are gone");
    }

    #[test]
    fn a_window_is_full_before_a_bucket_would_be() {
        let rate: Rate = "1/s burst 3".parse().unwrap();
        let table = WindowTable::new(100, rate);
        let taken =
            [0, 0, 0, 1, 2, 3, 3, 3, 3].map(|second| table.take(rate, 1, second * TICKS_PER_S).is_ok());
        assert_eq!(taken, [true, true, true, false, false, true, true, true, false]);
    }

    #[test]
    fn the_oldest_requests_are_forgotten_when_there_are_too_many() {
        let rate: Rate = "1/s burst 2".parse().unwrap();
        let table = WindowTable::new(8, rate);
        for key in 1..=9 {
            table.take(rate, key, key).unwrap();
        }
        assert_eq!((table.key_count(), table.forgotten_count()), (8, 1));
    }
}

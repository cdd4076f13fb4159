//! One limit: a rate, and how each of its keys stands.

use std::sync::atomic::{AtomicU64, Ordering};

use super::bucket::{Bucket, Level, Wait};
use super::bucket_table::BucketTable;
use super::rate::Rate;
use super::window_table::WindowTable;

/// What a limit counts by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// Token buckets: after a burst one request in each interval.
    #[default]
    Bucket,
    /// True sliding windows: a burst in any stretch of time in which the bucket would fill.
    Window,
}

/// What was taken of a limit, to give it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    key: u64,
    number: u64,
}

#[derive(Debug)]
pub(super) struct Limiter {
    pub(super) rate: Rate,
    keys: Keys,
    admitted_count: AtomicU64,
    refused_count: AtomicU64,
}

#[derive(Debug)]
enum Keys {
    One(Bucket),
    Buckets(BucketTable),
    Windows(WindowTable),
}

impl Limiter {
    /// For all together.
    pub(super) fn shared(rate: Rate, algorithm: Algorithm) -> Self {
        Self::new(
            rate,
            match algorithm {
                Algorithm::Bucket => Keys::One(Bucket::default()),
                Algorithm::Window => Keys::Windows(WindowTable::new(1, rate)),
            },
        )
    }

    /// For each key by itself.
    pub(super) fn by_key(rate: Rate, algorithm: Algorithm, keys_max: u32) -> Self {
        Self::new(
            rate,
            match algorithm {
                Algorithm::Bucket => Keys::Buckets(BucketTable::new(keys_max)),
                Algorithm::Window => Keys::Windows(WindowTable::new(keys_max, rate)),
            },
        )
    }

    fn new(rate: Rate, keys: Keys) -> Self {
        Self { rate, keys, admitted_count: AtomicU64::new(0), refused_count: AtomicU64::new(0) }
    }

    pub(super) fn take(&self, key: u64, now: u64) -> Result<(Level, Ticket), Wait> {
        let taken = match &self.keys {
            Keys::One(bucket) => bucket.take(self.rate, now).map(|level| (level, 0)),
            Keys::Buckets(table) => table.take(self.rate, key, now).map(|level| (level, 0)),
            Keys::Windows(table) => table.take(self.rate, key, now),
        };
        let count = if taken.is_ok() { &self.admitted_count } else { &self.refused_count };
        count.fetch_add(1, Ordering::Relaxed);
        taken.map(|(level, number)| (level, Ticket { key, number }))
    }

    /// How the key stands. Nothing is taken, and nothing is counted.
    pub(super) fn level(&self, key: u64, now: u64) -> Level {
        match &self.keys {
            Keys::One(bucket) => bucket.level(self.rate, now),
            Keys::Buckets(table) => table.level(self.rate, key, now),
            Keys::Windows(table) => table.level(self.rate, key, now),
        }
    }

    pub(super) fn give_back(&self, Ticket { key, number }: Ticket, now: u64) {
        match &self.keys {
            Keys::One(bucket) => bucket.give_back(self.rate),
            Keys::Buckets(table) => table.give_back(self.rate, key, now),
            Keys::Windows(table) => table.give_back(key, number),
        }
    }

    pub(super) fn sweep(&self, now: u64) {
        if let Keys::Buckets(table) = &self.keys {
            table.sweep(self.rate, now);
        }
    }

    pub(super) fn key_count(&self) -> u64 {
        match &self.keys {
            Keys::One(_) => 1,
            Keys::Buckets(table) => table.key_count(),
            Keys::Windows(table) => table.key_count(),
        }
    }

    /// Bytes of memory that do not depend on use.
    pub(super) fn table_bytes(&self) -> usize {
        match &self.keys {
            Keys::Buckets(table) => table.bytes(),
            Keys::One(_) | Keys::Windows(_) => 0,
        }
    }

    pub(super) fn forgotten_count(&self) -> u64 {
        match &self.keys {
            Keys::One(_) => 0,
            Keys::Buckets(table) => table.forgotten_count(),
            Keys::Windows(table) => table.forgotten_count(),
        }
    }

    pub(super) fn admitted_count(&self) -> u64 {
        self.admitted_count.load(Ordering::Relaxed)
    }

    pub(super) fn refused_count(&self) -> u64 {
        self.refused_count.load(Ordering::Relaxed)
    }
}

//! Figures about a partition, kept by whoever leads and read by whoever asks.

use std::time::Duration;

use onrush_core::{DenialKind, RefusalCode, UnitTotals};

use crate::{Failure, Reply};

/// Upper bounds of the buckets of sync latency, in microseconds; the last bucket has none.
pub const SYNC_BUCKETS_US: [u64; 14] =
    [50, 75, 100, 150, 200, 300, 500, 1_000, 2_000, 5_000, 10_000, 50_000, 250_000, 1_000_000];

/// Upper bounds of the buckets of calls per batch; the last bucket has none.
pub const BATCH_BUCKETS: [u64; 12] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 1_024, 4_096, 16_384];

/// Counts of values by bucket, with their sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram<const N: usize> {
    /// Values at most as large as each bound, not counting those of the buckets before.
    pub counts: [u64; N],
    /// Values above all bounds.
    pub above: u64,
    /// Sum of all values.
    pub sum: u64,
}

impl<const N: usize> Histogram<N> {
    const EMPTY: Self = Self { counts: [0; N], above: 0, sum: 0 };

    fn add(&mut self, bounds: &[u64; N], value: u64) {
        self.sum = self.sum.saturating_add(value);
        match bounds.iter().position(|bound| value <= *bound) {
            Some(bucket) => self.counts[bucket] += 1,
            None => self.above += 1,
        }
    }

    /// How many values there were.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.above
    }
}

/// What a partition tells about itself. Counts are since the process started.
#[derive(Clone, Debug)]
pub struct MetricsSnapshot {
    /// Calls that changed something or read something.
    pub done_count: u64,
    /// Refusals by code, in the order of [`RefusalCode::ALL`].
    pub refusals: [(RefusalCode, u64); RefusalCode::ALL.len()],
    /// What the gates of sales in shadow mode would have refused, by code.
    pub shadow_refusals: [(RefusalCode, u64); RefusalCode::ALL.len()],
    /// Calls refused because too many were waiting.
    pub overloaded_count: u64,
    /// Calls refused because the log could not take writes.
    pub log_unavailable_count: u64,
    /// Calls that wait for an answer now.
    pub waiting_count: u64,
    /// Batches made durable.
    pub batch_count: u64,
    /// Events made durable.
    pub event_count: u64,
    /// Payload bytes made durable.
    pub batch_bytes: u64,
    /// Answers released per batch.
    pub batch_replies: Histogram<{ BATCH_BUCKETS.len() }>,
    /// Time to write and sync a batch, microseconds.
    pub sync_us: Histogram<{ SYNC_BUCKETS_US.len() }>,
    /// Times that the log had to be opened again after a failed write.
    pub reopened_count: u64,
    /// Next offset to become durable.
    pub durable_offset: u64,
    /// The newest snapshot's, if there is one.
    pub snapshot_offset: Option<u64>,
    /// Payload bytes that the log is certain to take next.
    pub room_bytes: u64,
    /// How far the partition's time is ahead of the wall clock; negative if it is behind.
    pub clock_offset_ms: i64,
    /// Whether writes are possible.
    pub available: bool,
    /// Units of all stocks by state.
    pub units: UnitTotals,
    /// Counters, windows, sales and reservations in memory.
    pub counter_count: u64,
    /// See `counter_count`.
    pub window_count: u64,
    /// See `counter_count`.
    pub sale_count: u64,
    /// See `counter_count`.
    pub reservation_count: u64,
    /// Denials in memory, those that are over and not yet forgotten among them.
    pub denial_count: u64,
    /// See `counter_count`.
    pub account_count: u64,
    /// Rows of the catalogue that the partition keeps.
    pub row_count: u64,
    /// Times that somebody turned out to be denied, by kind.
    pub denied_counts: [u64; DenialKind::ALL.len()],
    /// Bytes of the state, as [`onrush_core::State::memory_bytes`] has them.
    pub state_bytes: u64,
    /// [`onrush_core::Limits::state_bytes_max`]
    pub state_bytes_max: u64,
}

/// Counts of what the leader did, plain numbers under the leader's own lock.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    pub(crate) done_count: u64,
    pub(crate) refusals: [u64; RefusalCode::ALL.len()],
    pub(crate) shadow_refusals: [u64; RefusalCode::ALL.len()],
    pub(crate) log_unavailable_count: u64,
    pub(crate) batch_count: u64,
    pub(crate) event_count: u64,
    pub(crate) batch_bytes: u64,
    pub(crate) batch_replies: Histogram<{ BATCH_BUCKETS.len() }>,
    pub(crate) sync_us: Histogram<{ SYNC_BUCKETS_US.len() }>,
    pub(crate) reopened_count: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            done_count: 0,
            refusals: [0; RefusalCode::ALL.len()],
            shadow_refusals: [0; RefusalCode::ALL.len()],
            log_unavailable_count: 0,
            batch_count: 0,
            event_count: 0,
            batch_bytes: 0,
            batch_replies: Histogram::EMPTY,
            sync_us: Histogram::EMPTY,
            reopened_count: 0,
        }
    }
}

impl Tally {
    pub(crate) fn reply(&mut self, reply: &Reply) {
        match reply {
            Ok(_) => self.done_count += 1,
            Err(Failure::Refused { refusal, .. }) => self.refusals[refusal.code() as usize] += 1,
            Err(Failure::LogUnavailable) => self.log_unavailable_count += 1,
            Err(Failure::Overloaded | Failure::Draining | Failure::NotLeader) => {}
        }
    }

    pub(crate) fn batch(&mut self, event_count: u32, bytes: usize, took: Duration) {
        self.batch_count += 1;
        self.event_count += u64::from(event_count);
        self.batch_bytes += bytes as u64;
        self.sync_us.add(&SYNC_BUCKETS_US, u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    pub(crate) fn released(&mut self, reply_count: usize) {
        self.batch_replies.add(&BATCH_BUCKETS, reply_count as u64);
    }
}

/// Counts with the codes that they stand at.
pub(crate) fn by_code(
    counts: &[u64; RefusalCode::ALL.len()],
) -> [(RefusalCode, u64); RefusalCode::ALL.len()] {
    std::array::from_fn(|i| (RefusalCode::ALL[i], counts[i]))
}

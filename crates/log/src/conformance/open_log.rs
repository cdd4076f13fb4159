//! A log that is open, with a memory of the batches that it was given.

use std::convert::Infallible;
use std::sync::Arc;

use super::Harness;
use crate::contract::{Batch, Entry, Log, LogWriter, Opening};
use crate::error::{AppendError, OpenError, VisitError};

/// A batch, as it was told or as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KnownBatch {
    pub(super) base_offset: u64,
    pub(super) event_count: u32,
    pub(super) time_ms: u64,
    pub(super) payload: Vec<u8>,
}

impl KnownBatch {
    pub(super) fn of(entry: &Entry<'_>) -> Self {
        Self {
            base_offset: entry.base_offset,
            event_count: entry.event_count,
            time_ms: entry.time_ms,
            payload: entry.payload.to_vec(),
        }
    }

    pub(super) fn next_offset(&self) -> u64 {
        self.base_offset + u64::from(self.event_count)
    }
}

/// A log that is open.
pub(super) struct OpenLog {
    pub(super) log: Arc<dyn Log>,
    pub(super) writer: Box<dyn LogWriter>,
    pub(super) epoch: u64,
    pub(super) next_offset: u64,
    /// Batches that were visited at the opening, and those that are in force since.
    pub(super) batches: Vec<KnownBatch>,
}

impl OpenLog {
    /// Opens the log from its beginning.
    pub(super) fn open(harness: &dyn Harness) -> Self {
        Self::try_open(harness, 0, None).expect("the log opens")
    }

    pub(super) fn try_open(
        harness: &dyn Harness,
        from_offset: u64,
        resume_at: Option<u64>,
    ) -> Result<Self, OpenError> {
        let log = harness.log();
        let mut batches = Vec::new();
        let mut epoch_seen = 0;
        let opened = log.open(Opening { from_offset, resume_at, salt_seed: 0x5eed }, |entry| {
            assert!(entry.epoch >= epoch_seen, "terms never fall");
            epoch_seen = entry.epoch;
            batches.extend(Some(KnownBatch::of(&entry)).filter(|batch| batch.event_count > 0));
            Ok::<_, Infallible>(())
        });
        let opened = opened.map_err(VisitError::of_log)?;
        assert!(opened.epoch > epoch_seen, "a new term is larger than every one before");
        let end = batches.last().map_or(from_offset, KnownBatch::next_offset);
        assert_eq!(opened.next_offset, end, "the log ends behind its last batch");
        let (writer, epoch, next_offset) = (opened.writer, opened.epoch, opened.next_offset);
        Ok(Self { log, writer, epoch, next_offset, batches })
    }

    /// Hands over a batch of two events and a payload of so many bytes.
    pub(super) fn hand_over(&mut self, payload_bytes: usize) -> Result<(), AppendError> {
        let batch = batch_at(self.next_offset, payload_bytes);
        self.writer.append(Batch {
            event_count: batch.event_count,
            time_ms: batch.time_ms,
            told_ms: batch.time_ms,
            payload: &batch.payload,
        })?;
        self.next_offset = batch.next_offset();
        self.batches.push(batch);
        Ok(())
    }

    /// The same, and waits until it is in force.
    pub(super) fn append(&mut self, harness: &dyn Harness, payload_bytes: usize) {
        let before = self.writer.in_force().expect("nothing failed");
        self.hand_over(payload_bytes).expect("there is room");
        harness.bring_into_force();
        assert_eq!(self.writer.in_force().expect("nothing failed"), before + 1);
    }

    pub(super) fn mark(&mut self, harness: &dyn Harness, time_ms: u64) {
        self.writer.append(Batch::mark(time_ms)).expect("there is room");
        harness.bring_into_force();
        self.writer.in_force().expect("nothing failed");
    }

    /// Appends until a part of the log no longer grows that ends behind this offset.
    pub(super) fn fill_part(&mut self, harness: &dyn Harness) {
        let before = self.next_offset;
        let reader = self.log.reader();
        for _ in 0..10_000 {
            self.append(harness, 1_000);
            if reader.sealed_offset() > before {
                return;
            }
        }
        panic!("parts of the log are small");
    }

    /// The batches that a reader finds, and where it would go on.
    pub(super) fn read(&self, from: u64, to: u64) -> (Vec<KnownBatch>, u64) {
        read(&*self.log, from, to)
    }

    /// Everything that was told is there, to a reader and to whoever opens the log next.
    pub(super) fn check(&self) {
        let (read, reached) = self.read(self.log.reader().oldest_offset(), u64::MAX);
        assert_eq!(read, self.batches, "a reader gets what is in force");
        assert_eq!(reached, self.next_offset);
    }
}

pub(super) fn read(log: &dyn Log, from: u64, to: u64) -> (Vec<KnownBatch>, u64) {
    let mut batches = Vec::new();
    let reached = log.reader().read(from, to, |entry| {
        batches.extend(Some(KnownBatch::of(&entry)).filter(|batch| batch.event_count > 0));
        Ok::<_, Infallible>(())
    });
    (batches, reached.map_err(VisitError::of_log).expect("the log can be read"))
}

/// A batch that only this offset has.
fn batch_at(base_offset: u64, payload_bytes: usize) -> KnownBatch {
    let payload = base_offset.to_le_bytes().into_iter().cycle().take(payload_bytes).collect();
    KnownBatch { base_offset, event_count: 2, time_ms: 1_000 + base_offset, payload }
}

//! Snapshots, taken in the background: the newest one is read into a second state, the sealed log behind it is applied,
//! and the result is written. The live state neither pauses nor forks, and the second one is gone when it is written.

use std::sync::Arc;
use std::time::Duration;

use onrush_core::{Limits, State, TimeMs};
use onrush_log::{Log, ReadError, SnapshotError, StorageError, VisitError};

use super::cell::LeaderCell;
use super::loading::{LoadError, load_snapshot, random_u64, replay};
use super::retention::Retention;
use crate::Settings;
use crate::limits::SNAPSHOT_CHUNK_BYTES;
use crate::record::{DecodeError, encode_fact};

/// How often it is looked whether a snapshot is due.
const INTERVAL: Duration = Duration::from_secs(1);
/// After a failure, such as a full disk.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);
/// Lowest priority: a snapshot may take as long as it takes.
const NICENESS: i32 = 19;

pub(crate) struct Snapshotter {
    cell: Arc<LeaderCell>,
    log: Arc<dyn Log>,
    retention: Retention,
    limits: Limits,
    snapshot_bytes: u64,
    /// Bytes of log that the newest snapshot does not cover, at the time when `tally_bytes` was read.
    uncovered_bytes: u64,
    tally_bytes: u64,
    /// Size of the newest snapshot: taking one more often than the log grows by as much would cost more than it saves.
    newest_bytes: u64,
    /// The log was trimmed below this offset, as far as two snapshots allow.
    trimmed_before: u64,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Read(#[from] VisitError<ReadError, Unapplied>),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why an entry was not applied.
#[derive(Debug, thiserror::Error)]
enum Unapplied {
    /// Never shown.
    #[error("the partition stops")]
    Stopping,
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

impl Snapshotter {
    pub(crate) fn new(
        cell: Arc<LeaderCell>,
        log: Arc<dyn Log>,
        retention: Retention,
        settings: &Settings,
        replayed_bytes: u64,
    ) -> Self {
        Self {
            cell,
            log,
            retention,
            limits: settings.limits,
            snapshot_bytes: settings.snapshot_bytes,
            uncovered_bytes: replayed_bytes,
            tally_bytes: 0,
            newest_bytes: 0,
            trimmed_before: 0,
        }
    }

    pub(crate) fn run(mut self) {
        if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS) {
            tracing::warn!(%error, "snapshots are taken at normal priority");
        }
        let mut interval = INTERVAL;
        loop {
            std::thread::park_timeout(interval);
            if self.stops() {
                return;
            }
            interval = self.turn();
        }
    }

    /// Takes a snapshot if one is due; how long to wait until the next turn.
    pub(crate) fn turn(&mut self) -> Duration {
        self.trim_released();
        if !self.is_due() {
            return INTERVAL;
        }
        match self.take() {
            Err(error) if !self.stops() => {
                tracing::warn!(%error, "no snapshot was taken; the log is kept and it is tried again");
                RETRY_INTERVAL
            }
            _ => INTERVAL,
        }
    }

    fn stops(&self) -> bool {
        self.cell.is_draining()
    }

    fn is_due(&mut self) -> bool {
        let (tally_bytes, is_full) = self.cell.read(|machine| {
            // Who follows has no room of its own, and is not full.
            let has_log = machine.leader().is_some() || !self.log.has_rivals();
            (machine.tally().batch_bytes, has_log && !machine.has_room())
        });
        self.uncovered_bytes += tally_bytes - self.tally_bytes;
        self.tally_bytes = tally_bytes;
        if self.log.has_rivals() {
            // What others wrote counts as well.
            self.uncovered_bytes = self.log.reader().bytes_from(self.cell.snapshot_offset());
        }
        // On a full disk no more log will come, and only a newer snapshot lets some of what is there go.
        let is_large = is_full || self.uncovered_bytes >= self.snapshot_bytes.max(self.newest_bytes);
        is_large && self.log.reader().sealed_offset() > self.cell.snapshot_offset()
    }

    /// Lets the log go that was held back: what a snapshot covers may be needed long after it was taken.
    fn trim_released(&mut self) {
        let before = self.cell.snapshot_offset().min(self.retention.needed_from());
        if before <= self.trimmed_before {
            return;
        }
        match self.log.trim(before) {
            Ok(_) => self.trimmed_before = before,
            Err(error) => tracing::warn!(%error, "the log could not be trimmed; it is tried again"),
        }
    }

    fn take(&mut self) -> Result<(), Failure> {
        let (mut state, mut time, from) = self.newest()?;
        let mut reader = self.log.reader();
        let mut applied_bytes = 0;
        let to = reader.sealed_offset();
        let offset = reader.read(from, to, |entry| {
            if self.stops() {
                return Err(Unapplied::Stopping);
            }
            time = time.max(entry.time_ms);
            applied_bytes += entry.payload.len() as u64;
            replay(&mut state, &entry, from)?;
            Ok(())
        })?;
        self.newest_bytes = self.write(&state, time, offset)?;
        self.uncovered_bytes = self.uncovered_bytes.saturating_sub(applied_bytes);
        self.cell.set_snapshot_offset(offset);
        let before = offset.min(self.retention.needed_from());
        let trimmed_count = self.log.trim(before)?;
        self.trimmed_before = before;
        tracing::info!(offset, bytes = self.newest_bytes, trimmed_count, "snapshot taken");
        Ok(())
    }

    /// The newest snapshot's state, time and offset, or those of nothing.
    fn newest(&self) -> Result<(State, TimeMs, u64), Failure> {
        let Some(offset) = self.log.snapshots()?.first().copied() else {
            return Ok((State::new(self.limits, random_u64()?), 0, 0));
        };
        let (state, time) = load_snapshot(&mut *self.log.read_snapshot(offset)?, self.limits)?;
        Ok((state, time, offset))
    }

    /// Writes the state; how many bytes it took.
    fn write(&self, state: &State, time: TimeMs, offset: u64) -> Result<u64, Failure> {
        let mut writer = self.log.write_snapshot(offset, time)?;
        let mut chunk = Vec::with_capacity(SNAPSHOT_CHUNK_BYTES * 2);
        let mut written_bytes = 0;
        let mut written = Ok(());
        state.facts(&mut |fact| {
            if written.is_err() {
                return;
            }
            encode_fact(&mut chunk, &fact);
            if chunk.len() >= SNAPSHOT_CHUNK_BYTES {
                written_bytes += chunk.len() as u64;
                written = writer.write_chunk(&chunk);
                chunk.clear();
            }
        });
        written?;
        written_bytes += chunk.len() as u64;
        writer.write_chunk(&chunk)?;
        writer.finish(state.digest().0)?;
        Ok(written_bytes)
    }
}

//! Sinks: readers of the log that write elsewhere. What they write to is behind [`Target`]; no database or broker has a
//! name here.
//!
//! Each sink has a thread of its own at the lowest priority. It reads what is durable, tells every event whole
//! ([`SinkEvent`]), and goes on after any trouble from what its target says is there. The log is trimmed only below
//! what every sink has passed.

mod base;
mod event;
mod manners;
mod names;
mod pen;
mod place;
mod replay;
mod replica;
mod runner;
mod settings;
mod slot;
mod status;
mod target;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use onrush_core::{ReservationNo, SaleNo};
use onrush_log::LogReader;

pub use event::{Change, Claim, EventKind, ReservationSubject, SinkEvent, SinkLine};
pub use replay::{ReplayError, Replayed, log_extent, noted_offset, place_offset, replay, skipped};
pub use replica::{CounterRow, Replica, ReplicaAnswer};
pub use settings::{AtBacklogMax, SINK_NAME_BYTES_MAX, Selection, SinkSettings};
pub use status::{SinkRefusal, SinkState, SinkStatus, Stop};
pub use target::{PATIENCE, Skipped, Source, Target, TargetError};

pub(crate) use slot::Slot;

use crate::clock::Clock;
use crate::partition::spawn;
use crate::{OpenError, Partition, ReservationIds};
use manners::Manners;
use runner::Runner;

/// How often a stop looks whether the threads have ended.
const JOIN_INTERVAL: Duration = Duration::from_millis(2);

/// The sinks of a partition, running.
pub struct Sinks {
    slots: Vec<Arc<Slot>>,
    reader: Option<Mutex<LogReader>>,
    clock: Arc<dyn Clock>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Sinks {
    /// Starts a thread for each sink of the partition's settings; `targets` are in the same order. Once for a partition.
    ///
    /// # Errors
    /// A thread cannot be started. A target that cannot be reached is no error: its sink goes on trying.
    pub fn start(partition: &Partition, targets: Vec<Box<dyn Target>>) -> Result<Arc<Self>, OpenError> {
        let slots = partition.sink_slots().to_vec();
        assert_eq!(slots.len(), targets.len(), "every sink has a target");
        let directory = partition.take_sink_directory();
        let mut threads = Vec::with_capacity(slots.len());
        for (slot, target) in slots.iter().zip(targets) {
            let directory = directory.clone().expect("a partition with sinks keeps its directory for them");
            let ids = partition.reservation_ids().clone();
            let source = Source { log_id: log_id(&ids), partition: 0, sink: slot.settings.name.clone() };
            let clock = Arc::clone(&partition.clock);
            let manners = Manners::new(Arc::clone(&partition.crowd));
            let runner = Runner::new(slot, target, directory, ids, source, clock, manners);
            let thread = spawn(&format!("sink-{}", slot.settings.name), move || runner.run())?;
            slot.set_thread(thread.thread().clone());
            threads.push(thread);
        }
        Ok(Arc::new(Self {
            slots,
            reader: directory.map(|directory| Mutex::new(directory.reader())),
            clock: Arc::clone(&partition.clock),
            threads: Mutex::new(threads),
        }))
    }

    /// All sinks as of now, in the order of the settings.
    pub fn statuses(&self) -> Vec<SinkStatus> {
        self.slots.iter().map(|slot| self.status_of(slot)).collect()
    }

    /// One sink as of now.
    pub fn status(&self, sink: &str) -> Option<SinkStatus> {
        self.slot(sink).ok().map(|slot| self.status_of(slot))
    }

    /// Lets a stopped or waiting sink try again at once.
    ///
    /// # Errors
    /// There is no such sink.
    pub fn retry(&self, sink: &str) -> Result<SinkStatus, SinkRefusal> {
        let slot = self.slot(sink)?;
        slot.retry();
        Ok(self.status_of(slot))
    }

    /// Leaves out what the sink stopped at, which must be at `offset`, and lets it go on. What is left out is recorded first.
    ///
    /// # Errors
    /// There is no such sink, it is not stopped there, or it cannot be recorded.
    pub fn skip(&self, sink: &str, offset: u64) -> Result<SinkStatus, SinkRefusal> {
        let slot = self.slot(sink)?;
        slot.skip(offset, self.clock.wall_ms())?;
        Ok(self.status_of(slot))
    }

    /// Lets every sink write what is in the log and stops it; what is not written after `limit` is written after the
    /// next start. Threads that still wait for their target then are left behind: the process is about to end.
    pub fn stop(&self, limit: Duration) {
        for slot in &self.slots {
            slot.stop(limit);
        }
        let stopwatch = crate::clock::Stopwatch::start();
        let mut threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        while !threads.is_empty() && stopwatch.elapsed() < limit + limit / 4 {
            threads.retain(|thread| !thread.is_finished());
            std::thread::park_timeout(JOIN_INTERVAL);
        }
        if !threads.is_empty() {
            tracing::warn!(
                count = threads.len(),
                "sinks still wait for their targets; they go on after the next start"
            );
        }
    }

    fn slot(&self, sink: &str) -> Result<&Arc<Slot>, SinkRefusal> {
        self.slots.iter().find(|slot| slot.settings.name == sink).ok_or(SinkRefusal::NotFound)
    }

    fn status_of(&self, slot: &Arc<Slot>) -> SinkStatus {
        let keep_offset = slot.keep_offset.load(Ordering::Acquire);
        let (durable_offset, backlog_bytes) = match &self.reader {
            None => (0, 0),
            Some(reader) => {
                let reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
                let kept = if keep_offset == u64::MAX { 0 } else { reader.bytes_from(keep_offset) };
                (reader.durable_offset(), kept)
            }
        };
        slot.status(self.clock.wall_ms(), durable_offset, backlog_bytes)
    }
}

/// The identity of a log: what its secret makes of the number that no reservation has. It tells nothing about the secret.
pub(crate) fn log_id(ids: &ReservationIds) -> String {
    let nobody = ReservationNo { sale: SaleNo(u32::MAX), seq: u32::MAX };
    ids.write(nobody).iter().map(|letter| char::from(*letter)).collect()
}

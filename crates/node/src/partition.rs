//! One partition: a mailbox, the leader's seat, and the threads behind it.
//!
//! There is one leader at a time but no leader thread. A thread that has calls puts them into the mailbox and tries to
//! take the seat; if it gets it, it decides its own calls and those of everyone else who came meanwhile ("flat
//! combining", Hendler et al., SPAA 2010). So an uncontended call is decided where it was received, without waking
//! anybody, and the only hand-over is the one to the log writer and back, once per batch.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread::{JoinHandle, Thread};

use onrush_core::{Digest, UnitTotals};
use onrush_log::{LogDirectory, LogSettings};

use crate::clock::{Clock, MachineClock};
use crate::limits::{RECORD_BYTES_MAX, ROUNDS_PER_TURN_MAX, SIZED_OBJECTS_MAX};
use crate::partition_clock::PartitionClock;
use crate::port::{Calls, Outbox, Port, Replies, Sink};
use crate::recovery::{self, Loaded, OpenError, Recovered, lock_directory};
use crate::retention::Retention;
use crate::seat::{Seat, Submission};
use crate::snapshotter::Snapshotter;
use crate::threads::{abort_after_panic, spawn};
use crate::writer::Writer;
use crate::{Call, Failure, MetricsSnapshot, Reply, ReservationIds, Settings};

/// Whether calls make sense now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// They do.
    Ready,
    /// The log cannot take writes.
    LogUnavailable,
    /// The server is stopping.
    Draining,
}

/// One partition. Shared by all edge threads.
pub struct Partition {
    mailbox: Mutex<Vec<Submission>>,
    pub(crate) seat: Mutex<Seat>,
    pub(crate) clock: Arc<dyn Clock>,
    ids: ReservationIds,
    writer: OnceLock<Thread>,
    waiting_count: AtomicUsize,
    waiting_max: usize,
    overloaded_count: AtomicU64,
    pub(crate) draining: AtomicBool,
    /// The server is about to drain; nothing but readiness shows it.
    leaving: AtomicBool,
    pub(crate) durable_offset: AtomicU64,
    pub(crate) snapshot_offset: AtomicU64,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Partition {
    pub(crate) fn new(seat: Seat, ids: ReservationIds, clock: Arc<dyn Clock>, waiting_max: usize) -> Self {
        Self {
            mailbox: Mutex::default(),
            seat: Mutex::new(seat),
            clock,
            ids,
            writer: OnceLock::new(),
            waiting_count: AtomicUsize::new(0),
            waiting_max,
            overloaded_count: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
            durable_offset: AtomicU64::new(0),
            snapshot_offset: AtomicU64::new(0),
            threads: Mutex::default(),
        }
    }

    /// Opens the partition in the settings' directory, reads back what is there, and starts its threads.
    ///
    /// # Errors
    /// The directory is held by another process, cannot be read or written, or is damaged. Nothing is changed then.
    pub fn open(settings: Settings) -> Result<(Arc<Self>, Recovered), OpenError> {
        let directory = lock_directory(&settings)?;
        let log_settings = settings.log_settings();
        Self::open_in(directory, settings, log_settings, Arc::new(MachineClock), Retention::default())
    }

    /// As [`Partition::open`], on any storage and clocks, and with the log kept for whoever holds some of it.
    ///
    /// # Errors
    /// See [`Partition::open`].
    pub fn open_in(
        directory: LogDirectory,
        settings: Settings,
        log_settings: LogSettings,
        clock: Arc<dyn Clock>,
        retention: Retention,
    ) -> Result<(Arc<Self>, Recovered), OpenError> {
        let id_key = recovery::fresh_id_key()?;
        let Loaded { log, leader, recovered } =
            recovery::load(&directory, &settings, &log_settings, None, id_key)?;
        let ids = leader.ids().clone();
        let room_bytes = usize::try_from(log.room_bytes()).unwrap_or(usize::MAX);
        let partition_clock = PartitionClock::start(leader.time(), clock.read());
        let seat = Seat::new(leader, partition_clock, room_bytes);
        let partition = Arc::new(Self::new(seat, ids, clock, settings.waiting_max));
        partition.durable_offset.store(log.durable_offset(), Ordering::Release);
        partition.snapshot_offset.store(recovered.snapshot_offset.unwrap_or(0), Ordering::Release);
        let snapshotter =
            Snapshotter::new(&partition, directory.clone(), retention, &settings, recovered.replayed_bytes);
        let writer = Writer {
            partition: Arc::clone(&partition),
            directory,
            settings,
            log_settings,
            log: Some(log),
            id_key,
        };
        let writer = spawn("log-writer", move || writer.run()).map_err(start_failure)?;
        partition.set_writer(writer.thread().clone());
        let snapshotter = spawn("snapshotter", move || snapshotter.run()).map_err(start_failure)?;
        partition.threads().extend([writer, snapshotter]);
        Ok((partition, recovered))
    }

    /// Refuses further calls, answers those that wait, closes the log and stops the partition's threads. Returns the
    /// digest of the state, which a replay of the log gives again.
    pub fn close(&self) -> Option<Digest> {
        self.draining.store(true, Ordering::Release);
        let threads = std::mem::take(&mut *self.threads());
        for thread in threads {
            thread.thread().unpark();
            if thread.join().is_err() {
                abort_after_panic();
            }
        }
        self.take_seat().leader().map(|leader| leader.state().digest())
    }

    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How reservation ids of this partition are written and read.
    pub fn reservation_ids(&self) -> &ReservationIds {
        &self.ids
    }

    /// Runs one call and hands its answer to `done`, on this thread or another, once everything it rests on is durable.
    /// For callers without a [`PartitionPort`]. `done` must not block.
    pub fn call(&self, call: Call, done: impl FnOnce(Reply) + Send + 'static) {
        self.submit(Sink::Once(Box::new(done)), vec![(0, call)], None);
    }

    /// A place for the answers of one edge thread. `wake` is called at most once per batch, from any thread, when there
    /// are answers to take; it must not block.
    pub fn port(self: &Arc<Self>, wake: impl Fn() + Send + Sync + 'static) -> PartitionPort {
        PartitionPort { partition: Arc::clone(self), port: Port::new(wake) }
    }

    /// From now on [`Partition::readiness`] is [`Readiness::Draining`], while calls are still answered.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Whether calls make sense now.
    pub fn readiness(&self) -> Readiness {
        if self.leaving.load(Ordering::Relaxed) || self.draining.load(Ordering::Relaxed) {
            return Readiness::Draining;
        }
        let (writable, has_waiting) = self.look(|seat| {
            let has_room = seat.room_bytes > RECORD_BYTES_MAX || seat.room_is_coming;
            (seat.leader().is_some() && has_room, seat.has_waiting())
        });
        if writable || has_waiting { Readiness::Ready } else { Readiness::LogUnavailable }
    }

    /// Figures as of now. Takes the seat for a moment.
    pub fn metrics(&self) -> MetricsSnapshot {
        self.look(|seat| self.read_metrics(seat))
    }

    fn read_metrics(&self, seat: &Seat) -> MetricsSnapshot {
        let tally = seat.tally.clone();
        let state = seat.leader().map(crate::leader::Leader::state);
        MetricsSnapshot {
            done_count: tally.done_count,
            refusals: tally.refusals_by_code(),
            overloaded_count: self.overloaded_count.load(Ordering::Relaxed),
            log_unavailable_count: tally.log_unavailable_count,
            waiting_count: self.waiting_count.load(Ordering::Relaxed) as u64,
            batch_count: tally.batch_count,
            event_count: tally.event_count,
            batch_bytes: tally.batch_bytes,
            batch_replies: tally.batch_replies,
            sync_us: tally.sync_us,
            reopened_count: tally.reopened_count,
            durable_offset: self.durable_offset.load(Ordering::Relaxed),
            snapshot_offset: self.snapshot_offset.load(Ordering::Relaxed),
            room_bytes: seat.room_bytes as u64,
            clock_offset_ms: seat.clock.offset_ms(),
            available: state.is_some(),
            units: state.map_or(UnitTotals::default(), onrush_core::State::unit_totals),
            counter_count: state.map_or(0, |s| s.counter_count().into()),
            window_count: state.map_or(0, |s| s.window_count().into()),
            sale_count: state.map_or(0, |s| s.sale_count().into()),
            reservation_count: state.map_or(0, |s| s.reservation_count().into()),
            state_bytes: state.map_or(0, state_bytes),
        }
    }

    fn submit(&self, sink: Sink, calls: Calls, awake: Option<&Arc<Port>>) {
        let submission = Submission { sink, calls };
        let call_count = submission.calls.len();
        let waiting = self.waiting_count.fetch_add(call_count, Ordering::Relaxed);
        let failure = if self.draining.load(Ordering::Relaxed) {
            Some(Failure::Draining)
        } else if waiting + call_count > self.waiting_max {
            self.overloaded_count.fetch_add(call_count as u64, Ordering::Relaxed);
            Some(Failure::Overloaded)
        } else {
            None
        };
        if let Some(failure) = failure {
            let mut outbox = Outbox::default();
            let draining = matches!(failure, Failure::Draining);
            submission.refuse(|| if draining { Failure::Draining } else { Failure::Overloaded }, &mut outbox);
            return self.deliver(&mut outbox, awake);
        }
        self.mailbox().push(submission);
        self.lead(awake);
    }

    /// Leads for a while if nobody else does: decides what is in the mailbox, tells what may be told, and wakes the
    /// writer if it slept and there is a batch.
    pub(crate) fn lead(&self, awake: Option<&Arc<Port>>) {
        let mut outbox = Outbox::default();
        let mut wake_writer = false;
        for round in 1.. {
            let Some(mut seat) = self.try_take_seat() else { break };
            seat.begin_turn(self.clock.read());
            self.run_mailbox(&mut seat, &mut outbox);
            wake_writer |= seat.takes_writer_awake();
            let full = seat.is_full();
            drop(seat);
            // Someone may have come after the last look and failed to take the seat: look again, but not for ever.
            if full || self.mailbox().is_empty() {
                break;
            }
            if round == ROUNDS_PER_TURN_MAX {
                wake_writer = true;
                break;
            }
        }
        if wake_writer {
            self.wake_writer();
        }
        self.deliver(&mut outbox, awake);
    }

    fn run_mailbox(&self, seat: &mut Seat, outbox: &mut Outbox) {
        while !seat.is_full() {
            let submissions = std::mem::take(&mut *self.mailbox());
            if submissions.is_empty() {
                return;
            }
            let mut submissions = submissions.into_iter();
            while !seat.is_full() {
                let Some(submission) = submissions.next() else { break };
                seat.run(submission, outbox);
            }
            if submissions.len() > 0 {
                // The batch filled up in between: the rest keeps its place in the queue.
                self.mailbox().splice(0..0, submissions);
            }
        }
    }

    pub(crate) fn deliver(&self, outbox: &mut Outbox, awake: Option<&Arc<Port>>) {
        let answered_count = outbox.deliver(awake);
        self.waiting_count.fetch_sub(answered_count, Ordering::Relaxed);
    }

    pub(crate) fn wake_writer(&self) {
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }

    /// Names the log writer; once, when it starts.
    pub(crate) fn set_writer(&self, writer: Thread) {
        assert!(self.writer.set(writer).is_ok(), "a partition has one log writer");
    }

    pub(crate) fn has_mail(&self) -> bool {
        !self.mailbox().is_empty()
    }

    /// Looks at the seat, and leads afterwards for those who came meanwhile and found it taken.
    pub(crate) fn look<R>(&self, read: impl FnOnce(&Seat) -> R) -> R {
        let seen = read(&self.take_seat());
        if self.has_mail() {
            self.lead(None);
        }
        seen
    }

    fn mailbox(&self) -> MutexGuard<'_, Vec<Submission>> {
        self.mailbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take_seat(&self) -> MutexGuard<'_, Seat> {
        self.seat.lock().unwrap_or_else(|_| abort_after_panic())
    }

    fn try_take_seat(&self) -> Option<MutexGuard<'_, Seat>> {
        match self.seat.try_lock() {
            Ok(seat) => Some(seat),
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Poisoned(_)) => abort_after_panic(),
        }
    }
}

fn start_failure(source: std::io::Error) -> OpenError {
    OpenError::System { doing: "start a thread", source }
}

/// Heap bytes of a state; 0 if it has so many parts that adding them up would hold up whoever decides.
fn state_bytes(state: &onrush_core::State) -> u64 {
    let part_count = state.sale_count() + state.window_count() + state.counter_count();
    if part_count > SIZED_OBJECTS_MAX { 0 } else { state.memory_bytes() as u64 }
}

/// One edge thread's access to a partition.
pub struct PartitionPort {
    partition: Arc<Partition>,
    port: Arc<Port>,
}

impl PartitionPort {
    /// Submits calls under tokens of the caller's and returns answers that are ready, of these calls or earlier ones.
    /// Each call is answered exactly once, here, or by [`PartitionPort::take`] after a wake-up. Hand over a few hundred
    /// calls at once at most: a submission goes into one batch.
    pub fn submit(&self, calls: Calls) -> Replies {
        self.partition.submit(Sink::Port(Arc::clone(&self.port)), calls, Some(&self.port));
        self.port.take()
    }

    /// Answers that are ready.
    pub fn take(&self) -> Replies {
        self.port.take()
    }

    /// The partition behind it.
    pub fn partition(&self) -> &Arc<Partition> {
        &self.partition
    }
}

//! The cell that whoever decides takes, and the mailbox before it.
//!
//! There is one leader at a time but no leader thread. A thread that has calls puts them into the mailbox and tries to take
//! the cell; if it gets it, it decides its own calls and those of everyone else who came meanwhile ("flat combining",
//! Hendler et al., SPAA 2010). So an uncontended call is decided where it was received, without waking anybody, and the
//! only hand-over is the one to the log writer and back, once per batch.
//!
//! The protocol is drawn in `tests/protocol/main.rs`, where all its interleavings are run.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread::Thread;

use super::batch::ClosedBatch;
use super::machine::{Machine, Step, Submission};
use super::partition_clock::ClockNotice;
use super::port::{Outbox, Port};
use super::views::{PublishedView, View};
use crate::clock::{Clock, ClockReading};
use crate::limits::ROUNDS_PER_TURN_MAX;
use crate::threads::abort_after_panic;
use crate::{Failure, ReservationIds};

/// What all threads of a partition share.
pub(crate) struct LeaderCell {
    mailbox: Mutex<Vec<Submission>>,
    /// Only the thread that decides may touch it.
    machine: Mutex<Machine>,
    clock: Arc<dyn Clock>,
    writer: OnceLock<Thread>,
    waiting_count: AtomicUsize,
    waiting_max: usize,
    overloaded_count: AtomicU64,
    draining: AtomicBool,
    durable_offset: AtomicU64,
    snapshot_offset: AtomicU64,
    /// A leader decides here.
    leads: AtomicBool,
    /// Known from the first event of the log on.
    ids: OnceLock<ReservationIds>,
    view: PublishedView,
}

impl LeaderCell {
    pub(crate) fn new(machine: Machine, view: View, clock: Arc<dyn Clock>, waiting_max: usize) -> Self {
        Self {
            mailbox: Mutex::default(),
            machine: Mutex::new(machine),
            clock,
            writer: OnceLock::new(),
            waiting_count: AtomicUsize::new(0),
            waiting_max,
            overloaded_count: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            durable_offset: AtomicU64::new(0),
            snapshot_offset: AtomicU64::new(0),
            leads: AtomicBool::new(false),
            ids: OnceLock::new(),
            view: PublishedView::new(view),
        }
    }

    /// Takes calls, decides them if nobody else decides now, and tells what may be told. `awake` is a port whose owner is
    /// about to look by itself.
    pub(crate) fn submit(&self, submission: Submission, awake: Option<&Arc<Port>>) {
        let call_count = submission.calls.len();
        let waiting = self.waiting_count.fetch_add(call_count, Ordering::Relaxed);
        let is_draining = self.is_draining();
        if is_draining || waiting + call_count > self.waiting_max {
            let mut outbox = Outbox::default();
            if is_draining {
                submission.refuse(|| Failure::Draining, &mut outbox);
            } else {
                self.overloaded_count.fetch_add(call_count as u64, Ordering::Relaxed);
                submission.refuse(|| Failure::Overloaded, &mut outbox);
            }
            return self.deliver(&mut outbox, awake);
        }
        self.mailbox().push(submission);
        self.run_as_leader(awake);
    }

    /// Leads for a while if nobody else does: decides what is in the mailbox, tells what may be told, and wakes the
    /// writer if it waits and there is a batch.
    pub(crate) fn run_as_leader(&self, awake: Option<&Arc<Port>>) {
        let mut outbox = Outbox::default();
        let mut wakes_writer = false;
        for round in 1.. {
            let Some(mut machine) = self.try_take() else { break };
            self.run_mailbox(&mut machine, &mut outbox);
            wakes_writer |= machine.wants_writer();
            let is_full = machine.is_full();
            drop(machine);
            // Someone may have come after the last look and failed to take the cell: look again, but not for ever.
            if is_full || !self.has_mail() {
                break;
            }
            if round == ROUNDS_PER_TURN_MAX {
                wakes_writer = true;
                break;
            }
        }
        if wakes_writer {
            self.wake_writer();
        }
        self.deliver(&mut outbox, awake);
    }

    /// Lets time go on and decides what is in the mailbox. The clock is read behind the mailbox: however long this thread
    /// rests in between, nothing is decided as of a moment before it was asked.
    fn run_mailbox(&self, machine: &mut Machine, outbox: &mut Outbox) {
        for pass in 0.. {
            let submissions =
                if machine.is_full() { Vec::new() } else { std::mem::take(&mut *self.mailbox()) };
            if pass == 0 || !submissions.is_empty() {
                machine.advance(self.clock.read());
            }
            if submissions.is_empty() {
                return;
            }
            let mut submissions = submissions.into_iter();
            while !machine.is_full() {
                let Some(submission) = submissions.next() else { break };
                machine.call(submission, outbox);
            }
            if submissions.len() > 0 {
                // The batch filled up in between: the rest keeps its place in the queue.
                self.mailbox().splice(0..0, submissions);
            }
        }
    }

    /// What the writer does next, after it has led: a batch is closed into `batch`.
    pub(crate) fn next_step(&self, batch: &mut ClosedBatch) -> Step {
        let (step, is_full) = {
            let mut machine = self.take();
            if let Some(notice) = machine.take_clock_notice() {
                report(notice);
            }
            (machine.next_step(batch, self.has_mail()), machine.is_full())
        };
        // Whoever came while the cell was taken left the mail for this thread. A batch that is now wanted wakes it, so that it
        // does not wait. While the batch is full nothing more is decided.
        if matches!(step, Step::Wait { .. } | Step::Finish) && !is_full && self.has_mail() {
            self.run_as_leader(None);
        }
        step
    }

    /// Delivers answers, without the cell.
    pub(crate) fn deliver(&self, outbox: &mut Outbox, awake: Option<&Arc<Port>>) {
        let answered_count = outbox.deliver(awake);
        self.waiting_count.fetch_sub(answered_count, Ordering::Relaxed);
    }

    /// Looks at the machine, and leads afterwards for those who came meanwhile and found the cell taken.
    pub(crate) fn read<R>(&self, read: impl FnOnce(&Machine) -> R) -> R {
        let seen = read(&self.take());
        if self.has_mail() {
            self.run_as_leader(None);
        }
        seen
    }

    /// Takes the cell, whoever has it. Only for the writer, which leads afterwards.
    pub(crate) fn take(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(|_| abort_after_panic())
    }

    fn try_take(&self) -> Option<MutexGuard<'_, Machine>> {
        match self.machine.try_lock() {
            Ok(machine) => Some(machine),
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Poisoned(_)) => abort_after_panic(),
        }
    }

    /// Refuses what comes from now on; what came before is still answered.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        self.take().stop();
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
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

    fn mailbox(&self) -> MutexGuard<'_, Vec<Submission>> {
        self.mailbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the clocks show.
    pub(crate) fn read_clock(&self) -> ClockReading {
        self.clock.read()
    }

    /// What readers see.
    pub(crate) fn view(&self) -> &PublishedView {
        &self.view
    }

    /// Calls that wait for an answer.
    pub(crate) fn waiting_count(&self) -> usize {
        self.waiting_count.load(Ordering::Relaxed)
    }

    /// Calls refused because too many were waiting.
    pub(crate) fn overloaded_count(&self) -> u64 {
        self.overloaded_count.load(Ordering::Relaxed)
    }

    /// The next offset to become durable.
    pub(crate) fn durable_offset(&self) -> u64 {
        self.durable_offset.load(Ordering::Acquire)
    }

    pub(crate) fn set_durable_offset(&self, offset: u64) {
        self.durable_offset.store(offset, Ordering::Release);
    }

    /// Whether a leader decides here, as far as is known.
    pub(crate) fn leads(&self) -> bool {
        self.leads.load(Ordering::Acquire)
    }

    pub(crate) fn set_leads(&self, leads: bool) {
        self.leads.store(leads, Ordering::Release);
    }

    /// How ids of reservations are written, if the log has an event.
    pub(crate) fn ids(&self) -> Option<&ReservationIds> {
        self.ids.get()
    }

    /// The secret of ids is in force, and will never be another.
    pub(crate) fn note_ids(&self, ids: &ReservationIds) {
        self.ids.get_or_init(|| ids.clone());
    }

    /// The first batch of a log has the secret of ids.
    pub(crate) fn note_ids_in_force(&self) {
        if self.ids.get().is_none()
            && let Some(leader) = self.take().leader()
        {
            self.note_ids(leader.ids());
        }
    }

    /// The offset of the newest snapshot.
    pub(crate) fn snapshot_offset(&self) -> u64 {
        self.snapshot_offset.load(Ordering::Acquire)
    }

    pub(crate) fn set_snapshot_offset(&self, offset: u64) {
        self.snapshot_offset.store(offset, Ordering::Release);
    }
}

/// Tells the operator what the clocks do.
fn report(notice: ClockNotice) {
    match notice {
        ClockNotice::Apart { offset_ms } => tracing::warn!(
            offset_ms,
            "the server's time and the machine's clock differ; holds and windows follow the server's time, which comes \
             nearer to the clock by a tenth of the time that passes; sales open and close by the clock"
        ),
        ClockNotice::Together => tracing::info!("the server's time and the machine's clock agree again"),
    }
}

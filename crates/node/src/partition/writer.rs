//! The log writer: the one thread that writes to the log. It hands over the batches that the machine closes, publishes what
//! they change when they are in force, and does what is due when nobody calls.

use std::sync::Arc;
use std::time::Duration;

use onrush_core::TimeMs;
use onrush_log::{AppendError, Batch, Capacity, Log, LogWriter};

use super::batch::ClosedBatch;
use super::cell::LeaderCell;
use super::identity::Identity;
use super::loading::{self, Loaded};
use super::machine::{Machine, Step};
use super::port::Outbox;
use super::views::ViewWriter;
use crate::Settings;
use crate::clock::Stopwatch;

/// Between the first two attempts to open a log that failed; each wait is twice the one before, up to a bound, because an
/// attempt may leave an empty segment behind.
const REOPEN_INTERVAL: Duration = Duration::from_millis(100);
const REOPEN_INTERVAL_MAX: Duration = Duration::from_secs(20);

/// How often the log is looked for where it was opened. Together with the wait of an idle writer less than a second.
const CHECK_INTERVAL: Duration = Duration::from_millis(400);

/// How often a log that says when something is in force is asked although it said nothing.
const ASK_INTERVAL: Duration = Duration::from_millis(100);

/// The writing end of the log, with one batch or mark on its way at a time.
pub(crate) struct LogEnd {
    writer: Box<dyn LogWriter>,
    handed_over_count: u64,
}

impl LogEnd {
    pub(crate) fn new(writer: Box<dyn LogWriter>) -> Self {
        Self { writer, handed_over_count: 0 }
    }

    /// Returns when the batch is in force. Calls that come meanwhile are decided.
    fn append(&mut self, batch: Batch<'_>, cell: &LeaderCell) -> Result<(), AppendError> {
        self.writer.append(batch)?;
        self.handed_over_count += 1;
        while self.writer.in_force()? < self.handed_over_count {
            cell.run_as_leader(None);
            std::thread::park_timeout(ASK_INTERVAL);
        }
        Ok(())
    }

    /// Has the calling thread woken when something is in force.
    fn wake_this_thread(&mut self) {
        let thread = std::thread::current();
        self.writer.wake_by(Arc::new(move || thread.unpark()));
    }
}

pub(crate) struct Writer {
    pub(crate) cell: Arc<LeaderCell>,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) settings: Settings,
    /// Absent only while the log is being opened again.
    pub(crate) log_end: Option<LogEnd>,
    pub(crate) identity: Identity,
    /// What readers see.
    pub(crate) view: ViewWriter,
}

impl Writer {
    /// Runs until the partition drains and everything is written.
    pub(crate) fn run(mut self) {
        let mut batch = ClosedBatch::default();
        let mut outbox = Outbox::default();
        let mut since_checked = Stopwatch::start();
        if let Some(log_end) = &mut self.log_end {
            log_end.wake_this_thread();
        }
        loop {
            if since_checked.elapsed() >= CHECK_INTERVAL {
                since_checked = Stopwatch::start();
                self.check_log(&mut outbox);
            }
            self.note_capacity();
            // What came while the last batch was written is decided first, so that it goes with this one.
            self.cell.run_as_leader(None);
            match self.cell.next_step(&mut batch) {
                Step::Append { number } => self.append(number, &mut batch, &mut outbox),
                Step::Mark { time } => self.mark(time, &mut outbox),
                Step::Wait { at_most } => std::thread::park_timeout(at_most),
                Step::Finish => break,
            }
        }
        let time = self.cell.look(Machine::time);
        match self.log_end.take().map(|log_end| log_end.writer.close(time)) {
            Some(Ok(())) => tracing::debug!("log closed"),
            Some(Err(error)) => {
                tracing::warn!(%error, "the log could not be closed in good order; nothing is lost");
            }
            None => tracing::warn!("the log stays as its last failure left it; nothing acknowledged is lost"),
        }
    }

    fn append(&mut self, number: u64, batch: &mut ClosedBatch, outbox: &mut Outbox) {
        let stopwatch = Stopwatch::start();
        let handed_over =
            Batch { event_count: batch.event_count, time_ms: batch.time, payload: &batch.payload };
        let appended = self.log_end.as_mut().map(|log_end| log_end.append(handed_over, &self.cell));
        let took = stopwatch.elapsed();
        match appended {
            Some(Ok(())) => {
                let durable_offset = self.cell.durable_offset() + u64::from(batch.event_count);
                self.cell.set_durable_offset(durable_offset);
                // Before anybody is told of the batch, so that whoever was told finds it in the view.
                self.view.apply(&mut batch.view_change);
                self.cell.view().publish(self.view.view());
                self.cell.take().appended(number, batch, took, outbox);
                self.cell.deliver(outbox, None);
            }
            Some(Err(error)) => self.reopen(&error, outbox),
            None => unreachable!("batches are closed only while there is a log"),
        }
    }

    fn mark(&mut self, time: TimeMs, outbox: &mut Outbox) {
        let Some(log_end) = &mut self.log_end else { return };
        match log_end.append(Batch::mark(time), &self.cell) {
            Ok(()) => self.cell.take().marked(time),
            // The next batch is as good a proof.
            Err(AppendError::NoRoom) => self.cell.take().marked(0),
            Err(error) => self.reopen(&error, outbox),
        }
    }

    /// A log that was removed or moved takes batches that nobody will find again.
    fn check_log(&mut self, outbox: &mut Outbox) {
        if let Some(Err(error)) = self.log_end.as_mut().map(|log_end| log_end.writer.check()) {
            self.reopen(&error, outbox);
        }
    }

    /// After a failed write nothing in memory can be trusted to be in the log: the state is given up and read back.
    fn reopen(&mut self, error: &AppendError, outbox: &mut Outbox) {
        tracing::error!(%error, "the log failed; opening it again");
        let resume_at = self.cell.durable_offset();
        self.log_end = None;
        self.cell.take().failed(outbox);
        self.cell.deliver(outbox, None);
        let mut interval = REOPEN_INTERVAL;
        loop {
            self.cell.run_as_leader(None);
            match loading::load(&*self.log, &self.settings, Some(resume_at), self.identity) {
                Ok(loaded) => return self.go_on(loaded),
                Err(error) => tracing::error!(%error, "the log cannot be opened yet; trying again"),
            }
            if self.cell.is_draining() {
                return;
            }
            std::thread::park_timeout(interval);
            interval = (interval * 2).min(REOPEN_INTERVAL_MAX);
        }
    }

    fn go_on(&mut self, loaded: Loaded) {
        let Loaded { writer, leader, recovered } = loaded;
        let log_end = self.log_end.insert(LogEnd::new(writer));
        log_end.wake_this_thread();
        self.note_capacity();
        let mut machine = self.cell.take();
        // Nobody decides meanwhile, so nobody is told of what the view does not show yet.
        self.view = ViewWriter::of(leader.state(), *machine.clock());
        self.cell.view().publish(self.view.view());
        machine.reopened(leader);
        drop(machine);
        self.cell.set_durable_offset(recovered.offset);
        tracing::warn!(offset = recovered.offset, "the log is open again");
    }

    pub(crate) fn note_capacity(&self) {
        let capacity = self.log_end.as_ref().map_or_else(Capacity::default, |end| end.writer.capacity());
        let room_bytes = usize::try_from(capacity.bytes).unwrap_or(usize::MAX);
        self.cell.take().set_room(room_bytes, capacity.is_growing);
    }
}

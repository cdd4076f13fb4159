//! The log writer: the one that writes to the log. It hands over the batches that the machine closes, as many at a time as the
//! log takes, publishes what they change when they are in force, and does what is due when nobody calls. It is taken turn by
//! turn: by a thread of its own, or by a test.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use onrush_log::{AppendError, Batch, Capacity, Log, LogWriter, OpenError};

use super::batch::ClosedBatch;
use super::cell::LeaderCell;
use super::identity::Identity;
use super::loading::{self, LoadError, Loaded};
use super::machine::{Machine, Step};
use super::port::Outbox;
use super::views::ViewWriter;
use crate::Settings;
use crate::clock::Stopwatch;
use crate::limits::REOPEN_INTERVAL_MAX;

/// Between the first two attempts to open a log that failed; each wait is twice the one before, up to a bound, because an
/// attempt may leave an empty segment behind.
const REOPEN_INTERVAL: Duration = Duration::from_millis(100);

/// How often the log is looked for where it was opened. Together with the wait of an idle writer less than a second.
const CHECK_INTERVAL: Duration = Duration::from_millis(400);

/// What to do before the next turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Nothing.
    Again,
    /// Wait until somebody wakes the writer, but no longer than this.
    Wait { at_most: Duration },
    /// There is none.
    Finished,
}

/// The writing end of the log.
struct LogEnd {
    writer: Box<dyn LogWriter>,
    /// Batches and marks of this writer that are in force, as far as was asked.
    in_force_count: u64,
    /// What was handed over behind them, in order.
    outstanding: VecDeque<Outstanding>,
}

/// What is on its way into the log, and since when.
struct Outstanding {
    number: u64,
    /// Without events it is a mark.
    batch: ClosedBatch,
    since: Stopwatch,
}

pub(crate) struct Writer {
    cell: Arc<LeaderCell>,
    log: Arc<dyn Log>,
    settings: Settings,
    identity: Identity,
    /// What readers see.
    view: ViewWriter,
    /// Absent while the log is being opened again, and while another process leads.
    log_end: Option<LogEnd>,
    reopen_interval: Duration,
    /// Batches that are in force, whose memory serves the next ones.
    recycled: Vec<ClosedBatch>,
    outbox: Outbox,
    /// When the log was looked for last, by the steady clock.
    checked_at: Duration,
}

impl Writer {
    /// Without an open log it begins by opening it.
    pub(crate) fn new(
        cell: Arc<LeaderCell>,
        log: Arc<dyn Log>,
        writer: Option<Box<dyn LogWriter>>,
        settings: Settings,
        identity: Identity,
        view: ViewWriter,
    ) -> Self {
        let checked_at = cell.read_clock().steady;
        let mut made = Self {
            cell,
            log,
            settings,
            identity,
            view,
            log_end: None,
            reopen_interval: REOPEN_INTERVAL,
            recycled: Vec::new(),
            outbox: Outbox::default(),
            checked_at,
        };
        if let Some(writer) = writer {
            made.write_to(writer);
        }
        made
    }

    /// Takes turns until the partition drains and everything is written.
    pub(crate) fn run(mut self) {
        loop {
            match self.turn() {
                Turn::Again => {}
                Turn::Wait { at_most } => std::thread::park_timeout(at_most),
                Turn::Finished => return,
            }
        }
    }

    /// Does what is due.
    pub(crate) fn turn(&mut self) -> Turn {
        if self.log_end.is_none()
            && let Some(at_most) = self.reopen()
        {
            return Turn::Wait { at_most };
        }
        if let Err(error) = self.release_in_force().and_then(|()| self.check_log()) {
            return self.fail(&error);
        }
        self.note_capacity();
        // What came while the last batch was written is decided first, so that it goes with this one.
        self.cell.run_as_leader(None);
        let mut batch = self.recycled.pop().unwrap_or_default();
        match self.cell.next_step(&mut batch) {
            Step::Append { number } => self.hand_over(number, batch),
            Step::Mark { number, time } => {
                batch.make_mark(time);
                self.hand_over(number, batch)
            }
            Step::Wait { at_most } => {
                self.recycled.push(batch);
                Turn::Wait { at_most }
            }
            Step::Finish => self.finish(),
        }
    }

    /// Hands over a batch or a mark under its number.
    fn hand_over(&mut self, number: u64, batch: ClosedBatch) -> Turn {
        let log_end = self.log_end.as_mut().expect("batches are closed only while there is a log");
        let since = Stopwatch::start();
        let ClosedBatch { event_count, time, told, ref payload, .. } = batch;
        match log_end.writer.append(Batch { event_count, time_ms: time, told_ms: told, payload }) {
            Ok(()) => log_end.outstanding.push_back(Outstanding { number, batch, since }),
            // The next batch is as good a proof.
            Err(AppendError::NoRoom) if event_count == 0 && !self.log.has_rivals() => {
                self.cell.take().mark_left_out();
            }
            Err(error) => {
                // What came into force before is not unknown.
                self.release_in_force().ok();
                return self.fail(&error);
            }
        }
        Turn::Again
    }

    /// Looks what is in force by now, and tells those who wait for it.
    fn release_in_force(&mut self) -> Result<(), AppendError> {
        let Some(log_end) = self.log_end.as_mut().filter(|end| !end.outstanding.is_empty()) else {
            return Ok(());
        };
        let newly_in_force_count = log_end.writer.in_force()? - log_end.in_force_count;
        log_end.in_force_count += newly_in_force_count;
        for _ in 0..newly_in_force_count {
            let log_end = self.log_end.as_mut().expect("it is there until something fails");
            let first = log_end.outstanding.pop_front();
            let Outstanding { number, mut batch, since } =
                first.expect("only what was handed over comes into force");
            if batch.event_count > 0 {
                self.appended(number, &mut batch, since.elapsed());
            } else {
                self.cell.take().marked(number, batch.time, &mut self.outbox);
                self.cell.deliver(&mut self.outbox, None);
            }
            self.recycled.push(batch);
        }
        Ok(())
    }

    fn appended(&mut self, number: u64, batch: &mut ClosedBatch, took: Duration) {
        let durable_offset = self.cell.durable_offset() + u64::from(batch.event_count);
        self.cell.set_durable_offset(durable_offset);
        // Before anybody is told of the batch, so that whoever was told finds it in the view.
        self.view.apply(&mut batch.view_change);
        self.cell.view().publish(self.view.view());
        self.cell.note_ids_in_force();
        self.cell.take().appended(number, batch, took, &mut self.outbox);
        self.cell.deliver(&mut self.outbox, None);
    }

    fn finish(&mut self) -> Turn {
        let time = self.cell.read(Machine::time);
        if self.log.has_rivals() {
            // Another leads from here on.
            self.cell.set_leads(false);
        }
        match self.log_end.take().map(|log_end| log_end.writer.close(time)) {
            Some(Ok(())) => tracing::debug!("log closed"),
            Some(Err(error)) => {
                tracing::warn!(%error, "the log could not be closed in good order; nothing is lost");
            }
            None if self.log.has_rivals() => tracing::debug!("another node leads, or none"),
            None => tracing::warn!("the log stays as its last failure left it; nothing acknowledged is lost"),
        }
        Turn::Finished
    }

    /// A log that was removed or moved takes batches that nobody will find again.
    fn check_log(&mut self) -> Result<(), AppendError> {
        let now = self.cell.read_clock().steady;
        let Some(log_end) = self.log_end.as_mut().filter(|_| now >= self.checked_at + CHECK_INTERVAL) else {
            return Ok(());
        };
        self.checked_at = now;
        log_end.writer.check()
    }

    /// After a failed write nothing in memory can be trusted to be in the log: the state is given up, to be read back, and with it
    /// all that is outstanding.
    fn fail(&mut self, error: &AppendError) -> Turn {
        if self.log.has_rivals() {
            tracing::warn!(%error, "this node no longer leads");
        } else {
            tracing::error!(%error, "the log failed; opening it again");
        }
        self.log_end = None;
        self.reopen_interval = REOPEN_INTERVAL;
        self.cell.set_leads(false);
        if self.log.has_rivals() {
            // Another one writes, for as long as it likes. Snapshots go by what is there and not by what this one wrote.
            self.note_capacity();
        }
        self.cell.take().failed(&mut self.outbox);
        self.cell.deliver(&mut self.outbox, None);
        Turn::Again
    }

    /// Opens the log again; how long to wait if that failed and is to be tried once more.
    fn reopen(&mut self) -> Option<Duration> {
        self.cell.run_as_leader(None);
        let resume_at = self.cell.durable_offset();
        let loaded = self
            .identity()
            .and_then(|identity| loading::load(&*self.log, &self.settings, Some(resume_at), identity));
        match loaded {
            Ok(loaded) => {
                self.go_on(loaded);
                None
            }
            Err(error) => {
                // A node that stops while it follows has done nothing wrong.
                if !matches!(error, LoadError::Log(OpenError::StandingDown)) {
                    tracing::error!(%error, "the log cannot be opened yet; trying again");
                }
                let interval = self.reopen_interval;
                self.reopen_interval = (interval * 2).min(REOPEN_INTERVAL_MAX);
                (!self.cell.is_draining()).then_some(interval)
            }
        }
    }

    /// Where others lead in between, each term is a process of its own to the log.
    fn identity(&self) -> Result<Identity, LoadError> {
        if self.log.has_rivals() { loading::draw_identity() } else { Ok(self.identity) }
    }

    fn go_on(&mut self, loaded: Loaded) {
        let Loaded { writer, leader, recovered } = loaded;
        self.write_to(writer);
        let mut machine = self.cell.take();
        // Nobody decides meanwhile, so nobody is told of what the view does not show yet.
        self.view = ViewWriter::of(leader.state(), *machine.clock());
        self.cell.view().publish(self.view.view());
        machine.reopened(leader, self.cell.read_clock());
        drop(machine);
        self.cell.set_durable_offset(recovered.offset);
        if recovered.offset > 0 {
            self.cell.note_ids_in_force();
        }
        self.cell.set_leads(true);
        if self.log.has_rivals() {
            tracing::info!(offset = recovered.offset, epoch = recovered.epoch, "this node leads");
        } else {
            tracing::warn!(offset = recovered.offset, "the log is open again");
        }
    }

    /// The log is open: this is its writing end.
    fn write_to(&mut self, mut writer: Box<dyn LogWriter>) {
        let cell = Arc::clone(&self.cell);
        writer.wake_by(Arc::new(move || cell.wake_writer()));
        self.log_end = Some(LogEnd { writer, in_force_count: 0, outstanding: VecDeque::new() });
        self.note_capacity();
    }

    fn note_capacity(&self) {
        let capacity = self.log_end.as_ref().map_or_else(Capacity::default, |end| end.writer.capacity());
        self.cell.take().set_capacity(capacity);
    }
}

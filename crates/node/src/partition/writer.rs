//! The log writer: the one that writes to the log. It hands over the batches that the machine closes, publishes what they
//! change when they are in force, and does what is due when nobody calls. It is taken turn by turn: by a thread of its own, or by
//! a test.

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
    handed_over_count: u64,
}

/// What was handed over to the log, one at a time, and since when.
#[derive(Clone, Copy)]
struct Outstanding {
    what: HandedOver,
    since: Stopwatch,
}

#[derive(Clone, Copy)]
enum HandedOver {
    /// The closed batch, which has this number.
    Batch(u64),
    Mark(TimeMs),
}

pub(crate) struct Writer {
    cell: Arc<LeaderCell>,
    log: Arc<dyn Log>,
    settings: Settings,
    identity: Identity,
    /// What readers see.
    view: ViewWriter,
    /// Absent only while the log is being opened again.
    log_end: Option<LogEnd>,
    reopen_interval: Duration,
    outstanding: Option<Outstanding>,
    batch: ClosedBatch,
    outbox: Outbox,
    /// When the log was looked for last, by the steady clock.
    checked_at: Duration,
}

impl Writer {
    pub(crate) fn new(
        cell: Arc<LeaderCell>,
        log: Arc<dyn Log>,
        writer: Box<dyn LogWriter>,
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
            outstanding: None,
            batch: ClosedBatch::default(),
            outbox: Outbox::default(),
            checked_at,
        };
        made.write_to(writer);
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
        if let Some(outstanding) = self.outstanding.take() {
            // Whoever calls meanwhile is not kept waiting for the decision.
            self.cell.run_as_leader(None);
            return self.settle(outstanding);
        }
        if self.log_end.is_none()
            && let Some(at_most) = self.reopen()
        {
            return Turn::Wait { at_most };
        }
        if let Err(error) = self.check_log() {
            return self.fail(&error);
        }
        self.note_capacity();
        // What came while the last batch was written is decided first, so that it goes with this one.
        self.cell.run_as_leader(None);
        match self.cell.next_step(&mut self.batch) {
            Step::Append { number } => self.hand_over(HandedOver::Batch(number)),
            Step::Mark { time } => self.hand_over(HandedOver::Mark(time)),
            Step::Wait { at_most } => Turn::Wait { at_most },
            Step::Finish => self.finish(),
        }
    }

    fn hand_over(&mut self, what: HandedOver) -> Turn {
        let log_end = self.log_end.as_mut().expect("batches are closed only while there is a log");
        let since = Stopwatch::start();
        let batch = match what {
            HandedOver::Batch(_) => {
                let ClosedBatch { event_count, time, ref payload, .. } = self.batch;
                Batch { event_count, time_ms: time, payload }
            }
            HandedOver::Mark(time) => Batch::mark(time),
        };
        match (log_end.writer.append(batch), what) {
            (Ok(()), _) => {
                log_end.handed_over_count += 1;
                self.settle(Outstanding { what, since })
            }
            // The next batch is as good a proof.
            (Err(AppendError::NoRoom), HandedOver::Mark(_)) => {
                self.cell.take().marked(0);
                Turn::Again
            }
            (Err(error), _) => self.fail(&error),
        }
    }

    /// Looks whether what was handed over is in force, and if so tells those who wait for it.
    fn settle(&mut self, outstanding: Outstanding) -> Turn {
        let log_end = self.log_end.as_mut().expect("nothing is on its way without a log");
        match log_end.writer.in_force() {
            Ok(count) if count < log_end.handed_over_count => {
                self.outstanding = Some(outstanding);
                return Turn::Wait { at_most: ASK_INTERVAL };
            }
            Ok(_) => {}
            Err(error) => return self.fail(&error),
        }
        match outstanding.what {
            HandedOver::Batch(number) => self.appended(number, outstanding.since.elapsed()),
            HandedOver::Mark(time) => self.cell.take().marked(time),
        }
        Turn::Again
    }

    fn appended(&mut self, number: u64, took: Duration) {
        let durable_offset = self.cell.durable_offset() + u64::from(self.batch.event_count);
        self.cell.set_durable_offset(durable_offset);
        // Before anybody is told of the batch, so that whoever was told finds it in the view.
        self.view.apply(&mut self.batch.view_change);
        self.cell.view().publish(self.view.view());
        self.cell.take().appended(number, &self.batch, took, &mut self.outbox);
        self.cell.deliver(&mut self.outbox, None);
    }

    fn finish(&mut self) -> Turn {
        let time = self.cell.look(Machine::time);
        match self.log_end.take().map(|log_end| log_end.writer.close(time)) {
            Some(Ok(())) => tracing::debug!("log closed"),
            Some(Err(error)) => {
                tracing::warn!(%error, "the log could not be closed in good order; nothing is lost");
            }
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

    /// After a failed write nothing in memory can be trusted to be in the log: the state is given up, to be read back.
    fn fail(&mut self, error: &AppendError) -> Turn {
        tracing::error!(%error, "the log failed; opening it again");
        self.log_end = None;
        self.reopen_interval = REOPEN_INTERVAL;
        self.cell.take().failed(&mut self.outbox);
        self.cell.deliver(&mut self.outbox, None);
        Turn::Again
    }

    /// Opens the log again; how long to wait if that failed and is to be tried once more.
    fn reopen(&mut self) -> Option<Duration> {
        self.cell.run_as_leader(None);
        let resume_at = self.cell.durable_offset();
        match loading::load(&*self.log, &self.settings, Some(resume_at), self.identity) {
            Ok(loaded) => {
                self.go_on(loaded);
                None
            }
            Err(error) => {
                tracing::error!(%error, "the log cannot be opened yet; trying again");
                let interval = self.reopen_interval;
                self.reopen_interval = (interval * 2).min(REOPEN_INTERVAL_MAX);
                (!self.cell.is_draining()).then_some(interval)
            }
        }
    }

    fn go_on(&mut self, loaded: Loaded) {
        let Loaded { writer, leader, recovered } = loaded;
        self.write_to(writer);
        let mut machine = self.cell.take();
        // Nobody decides meanwhile, so nobody is told of what the view does not show yet.
        self.view = ViewWriter::of(leader.state(), *machine.clock());
        self.cell.view().publish(self.view.view());
        machine.reopened(leader);
        drop(machine);
        self.cell.set_durable_offset(recovered.offset);
        tracing::warn!(offset = recovered.offset, "the log is open again");
    }

    /// The log is open: this is its writing end.
    fn write_to(&mut self, mut writer: Box<dyn LogWriter>) {
        let cell = Arc::clone(&self.cell);
        writer.wake_by(Arc::new(move || cell.wake_writer()));
        self.log_end = Some(LogEnd { writer, handed_over_count: 0 });
        self.note_capacity();
    }

    fn note_capacity(&self) {
        let capacity = self.log_end.as_ref().map_or_else(Capacity::default, |end| end.writer.capacity());
        let room_bytes = usize::try_from(capacity.bytes).unwrap_or(usize::MAX);
        self.cell.take().set_room(room_bytes, capacity.is_growing);
    }
}

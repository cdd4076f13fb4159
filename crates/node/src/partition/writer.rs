//! The log writer: the one thread that touches the log. It makes the batches durable that the machine closes, publishes what
//! they change, and does what is due when nobody calls.

use std::sync::Arc;
use std::time::Duration;

use onrush_core::TimeMs;
use onrush_log::{AppendError, Log, LogDirectory, LogSettings};

use super::batch::ClosedBatch;
use super::cell::LeaderCell;
use super::identity::Identity;
use super::machine::{Machine, Step};
use super::port::Outbox;
use super::recovery::{self, Loaded};
use super::views::ViewWriter;
use crate::Settings;
use crate::clock::Stopwatch;

/// Between the first two attempts to open a log that failed; each wait is twice the one before, up to a bound, because an
/// attempt may leave an empty segment behind.
const REOPEN_INTERVAL: Duration = Duration::from_millis(100);
const REOPEN_INTERVAL_MAX: Duration = Duration::from_secs(20);

/// How often the log is looked for where it was opened. Together with the wait of an idle writer less than a second.
const CHECK_INTERVAL: Duration = Duration::from_millis(400);

pub(crate) struct Writer {
    pub(crate) cell: Arc<LeaderCell>,
    pub(crate) directory: LogDirectory,
    pub(crate) settings: Settings,
    pub(crate) log_settings: LogSettings,
    /// Absent only while it is being opened again.
    pub(crate) log: Option<Log>,
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
        self.note_durable();
        loop {
            if since_checked.elapsed() >= CHECK_INTERVAL {
                since_checked = Stopwatch::start();
                self.check_in_place(&mut outbox);
            }
            self.note_room();
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
        match self.log.take().map(|log| log.close(time)) {
            Some(Ok(())) => tracing::debug!("log closed"),
            Some(Err(error)) => {
                tracing::warn!(%error, "the log could not be closed in good order; nothing is lost");
            }
            None => tracing::warn!("the log stays as its last failure left it; nothing acknowledged is lost"),
        }
    }

    fn append(&mut self, number: u64, batch: &mut ClosedBatch, outbox: &mut Outbox) {
        let stopwatch = Stopwatch::start();
        let appended = self.log.as_mut().map(|log| log.append(batch.event_count, batch.time, &batch.payload));
        let took = stopwatch.elapsed();
        match appended {
            Some(Ok(_)) => {
                self.note_durable();
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
        let Some(log) = &mut self.log else { return };
        match log.append_mark(time) {
            Ok(()) => self.cell.take().marked(time),
            // The next batch is as good a proof.
            Err(AppendError::NoRoom) => self.cell.take().marked(0),
            Err(error) => self.reopen(&error, outbox),
        }
    }

    /// A log that was removed or moved takes batches that nobody will find again.
    fn check_in_place(&mut self, outbox: &mut Outbox) {
        if let Some(Err(error)) = self.log.as_mut().map(Log::check_in_place) {
            self.reopen(&error, outbox);
        }
    }

    /// After a failed write nothing in memory can be trusted to be in the log: the state is given up and read back.
    fn reopen(&mut self, error: &AppendError, outbox: &mut Outbox) {
        tracing::error!(%error, "the log failed; opening it again");
        let resume_at = self.cell.durable_offset();
        self.log = None;
        self.cell.take().failed(outbox);
        self.cell.deliver(outbox, None);
        let mut interval = REOPEN_INTERVAL;
        loop {
            self.cell.run_as_leader(None);
            let loaded = recovery::load(
                &self.directory,
                &self.settings,
                &self.log_settings,
                Some(resume_at),
                self.identity,
            );
            match loaded {
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
        let Loaded { log, leader, recovered } = loaded;
        self.log = Some(log);
        self.note_room();
        let mut machine = self.cell.take();
        // Nobody decides meanwhile, so nobody is told of what the view does not show yet.
        self.view = ViewWriter::of(leader.state(), *machine.clock());
        self.cell.view().publish(self.view.view());
        machine.reopened(leader);
        drop(machine);
        self.note_durable();
        tracing::warn!(offset = recovered.offset, "the log is open again");
    }

    pub(crate) fn note_room(&self) {
        let room_bytes = self.log.as_ref().map_or(0, Log::room_bytes);
        let is_coming = self.log.as_ref().is_some_and(Log::room_is_coming);
        self.cell.take().set_room(usize::try_from(room_bytes).unwrap_or(usize::MAX), is_coming);
    }

    fn note_durable(&self) {
        if let Some(log) = &self.log {
            self.cell.set_durable_offset(log.durable_offset());
        }
    }
}

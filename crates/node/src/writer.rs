//! The log writer: the one thread that touches the log. It takes the open batch, makes it durable, releases the
//! answers that rest on it, and does what is due when nobody calls.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use onrush_core::TimeMs;
use onrush_log::{AppendError, Log, LogDirectory, LogSettings};

use crate::Settings;
use crate::batch::ClosedBatch;
use crate::clock::Stopwatch;
use crate::leader::Leader;
use crate::limits::{RECORD_BYTES_MAX, TOLD_BEFORE_LOGGED_MAX};
use crate::partition::Partition;
use crate::partition_clock::ClockNotice;
use crate::port::Outbox;
use crate::recovery::{self, Loaded};

/// How long nothing has to happen before the last batch is marked as complete.
const MARK_DELAY: Duration = Duration::from_millis(20);
/// From so many answers that wait at once, it is a rush: most clients that were just answered will be back at once, and a
/// sync for the first few of them would cost the others the processor that they need (about 50 microseconds of it, and
/// two wake-ups). So the writer lets the next batch grow until half of those who lately waited at once rest on it, but
/// no longer than this.
const RUSH_REPLIES: usize = 24;
const GATHER_DELAY: Duration = Duration::from_micros(400);
/// How often an idle writer looks at the clock, for holds that expire and times that were told.
const IDLE_INTERVAL: Duration = Duration::from_millis(500);
/// How often the log is looked for where it was opened. Together with the wait of an idle writer less than a second.
const CHECK_INTERVAL: Duration = Duration::from_millis(400);
/// How often a time that was told is written down, should no batch do so.
const TIME_MARK_INTERVAL: Duration = Duration::from_secs(1);
const _: () = assert!(
    TIME_MARK_INTERVAL.as_millis() + IDLE_INTERVAL.as_millis() < TOLD_BEFORE_LOGGED_MAX.as_millis(),
    "a start skips more than can have been told"
);
/// Between the first two attempts to open a log that failed; each wait is twice the one before, up to a bound, because an
/// attempt may leave an empty segment behind.
const REOPEN_INTERVAL: Duration = Duration::from_millis(100);
const REOPEN_INTERVAL_MAX: Duration = Duration::from_secs(20);
/// How often a log without room is asked again whether it has some.
const ROOM_INTERVAL: Duration = Duration::from_millis(5);

pub(crate) struct Writer {
    pub(crate) partition: Arc<Partition>,
    pub(crate) directory: LogDirectory,
    pub(crate) settings: Settings,
    pub(crate) log_settings: LogSettings,
    /// Absent only while it is being opened again.
    pub(crate) log: Option<Log>,
    /// The secret of the partition, should its founding not have reached the log.
    pub(crate) id_key: [u8; 16],
}

/// What the writer knows between two looks at the seat.
struct Round {
    batch: ClosedBatch,
    outbox: Outbox,
    /// The newest frame in the log holds events, and nothing behind it proves it complete.
    unmarked: bool,
    /// Newest time in the log.
    logged_ms: TimeMs,
    since_told: Stopwatch,
    since_checked: Stopwatch,
    /// Answers that waited at once lately: the most, fading.
    crowd: usize,
    /// A batch was released, and the next was not waited for yet.
    may_gather: bool,
}

enum Work {
    Batch(u64),
    Gather,
    Idle { next_expiry: Option<TimeMs>, now: TimeMs },
    Finish,
}

impl Writer {
    /// Runs until the partition drains and everything is written.
    pub(crate) fn run(mut self) {
        let mut round = Round {
            batch: ClosedBatch::default(),
            outbox: Outbox::default(),
            unmarked: false,
            logged_ms: 0,
            since_told: Stopwatch::start(),
            since_checked: Stopwatch::start(),
            crowd: 0,
            may_gather: false,
        };
        self.note_durable();
        loop {
            self.check_in_place(&mut round);
            match self.next_work(&mut round) {
                Work::Batch(number) => self.write(number, &mut round),
                Work::Gather => std::thread::park_timeout(GATHER_DELAY),
                Work::Idle { next_expiry, now } => self.rest(next_expiry, now, &mut round),
                Work::Finish => break,
            }
        }
        let now = self.now(&round);
        match self.log.take().map(|log| log.close(now)) {
            Some(Ok(())) => tracing::debug!("log closed"),
            Some(Err(error)) => {
                tracing::warn!(%error, "the log could not be closed in good order; nothing is lost");
            }
            None => tracing::warn!("the log stays as its last failure left it; nothing acknowledged is lost"),
        }
    }

    fn now(&self, round: &Round) -> TimeMs {
        self.partition.take_seat().leader().map_or(round.logged_ms, Leader::time)
    }

    fn note_room(&self) {
        let mut seat = self.partition.take_seat();
        seat.room_bytes = self.room_bytes();
        seat.room_is_coming = self.log.as_ref().is_some_and(Log::room_is_coming);
    }

    fn room_bytes(&self) -> usize {
        let room_bytes = self.log.as_ref().map_or(0, Log::room_bytes);
        usize::try_from(room_bytes).unwrap_or(usize::MAX)
    }

    fn next_work(&self, round: &mut Round) -> Work {
        self.note_room();
        // What came while the last batch was written is decided first, so that it goes with this one.
        self.partition.lead(None);
        let mut seat = self.partition.take_seat();
        if let Some(notice) = seat.clock.take_notice() {
            report(notice);
        }
        let gathers = std::mem::take(&mut round.may_gather) && round.crowd >= RUSH_REPLIES;
        if gathers && seat.has_fewer_than(round.crowd / 2) {
            seat.writer_wants = round.crowd / 2;
            seat.writer_sleeps = true;
            return Work::Gather;
        }
        seat.writer_wants = 0;
        seat.writer_sleeps = false;
        if let Some(number) = seat.close_batch(&mut round.batch) {
            return Work::Batch(number);
        }
        if self.partition.draining.load(Ordering::Acquire) && !self.partition.has_mail() {
            return Work::Finish;
        }
        seat.writer_sleeps = true;
        let leader = seat.leader();
        Work::Idle { next_expiry: leader.and_then(Leader::next_expiry), now: leader.map_or(0, Leader::time) }
    }

    fn write(&mut self, number: u64, round: &mut Round) {
        let ClosedBatch { payload, event_count, time } = &round.batch;
        let stopwatch = Stopwatch::start();
        let appended = self.log.as_mut().map(|log| log.append(*event_count, *time, payload));
        let took = stopwatch.elapsed();
        match appended {
            Some(Ok(_)) => {
                round.unmarked = true;
                round.logged_ms = *time;
                self.note_durable();
                {
                    let mut seat = self.partition.take_seat();
                    seat.tally.batch(*event_count, payload.len(), took);
                    let crowd = seat.release(number, &mut round.outbox) + seat.open_reply_count();
                    round.crowd = crowd.max(round.crowd - round.crowd.div_ceil(16));
                    round.may_gather = true;
                }
                self.partition.deliver(&mut round.outbox, None);
            }
            Some(Err(error)) => self.reopen(&error, round),
            None => unreachable!("batches are closed only while there is a log"),
        }
    }

    /// Nothing to write: waits, and does what is due without being asked.
    fn rest(&mut self, next_expiry: Option<TimeMs>, now: TimeMs, round: &mut Round) {
        let mut wait = if round.unmarked { MARK_DELAY } else { IDLE_INTERVAL };
        if self.room_bytes() <= RECORD_BYTES_MAX || self.partition.has_mail() {
            wait = wait.min(ROOM_INTERVAL);
        }
        if let Some(due) = next_expiry {
            wait = wait.min(Duration::from_millis(due.saturating_sub(now).max(1)));
        }
        let stopwatch = Stopwatch::start();
        std::thread::park_timeout(wait);
        let woken_early = stopwatch.elapsed() < wait;
        if woken_early {
            return;
        }
        let marks_batch = round.unmarked && wait >= MARK_DELAY;
        let marks_time = round.since_told.elapsed() >= TIME_MARK_INTERVAL && self.time_was_told(round);
        if marks_batch || marks_time {
            self.mark(round);
        }
    }

    /// Whether somebody was told something that rests on a later time than the log has.
    fn time_was_told(&self, round: &mut Round) -> bool {
        round.since_told = Stopwatch::start();
        let mut seat = self.partition.take_seat();
        let told = std::mem::take(&mut seat.time_was_told);
        told && seat.leader().is_some_and(|leader| leader.time() > round.logged_ms)
    }

    fn mark(&mut self, round: &mut Round) {
        let now = self.now(round);
        let Some(log) = &mut self.log else { return };
        match log.append_mark(now) {
            Ok(()) => {
                round.unmarked = false;
                round.logged_ms = now;
            }
            // The next batch is as good a proof.
            Err(AppendError::NoRoom) => round.unmarked = false,
            Err(error) => self.reopen(&error, round),
        }
    }

    /// A log that was removed or moved takes batches that nobody will find again. Looks for that now and then.
    fn check_in_place(&mut self, round: &mut Round) {
        if round.since_checked.elapsed() < CHECK_INTERVAL {
            return;
        }
        round.since_checked = Stopwatch::start();
        if let Some(Err(error)) = self.log.as_mut().map(Log::check_in_place) {
            self.reopen(&error, round);
        }
    }

    /// After a failed write nothing in memory can be trusted to be in the log: the state is given up and read back.
    fn reopen(&mut self, error: &AppendError, round: &mut Round) {
        tracing::error!(%error, "the log failed; opening it again");
        let resume_at = self.partition.durable_offset.load(Ordering::Acquire);
        self.log = None;
        round.crowd = 0;
        self.partition.take_seat().vacate(&mut round.outbox);
        self.partition.deliver(&mut round.outbox, None);
        let mut interval = REOPEN_INTERVAL;
        loop {
            self.partition.lead(None);
            match recovery::load(
                &self.directory,
                &self.settings,
                &self.log_settings,
                Some(resume_at),
                self.id_key,
            ) {
                Ok(Loaded { log, leader, recovered }) => {
                    self.log = Some(log);
                    let room_bytes = self.room_bytes();
                    self.partition.take_seat().install(leader, room_bytes);
                    round.unmarked = false;
                    self.note_durable();
                    tracing::warn!(offset = recovered.offset, "the log is open again");
                    return;
                }
                Err(error) => tracing::error!(%error, "the log cannot be opened yet; trying again"),
            }
            if self.partition.draining.load(Ordering::Acquire) {
                return;
            }
            std::thread::park_timeout(interval);
            interval = (interval * 2).min(REOPEN_INTERVAL_MAX);
        }
    }

    fn note_durable(&self) {
        if let Some(log) = &self.log {
            self.partition.durable_offset.store(log.durable_offset(), Ordering::Release);
        }
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

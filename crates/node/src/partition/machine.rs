//! The partition as a machine that is stepped. What goes in: the time, calls, what the log takes, that a batch is in
//! force or that the log failed, and that it has to stop. What comes out: answers that may be told, what the log writer does
//! next, and what each batch changes in the view. There is no thread, clock, file or chance in it.
//!
//! ```text
//!      in force             outstanding: as many as the log takes          open
//!   ┌────┬────┬────┐      ┌────────┬────────┬────────┐              ┌╌╌╌╌╌╌╌╌╌╌╌╌┐
//!   │  1 │  2 │  3 │      │   4    │   5    │  mark  │              ┊     6      ┊ ◀── what is decided now
//!   └────┴────┴────┘      └────────┴────────┴────────┘              └╌╌╌╌╌╌╌╌╌╌╌╌┘
//!    answers are told      answers wait, each for its batch          answers wait
//! ```
//!
//! A batch comes into force after all before it, and its answers leave then. If one fails, so does all behind it: nobody knows
//! what the log has of that, so the state is given up.
//!
//! What is only read or refused rests on the newest batch before it. Where another process may take the log over without a
//! word, it rests on what is handed over next, if only a mark: that comes into force only if nobody else leads by then.

use std::collections::VecDeque;
use std::time::Duration;

use onrush_core::{LOOK_AHEAD_MAX, Now, TimeMs};
use onrush_log::Capacity;

use super::batch::ClosedBatch;
use super::leader::Leader;
use super::partition_clock::{ClockNotice, PartitionClock};
use super::port::{Calls, Outbox, Replies, ReplyTo};
use super::used_challenges::UsedChallenges;
use crate::clock::ClockReading;
use crate::limits::{ANSWERED_BEFORE_LOGGED_MAX, RECORD_BYTES_MAX, SUBMISSION_BYTES_MAX};
use crate::metrics::Tally;
use crate::{Failure, Reply};

/// How long nothing has to happen before the last batch is marked as complete.
const MARK_DELAY: Duration = Duration::from_millis(20);
/// From so many answers that wait at once, it is a rush: most clients that were just answered will be back at once, and a
/// sync for the first few of them would cost the others the processor that they need (about 50 microseconds of it, and
/// two wake-ups). So the writer lets the next batch grow until half of those who lately waited at once rest on it, but
/// no longer than this.
const RUSH_REPLIES: usize = 24;
const GATHER_DELAY: Duration = Duration::from_micros(400);
/// The same for a log with rivals, which is elsewhere: a round trip is long, and whoever misses one waits for the next. So the next batch
/// grows until seven eighths of them rest on it.
const GATHER_DELAY_WITH_RIVALS: Duration = Duration::from_millis(1);
/// How often an idle writer looks at the clock, for holds that expire and times that were told.
const IDLE_INTERVAL: Duration = Duration::from_millis(500);
/// After which a time that was told is written down, should no batch do so.
const TIME_MARK_DELAY: Duration = Duration::from_secs(1);
/// How often a log that says when something is in force is asked although it said nothing.
const ASK_INTERVAL: Duration = Duration::from_millis(100);
/// How often a leader with rivals says that it is there, if only by a mark.
const SIGN_INTERVAL: Duration = Duration::from_millis(500);
/// Behind so many batches and marks on their way, a mark that only answers rest on waits, so that more of them come together.
const MARK_OUTSTANDING_MAX: usize = 1;
/// How often a log without room is asked again whether it has some.
const ROOM_INTERVAL: Duration = Duration::from_millis(5);

const _: () = assert!(
    TIME_MARK_DELAY.as_millis() + IDLE_INTERVAL.as_millis() < ANSWERED_BEFORE_LOGGED_MAX.as_millis(),
    "a start skips more than can have been told"
);

/// Calls of one edge thread and where their answers go.
pub(crate) struct Submission {
    pub(crate) reply_to: ReplyTo,
    pub(crate) calls: Calls,
}

impl Submission {
    /// Answers every call with the same failure.
    pub(crate) fn refuse(self, failure: impl Fn() -> Failure, outbox: &mut Outbox) {
        let replies = self.calls.into_iter().map(|(token, _)| (token, Err(failure()))).collect();
        outbox.push(self.reply_to, replies);
    }
}

/// What the log writer does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Hand over the closed batch, which has this number.
    Append { number: u64 },
    /// Hand over the time, which also proves the newest batch complete, under this number.
    Mark { number: u64, time: TimeMs },
    /// Nothing until it is woken, by whoever decides or by the log, but no longer than this.
    Wait { at_most: Duration },
    /// Everything is written, and nothing more will come: stop.
    Finish,
}

/// Answers that wait for a batch or a mark to be in force.
struct Waiting {
    rests_on: u64,
    reply_to: ReplyTo,
    replies: Replies,
}

/// How far the partition's end has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    NotYet,
    /// Nothing more will come; what is there is still written.
    Stopping,
    /// Everything is written, and the writer is gone.
    Finished,
}

/// Who may write to the log.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writers {
    /// This process alone.
    One,
    /// Another process may take it over at any time ([`onrush_log::Log::has_rivals`]).
    Rivals,
}

/// One partition, between its mailbox and its log.
pub(crate) struct Machine {
    /// Absent while the log is being opened again after a failed write, and while another process leads.
    leader: Option<Leader>,
    writers: Writers,
    clock: PartitionClock,
    used_challenges: UsedChallenges,
    /// In the order of what they rest on.
    waiting: VecDeque<Waiting>,
    /// Batches and marks that were handed over since the log was opened; the next one gets the number after that.
    handed_count: u64,
    /// Number of the newest batch among them.
    newest_batch: u64,
    /// All of them up to this number are in force.
    in_force: u64,
    /// Batches and marks that were handed over and are not in force yet.
    outstanding_count: usize,
    /// How many of them the log takes.
    outstanding_max: usize,
    /// What the log is certain to take for the open batch.
    room_bytes: usize,
    /// That is about to become more: waiting is better than refusing.
    room_is_coming: bool,
    /// The log writer waits, and has to be woken when there is a batch that it wants.
    writer_waits: bool,
    /// Answers that have to rest on what is handed over next before the writer wants it.
    writer_wants: usize,
    /// Answers that rest on it.
    open_reply_count: usize,
    /// Answers that waited at once lately: the most, fading.
    waiting_replies: usize,
    /// A batch was handed over or came into force, and the next was not waited for yet.
    may_gather: bool,
    /// When the newest batch came into force, if nothing behind it proves it complete.
    unmarked_since: Option<Duration>,
    /// When somebody was first told something that rests on a later time than the log has.
    answered_since: Option<Duration>,
    /// When something was handed over last.
    handed_at: Duration,
    /// Newest time in the log.
    logged: TimeMs,
    ending: Ending,
    tally: Tally,
}

impl Machine {
    /// Without a leader it refuses until it has one.
    pub(crate) fn new(leader: Option<Leader>, has_rivals: bool, clock: PartitionClock) -> Self {
        Self {
            leader,
            writers: if has_rivals { Writers::Rivals } else { Writers::One },
            handed_count: 0,
            newest_batch: 0,
            handed_at: clock.steady(),
            clock,
            used_challenges: UsedChallenges::default(),
            waiting: VecDeque::new(),
            in_force: 0,
            outstanding_count: 0,
            outstanding_max: 0,
            room_bytes: 0,
            room_is_coming: false,
            writer_waits: false,
            writer_wants: 0,
            open_reply_count: 0,
            waiting_replies: 0,
            may_gather: false,
            unmarked_since: None,
            answered_since: None,
            logged: 0,
            ending: Ending::NotYet,
            tally: Tally::default(),
        }
    }

    /// Goes on to the moment of `reading`; holds that are due expire.
    pub(crate) fn advance(&mut self, reading: ClockReading) {
        let now: Now = self.clock.advance(reading);
        if let Some(leader) = &mut self.leader {
            leader.begin_turn(now, self.room_bytes);
        }
    }

    /// Runs the calls of one submission. What rests on nothing that is still on its way goes to `outbox` at once.
    pub(crate) fn call(&mut self, submission: Submission, outbox: &mut Outbox) {
        if self.ending == Ending::Finished {
            return submission.refuse(|| Failure::Draining, outbox);
        }
        let Some(leader) = &mut self.leader else {
            let has_rivals = self.has_rivals();
            if !has_rivals {
                self.tally.log_unavailable_count += submission.calls.len() as u64;
            }
            // Nothing was decided, so another process may be asked.
            let failure = || if has_rivals { Failure::NotLeader } else { Failure::LogUnavailable };
            return submission.refuse(failure, outbox);
        };
        let mut replies = Vec::with_capacity(submission.calls.len());
        let mut calls = submission.calls.into_iter();
        while !calls.as_slice().is_empty() {
            let next = calls.as_slice();
            leader.look_ahead(&next[..next.len().min(LOOK_AHEAD_MAX)]);
            for (token, call) in calls.by_ref().take(LOOK_AHEAD_MAX) {
                let reply: Reply = leader.run(call, self.room_bytes, &mut self.used_challenges);
                self.tally.reply(&reply);
                if let Some(code) = leader.take_shadow_refusal() {
                    self.tally.shadow_refusals[code as usize] += 1;
                }
                replies.push((token, reply));
            }
        }
        self.answered_since.get_or_insert(self.clock.steady());
        let rests_on = if leader.has_batch() || self.has_rivals() {
            self.open_reply_count += replies.len();
            self.handed_count + 1
        } else {
            self.newest_batch
        };
        if rests_on <= self.in_force {
            outbox.push(submission.reply_to, replies);
        } else {
            self.waiting.push_back(Waiting { rests_on, reply_to: submission.reply_to, replies });
        }
    }

    /// Whether more may be decided before the log has taken the open batch.
    pub(crate) fn is_full(&self) -> bool {
        self.leader.as_ref().is_some_and(|leader| {
            leader.is_full(self.room_bytes)
                || (self.room_is_coming && self.room_bytes < leader.batch_bytes() + SUBMISSION_BYTES_MAX)
        })
    }

    /// Whether a writer that waits has something to do; if so the caller must wake it, and only the first caller is told.
    pub(crate) fn wants_writer(&mut self) -> bool {
        let due = self.writer_waits
            && self.leader.as_ref().is_some_and(|leader| {
                let has_something = leader.has_batch() || (self.has_rivals() && self.open_reply_count > 0);
                self.is_full() || (has_something && self.open_reply_count >= self.writer_wants)
            });
        if due {
            self.writer_waits = false;
        }
        due
    }

    /// What the log takes from now on, as its writer says at the beginning of a turn. It does not wait then, and must not be
    /// woken by what it decides itself: with a log that is about to get room it would never rest.
    pub(crate) fn set_capacity(&mut self, capacity: Capacity) {
        self.writer_waits = false;
        self.room_bytes = usize::try_from(capacity.bytes).unwrap_or(usize::MAX);
        self.room_is_coming = capacity.is_growing;
        self.outstanding_max = capacity.batch_count;
    }

    /// What the writer does next; a batch is closed into `batch`. `has_mail` says whether calls wait in the mailbox.
    pub(crate) fn next_step(&mut self, batch: &mut ClosedBatch, has_mail: bool) -> Step {
        if self.outstanding_count > 0 && self.outstanding_count >= self.outstanding_max {
            // The log wakes the writer when it takes more, so nobody else has to.
            self.writer_waits = false;
            return Step::Wait { at_most: ASK_INTERVAL };
        }
        let gathers = std::mem::take(&mut self.may_gather) && self.waiting_replies >= RUSH_REPLIES;
        let (wanted, delay) = match self.writers {
            Writers::One => (self.waiting_replies / 2, GATHER_DELAY),
            Writers::Rivals => (self.waiting_replies - self.waiting_replies / 8, GATHER_DELAY_WITH_RIVALS),
        };
        if gathers && self.open_reply_count < wanted && !self.is_full() {
            (self.writer_wants, self.writer_waits) = (wanted, true);
            return Step::Wait { at_most: delay };
        }
        (self.writer_wants, self.writer_waits) = (0, false);
        if self.close_batch(batch) {
            let number = self.hand_over();
            (self.newest_batch, self.may_gather) = (number, true);
            return Step::Append { number };
        }
        if self.has_rivals() && self.open_reply_count > 0 && self.outstanding_count <= MARK_OUTSTANDING_MAX {
            return self.mark(self.time());
        }
        // A mark says nothing that a batch on its way does not.
        if self.outstanding_count == 0 {
            if self.ending != Ending::NotYet && !has_mail {
                self.ending = Ending::Finished;
                return Step::Finish;
            }
            if let Some(time) = self.due_mark() {
                // Whoever is told something from now on may be told a later time.
                (self.unmarked_since, self.answered_since) = (None, None);
                return self.mark(time);
            }
        }
        self.writer_waits = true;
        Step::Wait { at_most: self.idle_wait(has_mail) }
    }

    /// The batch of this number is in force; `took` is how long that took. Releases the answers that rest on it.
    pub(crate) fn appended(&mut self, number: u64, batch: &ClosedBatch, took: Duration, outbox: &mut Outbox) {
        self.logged = batch.time;
        self.unmarked_since = Some(self.clock.steady());
        self.tally.batch(batch.event_count, batch.payload.len(), took);
        let released_count = self.release(number, outbox);
        self.note_released(released_count);
    }

    /// The mark of this number is in force. Releases the answers that rest on it.
    pub(crate) fn marked(&mut self, number: u64, time: TimeMs, outbox: &mut Outbox) {
        self.logged = self.logged.max(time);
        let released_count = self.release(number, outbox);
        if released_count > 0 {
            self.note_released(released_count);
        }
    }

    fn release(&mut self, number: u64, outbox: &mut Outbox) -> usize {
        assert_eq!(number, self.in_force + 1, "batches and marks come into force in order");
        self.in_force = number;
        self.outstanding_count -= 1;
        let mut released_count = 0;
        while self.waiting.front().is_some_and(|waiting| waiting.rests_on <= number) {
            if let Some(Waiting { reply_to, replies, .. }) = self.waiting.pop_front() {
                released_count += replies.len();
                outbox.push(reply_to, replies);
            }
        }
        released_count
    }

    fn note_released(&mut self, released_count: usize) {
        self.tally.released(released_count);
        let at_once = released_count + self.open_reply_count;
        self.waiting_replies = at_once.max(self.waiting_replies - self.waiting_replies.div_ceil(16));
        self.may_gather = true;
    }

    /// The log has no room for the mark that was handed over last, and the next batch will do.
    pub(crate) fn mark_left_out(&mut self) {
        // Somebody may rest on what comes behind it by now, so its number is used up.
        self.outstanding_count -= 1;
        self.in_force += 1;
    }

    /// The log failed: the state may hold what the log does not, so it is given up, and every answer that waits becomes
    /// "unknown". So does what is outstanding, a mark for a time that was told included.
    pub(crate) fn failed(&mut self, outbox: &mut Outbox) {
        self.leader = None;
        self.outstanding_count = 0;
        self.answered_since.get_or_insert(self.clock.steady());
        (self.open_reply_count, self.waiting_replies) = (0, 0);
        for Waiting { reply_to, replies, .. } in self.waiting.drain(..) {
            self.tally.log_unavailable_count += replies.len() as u64;
            let replies =
                replies.into_iter().map(|(token, _)| (token, Err(Failure::LogUnavailable))).collect();
            outbox.push(reply_to, replies);
        }
    }

    /// Goes on, at the moment of `reading`, with a leader whose state was read back from the log.
    pub(crate) fn reopened(&mut self, leader: Leader, reading: ClockReading) {
        self.clock.advance(reading);
        // Another process may have led meanwhile, by a clock that is ahead of this one.
        self.clock.go_on_behind(leader.time());
        self.leader = Some(leader);
        (self.handed_count, self.newest_batch, self.in_force) = (0, 0, 0);
        self.unmarked_since = None;
        self.tally.reopened_count += 1;
    }

    /// Nothing more will come: once everything is written, the writer is told to finish.
    pub(crate) fn stop(&mut self) {
        if self.ending == Ending::NotYet {
            self.ending = Ending::Stopping;
        }
    }

    pub(crate) fn leader(&self) -> Option<&Leader> {
        self.leader.as_ref()
    }

    /// The partition's time.
    pub(crate) fn time(&self) -> TimeMs {
        self.leader.as_ref().map_or(self.logged, Leader::time)
    }

    pub(crate) fn clock(&self) -> &PartitionClock {
        &self.clock
    }

    pub(crate) fn take_clock_notice(&mut self) -> Option<ClockNotice> {
        self.clock.take_notice()
    }

    /// Whether the log can take the next record, or soon can.
    pub(crate) fn has_room(&self) -> bool {
        self.room_bytes > RECORD_BYTES_MAX || self.room_is_coming
    }

    pub(crate) fn room_bytes(&self) -> usize {
        self.room_bytes
    }

    /// Whether an answer still waits.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    fn has_rivals(&self) -> bool {
        self.writers == Writers::Rivals
    }

    /// Closes the open batch for the log; whether there was one.
    fn close_batch(&mut self, recycled: &mut ClosedBatch) -> bool {
        let is_closed = self.leader.as_mut().is_some_and(|leader| leader.close_batch(recycled));
        if is_closed {
            recycled.view_change.clock = self.clock;
            self.room_bytes = self.room_bytes.saturating_sub(recycled.payload.len());
        }
        is_closed
    }

    /// Something is handed over: its number.
    fn hand_over(&mut self) -> u64 {
        self.handed_count += 1;
        self.outstanding_count += 1;
        self.open_reply_count = 0;
        self.handed_at = self.clock.steady();
        self.handed_count
    }

    fn mark(&mut self, time: TimeMs) -> Step {
        Step::Mark { number: self.hand_over(), time }
    }

    /// The time to write down, if it is due: nothing happened since the newest batch for a while, or somebody was told a time
    /// that the log does not have, which has to survive a restart.
    fn due_mark(&mut self) -> Option<TimeMs> {
        let leader = self.leader.as_ref()?;
        let is_due =
            |since: Option<Duration>, delay| since.is_some_and(|since| self.clock.steady() >= since + delay);
        if self.has_rivals() {
            // No answer needs one: each rests on something that was handed over behind it.
            return is_due(Some(self.handed_at), SIGN_INTERVAL).then(|| leader.time());
        }
        let marks_time = is_due(self.answered_since, TIME_MARK_DELAY);
        if is_due(self.unmarked_since, MARK_DELAY) || (marks_time && leader.time() > self.logged) {
            return Some(leader.time());
        }
        if marks_time {
            self.answered_since = None;
        }
        None
    }

    fn idle_wait(&self, has_mail: bool) -> Duration {
        let mut wait = match (self.outstanding_count, self.unmarked_since) {
            (0, Some(_)) if !self.has_rivals() => MARK_DELAY,
            (0, _) => IDLE_INTERVAL,
            _ => ASK_INTERVAL,
        };
        if self.room_bytes <= RECORD_BYTES_MAX || has_mail {
            wait = wait.min(ROOM_INTERVAL);
        }
        if let Some(due) = self.leader.as_ref().and_then(Leader::next_expiry) {
            wait = wait.min(Duration::from_millis(due.saturating_sub(self.time()).max(1)));
        }
        wait
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;

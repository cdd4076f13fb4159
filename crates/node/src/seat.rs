//! The leader's seat: everything that only the thread that leads may touch. Whoever holds the seat's lock leads.

use std::collections::VecDeque;

use crate::batch::ClosedBatch;
use crate::clock::ClockReading;
use crate::leader::Leader;
use crate::limits::SUBMISSION_BYTES_MAX;
use crate::metrics::Tally;
use crate::partition_clock::PartitionClock;
use crate::port::{Calls, Outbox, Replies, Sink};
use crate::{Failure, Reply};

/// Calls of one edge thread and where their answers go.
pub(crate) struct Submission {
    pub(crate) sink: Sink,
    pub(crate) calls: Calls,
}

impl Submission {
    /// Answers every call with the same failure.
    pub(crate) fn refuse(self, failure: impl Fn() -> Failure, outbox: &mut Outbox) {
        let replies = self.calls.into_iter().map(|(token, _)| (token, Err(failure()))).collect();
        outbox.push(self.sink, replies);
    }
}

/// Answers that wait for a batch to become durable.
struct Decided {
    batch: u64,
    sink: Sink,
    replies: Replies,
}

/// The leader, and the answers that it may not tell yet.
pub(crate) struct Seat {
    /// Absent while the log is being opened again after a failed write.
    leader: Option<Leader>,
    /// Goes on while there is no leader.
    pub(crate) clock: PartitionClock,
    /// In order of their batches.
    decided: VecDeque<Decided>,
    /// Every batch up to this number is durable.
    durable_batch: u64,
    /// What the log is certain to take for the open batch.
    pub(crate) room_bytes: usize,
    /// That is about to become more: waiting is better than refusing.
    pub(crate) room_is_coming: bool,
    /// The log writer sleeps and has to be woken when there is a batch that it wants.
    pub(crate) writer_sleeps: bool,
    /// Answers that have to rest on the open batch before the writer wants it.
    pub(crate) writer_wants: usize,
    /// Answers that rest on the open batch.
    open_reply_count: usize,
    /// Calls were run since the writer last asked: the time that they saw has to survive a restart.
    pub(crate) time_was_told: bool,
    pub(crate) tally: Tally,
}

impl Seat {
    pub(crate) fn new(leader: Leader, clock: PartitionClock, room_bytes: usize) -> Self {
        Self {
            leader: Some(leader),
            clock,
            decided: VecDeque::new(),
            durable_batch: 0,
            room_bytes,
            room_is_coming: false,
            writer_sleeps: false,
            writer_wants: 0,
            open_reply_count: 0,
            time_was_told: false,
            tally: Tally::default(),
        }
    }

    pub(crate) fn leader(&self) -> Option<&Leader> {
        self.leader.as_ref()
    }

    /// Starts a turn at the moment of `reading`.
    pub(crate) fn begin_turn(&mut self, reading: ClockReading) {
        let now = self.clock.advance(reading);
        if let Some(leader) = &mut self.leader {
            leader.begin_turn(now, self.room_bytes);
        }
    }

    /// Whether more may be decided before the log has taken the open batch.
    pub(crate) fn is_full(&self) -> bool {
        self.leader.as_ref().is_some_and(|leader| {
            leader.is_full(self.room_bytes)
                || (self.room_is_coming && self.room_bytes < leader.batch_bytes() + SUBMISSION_BYTES_MAX)
        })
    }

    /// Whether a sleeping writer has something to do; if so the caller must wake it, and only the first caller is told.
    pub(crate) fn takes_writer_awake(&mut self) -> bool {
        let due = self.writer_sleeps
            && self.leader.as_ref().is_some_and(|leader| {
                self.is_full() || (leader.has_batch() && self.open_reply_count >= self.writer_wants)
            });
        if due {
            self.writer_sleeps = false;
        }
        due
    }

    /// Runs the calls of one submission. What rests on nothing that is still on its way goes to `outbox` at once.
    pub(crate) fn run(&mut self, submission: Submission, outbox: &mut Outbox) {
        let Some(leader) = &mut self.leader else {
            self.tally.log_unavailable_count += submission.calls.len() as u64;
            return submission.refuse(|| Failure::LogUnavailable, outbox);
        };
        let mut replies = Vec::with_capacity(submission.calls.len());
        for (token, call) in submission.calls {
            let reply: Reply = leader.run(call, self.room_bytes);
            self.tally.reply(&reply);
            replies.push((token, reply));
        }
        self.time_was_told = true;
        let batch = leader.rests_on();
        if leader.has_batch() {
            self.open_reply_count += replies.len();
        }
        if batch <= self.durable_batch {
            outbox.push(submission.sink, replies);
        } else {
            self.decided.push_back(Decided { batch, sink: submission.sink, replies });
        }
    }

    /// Answers that rest on the open batch.
    pub(crate) fn open_reply_count(&self) -> usize {
        self.open_reply_count
    }

    /// Whether fewer than `reply_count` answers rest on the open batch, and it can take more.
    pub(crate) fn has_fewer_than(&self, reply_count: usize) -> bool {
        self.open_reply_count < reply_count && !self.is_full()
    }

    /// Notes that batches up to `batch` are durable and releases the answers that rest on them; how many.
    pub(crate) fn release(&mut self, batch: u64, outbox: &mut Outbox) -> usize {
        self.durable_batch = batch;
        let mut reply_count = 0;
        while self.decided.front().is_some_and(|decided| decided.batch <= batch) {
            if let Some(Decided { sink, replies, .. }) = self.decided.pop_front() {
                reply_count += replies.len();
                outbox.push(sink, replies);
            }
        }
        self.tally.released(reply_count);
        reply_count
    }

    /// Closes the open batch, if there is one, for the log: its number.
    pub(crate) fn close_batch(&mut self, recycled: &mut ClosedBatch) -> Option<u64> {
        let number = self.leader.as_mut()?.close_batch(recycled)?;
        self.open_reply_count = 0;
        self.room_bytes = self.room_bytes.saturating_sub(recycled.payload.len());
        Some(number)
    }

    /// Gives up the state: it may hold what the log does not. Every answer that waited becomes "unknown".
    pub(crate) fn vacate(&mut self, outbox: &mut Outbox) {
        self.leader = None;
        self.open_reply_count = 0;
        for Decided { sink, replies, .. } in self.decided.drain(..) {
            self.tally.log_unavailable_count += replies.len() as u64;
            let replies =
                replies.into_iter().map(|(token, _)| (token, Err(Failure::LogUnavailable))).collect();
            outbox.push(sink, replies);
        }
    }

    /// Seats a leader whose state was read back from the log.
    pub(crate) fn install(&mut self, leader: Leader, room_bytes: usize) {
        self.leader = Some(leader);
        self.durable_batch = 0;
        self.room_bytes = room_bytes;
        self.tally.reopened_count += 1;
    }

    /// Whether an answer still waits.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.decided.is_empty()
    }
}

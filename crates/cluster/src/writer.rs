//! The writing end of a shared log, for as long as this node leads.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use onrush_log::shared::{
    NodeId, RECORD_HEADER_BYTES, RecordKind, RecordNo, SharedAppender, SharedBounds, SharedError,
    SharedRecord,
};
use onrush_log::{AppendError, BATCH_BYTES_MAX, Batch, Capacity, Format, LogWriter, Wake};

use onrush_node::{Clock, Stopwatch};

use crate::board::{Board, CLAIM_TICKET, Term};

/// How long a node that stops waits until the log has its resignation.
const RESIGNATION_MAX: Duration = Duration::from_secs(1);
/// Notes are at least so far apart.
const NOTE_INTERVAL: Duration = Duration::from_secs(1);

pub(crate) struct ClusterWriter {
    pub(crate) board: Arc<Board>,
    pub(crate) appender: Box<dyn SharedAppender>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) bounds: SharedBounds,
    pub(crate) partition: u32,
    pub(crate) node: NodeId,
    pub(crate) epoch: RecordNo,
    pub(crate) handed: Handed,
    pub(crate) record: Vec<u8>,
}

/// What was handed over. Notes are in between, which the caller knows nothing of.
#[derive(Default)]
pub(crate) struct Handed {
    /// How much of it is in force, as the caller was told.
    told_count: u64,
    /// Notes among what is in force.
    notes_in_force: u64,
    /// Places in the epoch of notes that are not known to be in force.
    notes: VecDeque<u64>,
    since_note: Option<Stopwatch>,
}

impl Handed {
    /// How much of what the caller handed over is in force, if everything up to this place in the epoch is.
    fn in_force(&mut self, sequence: u64) -> u64 {
        while self.notes.front().is_some_and(|note| *note <= sequence) {
            self.notes.pop_front();
            self.notes_in_force += 1;
        }
        self.told_count = sequence - self.notes_in_force;
        self.told_count
    }
}

impl ClusterWriter {
    fn batch_bytes_max(&self) -> u64 {
        ((self.bounds.record_bytes_max - RECORD_HEADER_BYTES) as u64).min(BATCH_BYTES_MAX)
    }

    /// Hands a record over: its place in the epoch.
    fn hand_over(&mut self, kind: RecordKind, batch: &Batch<'_>) -> Result<u64, AppendError> {
        let (outstanding_max, now_ms) = (self.bounds.outstanding_max, self.clock.wall_ms());
        let handed = self.in_term(|term| {
            if term.in_force.has_failed() {
                return Err(AppendError::Closed);
            }
            if term.in_force.outstanding_count() >= outstanding_max {
                return Err(AppendError::NoRoom);
            }
            let base_offset = term.next_offset;
            term.next_offset += u64::from(batch.event_count);
            let (sequence, expected) = match kind {
                RecordKind::Resignation => term.in_force.hand_over_last(),
                _ => term.in_force.hand_over(),
            };
            term.clock_check.handed_over(sequence, now_ms);
            Ok((sequence, expected, base_offset, term.log_id))
        })?;
        let (sequence, expected, base_offset, log_id) = handed?;
        let record = SharedRecord {
            kind,
            format: if kind == RecordKind::Batch { Format::NEWEST } else { Format::V1 },
            log_id,
            partition: self.partition,
            node: if kind == RecordKind::Resignation { NodeId::ANY } else { self.node },
            epoch: Some(self.epoch),
            sequence,
            base_offset,
            time_ms: batch.time_ms,
            told_ms: batch.told_ms,
            event_count: batch.event_count,
            payload: batch.payload,
        };
        self.record.clear();
        record.encode(&mut self.record);
        let appended = self.appender.append(CLAIM_TICKET + sequence, expected, &self.record);
        appended.map_err(|error| {
            self.give_up();
            unknown(&error)
        })?;
        Ok(sequence)
    }

    /// Hands over a note if there is something to note, and room for it beside what is to follow.
    fn note_if_due(&mut self, time_ms: u64) -> Result<(), AppendError> {
        // One at a time has a place of its own.
        if !self.handed.notes.is_empty() {
            return Ok(());
        }
        let is_soon = self.handed.since_note.is_some_and(|since| since.elapsed() < NOTE_INTERVAL);
        let outstanding = self.in_term(|term| term.in_force.outstanding_count())?;
        if is_soon || outstanding + 2 > self.bounds.outstanding_max {
            return Ok(());
        }
        self.note(time_ms)
    }

    /// Hands over what is to be noted, if there is something.
    fn note(&mut self, time_ms: u64) -> Result<(), AppendError> {
        let Some(notes) = self.board.unread_notes() else { return Ok(()) };
        let payload = notes.encode();
        let note = Batch { event_count: 0, time_ms, told_ms: time_ms, payload: &payload };
        let sequence = self.hand_over(RecordKind::Note, &note)?;
        self.handed.notes.push_back(sequence);
        self.handed.since_note = Some(Stopwatch::start());
        Ok(())
    }

    /// Does something while this node leads.
    fn in_term<R>(&self, step: impl FnOnce(&mut Term) -> R) -> Result<R, AppendError> {
        self.board.in_term(self.epoch, step).ok_or(AppendError::Fenced)
    }

    fn give_up(&self) {
        // Who is deposed has nothing to give up.
        let _ = self.in_term(|term| term.is_given_up = true);
    }
}

impl LogWriter for ClusterWriter {
    fn capacity(&self) -> Capacity {
        let leads = self.in_term(|term| !term.in_force.has_failed()).unwrap_or(false);
        Capacity {
            bytes: if leads { self.batch_bytes_max() } else { 0 },
            is_growing: false,
            // One place is for a note.
            batch_count: (self.bounds.outstanding_max - 1).max(1),
        }
    }

    fn append(&mut self, batch: Batch<'_>) -> Result<(), AppendError> {
        let payload_bytes = batch.payload.len() as u64;
        let batch_bytes_max = self.batch_bytes_max();
        if payload_bytes > batch_bytes_max {
            return Err(AppendError::TooLarge { payload_bytes, batch_bytes_max });
        }
        self.note_if_due(batch.time_ms)?;
        let is_mark = batch.event_count == 0;
        let kind = if is_mark { RecordKind::Mark } else { RecordKind::Batch };
        self.hand_over(kind, &batch)?;
        Ok(())
    }

    fn in_force(&mut self) -> Result<u64, AppendError> {
        let (sequence, has_failed) =
            self.in_term(|term| (term.in_force.count(), term.in_force.has_failed()))?;
        let before = self.handed.told_count;
        let count = self.handed.in_force(sequence);
        if count == before && has_failed {
            self.give_up();
            return Err(AppendError::Unknown(
                "the shared log did not take a record as it was handed over".to_owned(),
            ));
        }
        Ok(count)
    }

    fn wake_by(&mut self, wake: Wake) {
        // Who is deposed finds out when it asks.
        let _ = self.in_term(|term| term.wake_by(wake));
    }

    fn check(&mut self) -> Result<(), AppendError> {
        self.in_term(|_| ())
    }

    /// Lets another lead at once. Nothing is outstanding by then.
    fn close(mut self: Box<Self>, time_ms: u64) -> Result<(), AppendError> {
        // What sinks have noted is for whoever leads next.
        self.note(time_ms)?;
        let sequence = self.hand_over(RecordKind::Resignation, &Batch::mark(time_ms))?;
        let since = Stopwatch::start();
        let mut state = self.board.state();
        loop {
            let term = state.term.as_ref().filter(|term| term.epoch == self.epoch);
            // Who has read its own resignation has no term any more.
            if term.is_none_or(|term| term.in_force.count() >= sequence) {
                return Ok(());
            }
            let left = RESIGNATION_MAX.saturating_sub(since.elapsed());
            if left.is_zero() {
                return Err(AppendError::Unknown(
                    "the shared log has not said that this node has resigned; others lead when nothing is heard of it".to_owned(),
                ));
            }
            state = self.board.wait(state, left);
        }
    }
}

impl Drop for ClusterWriter {
    fn drop(&mut self) {
        self.give_up();
    }
}

fn unknown(error: &SharedError) -> AppendError {
    AppendError::Unknown(error.to_string())
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;

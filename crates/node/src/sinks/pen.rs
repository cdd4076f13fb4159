//! Writing to the target: from frames of the log to batches of whole events, and what is known to be durable.

use std::sync::Arc;

use onrush_log::{FrameKind, FrameRef, ReadError};

use super::base::BaseError;
use super::names::{Names, Unknown};
use super::slot::Slot;
use super::status::Stop;
use super::target::{Skipped, Target, TargetError};
use crate::wire::{DecodeError, decode_records};

/// Why a sink does not go on as it did.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error("{}", .0.reason())]
    Stop(Stop),
    #[error("read the log: {0}")]
    Read(#[from] ReadError),
    #[error("read the log: {0}")]
    Decode(#[from] DecodeError),
    #[error("read the log: {0}")]
    Unknown(#[from] Unknown),
    #[error("{0}")]
    Base(BaseError),
    #[error("read the sink's place: {0}")]
    Place(#[from] std::io::Error),
    /// Its thread failed an assertion.
    #[error("a fault in onrush, which should be reported: {0}")]
    Panic(String),
}

impl From<BaseError> for Trouble {
    fn from(error: BaseError) -> Self {
        match error {
            BaseError::Stop(stop) => Self::Stop(stop),
            other => Self::Base(other),
        }
    }
}

/// Small steps while it is looked for the event that the target rejects.
#[derive(Clone, Copy, Debug)]
struct Care {
    batch_events_max: usize,
    /// The event that the target named; it goes alone.
    alone: Option<u64>,
    /// Where all went well again.
    until: u64,
}

/// The target and how far it was written.
pub(crate) struct Pen {
    slot: Arc<Slot>,
    pub(crate) target: Box<dyn Target>,
    pub(crate) names: Names,
    skipped: Vec<Skipped>,
    /// Events below are known to the names; the next one to look at.
    pub(crate) passed: u64,
    /// Events below are in the target already.
    from: u64,
    /// The offset that was sent last, and that below which everything is durable.
    sent: u64,
    durable: u64,
    /// Events pushed since, and the last of them.
    pushed_count: usize,
    last_pushed: u64,
    /// How many went with the last batch that is not known to be durable: one that is rejected alone is the one.
    sent_count: usize,
    care: Option<Care>,
    /// Payload bytes read since the place was kept.
    pub(crate) bytes_since_place: u64,
}

impl Pen {
    pub(crate) fn new(slot: &Arc<Slot>, target: Box<dyn Target>, names: Names) -> Self {
        Self {
            slot: Arc::clone(slot),
            target,
            names,
            skipped: Vec::new(),
            passed: 0,
            from: 0,
            sent: 0,
            durable: 0,
            pushed_count: 0,
            last_pushed: 0,
            sent_count: 0,
            care: None,
            bytes_since_place: 0,
        }
    }

    /// Goes on from `from`, with names as of `passed`, at most as far.
    pub(crate) fn begin(&mut self, names: Names, passed: u64, from: u64, skipped: Vec<Skipped>) {
        (self.names, self.passed, self.from, self.skipped) = (names, passed, from, skipped);
        (self.sent, self.durable) = (from, from);
        (self.pushed_count, self.sent_count) = (0, 0);
    }

    /// Everything below is durable in the target, or not for it.
    pub(crate) fn sink_offset(&self) -> u64 {
        let all_durable = self.pushed_count == 0 && self.durable >= self.sent;
        if all_durable { self.passed.max(self.from) } else { self.durable }
    }

    pub(crate) fn take_frame(&mut self, frame: &FrameRef<'_>) -> Result<(), Trouble> {
        if frame.header.kind != FrameKind::Batch {
            return Ok(());
        }
        self.bytes_since_place += frame.payload.len() as u64;
        let base_offset = frame.header.base_offset;
        decode_records(frame.payload, frame.header.time_ms, |record| {
            let offset = base_offset + record.index;
            if offset < self.passed {
                return Ok(());
            }
            self.take_record(offset, &record)
        })
    }

    fn take_record(&mut self, offset: u64, record: &crate::wire::Record<'_>) -> Result<(), Trouble> {
        let left_out = offset < self.from || self.skipped.iter().any(|s| (s.from..s.to).contains(&offset));
        let goes_alone = self.care.is_some_and(|care| care.alone == Some(offset));
        if goes_alone && self.pushed_count > 0 {
            self.send()?;
        }
        let (target, selection) = (&mut self.target, &self.slot.settings.selection);
        let told = self.names.tell(offset, record, |event| {
            let takes = !left_out && selection.takes(event);
            if takes { target.push(event).map(|()| true) } else { Ok(false) }
        })?;
        match told.transpose() {
            Ok(took) => {
                self.passed = offset + 1;
                if took != Some(true) {
                    return Ok(());
                }
            }
            Err(error) => {
                (self.sent_count, self.last_pushed) = (self.pushed_count + 1, offset);
                return Err(error.into());
            }
        }
        self.pushed_count += 1;
        self.last_pushed = offset;
        if goes_alone || self.pushed_count >= self.batch_events_max() {
            self.send()?;
        }
        Ok(())
    }

    fn batch_events_max(&self) -> usize {
        let usual = self.target.batch_events_max().max(1);
        self.care.map_or(usual, |care| care.batch_events_max.min(usual))
    }

    /// Sends what was pushed, or, with nothing pushed, how far the log was read.
    pub(crate) fn send(&mut self) -> Result<(), Trouble> {
        let written_count = std::mem::take(&mut self.pushed_count);
        if written_count > 0 {
            self.sent_count = written_count;
        }
        self.sent = self.passed;
        let durable = self.target.send(self.passed)?;
        self.slot.shown().written_count += written_count as u64;
        self.note_durable(durable);
        if self.care.is_some() {
            self.settle()?;
        }
        Ok(())
    }

    /// Sends what was pushed, and waits until all that was sent is durable.
    pub(crate) fn settle(&mut self) -> Result<(), Trouble> {
        if self.pushed_count > 0 {
            self.send()?;
        }
        let durable = self.target.settle()?;
        self.note_durable(durable);
        self.sent_count = 0;
        Ok(())
    }

    pub(crate) fn has_pushed(&self) -> bool {
        self.pushed_count > 0
    }

    /// Whether the target knows how far the log was read.
    pub(crate) fn is_sent(&self) -> bool {
        self.sent == self.passed
    }

    fn note_durable(&mut self, durable: u64) {
        // A target may write on its own when what was pushed is large.
        assert!(durable <= self.passed.max(self.from), "nothing is durable before it was pushed");
        self.durable = self.durable.max(durable);
        if self.care.is_some_and(|care| self.durable >= care.until) {
            self.care = None;
        }
    }

    /// The target rejects an event: which one, if that is certain now; otherwise the next attempt goes in smaller steps.
    pub(crate) fn narrow_down(&mut self, named: Option<u64>) -> Narrowed {
        if self.sent_count == 0 {
            return Narrowed::Nothing;
        }
        let names_another = named.is_some_and(|named| named != self.last_pushed);
        if self.care.is_some() && self.sent_count == 1 && !names_another {
            self.care = None;
            return Narrowed::Found(self.last_pushed);
        }
        let seen = self.passed.max(self.last_pushed + 1);
        let until = self.care.map_or(seen, |care| care.until.max(seen));
        let usual = self.batch_events_max();
        let batch_events_max = if named.is_some() { usual } else { (usual.min(self.sent_count) / 2).max(1) };
        self.care = Some(Care { batch_events_max, alone: named, until });
        Narrowed::Closer
    }
}

/// What is known of an event that the target rejects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Narrowed {
    /// It is this one.
    Found(u64),
    /// It is among fewer than before.
    Closer,
    /// None was sent, so it is none of them.
    Nothing,
}

//! Writing to the target: from entries of the log to batches of whole events, and what is known to be durable.

use std::collections::VecDeque;
use std::sync::Arc;

use onrush_core::Incarnation;
use onrush_log::{Entry, ReadError};

use crate::confirmed::Expected;
use crate::handle::SinkHandle;
use crate::name_table::{NameTable, Unknown};
use crate::start_point::StartPointError;
use crate::status::Stop;
use crate::target::{Skipped, Source, Target, TargetError};
use onrush_node::record::{DecodeError, decode_records};

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
    StartPoint(StartPointError),
    #[error("read the sink's snapshot: {0}")]
    Snapshot(#[from] std::io::Error),
    /// Another node leads, so its sink writes.
    #[error("another node leads")]
    NotLeading,
    /// Its thread failed an assertion.
    #[error("a fault in onrush, which should be reported: {0}")]
    Panic(String),
}

impl From<StartPointError> for Trouble {
    fn from(error: StartPointError) -> Self {
        match error {
            StartPointError::Stop(stop) => Self::Stop(stop),
            other => Self::StartPoint(other),
        }
    }
}

/// Small steps while it is looked for the event that the target rejects.
#[derive(Clone, Copy, Debug)]
struct PoisonSearch {
    batch_events_max: usize,
    /// The event that the target named; it goes alone.
    alone: Option<u64>,
    /// Where all went well again.
    until: u64,
}

/// The target and how far it was written.
pub(crate) struct TargetWriter {
    handle: Arc<SinkHandle>,
    pub(crate) target: Box<dyn Target>,
    pub(crate) names: NameTable,
    skipped: Vec<Skipped>,
    /// Events below are known to the names; the next one to look at.
    pub(crate) passed: u64,
    /// Events below are in the target already.
    from: u64,
    /// The log's incarnations that the target was told of, and the offset before which each holds first; those that hold before
    /// what is durable are dropped, but for the last.
    incarnations: VecDeque<(u64, Incarnation)>,
    /// The target's offset, and the incarnation that it says holds before it, until it is known whether the log agrees.
    claim: Option<(u64, Incarnation)>,
    /// The offset that was sent last, and that below which everything is durable.
    sent: u64,
    durable: u64,
    /// Below which the target itself said, since it was opened, that everything is durable; 0 before it said anything.
    said_durable: u64,
    /// Events pushed since, and the last of them.
    pushed_count: usize,
    last_pushed: u64,
    /// How many went with the last batch that is not known to be durable: one that is rejected alone is the one.
    sent_count: usize,
    search: Option<PoisonSearch>,
    /// Payload bytes read since the snapshot was kept.
    pub(crate) bytes_since_snapshot: u64,
}

impl TargetWriter {
    pub(crate) fn new(handle: &Arc<SinkHandle>, target: Box<dyn Target>, names: NameTable) -> Self {
        Self {
            handle: Arc::clone(handle),
            target,
            names,
            skipped: Vec::new(),
            passed: 0,
            from: 0,
            incarnations: VecDeque::new(),
            claim: None,
            sent: 0,
            durable: 0,
            said_durable: 0,
            pushed_count: 0,
            last_pushed: 0,
            sent_count: 0,
            search: None,
            bytes_since_snapshot: 0,
        }
    }

    /// Opens the target. What it said before may be of another server than the one that answers now.
    pub(crate) fn open(&mut self, source: &Source, expected: &Expected) -> Result<Option<u64>, TargetError> {
        let _asked = self.handle.ask("open the target");
        self.target.set_expected(expected.clone());
        let opened = self.target.open(source)?;
        self.said_durable = 0;
        Ok(opened)
    }

    /// Goes on from `from`, with names as of `passed`, at most as far.
    pub(crate) fn begin(&mut self, names: NameTable, passed: u64, from: u64, skipped: Vec<Skipped>) {
        (self.names, self.passed, self.from, self.skipped) = (names, passed, from, skipped);
        (self.sent, self.durable) = (from, from);
        (self.pushed_count, self.sent_count) = (0, 0);
        (self.incarnations, self.claim) = (VecDeque::new(), None);
        self.enter_incarnation();
    }

    /// The target says that what it has below `offset` was decided last in this incarnation. Nothing is pushed before the log,
    /// read up to there, has said the same.
    pub(crate) fn expect(&mut self, offset: u64, incarnation: Incarnation) -> Result<(), Trouble> {
        // Where an operator left events out, the names may be from behind it: then nothing is known of that place.
        self.claim = Some((offset, incarnation)).filter(|_| self.passed <= offset);
        self.check_claim(self.passed)
    }

    /// Holds the claim of the target against the log, which was read up to `passed`.
    pub(crate) fn check_claim(&mut self, passed: u64) -> Result<(), Trouble> {
        let Some((offset, incarnation)) = self.claim.filter(|(offset, _)| passed >= *offset) else {
            return Ok(());
        };
        if incarnation != self.names.incarnation() {
            return Err(TargetError::Refused(format!(
                "the target has the events below offset {offset} from another history of this log: the log went on from an \
                 older copy of the data directory, and has other events there. {}, or put the data directory back that the \
                 target was written from",
                self.how_to_begin_again()
            ))
            .into());
        }
        self.claim = None;
        Ok(())
    }

    /// Whether the log has said the same as the target of what the target has. Before that nothing is kept of what was read.
    pub(crate) fn is_of_this_history(&self) -> bool {
        self.claim.is_none()
    }

    /// What makes the sink write all that this log has.
    pub(crate) fn how_to_begin_again(&self) -> String {
        let sink = &self.handle.settings.name;
        if self.target.keeps_offset() {
            "Empty the target or name another, which then gets what this log has".to_owned()
        } else {
            format!(
                "Stop the server and remove sinks/{sink}.offset and sinks/{sink}.place from the data directory, and the target \
                 then gets what this log has"
            )
        }
    }

    /// In which incarnation was decided what is before `offset`, if the log was read so far.
    pub(crate) fn incarnation_before(&self, offset: u64) -> Option<Incarnation> {
        let holds = self.incarnations.iter().rev().find(|(from, _)| *from <= offset);
        holds.filter(|_| offset <= self.passed).map(|(_, incarnation)| *incarnation)
    }

    fn enter_incarnation(&mut self) {
        let incarnation = self.names.incarnation();
        if self.incarnations.back().is_none_or(|(_, last)| *last != incarnation) {
            self.incarnations.push_back((self.passed, incarnation));
            self.target.enter_incarnation(incarnation);
        }
    }

    /// Everything below is durable in the target, or not for it.
    pub(crate) fn sink_offset(&self) -> u64 {
        let all_durable = self.pushed_count == 0 && self.durable >= self.sent;
        if all_durable { self.passed.max(self.from) } else { self.durable }
    }

    /// Below which the target itself says that it has everything. Events behind that may be none for it.
    pub(crate) fn said_durable(&self) -> u64 {
        self.said_durable
    }

    pub(crate) fn take_entry(&mut self, entry: &Entry<'_>) -> Result<(), Trouble> {
        self.bytes_since_snapshot += entry.payload.len() as u64;
        decode_records(entry.format, entry.payload, entry.time_ms, |record| {
            let offset = entry.base_offset + record.index;
            if offset < self.passed {
                return Ok(());
            }
            self.take_record(offset, &record)
        })
    }

    fn take_record(&mut self, offset: u64, record: &onrush_node::record::Record<'_>) -> Result<(), Trouble> {
        self.check_claim(offset)?;
        let left_out = offset < self.from || self.skipped.iter().any(|s| (s.from..s.to).contains(&offset));
        let goes_alone = self.search.is_some_and(|search| search.alone == Some(offset));
        if goes_alone && self.pushed_count > 0 {
            self.send()?;
        }
        let (target, selection) = (&mut self.target, &self.handle.settings.selection);
        let described = self.names.describe(offset, record, |event| {
            let takes = !left_out && selection.takes(event);
            if takes { target.push(event).map(|()| true) } else { Ok(false) }
        })?;
        match described.transpose() {
            Ok(took) => {
                self.passed = offset + 1;
                self.enter_incarnation();
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
        self.search.map_or(usual, |search| search.batch_events_max.min(usual))
    }

    /// Sends what was pushed, or, with nothing pushed, how far the log was read.
    pub(crate) fn send(&mut self) -> Result<(), Trouble> {
        let written_count = std::mem::take(&mut self.pushed_count);
        if written_count > 0 {
            self.sent_count = written_count;
        }
        self.sent = self.passed;
        let durable = {
            let _asked = self.handle.ask("write events");
            self.target.send(self.passed)?
        };
        self.handle.shown().written_count += written_count as u64;
        self.note_durable(durable);
        if self.search.is_some() {
            self.make_durable()?;
        }
        Ok(())
    }

    /// Sends what was pushed, and waits until all that was sent is durable.
    pub(crate) fn make_durable(&mut self) -> Result<(), Trouble> {
        if self.pushed_count > 0 {
            self.send()?;
        }
        let durable = {
            let _asked = self.handle.ask("wait until events are durable");
            self.target.wait_until_durable()?
        };
        self.note_durable(durable);
        self.sent_count = 0;
        Ok(())
    }

    pub(crate) fn has_pushed(&self) -> bool {
        self.pushed_count > 0
    }

    /// Whether the target knows how far the log was read. On the way to where it goes on it knows more.
    pub(crate) fn is_sent(&self) -> bool {
        self.sent >= self.passed
    }

    fn note_durable(&mut self, durable: u64) {
        // A target may write on its own when what was pushed is large.
        assert!(durable <= self.passed.max(self.from), "nothing is durable before it was pushed");
        (self.durable, self.said_durable) = (self.durable.max(durable), durable);
        while self.incarnations.get(1).is_some_and(|(from, _)| *from <= self.durable) {
            self.incarnations.pop_front();
        }
        if self.search.is_some_and(|search| self.durable >= search.until) {
            self.search = None;
        }
    }

    /// The target rejects an event: which one, if that is certain now; otherwise the next attempt goes in smaller steps.
    pub(crate) fn narrow_down(&mut self, named: Option<u64>) -> SearchStep {
        if self.sent_count == 0 {
            return SearchStep::Nothing;
        }
        let names_another = named.is_some_and(|named| named != self.last_pushed);
        if self.search.is_some() && self.sent_count == 1 && !names_another {
            self.search = None;
            return SearchStep::Found(self.last_pushed);
        }
        let seen = self.passed.max(self.last_pushed + 1);
        let until = self.search.map_or(seen, |search| search.until.max(seen));
        let usual = self.batch_events_max();
        let batch_events_max = if named.is_some() { usual } else { (usual.min(self.sent_count) / 2).max(1) };
        self.search = Some(PoisonSearch { batch_events_max, alone: named, until });
        SearchStep::Closer
    }
}

/// What is known of an event that the target rejects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SearchStep {
    /// It is this one.
    Found(u64),
    /// It is among fewer than before.
    Closer,
    /// None was sent, so it is none of them.
    Nothing,
}

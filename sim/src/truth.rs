//! What really is in force, worked out by rules of its own, and whether what clients were told agrees with it.

use onrush_core::{Event, Limits, State, TimeMs};
use onrush_log::Format;
use onrush_log::shared::{LogId, RecordKind, RecordNo, SharedRecord};
use onrush_node::record::{DecodeError, decode_records};

use crate::history::{Answered, Asked, Fate, History};

/// The records in force, oldest first.
#[derive(Default)]
pub(crate) struct Truth {
    entries: Vec<Entry>,
    payloads: Vec<u8>,
    log_id: Option<LogId>,
    epoch: Option<RecordNo>,
    is_led: bool,
    sequence: u64,
    next_offset: u64,
    newest_ms: TimeMs,
    epoch_count: u64,
    note: Option<u64>,
}

struct Entry {
    time_ms: TimeMs,
    told_ms: TimeMs,
    payload: std::ops::Range<usize>,
}

impl Truth {
    /// Number of events in force.
    pub(crate) fn next_offset(&self) -> u64 {
        self.next_offset
    }

    /// The newest epoch.
    pub(crate) fn epoch(&self) -> Option<RecordNo> {
        self.epoch
    }

    /// How many epochs there were.
    pub(crate) fn epoch_count(&self) -> u64 {
        self.epoch_count
    }

    /// What the newest note says.
    pub(crate) fn note(&self) -> Option<u64> {
        self.note
    }

    /// The log has given a record this number.
    pub(crate) fn take(&mut self, no: RecordNo, bytes: &[u8]) {
        let Ok(record) = SharedRecord::decode(bytes) else { return };
        if self.log_id.is_some_and(|id| id != record.log_id) {
            return;
        }
        if record.kind == RecordKind::Claim {
            if self.epoch == record.epoch {
                if self.log_id.is_none() {
                    self.next_offset = record.base_offset;
                }
                (self.log_id, self.epoch, self.is_led) = (Some(record.log_id), Some(no), true);
                self.sequence = 0;
                self.epoch_count += 1;
            }
            return;
        }
        let is_next = record.base_offset == self.next_offset && record.sequence > self.sequence;
        if self.is_led && self.epoch == record.epoch && is_next {
            self.bring_into_force(no, &record);
        }
    }

    fn bring_into_force(&mut self, no: RecordNo, record: &SharedRecord<'_>) {
        let SharedRecord { time_ms, told_ms, .. } = *record;
        assert!(time_ms >= self.newest_ms, "time falls at number {}: {record} is of {time_ms}", no.0);
        (self.newest_ms, self.sequence) = (told_ms, record.sequence);
        self.next_offset += u64::from(record.event_count);
        match record.kind {
            RecordKind::Resignation => (self.epoch, self.is_led) = (Some(no), false),
            RecordKind::Note => self.note = Some(number_of(record.payload)),
            RecordKind::Claim | RecordKind::Batch | RecordKind::Mark => {}
        }
        let start = self.payloads.len();
        if record.kind == RecordKind::Batch {
            self.payloads.extend_from_slice(record.payload);
        }
        self.entries.push(Entry { time_ms, told_ms, payload: start..self.payloads.len() });
    }

    /// Goes through all that was in force, and checks that each answer was true at some moment between question and answer. Returns
    /// the state at the end.
    pub(crate) fn check(&self, history: &History) -> State {
        let mut walk = Walk::new(history);
        for entry in &self.entries {
            let payload = &self.payloads[entry.payload.clone()];
            let read = decode_records(Format::NEWEST, payload, entry.time_ms, |record| {
                walk.look(Some(&record.event));
                walk.apply(&record.event, record.at);
                Ok::<_, DecodeError>(())
            });
            read.expect("what is in force can be read");
            walk.look(None);
            walk.state.advance_time(entry.told_ms);
        }
        walk.look(None);
        if let Some(number) = walk.open.first() {
            let Asked { question, from, fate, .. } = &history.asked[*number];
            let Fate::Answered(Answered { told, at, until, .. }) = fate else { unreachable!("it is open") };
            panic!(
                "question {number}, {question:?}, was told {told:?} at {at}, which is true at no offset from {from} to {until}"
            );
        }
        walk.state
    }
}

/// A state on its way through the log, and the answers that were not true anywhere so far.
struct Walk<'a> {
    state: State,
    offset: u64,
    history: &'a History,
    open: Vec<usize>,
}

impl<'a> Walk<'a> {
    fn new(history: &'a History) -> Self {
        let is_answered = |number: &usize| matches!(history.asked[*number].fate, Fate::Answered(_));
        let open = (0..history.asked.len()).filter(is_answered).collect();
        Self { state: new_state(), offset: 0, history, open }
    }

    fn apply(&mut self, event: &Event<'_>, at: TimeMs) {
        self.state.apply(event, at);
        self.offset += 1;
    }

    /// Looks for answers that are true here, the next event being this.
    fn look(&mut self, next: Option<&Event<'_>>) {
        let Self { state, offset, history, open } = self;
        // One event is the answer to one question.
        let mut is_taken = false;
        open.retain(|number| {
            let Asked { question, from, fate, .. } = &history.asked[*number];
            let Fate::Answered(Answered { told, at, has_event, until }) = fate else { return false };
            if !(*from..=*until).contains(offset) || (*has_event && (is_taken || next.is_none())) {
                return true;
            }
            // An answer that is an event is true where the event is; any other where there would be none.
            let mut fits = !*has_event;
            let here = question.ask(state, *at, |event| fits = *has_event && Some(event) == next);
            let is_true = here == *told && fits;
            is_taken |= is_true && *has_event;
            !is_true
        });
    }
}

/// A state without anything.
pub(crate) fn new_state() -> State {
    State::new(Limits::default(), 0)
}

/// What a note says.
pub(crate) fn number_of(payload: &[u8]) -> u64 {
    u64::from_le_bytes(payload.try_into().expect("a note has eight bytes"))
}

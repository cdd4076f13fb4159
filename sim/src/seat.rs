//! What a node has while it leads: the state that it decides on, which is ahead of what is in force, and the answers that wait.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use onrush_core::{Event, State, TimeMs, decide_expiry};
use onrush_log::Format;
use onrush_log::shared::{
    Acked, Acks, InForce, LogId, NodeId, RecordKind, RecordNo, SharedAppender, SharedBounds, SharedError,
    SharedRecord,
};
use onrush_node::record::{DecodeError, decode_records, encode_event, encode_time};

use crate::bug::Bug;
use crate::history::Answered;
use crate::question::{Question, Told, put_sale};

/// An idle leader says so often that it is there.
const MARK_INTERVAL_MS: u64 = 50;

/// Acknowledgements that nobody has looked at.
#[derive(Default)]
pub(crate) struct Inbox(Mutex<Vec<(u64, Result<Acked, SharedError>)>>);

impl Inbox {
    /// Takes them all.
    pub(crate) fn take(&self) -> Vec<(u64, Result<Acked, SharedError>)> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether there are any.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

impl Acks for Inbox {
    fn ack(&self, ticket: u64, acked: Result<Acked, SharedError>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((ticket, acked));
    }
}

/// By what a seat is found in the log.
#[derive(Clone, Copy)]
pub(crate) struct Term {
    pub(crate) node: NodeId,
    pub(crate) log_id: LogId,
    pub(crate) epoch: RecordNo,
    pub(crate) bounds: SharedBounds,
    pub(crate) bug: Option<Bug>,
}

/// The part of a node that decides.
pub(crate) struct Seat {
    term: Term,
    pub(crate) state: State,
    now: TimeMs,
    batch: OpenBatch,
    base_offset: u64,
    pub(crate) in_force: InForce,
    appender: Box<dyn SharedAppender>,
    inbox: Arc<Inbox>,
    waiting: VecDeque<Waiting>,
    handed_count: u64,
    handed_at: TimeMs,
    resigns_to: Option<NodeId>,
    has_resigned: bool,
    note: Option<u64>,
    record: Vec<u8>,
}

/// An answer that rests on a record.
struct Waiting {
    rests_on: u64,
    number: usize,
    told: Told,
    at: TimeMs,
    has_event: bool,
}

#[derive(Default)]
struct OpenBatch {
    payload: Vec<u8>,
    event_count: u32,
    time: TimeMs,
    dated: TimeMs,
}

impl Seat {
    /// Takes the lead with the state of everything in force below the claim.
    pub(crate) fn new(
        term: Term,
        state: State,
        base_offset: u64,
        clock: TimeMs,
        appender: Box<dyn SharedAppender>,
        inbox: Arc<Inbox>,
    ) -> Self {
        let mut seat = Self {
            term,
            now: state.time(),
            state,
            batch: OpenBatch::default(),
            base_offset,
            in_force: InForce::new(term.epoch, term.bounds),
            appender,
            inbox,
            waiting: VecDeque::new(),
            handed_count: 0,
            handed_at: 0,
            resigns_to: None,
            has_resigned: false,
            note: None,
            record: Vec::new(),
        };
        seat.advance(clock);
        if !seat.state.has_sale(crate::question::SALE) {
            let now = seat.now;
            let mut start = 0;
            put_sale(&seat.state, now, |event| start = seat.batch.record(event, now));
            seat.apply_from(start);
        }
        seat
    }

    /// The epoch of its claim.
    pub(crate) fn epoch(&self) -> RecordNo {
        self.term.epoch
    }

    /// Whether it has something to do before any time passes.
    pub(crate) fn has_work(&self) -> bool {
        let has_room = self.in_force.outstanding_count() < self.term.bounds.outstanding_max;
        let has_record = self.batch.event_count > 0
            || self.note.is_some()
            || self.waiting.back().is_some_and(|waiting| waiting.rests_on > self.handed_count)
            || (self.resigns_to.is_some() && self.in_force.outstanding_count() == 0);
        !self.inbox.is_empty() || self.in_force.has_failed() || (has_room && has_record && !self.has_resigned)
    }

    /// Whether it still takes questions.
    pub(crate) fn takes_questions(&self) -> bool {
        self.resigns_to.is_none()
    }

    /// Decides; the answer waits.
    pub(crate) fn ask(&mut self, number: usize, question: Question, clock: TimeMs) {
        self.advance(clock);
        let (at, mut start) = (self.now, None);
        let Self { state, batch, .. } = self;
        let told = question.ask(state, at, |event| start = Some(batch.record(event, at)));
        let has_event = start.is_some();
        if let Some(start) = start {
            self.apply_from(start);
        }
        let mut rests_on = self.handed_count + 1;
        if self.term.bug == Some(Bug::RefusalsWithoutRecord) && self.batch.event_count == 0 {
            rests_on = self.handed_count;
        }
        self.waiting.push_back(Waiting { rests_on, number, told, at, has_event });
    }

    /// The next leader is to be this one.
    pub(crate) fn resign(&mut self, to: NodeId) {
        self.resigns_to.get_or_insert(to);
    }

    /// Tells all nodes a number, some time.
    pub(crate) fn note(&mut self, number: u64) {
        self.note = Some(number);
    }

    /// Looks at the acknowledgements.
    pub(crate) fn take_acks(&mut self) {
        for (sequence, acked) in self.inbox.take() {
            Bug::acked(self.term.bug, &mut self.in_force, self.term.epoch, sequence, &acked);
        }
    }

    /// Answers that rest on what is in force, in order; `until` is how many events are in force really.
    pub(crate) fn release(&mut self, until: u64, mut tell: impl FnMut(usize, Answered)) {
        while self.waiting.front().is_some_and(|waiting| waiting.rests_on <= self.in_force.count()) {
            let Some(Waiting { number, told, at, has_event, .. }) = self.waiting.pop_front() else { return };
            tell(number, Answered { told, at, has_event, until });
        }
    }

    /// Hands over what is due, as far as there is room; `tell` is told what.
    pub(crate) fn write(&mut self, clock: TimeMs, mut tell: impl FnMut(&SharedRecord<'_>)) {
        self.advance(clock);
        while !self.has_resigned && self.in_force.outstanding_count() < self.term.bounds.outstanding_max {
            if self.batch.event_count > 0 {
                let batch = std::mem::take(&mut self.batch);
                self.hand_over(RecordKind::Batch, &batch, &mut tell);
                self.batch.payload = batch.payload;
                self.batch.payload.clear();
            } else if let Some(note) = self.note.take() {
                let payload = note.to_le_bytes().to_vec();
                self.hand_over(RecordKind::Note, &OpenBatch { payload, ..self.no_batch() }, &mut tell);
            } else if self.needs_mark() {
                self.hand_over(RecordKind::Mark, &self.no_batch(), &mut tell);
            } else if self.resigns_to.is_some() && self.in_force.outstanding_count() == 0 {
                self.has_resigned = true;
                self.hand_over(RecordKind::Resignation, &self.no_batch(), &mut tell);
            } else {
                return;
            }
        }
    }

    /// The answers that nobody will get, and the state, for whoever goes on from it though it must not.
    pub(crate) fn vacate(self, mut tell: impl FnMut(usize)) -> State {
        self.waiting.iter().for_each(|waiting| tell(waiting.number));
        self.state
    }

    fn needs_mark(&self) -> bool {
        self.waiting.back().is_some_and(|waiting| waiting.rests_on > self.handed_count)
            || (self.now >= self.handed_at + MARK_INTERVAL_MS
                && self.in_force.outstanding_count() == 0
                && self.resigns_to.is_none())
    }

    fn no_batch(&self) -> OpenBatch {
        OpenBatch { time: self.now, ..OpenBatch::default() }
    }

    fn hand_over(&mut self, kind: RecordKind, batch: &OpenBatch, tell: &mut dyn FnMut(&SharedRecord<'_>)) {
        let (sequence, expected) = match kind {
            RecordKind::Resignation => self.in_force.hand_over_last(),
            _ => self.in_force.hand_over(),
        };
        self.handed_count = sequence;
        let is_dated = self.term.bug != Some(Bug::AnswersNotDated);
        let record = SharedRecord {
            kind,
            format: if kind == RecordKind::Batch { Format::NEWEST } else { Format::V1 },
            log_id: self.term.log_id,
            partition: 0,
            node: self.resigns_to.filter(|_| kind == RecordKind::Resignation).unwrap_or(self.term.node),
            epoch: Some(self.term.epoch),
            sequence,
            base_offset: self.base_offset,
            time_ms: batch.time,
            told_ms: if is_dated { self.now.max(batch.time) } else { batch.time },
            event_count: batch.event_count,
            payload: &batch.payload,
        };
        tell(&record);
        self.record.clear();
        record.encode(&mut self.record);
        self.base_offset = record.next_offset();
        self.state.advance_time(record.told_ms);
        self.handed_at = self.now;
        self.appender.append(sequence, expected, &self.record).expect("the record is small");
    }

    /// Goes on to the time of a clock. Holds that are due expire before anything else is decided.
    fn advance(&mut self, clock: TimeMs) {
        self.now = if self.term.bug == Some(Bug::ClockNotClamped) { clock } else { self.now.max(clock) };
        while let Some(event) = decide_expiry(&self.state, self.now) {
            self.batch.record(&event, self.now);
            self.state.apply(&event, self.now);
        }
    }

    /// Applies the event that was recorded from there on, as readers will.
    fn apply_from(&mut self, start: usize) {
        apply(&mut self.state, &self.batch.payload[start..], self.now);
    }
}

impl OpenBatch {
    /// Takes up an event; where it stands.
    fn record(&mut self, event: &Event<'_>, at: TimeMs) -> usize {
        if self.event_count == 0 {
            (self.time, self.dated) = (at, at);
        }
        if at != self.dated {
            encode_time(&mut self.payload, self.time, at);
            self.dated = at;
        }
        let start = self.payload.len();
        encode_event(&mut self.payload, event);
        self.event_count += 1;
        start
    }
}

/// Applies the events of a payload of this time.
pub(crate) fn apply(state: &mut State, payload: &[u8], time_ms: TimeMs) {
    let read = decode_records(Format::NEWEST, payload, time_ms, |record| {
        state.apply(&record.event, record.at);
        Ok::<_, DecodeError>(())
    });
    read.expect("what a leader writes can be read");
}

//! One node: its reader, its copy of what is in force, the state that it adds up to, and its seat while it leads.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::time::Duration;

use onrush_core::{State, TimeMs};
use onrush_log::Format;
use onrush_log::shared::memory::MemorySharedLog;
use onrush_log::shared::{
    Acked, Acks, Admission, ClaimStep, ClaimTimes, Fence, Leadership, LogId, NodeId, Place, RecordKind,
    RecordNo, Role, SharedAppender, SharedLog, SharedReader, SharedRecord, Verdict,
};

use crate::bug::Bug;
use crate::history::History;
use crate::question::Question;
use crate::seat::{Inbox, Seat, Term, apply};
use crate::trace::Trace;
use crate::truth::{new_state, number_of};

/// Steps of the leadership in one turn; more would be a circle.
const STEPS_MAX: usize = 8;

/// What a node sees of the world in one step.
pub(crate) struct Around<'a> {
    pub(crate) log: &'a MemorySharedLog,
    pub(crate) history: &'a mut History,
    pub(crate) trace: &'a mut Trace,
    /// So many events are in force really.
    pub(crate) until: u64,
    pub(crate) now_ms: u64,
    /// Which nodes answer a ping, as bits.
    pub(crate) answering: u32,
    pub(crate) bug: Option<Bug>,
}

/// One node.
pub(crate) struct Node {
    index: u64,
    id: NodeId,
    pub(crate) clock_offset_ms: i64,
    pub(crate) is_frozen: bool,
    /// Its steady clock is so much ahead of that of the world.
    pub(crate) steady_ahead_ms: u64,
    /// It reads nothing, though what it writes arrives.
    pub(crate) is_blind: bool,
    /// Time has passed, or something was read, since the last turn.
    pub(crate) turn_due: bool,
    times: ClaimTimes,
    life_count: u64,
    fence: Fence,
    reader: Box<dyn SharedReader>,
    copy: Copy,
    /// Of everything in the copy; the seat has it while there is one.
    state: Option<State>,
    note: Option<u64>,
    leadership: Leadership,
    claims: Box<dyn SharedAppender>,
    claim_inbox: Arc<Inbox>,
    claim_count: u64,
    seat: Option<Seat>,
}

/// A node's own copy of what is in force.
#[derive(Default)]
struct Copy {
    entries: Vec<CopyEntry>,
    payloads: Vec<u8>,
}

struct CopyEntry {
    /// Behind it.
    place: Place,
    time_ms: TimeMs,
    told_ms: TimeMs,
    payload: Range<usize>,
    note: Option<u64>,
}

impl Node {
    /// A node that has nothing, not even an id that is its own.
    pub(crate) fn new(index: u64, id: NodeId, times: ClaimTimes, log: &MemorySharedLog, now_ms: u64) -> Self {
        let place = Place::default();
        let now = Duration::from_millis(now_ms);
        let (claims, claim_inbox) = open_appender(log);
        Self {
            index,
            id,
            clock_offset_ms: 0,
            is_frozen: false,
            steady_ahead_ms: 0,
            is_blind: false,
            turn_due: true,
            times,
            life_count: 1,
            fence: Fence::new(0, place),
            reader: log.reader(0, place.next_no).expect("the log in memory can be read"),
            copy: Copy::default(),
            state: Some(new_state()),
            note: None,
            leadership: Leadership::new(id, tag(index, 1), times, &place, now),
            claims,
            claim_inbox,
            claim_count: 0,
            seat: None,
        }
    }

    /// The process ends without a word and another starts, which finds so many entries of the copy.
    pub(crate) fn restart(&mut self, kept_count: usize, around: &mut Around<'_>) {
        if let Some(seat) = self.seat.take() {
            seat.vacate(|number| around.history.give_up(number));
        }
        self.copy.entries.truncate(kept_count);
        let place = self.copy.entries.last().map_or_else(Place::default, |entry| entry.place);
        self.life_count += 1;
        let now = self.now(around);
        self.fence = Fence::new(0, place);
        self.reader = around.log.reader(0, place.next_no).expect("the log in memory can be read");
        self.leadership = Leadership::new(self.id, tag(self.index, self.life_count), self.times, &place, now);
        (self.claims, self.claim_inbox) = open_appender(around.log);
        self.claim_count = 0;
        self.replay();
    }

    /// Entries of its copy.
    pub(crate) fn copy_count(&self) -> usize {
        self.copy.entries.len()
    }

    /// What it decides with, if it leads as far as it knows.
    pub(crate) fn seat(&self) -> Option<&Seat> {
        self.seat.as_ref()
    }

    /// The same.
    pub(crate) fn seat_mut(&mut self) -> Option<&mut Seat> {
        self.seat.as_mut()
    }

    /// What it calls itself.
    pub(crate) fn id(&self) -> NodeId {
        self.id
    }

    /// The number of the record that it reads next.
    pub(crate) fn next_no(&self) -> RecordNo {
        self.fence.place().next_no
    }

    /// Number of events in its copy.
    pub(crate) fn next_offset(&self) -> u64 {
        self.fence.place().next_offset
    }

    /// The newest note that it has read.
    pub(crate) fn note(&self) -> Option<u64> {
        self.note
    }

    /// The state that it follows or decides with.
    pub(crate) fn state(&self) -> &State {
        self.seat.as_ref().map(|seat| &seat.state).or(self.state.as_ref()).expect("one of them has it")
    }

    /// Whether it can read more of a log with so many records.
    pub(crate) fn can_read(&self, record_count: usize) -> bool {
        !self.is_blind && self.next_no().0 < record_count as u64
    }

    /// Whether a turn would do something.
    pub(crate) fn has_work(&self) -> bool {
        self.turn_due
            || !self.claim_inbox.is_empty()
            || self.leadership.role() == Role::Deposed
            || self.seat.as_ref().is_some_and(Seat::has_work)
    }

    /// A client asks. A node that does not lead says so at once, which is no answer.
    pub(crate) fn ask(&mut self, number: usize, question: Question, around: &mut Around<'_>) {
        let clock = self.clock(around);
        match self.seat.as_mut().filter(|seat| seat.takes_questions()) {
            Some(seat) => seat.ask(number, question, clock),
            None => around.history.give_up(number),
        }
    }

    /// Reads so many records at most; whether that was all there is.
    pub(crate) fn read(&mut self, count: usize, around: &mut Around<'_>) -> bool {
        if self.is_blind {
            return false;
        }
        let now = self.now(around);
        let Self { index, id, fence, reader, copy, state, note, leadership, seat, .. } = self;
        let mut left = count;
        let progress = reader.read(Duration::ZERO, &mut |no, bytes| {
            let Admission { verdict, record } = Bug::read(around.bug, fence, no, bytes);
            around.trace.say(|| match &record {
                Ok(record) => format!("    node {index} reads number {}, {record}: {verdict:?}", no.0),
                Err(problem) => format!("    node {index} reads number {}: {problem}", no.0),
            });
            if let Ok(record) = &record {
                let is_of_seat =
                    |seat: &&mut Seat| record.kind != RecordKind::Claim && record.epoch == Some(seat.epoch());
                if let Some(seat) = seat.as_mut().filter(is_of_seat) {
                    seat.in_force.read_back(record.sequence, no, verdict);
                }
                if verdict == Verdict::InForce {
                    *note = copy.keep(record, *fence.place()).or(*note);
                    if let Some(state) = state {
                        apply(state, batch_of(record), record.time_ms);
                        state.advance_time(record.told_ms);
                    }
                }
                leadership.read(no, &Bug::own_claim(around.bug, record, leadership.tag(), *id), verdict, now);
            }
            left -= 1;
            // A seat is taken with all that is in force below its claim, and no more.
            let has_to_sit = seat.is_none() && matches!(leadership.role(), Role::Leading { .. });
            if has_to_sit || left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        self.turn_due = true;
        if let (Role::Leading { epoch }, None) = (self.leadership.role(), &self.seat) {
            self.sit(epoch, around);
        }
        progress.expect("the log in memory can be read").is_level
    }

    /// Does what is due: looks at acknowledgements, releases answers, leads or tries to, and writes.
    pub(crate) fn turn(&mut self, around: &mut Around<'_>) {
        self.turn_due = false;
        self.take_claim_acks(around);
        let Self { index, seat, leadership, .. } = self;
        if let (Some(seat), Role::Leading { .. }) = (seat, leadership.role()) {
            seat.take_acks();
            let Around { history, trace, until, .. } = around;
            seat.release(*until, |number, answered| {
                trace.say(|| {
                    format!("    question {number} is answered: {:?} at {}", answered.told, answered.at)
                });
                history.answer(number, answered);
            });
            if seat.in_force.has_failed() {
                trace.say(|| format!("    node {index} gives its epoch up"));
                leadership.give_up();
            }
        }
        self.step(around);
        let clock = self.clock(around);
        let index = self.index;
        if let Some(seat) = &mut self.seat {
            seat.write(clock, |record| {
                around.trace.say(|| format!("    node {index} hands over a {record}"));
            });
        }
    }

    fn step(&mut self, around: &mut Around<'_>) {
        let now = self.now(around);
        for _ in 0..STEPS_MAX {
            match self.leadership.next_step(now) {
                ClaimStep::Wait { .. } => return,
                ClaimStep::Look => {
                    let is_level = self.read(usize::MAX, around);
                    if !is_level {
                        return;
                    }
                    self.leadership.looked(is_level);
                }
                ClaimStep::Ping { leader } => {
                    self.leadership.pinged(around.answering >> leader.0 & 1 == 1);
                }
                ClaimStep::Claim { seen } => self.claim(seen, around),
                ClaimStep::Vacate => self.vacate(around),
            }
        }
        panic!("node {} goes in a circle", self.index);
    }

    fn claim(&mut self, seen: Option<RecordNo>, around: &mut Around<'_>) {
        let record = self.own_claim(seen);
        around.trace.say(|| format!("    node {} hands over a {record}", self.index));
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        self.claim_count += 1;
        let expected = self.fence.place().next_no;
        self.claims.append(self.claim_count, expected, &bytes).expect("a claim is small");
    }

    fn own_claim(&self, seen: Option<RecordNo>) -> SharedRecord<'static> {
        let time_ms = self.state().time();
        SharedRecord {
            kind: RecordKind::Claim,
            format: Format::V1,
            log_id: self.log_id(),
            partition: 0,
            node: self.id,
            epoch: seen,
            sequence: self.leadership.tag(),
            base_offset: self.fence.place().next_offset,
            time_ms,
            told_ms: time_ms,
            event_count: 0,
            payload: b"",
        }
    }

    /// That of the log, or, if it has none, one that this node gives it.
    fn log_id(&self) -> LogId {
        self.fence.place().log_id.unwrap_or(LogId(u128::from(self.leadership.tag())))
    }

    fn take_claim_acks(&mut self, around: &mut Around<'_>) {
        let now = self.now(around);
        for (ticket, acked) in self.claim_inbox.take() {
            match acked {
                Err(_) if ticket == self.claim_count => self.leadership.claim_failed(now),
                Ok(Acked { no: Some(no), .. })
                    if around.bug == Some(Bug::LeadsBeforeOwnClaim)
                        && self.leadership.role() == Role::Claiming =>
                {
                    let claim = self.own_claim(None);
                    self.leadership.read(no, &claim, Verdict::InForce, now);
                    self.sit(no, around);
                }
                _ => {}
            }
        }
    }

    fn sit(&mut self, epoch: RecordNo, around: &mut Around<'_>) {
        around.trace.say(|| format!("    node {} leads epoch {}", self.index, epoch.0));
        let bounds = around.log.bounds();
        let term = Term { node: self.id, log_id: self.log_id(), epoch, bounds, bug: around.bug };
        let state = self.state.take().expect("there is no seat that has it");
        let (appender, inbox) = open_appender(around.log);
        let (next_offset, clock) = (self.next_offset(), self.clock(around));
        self.seat = Some(Seat::new(term, state, next_offset, clock, appender, inbox));
    }

    fn vacate(&mut self, around: &mut Around<'_>) {
        around.trace.say(|| format!("    node {} vacates", self.index));
        let seat = self.seat.take().expect("who was deposed has led");
        let state = seat.vacate(|number| around.history.give_up(number));
        if around.bug == Some(Bug::KeepsState) {
            self.state = Some(state);
        } else {
            self.replay();
        }
        self.leadership.vacated();
    }

    /// Makes the state anew from the copy.
    fn replay(&mut self) {
        let mut state = new_state();
        self.note = None;
        for entry in &self.copy.entries {
            apply(&mut state, &self.copy.payloads[entry.payload.clone()], entry.time_ms);
            state.advance_time(entry.told_ms);
            self.note = entry.note.or(self.note);
        }
        self.state = Some(state);
    }

    fn now(&self, around: &Around<'_>) -> Duration {
        Duration::from_millis(around.now_ms + self.steady_ahead_ms)
    }

    fn clock(&self, around: &Around<'_>) -> TimeMs {
        around.now_ms.saturating_add_signed(self.clock_offset_ms)
    }
}

impl Copy {
    /// Keeps a record in force; what it says, if it is a note.
    fn keep(&mut self, record: &SharedRecord<'_>, place: Place) -> Option<u64> {
        let start = self.payloads.len();
        self.payloads.extend_from_slice(batch_of(record));
        let note = (record.kind == RecordKind::Note).then(|| number_of(record.payload));
        let SharedRecord { time_ms, told_ms, .. } = *record;
        self.entries.push(CopyEntry { place, time_ms, told_ms, payload: start..self.payloads.len(), note });
        note
    }
}

/// The events of a record; none unless it is a batch.
fn batch_of<'a>(record: &SharedRecord<'a>) -> &'a [u8] {
    if record.kind == RecordKind::Batch { record.payload } else { b"" }
}

fn open_appender(log: &MemorySharedLog) -> (Box<dyn SharedAppender>, Arc<Inbox>) {
    let inbox = Arc::new(Inbox::default());
    let appender = log.appender(0, Arc::clone(&inbox) as Arc<dyn Acks>).expect("the log in memory is there");
    (appender, inbox)
}

/// What no other life of any node has.
fn tag(index: u64, life: u64) -> u64 {
    index << 32 | life
}

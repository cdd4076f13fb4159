//! What the threads of a node tell each other: how far the copy has come, whether the state is level with it, and the term of
//! this node while it leads.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use onrush_log::Wake;
use onrush_log::shared::{
    Acked, Acks, InForce, LogId, NodeId, Place, RecordKind, RecordNo, SharedAppender, SharedBounds,
    SharedError, SharedRecord, Verdict,
};

use onrush_node::Clock;

use crate::clock_check::ClockCheck;
use crate::notes::Notes;
use crate::status::Dropped;

/// Under this name whoever leads notes from which offset on its sinks need the log. Sinks cannot have it.
const NEEDED_NOTE: &str = "log needed from";

/// After so long without a leader nobody is about to be one.
const VACANCY_MAX: Duration = Duration::from_secs(2);

/// The figures, and who waits for a change of them.
pub(crate) struct Board {
    state: Mutex<BoardState>,
    changed: Condvar,
}

#[derive(Default)]
pub(crate) struct BoardState {
    /// The copy has the events below.
    pub(crate) copied: u64,
    /// The latest time that was told by somebody who led.
    pub(crate) told_ms: u64,
    /// Somebody has applied the whole copy and waits to lead.
    pub(crate) is_warm: bool,
    /// Of this node, while it leads.
    pub(crate) term: Option<Term>,
    /// What was read.
    pub(crate) seen: Seen,
    /// What whoever led has noted last.
    pub(crate) notes: Notes,
    /// The same with what this node has noted while it leads, as it is to be.
    pub(crate) own_notes: Option<Notes>,
    /// Why nothing is followed any more.
    pub(crate) problem: Option<String>,
    /// Settings of the shared log by which it can lose records, so that this node must not lead.
    pub(crate) unsafe_settings: Option<String>,
    /// Another process has this node's number, so that this one must not lead.
    pub(crate) same_number: Option<String>,
    /// Up to here a new node has everything from the newest snapshot in the log of snapshots, as far as this node has looked.
    pub(crate) snapshot_offset: Option<u64>,
    /// Why no snapshot was sent that was due.
    pub(crate) snapshot_trouble: Option<String>,
    /// The node does not begin to lead any more.
    pub(crate) is_standing_down: bool,
    /// When that began, by the steady clock, if it led then.
    pub(crate) left_at: Option<Duration>,
    /// The node leaves: it leads no more, and its threads end.
    pub(crate) is_leaving: bool,
}

/// What was read of the log, for whoever asks.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    pub(crate) place: Place,
    /// CRC32C of the record before the place, if this process has read it.
    pub(crate) last_checksum: Option<u32>,
    pub(crate) leader_url: String,
    pub(crate) leads: bool,
    pub(crate) since_ms: u64,
    /// Since when the epoch is this, by the steady clock.
    pub(crate) epoch_since: Duration,
    pub(crate) term_count: u64,
    pub(crate) dropped: Dropped,
}

/// What this node has while it leads.
pub(crate) struct Term {
    pub(crate) epoch: RecordNo,
    pub(crate) log_id: LogId,
    /// Events before the next batch of it.
    pub(crate) next_offset: u64,
    pub(crate) in_force: InForce,
    pub(crate) clock_check: ClockCheck,
    /// How far this node's clock is ahead of that of the log, if that is too much.
    pub(crate) clock_apart_ms: Option<i64>,
    /// Until a writer has it: the way that its claim took.
    pub(crate) appender: Option<Box<dyn SharedAppender>>,
    /// Its writer is gone, or something that it handed over failed.
    pub(crate) is_given_up: bool,
    wake: Option<Wake>,
}

impl Board {
    pub(crate) fn new(copied: u64, told_ms: u64, notes: Notes) -> Arc<Self> {
        let state = BoardState { copied, told_ms, notes, ..BoardState::default() };
        Arc::new(Self { state: Mutex::new(state), changed: Condvar::new() })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, BoardState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something, and wakes whoever waits for that.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut BoardState) -> R) -> R {
        let changed = change(&mut self.state());
        self.changed.notify_all();
        changed
    }

    /// Whether this node may begin to lead.
    pub(crate) fn may_claim(&self) -> bool {
        let state = self.state();
        state.is_warm
            && !state.is_standing_down
            && state.unsafe_settings.is_none()
            && state.same_number.is_none()
    }

    /// Whether the leader has resigned a moment before `now`, by the steady clock, and this node may lead next, or is about to. To a node
    /// that was the leader it is so until it has read that another one is.
    pub(crate) fn is_vacant(&self, node: NodeId, now: Duration) -> bool {
        let state = self.state();
        let BoardState { seen, is_warm, .. } = &*state;
        if state.is_standing_down {
            let is_nobody_next = seen.place.leader.is_none_or(|leader| leader == node);
            return is_nobody_next && state.left_at.is_some_and(|left_at| now < left_at + VACANCY_MAX);
        }
        let has_resigned = seen.place.epoch.is_some() && seen.place.leader.is_none();
        (seen.leads || (has_resigned && *is_warm))
            && now < seen.epoch_since + VACANCY_MAX
            && state.problem.is_none()
            && state.unsafe_settings.is_none()
            && state.same_number.is_none()
    }

    /// Waits for a change, for a while.
    pub(crate) fn wait<'a>(
        &self,
        state: MutexGuard<'a, BoardState>,
        at_most: Duration,
    ) -> MutexGuard<'a, BoardState> {
        self.changed.wait_timeout(state, at_most).unwrap_or_else(PoisonError::into_inner).0
    }

    /// This node is to note something. Without a term it is for whoever leads to say.
    pub(crate) fn note(&self, name: &str, value: &[u8]) {
        let mut state = self.state();
        if state.term.is_none() {
            return;
        }
        let mut notes = state.own_notes.clone().unwrap_or_else(|| state.notes.clone());
        if notes.put(name, value) {
            state.own_notes = Some(notes);
        }
    }

    /// From which offset on the sinks of whoever leads need the log, if that was noted.
    pub(crate) fn needed_by_leader(&self) -> Option<u64> {
        let noted = self.state().notes.get(NEEDED_NOTE)?;
        Some(u64::from_le_bytes(noted.try_into().ok()?))
    }

    /// This node leads, and its sinks need the log from here on.
    pub(crate) fn note_needed(&self, needed_from: u64) {
        self.note(NEEDED_NOTE, &needed_from.to_le_bytes());
    }

    /// What was noted and not read back. It is said again until it was: a note may be lost though what is behind it is in force.
    pub(crate) fn unread_notes(&self) -> Option<Notes> {
        let state = self.state();
        state.own_notes.clone().filter(|own| *own != state.notes)
    }

    /// Does something with the term of this epoch, if this node still has it, and wakes its writer if more came into force or it is
    /// at an end.
    pub(crate) fn in_term<R>(&self, epoch: RecordNo, step: impl FnOnce(&mut Term) -> R) -> Option<R> {
        let mut state = self.state();
        let term = state.term.as_mut().filter(|term| term.epoch == epoch)?;
        let before = (term.in_force.count(), term.in_force.has_failed());
        let done = step(term);
        let is_changed = before != (term.in_force.count(), term.in_force.has_failed());
        let wake = term.wake.clone().filter(|_| is_changed);
        drop(state);
        if let Some(wake) = wake {
            wake();
        }
        Some(done)
    }

    /// The reader has passed a record.
    pub(crate) fn read_back(&self, record: &SharedRecord<'_>, no: RecordNo, verdict: Verdict) {
        // A claim has the epoch that its writer has seen, and no place in it.
        if let Some(epoch) = record.epoch.filter(|_| record.kind != RecordKind::Claim) {
            self.in_term(epoch, |term| term.in_force.read_back(record.sequence, no, verdict));
        }
    }

    /// This node leads from here on.
    pub(crate) fn begin_term(
        &self,
        epoch: RecordNo,
        log_id: LogId,
        next_offset: u64,
        bounds: SharedBounds,
        appender: Box<dyn SharedAppender>,
    ) {
        self.change(|state| {
            let in_force = InForce::new(epoch, bounds);
            state.term = Some(Term {
                epoch,
                log_id,
                next_offset,
                in_force,
                clock_check: ClockCheck::default(),
                clock_apart_ms: None,
                appender: Some(appender),
                is_given_up: false,
                wake: None,
            });
        });
    }

    /// This node leads no more; whoever writes is woken.
    pub(crate) fn end_term(&self) {
        let wake = self.change(|state| {
            state.own_notes = None;
            state.term.take().and_then(|term| term.wake)
        });
        if let Some(wake) = wake {
            wake();
        }
    }
}

impl Term {
    pub(crate) fn wake_by(&mut self, wake: Wake) {
        self.wake = Some(wake);
    }
}

/// The ticket of a claim. Those of the records of its term follow.
pub(crate) const CLAIM_TICKET: u64 = 1;

/// The clock of this node, by the acknowledgement of a claim.
#[derive(Clone, Copy)]
pub(crate) enum ClaimClock {
    /// Nothing says otherwise.
    IsRight,
    /// It is so many milliseconds ahead of that of the log at least, or behind if negative.
    IsAhead(i64),
}

/// Takes the acknowledgements of a claim and of the term that it begins.
pub(crate) struct TermAcks {
    board: Arc<Board>,
    clock: Arc<dyn Clock>,
    epoch: OnceLock<RecordNo>,
    claim_error: Mutex<Option<SharedError>>,
    /// When the claim was handed over, by the clock of this node.
    claimed_at_ms: OnceLock<u64>,
    /// Once the claim is acknowledged.
    claim_clock: OnceLock<ClaimClock>,
}

impl TermAcks {
    pub(crate) fn new(board: Arc<Board>, clock: Arc<dyn Clock>) -> Self {
        Self {
            board,
            clock,
            epoch: OnceLock::new(),
            claim_error: Mutex::default(),
            claimed_at_ms: OnceLock::new(),
            claim_clock: OnceLock::new(),
        }
    }

    /// The claim is about to be handed over.
    pub(crate) fn claims(&self) {
        self.claimed_at_ms.get_or_init(|| self.clock.wall_ms());
    }

    /// Whether this node's clock is right, once the claim is acknowledged.
    pub(crate) fn claim_clock(&self) -> Option<ClaimClock> {
        self.claim_clock.get().copied()
    }

    /// The claim is in force, under this number.
    pub(crate) fn begin_term(&self, epoch: RecordNo) {
        self.epoch.get_or_init(|| epoch);
    }

    /// Why nobody knows what became of the claim, if that is so.
    pub(crate) fn take_claim_error(&self) -> Option<SharedError> {
        self.claim_error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Acks for TermAcks {
    fn ack(&self, ticket: u64, acked: Result<Acked, SharedError>) {
        if ticket == CLAIM_TICKET {
            let appended_at_ms = acked.as_ref().ok().and_then(|acked| acked.appended_at_ms);
            let apart_ms = || {
                let mut check = ClockCheck::default();
                check.handed_over(0, *self.claimed_at_ms.get()?);
                check.acked(0, appended_at_ms?, self.clock.wall_ms())
            };
            self.claim_clock.get_or_init(|| apart_ms().map_or(ClaimClock::IsRight, ClaimClock::IsAhead));
            *self.claim_error.lock().unwrap_or_else(PoisonError::into_inner) = acked.err();
            return;
        }
        let Some(epoch) = self.epoch.get() else { return };
        let sequence = ticket - CLAIM_TICKET;
        let appended_at_ms = acked.as_ref().ok().and_then(|acked| acked.appended_at_ms);
        self.board.in_term(*epoch, |term| {
            if let Some(appended_at_ms) = appended_at_ms {
                let apart = term.clock_check.acked(sequence, appended_at_ms, self.clock.wall_ms());
                term.clock_apart_ms = apart.or(term.clock_apart_ms);
            }
            term.in_force.acked(sequence, &acked);
        });
    }
}

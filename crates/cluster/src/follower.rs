//! The part of a node that reads: it keeps the copy, tells everybody what is in force, and steps who leads. It is taken turn by
//! turn, by a thread of its own or by a test.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use onrush_log::shared::{
    Acked, Acks, Admission, ClaimStep, DropReason, Fence, Leadership, LogId, NodeId, Place, RecordKind,
    RecordNo, Role, SharedAppender, SharedError, SharedLog, SharedReader, SharedRecord, Verdict,
};
use onrush_log::{AppendError, Format};
use onrush_node::Clock;

use crate::board::Board;
use crate::copy::{CopyError, LocalCopy};
use crate::notes::Notes;
use crate::place_file::{PlaceFile, Reached};
use crate::settings::{NodeSettings, Ping};

/// How long a turn waits for a record.
const PATIENCE: Duration = Duration::from_millis(100);
/// Steps of the leadership in one turn; more would be a circle.
const STEPS_MAX: usize = 8;
/// How often it is noted how far the copy has come.
const NOTE_INTERVAL: Duration = Duration::from_secs(1);
/// How often the copy's files are looked for, and how long is waited after trouble with them.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// How often the same trouble is said again.
const SAY_INTERVAL: Duration = Duration::from_secs(30);

/// Why a turn did not end well.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The next turn may.
    Passing(String),
    /// Nothing can be followed from here, until a person has done something.
    Lasting(String),
}

pub(crate) struct Follower {
    log: Arc<dyn SharedLog>,
    partition: u32,
    node: NodeId,
    url: String,
    ping: Ping,
    clock: Arc<dyn Clock>,
    /// For a log that has no id.
    new_log_id: LogId,
    fence: Fence,
    reader: Box<dyn SharedReader>,
    copy: LocalCopy,
    leadership: Leadership,
    claims: Box<dyn SharedAppender>,
    claim_acks: Arc<ClaimAcks>,
    claim_count: u64,
    board: Arc<Board>,
    place_file: PlaceFile,
    told_ms: u64,
    leader_url: String,
    /// The end of the log was seen since this process started.
    was_level: bool,
    is_noted: bool,
    noted_at: Duration,
    checked_at: Duration,
    said_at: Option<Duration>,
}

/// What a follower begins with.
pub(crate) struct Beginning {
    pub(crate) reached: Reached,
    pub(crate) copy: LocalCopy,
    pub(crate) place_file: PlaceFile,
    pub(crate) board: Arc<Board>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Random, and of this process alone.
    pub(crate) tag: u64,
    pub(crate) new_log_id: LogId,
}

impl Follower {
    pub(crate) fn new(
        log: Arc<dyn SharedLog>,
        partition: u32,
        settings: &NodeSettings,
        beginning: Beginning,
    ) -> Result<Self, SharedError> {
        let Beginning { reached, copy, place_file, board, clock, tag, new_log_id } = beginning;
        let Reached { place, told_ms, leader_url, notes: _ } = reached;
        let now = clock.read().steady;
        let times = onrush_log::shared::ClaimTimes {
            silence: settings.silence,
            silence_of_living: settings.silence_of_living,
        };
        let claim_acks = Arc::new(ClaimAcks::default());
        Ok(Self {
            partition,
            node: settings.node,
            url: settings.url.clone(),
            ping: Arc::clone(&settings.ping),
            clock,
            new_log_id,
            fence: Fence::new(partition, place),
            reader: log.reader(partition, place.next_no)?,
            copy,
            leadership: Leadership::new(settings.node, tag, times, &place, now),
            claims: log.appender(partition, Arc::clone(&claim_acks) as Arc<dyn Acks>)?,
            log,
            claim_acks,
            claim_count: 0,
            board,
            place_file,
            told_ms,
            leader_url,
            was_level: false,
            is_noted: true,
            noted_at: now,
            checked_at: now,
            said_at: None,
        })
    }

    /// Takes turns until the node leaves.
    pub(crate) fn run(mut self) {
        loop {
            if self.board.state().is_leaving {
                return self.end();
            }
            match self.turn() {
                Ok(()) => {}
                Err(Trouble::Passing(trouble)) => {
                    self.say(&trouble);
                    drop(self.board.wait(self.board.state(), CHECK_INTERVAL));
                }
                Err(Trouble::Lasting(problem)) => {
                    tracing::error!(problem, "this node has stopped to follow the shared log");
                    self.board.end_term();
                    self.board.change(|state| state.problem = Some(problem));
                    return self.end();
                }
            }
        }
    }

    /// Reads what there is, and does what is due.
    pub(crate) fn turn(&mut self) -> Result<(), Trouble> {
        self.read(PATIENCE)?;
        self.look_after_files()?;
        self.step()
    }

    /// Reads once; whether that was all there is.
    fn read(&mut self, patience: Duration) -> Result<bool, Trouble> {
        let before = self.copy.end();
        let mut trouble = None;
        let Self { reader, fence, copy, leadership, board, clock, told_ms, leader_url, .. } = self;
        let mut leads = matches!(leadership.role(), Role::Leading { .. });
        let mut led_from = None;
        let mut taken_count = 0;
        let progress = reader.read(patience, &mut |no, bytes| {
            taken_count += 1;
            let place = *fence.place();
            if let Err(found) = take(fence, copy, no, bytes).and_then(|admitted| {
                let Some((record, verdict)) = admitted else { return Ok(()) };
                board.read_back(&record, no, verdict);
                if verdict != Verdict::InForce {
                    return check_dropped(&place, &record, verdict);
                }
                *told_ms = record.told_ms.max(*told_ms);
                match record.kind {
                    RecordKind::Claim => {
                        leader_url.clear();
                        leader_url.push_str(&String::from_utf8_lossy(record.payload));
                    }
                    RecordKind::Note => {
                        if let Some(notes) = Notes::decode(record.payload) {
                            board.state().notes = notes;
                        }
                    }
                    RecordKind::Batch | RecordKind::Mark | RecordKind::Resignation => {}
                }
                leadership.read(no, &record, verdict, clock.read().steady);
                Ok(())
            }) {
                *fence = Fence::new(self.partition, place);
                trouble = Some(found);
                return ControlFlow::Break(());
            }
            let leads_now = matches!(leadership.role(), Role::Leading { .. });
            if let (false, Role::Leading { epoch }) = (leads, leadership.role()) {
                led_from = Some(epoch);
                return ControlFlow::Break(());
            }
            leads = leads_now;
            ControlFlow::Continue(())
        });
        self.is_noted &= taken_count == 0;
        let copied = self.copy.end();
        if copied > before || taken_count > 0 {
            let told_ms = self.told_ms;
            self.board.change(|state| {
                state.is_warm &= copied == state.copied;
                (state.copied, state.told_ms) = (copied, told_ms);
            });
        }
        if let Some(trouble) = trouble {
            self.read_again_from_here()?;
            return Err(trouble);
        }
        let progress = match progress {
            Ok(progress) => progress,
            Err(error @ (SharedError::Missing { .. } | SharedError::Truncated { .. })) => {
                return Err(Trouble::Lasting(format!(
                    "{error}. What this node has is in its copy; nothing is written to the log from here"
                )));
            }
            Err(error) => {
                self.read_again_from_here()?;
                return Err(Trouble::Passing(error.to_string()));
            }
        };
        if let Some(epoch) = led_from {
            let Place { log_id, next_offset, .. } = *self.fence.place();
            let log_id = log_id.expect("a claim in force has one");
            self.board.begin_term(epoch, log_id, next_offset, self.log.bounds());
        }
        self.was_level |= progress.is_level;
        Ok(progress.is_level && led_from.is_none())
    }

    /// The record that was not kept comes again.
    fn read_again_from_here(&mut self) -> Result<(), Trouble> {
        let reader = self.log.reader(self.partition, self.fence.place().next_no);
        self.reader = reader.map_err(|error| Trouble::Passing(error.to_string()))?;
        Ok(())
    }

    fn step(&mut self) -> Result<(), Trouble> {
        self.take_claim_acks();
        let has_failed = |term: &crate::board::Term| term.is_given_up || term.in_force.has_failed();
        let gives_up = {
            let state = self.board.state();
            let is_unsafe = state.unsafe_settings.is_some() && state.term.is_some();
            is_unsafe || state.term.as_ref().is_some_and(has_failed)
        };
        if gives_up {
            self.leadership.give_up();
        }
        for _ in 0..STEPS_MAX {
            let may_claim = {
                let state = self.board.state();
                state.is_warm && !state.is_standing_down && state.unsafe_settings.is_none()
            };
            // What it would decide on is not there yet.
            if self.leadership.role() == Role::Following && !may_claim {
                return Ok(());
            }
            match self.leadership.next_step(self.clock.read().steady) {
                ClaimStep::Wait { .. } => return Ok(()),
                ClaimStep::Look => {
                    let is_level = self.read(PATIENCE)?;
                    self.leadership.looked(is_level);
                    if !is_level {
                        return Ok(());
                    }
                }
                ClaimStep::Ping { .. } => {
                    let has_answered = !self.leader_url.is_empty() && (self.ping)(&self.leader_url);
                    self.leadership.pinged(has_answered);
                }
                ClaimStep::Claim { seen } => self.claim(seen)?,
                ClaimStep::Vacate => {
                    self.board.end_term();
                    self.leadership.vacated();
                }
            }
        }
        Ok(())
    }

    fn claim(&mut self, seen: Option<RecordNo>) -> Result<(), Trouble> {
        let place = *self.fence.place();
        tracing::info!(node = self.node.0, seen = seen.map(|no| no.0), "this node claims to lead");
        let record = SharedRecord {
            kind: RecordKind::Claim,
            format: Format::V1,
            log_id: place.log_id.unwrap_or(self.new_log_id),
            partition: self.partition,
            node: self.node,
            epoch: seen,
            sequence: self.leadership.tag(),
            base_offset: place.next_offset,
            time_ms: self.told_ms,
            told_ms: self.told_ms,
            event_count: 0,
            payload: self.url.as_bytes(),
        };
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        self.claim_count += 1;
        if let Err(error) = self.claims.append(self.claim_count, place.next_no, &bytes) {
            self.leadership.claim_failed(self.clock.read().steady);
            return Err(Trouble::Passing(error.to_string()));
        }
        Ok(())
    }

    fn take_claim_acks(&mut self) {
        let now = self.clock.read().steady;
        for (ticket, error) in self.claim_acks.take() {
            if ticket == self.claim_count {
                tracing::warn!(%error, "nobody knows whether this node's claim is in the log");
                self.leadership.claim_failed(now);
            }
        }
    }

    /// Looks whether the copy is where it was, and notes how far it has come.
    fn look_after_files(&mut self) -> Result<(), Trouble> {
        let now = self.clock.read().steady;
        if now >= self.checked_at + CHECK_INTERVAL {
            self.checked_at = now;
            self.copy.check().map_err(|error| Trouble::Lasting(error.to_string()))?;
        }
        if !self.is_noted && now >= self.noted_at + NOTE_INTERVAL {
            self.noted_at = now;
            self.note()?;
        }
        Ok(())
    }

    fn note(&mut self) -> Result<(), Trouble> {
        let reached = Reached {
            place: *self.fence.place(),
            told_ms: self.told_ms,
            leader_url: self.leader_url.clone(),
            notes: self.board.state().notes.clone(),
        };
        let written = self.place_file.write(&reached);
        self.is_noted = written.is_ok();
        written
            .map_err(|error| Trouble::Passing(format!("write {}: {error}", self.place_file.path().display())))
    }

    fn say(&mut self, trouble: &str) {
        let now = self.clock.read().steady;
        if self.said_at.is_none_or(|said| now >= said + SAY_INTERVAL) {
            self.said_at = Some(now);
            tracing::warn!(trouble, "the shared log cannot be followed now; it is tried again");
        }
    }

    fn end(mut self) {
        self.board.end_term();
        if let Err(Trouble::Passing(trouble) | Trouble::Lasting(trouble)) = self.note() {
            tracing::warn!(trouble, "after the next start some records are read again");
        }
        if let Err(error) = self.copy.close(self.told_ms) {
            tracing::warn!(%error, "the copy of the log could not be closed in good order; nothing is lost");
        }
    }
}

/// Lets a record through the fence, and into the copy if it is in force; nothing if it is no record.
fn take<'a>(
    fence: &mut Fence,
    copy: &mut LocalCopy,
    no: RecordNo,
    bytes: &'a [u8],
) -> Result<Option<(SharedRecord<'a>, Verdict)>, Trouble> {
    let Admission { verdict, record } = fence.read(no, bytes).map_err(|problem| {
        Trouble::Lasting(format!(
            "record {} of the shared log: {problem}; start a program as new as the one that wrote it",
            no.0
        ))
    })?;
    let Ok(record) = record else {
        tracing::warn!(
            record = no.0,
            "the shared log has something that no onrush wrote; it counts for nothing"
        );
        return Ok(None);
    };
    if verdict == Verdict::InForce && record.kind == RecordKind::Batch {
        copy.keep(&record).map_err(|error| match error {
            CopyError::Append(AppendError::NoRoom) => Trouble::Passing(error.to_string()),
            other => Trouble::Lasting(other.to_string()),
        })?;
    }
    Ok(Some((record, verdict)))
}

/// A record that is not in force is nothing special, unless it shows that the log is another one.
fn check_dropped(place: &Place, record: &SharedRecord<'_>, verdict: Verdict) -> Result<(), Trouble> {
    tracing::debug!(%record, ?verdict, "a record of the shared log is not in force");
    let is_other = place.log_id.is_some_and(|id| id != record.log_id);
    if verdict == Verdict::Dropped(DropReason::Foreign) && is_other {
        return Err(Trouble::Lasting(
            "the topic has records of another log than this node's copy: it was made anew, or the settings name another topic. \
             Give the node the topic that it had, or, if that is gone for good, an empty directory"
                .to_owned(),
        ));
    }
    Ok(())
}

/// What became of claims, if they failed.
#[derive(Default)]
struct ClaimAcks(Mutex<Vec<(u64, SharedError)>>);

impl ClaimAcks {
    fn take(&self) -> Vec<(u64, SharedError)> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Acks for ClaimAcks {
    fn ack(&self, ticket: u64, acked: Result<Acked, SharedError>) {
        if let Err(error) = acked {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push((ticket, error));
        }
    }
}

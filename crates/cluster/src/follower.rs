//! The part of a node that reads: it keeps the copy, tells everybody what is in force, and steps who leads. It is taken turn by
//! turn, by a thread of its own or by a test.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use onrush_log::Format;
use onrush_log::shared::{
    Acks, ClaimStep, ClaimTimes, Fence, Leadership, LogId, Place, RecordKind, RecordNo, Role, SharedAppender,
    SharedError, SharedLog, SharedReader, SharedRecord,
};
use onrush_node::Clock;

use crate::board::{Board, CLAIM_TICKET, ClaimClock, TermAcks};
use crate::copy::LocalCopy;
use crate::known::{Known, Trouble};
use crate::place_file::{PlaceFile, Reached};
use crate::settings::{NodeSettings, Ping};
use crate::status::Dropped;

/// How long a turn waits for a record.
const PATIENCE: Duration = Duration::from_millis(100);
/// Steps of the leadership in one turn; more would be a circle.
const STEPS_MAX: usize = 8;
/// How often it is noted how far the copy has come.
const NOTE_INTERVAL: Duration = Duration::from_secs(1);
/// How often the copy's files are looked for, and how long is waited after trouble with them.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// How often a leader may be told that its clock is wrong. In between it leads all the same: nobody else may be there.
const CLOCK_INTERVAL: Duration = Duration::from_mins(10);
/// After so long the way for the next claim is begun anew.
const WAY_INTERVAL: Duration = Duration::from_mins(10);
/// How often the same trouble is said again.
const SAY_INTERVAL: Duration = Duration::from_secs(30);

pub(crate) struct Follower {
    log: Arc<dyn SharedLog>,
    url: String,
    ping: Ping,
    clock: Arc<dyn Clock>,
    /// For a log that has no id.
    new_log_id: LogId,
    /// Nothing after trouble: then one is begun where the fence is.
    reader: Option<Box<dyn SharedReader>>,
    known: Known,
    /// For the next claim.
    next_way: Option<Way>,
    /// Of the newest claim, until it is in force.
    claimed_way: Option<Way>,
    /// Of a claim that is in force, until it is known whether this node's clock is right.
    entered_way: Option<(RecordNo, Way)>,
    board: Arc<Board>,
    place_file: PlaceFile,
    is_noted: bool,
    noted_at: Duration,
    checked_at: Duration,
    /// The newest trouble that was said, and when.
    said: Option<(Duration, String)>,
    /// When the clock of this node was found wrong last, how long others are first then, and until when.
    clock_judged_at: Option<Duration>,
    clock_handicap: Duration,
    claims_from: Duration,
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
        let times = ClaimTimes { silence: settings.silence, silence_of_living: settings.silence_of_living };
        Ok(Self {
            url: settings.url.clone(),
            ping: Arc::clone(&settings.ping),
            clock: Arc::clone(&clock),
            new_log_id,
            reader: Some(log.reader(partition, place.next_no)?),
            known: Known {
                fence: Fence::new(partition, place),
                copy,
                leadership: Leadership::new(settings.node, tag, times, &place, now),
                board: Arc::clone(&board),
                clock,
                partition,
                node: settings.node,
                was_level: false,
                numbers_are_dense: log.bounds().numbers_are_dense,
                twin_epoch: None,
                told_ms,
                leader_url,
                dropped: Dropped::default(),
                term_count: 0,
                last_checksum: None,
            },
            next_way: None,
            claimed_way: None,
            entered_way: None,
            log,
            board,
            place_file,
            is_noted: true,
            noted_at: now,
            checked_at: now,
            said: None,
            clock_judged_at: None,
            clock_handicap: settings.silence_of_living,
            claims_from: Duration::ZERO,
        })
    }

    /// Takes turns until the node leaves.
    pub(crate) fn run(mut self) {
        self.known.show();
        loop {
            if self.board.state().is_leaving {
                return self.end();
            }
            match self.turn() {
                Ok(()) => {}
                Err(Trouble::Passing(trouble)) => {
                    self.known.show();
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
        let stepped = self.step();
        self.known.show();
        stepped
    }

    /// Reads once; whether that was all there is.
    fn read(&mut self, patience: Duration) -> Result<bool, Trouble> {
        let led_before = self.known.epoch_led();
        let (mut trouble, mut taken_count) = (None, 0);
        let Self { reader, known, .. } = self;
        let reader = if let Some(reader) = reader {
            reader
        } else {
            let begun = self.log.reader(known.partition, known.place().next_no);
            reader.insert(begun.map_err(|error| Trouble::Passing(error.to_string()))?)
        };
        let progress = reader.read(patience, &mut |no, bytes| {
            taken_count += 1;
            if let Err(found) = known.take(no, bytes) {
                trouble = Some(found);
                return ControlFlow::Break(());
            }
            // Nothing more is read before there is a term that can be told of it.
            let begins_to_lead = known.epoch_led().is_some_and(|epoch| led_before != Some(epoch));
            if begins_to_lead { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if taken_count > 0 {
            self.is_noted = false;
            self.known.tell();
        }
        if let Some(trouble) = trouble {
            // Who cannot keep what is in force lets another lead.
            self.step_down();
            self.reader = None;
            return Err(trouble);
        }
        let led_now = self.known.epoch_led().filter(|epoch| led_before != Some(*epoch));
        if let Some(epoch) = led_now {
            match self.claimed_way.take() {
                Some(way) => self.entered_way = Some((epoch, way)),
                // Its claim was given up and came after all, when another was on its way.
                None => self.known.leadership.give_up(),
            }
        }
        let progress = match progress {
            Ok(progress) => progress,
            Err(error @ SharedError::Missing { .. }) => {
                return Err(Trouble::Lasting(format!(
                    "{error}. If other nodes have trimmed the log while this one was away, start this one again: it begins with the \
                     newest snapshot"
                )));
            }
            Err(error @ SharedError::Truncated { .. }) => {
                return Err(Trouble::Lasting(format!(
                    "{error}. What this node has is in its copy; nothing is written to the log from here"
                )));
            }
            Err(error) => {
                self.reader = None;
                return Err(Trouble::Passing(error.to_string()));
            }
        };
        self.known.was_level |= progress.is_level;
        Ok(progress.is_level && led_now.is_none())
    }

    fn step_down(&mut self) {
        self.known.leadership.give_up();
        if self.known.leadership.role() == Role::Deposed {
            self.board.end_term();
            self.known.leadership.vacated();
        }
    }

    /// Begins the term of a claim that is in force, unless its acknowledgement says that this node's clock is wrong: then nothing is
    /// dated by it.
    fn enter(&mut self) {
        let Some((epoch, way)) = self.entered_way.take() else { return };
        if self.known.epoch_led() != Some(epoch) {
            return;
        }
        match way.acks.claim_clock() {
            None => self.entered_way = Some((epoch, way)),
            Some(ClaimClock::IsAhead(ahead_ms)) if self.lets_another_lead(ahead_ms) => {}
            Some(_) => {
                let Place { log_id, next_offset, .. } = *self.known.place();
                let log_id = log_id.expect("a claim in force has one");
                let Way { appender, acks, .. } = way;
                acks.begin_term(epoch);
                self.known.term_count += 1;
                self.board.begin_term(epoch, log_id, next_offset, self.log.bounds(), appender);
            }
        }
    }

    fn step(&mut self) -> Result<(), Trouble> {
        self.take_claim_acks();
        self.enter();
        self.judge_clock();
        if self.known.leadership.role() == Role::Following {
            self.keep_way();
        }
        let has_failed = |term: &crate::board::Term| term.is_given_up || term.in_force.has_failed();
        let gives_up = {
            let state = self.board.state();
            let is_unsafe = state.unsafe_settings.is_some() && state.term.is_some();
            is_unsafe || state.term.as_ref().is_some_and(has_failed)
        };
        if gives_up {
            self.known.leadership.give_up();
        }
        for _ in 0..STEPS_MAX {
            let may_claim = self.board.may_claim() && self.clock.read().steady >= self.claims_from;
            if self.known.leadership.role() == Role::Following && !may_claim {
                return Ok(());
            }
            match self.known.leadership.next_step(self.clock.read().steady) {
                ClaimStep::Wait { .. } => return Ok(()),
                ClaimStep::Look => {
                    let is_level = self.read(PATIENCE)?;
                    self.known.leadership.looked(is_level);
                    if !is_level {
                        return Ok(());
                    }
                }
                ClaimStep::Ping { .. } => {
                    let has_answered =
                        !self.known.leader_url.is_empty() && (self.ping)(&self.known.leader_url);
                    self.known.leadership.pinged(has_answered);
                }
                ClaimStep::Claim { seen } => self.claim(seen)?,
                ClaimStep::Vacate => {
                    self.board.end_term();
                    self.known.leadership.vacated();
                }
            }
        }
        Ok(())
    }

    /// A leader whose clock is not that of the log lets another lead: once in a while, because it may be the only one.
    fn judge_clock(&mut self) {
        let apart = self.board.state().term.as_mut().and_then(|term| term.clock_apart_ms.take());
        if let Some(ahead_ms) = apart {
            self.lets_another_lead(ahead_ms);
        }
    }

    /// Gives up to lead, unless this node has done so not long ago; whether it does.
    fn lets_another_lead(&mut self, ahead_ms: i64) -> bool {
        let now = self.clock.read().steady;
        if self.clock_judged_at.is_some_and(|judged| now < judged + CLOCK_INTERVAL) {
            return false;
        }
        self.clock_judged_at = Some(now);
        self.claims_from = now + self.clock_handicap;
        self.known.leadership.give_up();
        tracing::error!(
            ahead_ms,
            "the clock of this node and that of the shared log differ by more than a second, so another node is to lead: \
             let both machines follow a time server (NTP); if it is the broker's clock that is wrong, every node says this"
        );
        true
    }

    fn claim(&mut self, seen: Option<RecordNo>) -> Result<(), Trouble> {
        let place = *self.known.place();
        if self.known.copy.end() > place.next_offset {
            self.known.leadership.claim_failed(self.clock.read().steady);
            return Err(Trouble::Passing(format!(
                "the shared log ends at offset {}, and this node's copy at {}: the log has lost its end",
                place.next_offset,
                self.known.copy.end()
            )));
        }
        tracing::info!(node = self.known.node.0, seen = seen.map(|no| no.0), "this node claims to lead");
        let record = SharedRecord {
            kind: RecordKind::Claim,
            format: Format::V1,
            log_id: place.log_id.unwrap_or(self.new_log_id),
            partition: self.known.partition,
            node: self.known.node,
            epoch: seen,
            sequence: self.known.leadership.tag(),
            base_offset: place.next_offset,
            time_ms: self.known.told_ms,
            told_ms: self.known.told_ms,
            event_count: 0,
            payload: self.url.as_bytes(),
        };
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        let way = match self.next_way.take() {
            Some(way) => Ok(way),
            None => self.begin_way(),
        };
        let appended = way.and_then(|mut way| {
            way.acks.claims();
            way.appender.append(CLAIM_TICKET, place.next_no, &bytes)?;
            Ok(way)
        });
        match appended {
            Ok(begun) => self.claimed_way = Some(begun),
            Err(error) => {
                self.known.leadership.claim_failed(self.clock.read().steady);
                return Err(Trouble::Passing(error.to_string()));
            }
        }
        Ok(())
    }

    fn begin_way(&self) -> Result<Way, SharedError> {
        let acks = Arc::new(TermAcks::new(Arc::clone(&self.board), Arc::clone(&self.clock)));
        let appender = self.log.appender(self.known.partition, Arc::clone(&acks) as Arc<dyn Acks>)?;
        Ok(Way { appender, acks, begun_at: self.clock.read().steady })
    }

    /// A way into the log takes a while to begin, and then a claim would wait for it. So the next one is always there; and none is kept
    /// for long, because the password that it was begun with may be another by now.
    fn keep_way(&mut self) {
        let now = self.clock.read().steady;
        if self.next_way.as_ref().is_some_and(|way| now < way.begun_at + WAY_INTERVAL) {
            return;
        }
        match self.begin_way() {
            Ok(way) => self.next_way = Some(way),
            Err(error) => tracing::debug!(%error, "no way into the shared log can be begun now"),
        }
    }

    fn take_claim_acks(&mut self) {
        let now = self.clock.read().steady;
        if let Some(error) = self.claimed_way.as_ref().and_then(|way| way.acks.take_claim_error()) {
            tracing::warn!(%error, "nobody knows whether this node's claim is in the log");
            self.known.leadership.claim_failed(now);
        }
    }

    /// Looks whether the copy is where it was, and notes how far it has come.
    fn look_after_files(&mut self) -> Result<(), Trouble> {
        let now = self.clock.read().steady;
        if now >= self.checked_at + CHECK_INTERVAL {
            self.checked_at = now;
            self.known.copy.check().map_err(|error| Trouble::Lasting(error.to_string()))?;
        }
        if !self.is_noted && now >= self.noted_at + NOTE_INTERVAL {
            self.noted_at = now;
            self.note()?;
        }
        Ok(())
    }

    fn note(&mut self) -> Result<(), Trouble> {
        let reached = Reached {
            place: *self.known.place(),
            told_ms: self.known.told_ms,
            leader_url: self.known.leader_url.clone(),
            notes: self.board.state().notes.clone(),
        };
        let written = self.place_file.write(&reached);
        self.is_noted = written.is_ok();
        written
            .map_err(|error| Trouble::Passing(format!("write {}: {error}", self.place_file.path().display())))
    }

    fn say(&mut self, trouble: &str) {
        let now = self.clock.read().steady;
        let is_said = |(at, said): &(Duration, String)| said == trouble && now < *at + SAY_INTERVAL;
        if !self.said.as_ref().is_some_and(is_said) {
            self.said = Some((now, trouble.to_owned()));
            tracing::warn!(trouble, "the shared log cannot be followed now; it is tried again");
        }
    }

    fn end(mut self) {
        self.board.end_term();
        if let Err(Trouble::Passing(trouble) | Trouble::Lasting(trouble)) = self.note() {
            tracing::warn!(trouble, "after the next start some records are read again");
        }
        if let Err(error) = self.known.copy.close(self.known.told_ms) {
            tracing::warn!(%error, "the copy of the log could not be closed in good order; nothing is lost");
        }
    }
}

/// A way into the log: for a claim, and for the term that it begins.
struct Way {
    appender: Box<dyn SharedAppender>,
    acks: Arc<TermAcks>,
    begun_at: Duration,
}

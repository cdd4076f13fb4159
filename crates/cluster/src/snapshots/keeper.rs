//! Keeps the log of snapshots: sends one when the shared log has grown enough since the newest, and trims both logs behind it.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use onrush_log::shared::{NodeId, Place, RECORD_HEADER_BYTES, RecordNo, SharedError, SharedLog};
use onrush_log::{Log, ReadError, SnapshotError, StorageError, VisitError};
use onrush_node::{Retention, RetentionHold};

use super::fetching::newest_manifests;
use super::manifest::Manifest;
use super::sending::{SendError, Sender, Sending};
use crate::board::Board;
use crate::place_file::Reached;

/// Lowest priority: it may take as long as it takes.
const NICENESS: i32 = 19;
/// Bytes a second that are sent, so that answers are not held up by it.
const BYTES_PER_S_MAX: u64 = 32 << 20;
/// Nodes begin to send at different turns, so that one of them does: so many turns there are.
const RANKS: u32 = 8;
/// Turns between the first of one rank and that of the next: until then what one sends is seen by the others.
const TURNS_OF_RANK: u32 = 4;
/// Turns that whoever leads gives all others before it sends itself.
const TURNS_OF_OTHERS: u32 = 40;
/// Turns until it is tried again after trouble.
const TURNS_AFTER_TROUBLE: u32 = 20;

/// What the keeper is given.
pub(crate) struct KeeperParts {
    pub(crate) log: Arc<dyn SharedLog>,
    pub(crate) snapshots: Arc<dyn SharedLog>,
    pub(crate) copy: Arc<dyn Log>,
    pub(crate) board: Arc<Board>,
    pub(crate) retention: Retention,
    pub(crate) partition: u32,
    pub(crate) node: NodeId,
    /// The shared log grows by so many bytes between two of them, and by as many as the newest one has.
    pub(crate) snapshot_bytes: u64,
    /// How often it is looked whether there is something to do.
    pub(crate) interval: Duration,
}

pub(crate) struct Keeper {
    parts: KeeperParts,
    /// What is sent is kept in the copy meanwhile.
    hold: RetentionHold,
    /// The newest one, as far as this node has looked.
    newest: Option<Manifest>,
    /// Turns until this node sends, if nobody else has by then.
    turns_left: Option<u32>,
    /// The end of the log of snapshots when it was looked at last. While it moves, another node sends.
    seen_end: Option<RecordNo>,
    /// Why none was sent that is due.
    trouble: Option<String>,
    /// What this node's snapshot and the one before it cover, and was not dropped yet.
    trim: Option<Trim>,
}

/// How a turn ended.
enum Turn {
    /// There is nothing to send.
    IsDone,
    /// It is not this node's turn yet.
    Waits,
}

/// What is to be dropped.
struct Trim {
    records_before: RecordNo,
    snapshots_before: RecordNo,
    /// Turns until it is tried again.
    turns_left: u32,
    trouble: Option<String>,
}

/// Why there was no snapshot, or nothing was trimmed. It is tried again.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Shared(#[from] SharedError),
    #[error(transparent)]
    Send(#[from] SendError),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("no random number can be drawn: {0}")]
    Random(getrandom::Error),
    #[error(
        "a sink needs the log from offset {needed_from} on, and no snapshot is as old: the shared log is kept until the sink has gone on"
    )]
    Sink { needed_from: u64 },
    #[error("this node has read up to record {}, and the log ends at {}: it has lost its end", next_no.0, log_end.0)]
    LostEnd { next_no: RecordNo, log_end: RecordNo },
    #[error("{setting} of the topic of snapshots is {found}, and has to be {wanted}: {cure}")]
    Unsafe { setting: String, found: String, wanted: String, cure: String },
}

impl Keeper {
    pub(crate) fn new(parts: KeeperParts, newest: Option<Manifest>) -> Self {
        let hold = parts.retention.hold(0);
        hold.let_go();
        Self { parts, hold, newest, turns_left: None, seen_end: None, trouble: None, trim: None }
    }

    /// Takes turns until the node leaves.
    pub(crate) fn run(mut self) {
        let niced = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
        if let Err(error) = niced {
            tracing::warn!(%error, "snapshots are sent at normal priority");
        }
        while !is_over(&self.parts.board) {
            self.trim_if_due();
            match self.turn() {
                Ok(Turn::Waits) => {}
                Ok(Turn::IsDone) => self.trouble = None,
                Err(Trouble::Send(SendError::Stopping)) => return,
                Err(trouble) => {
                    self.turns_left = Some(TURNS_AFTER_TROUBLE);
                    self.trouble = Some(format!("no snapshot for new nodes was sent: {trouble}"));
                }
            }
            self.show();
            std::thread::park_timeout(self.parts.interval);
        }
    }

    /// Sends a snapshot if it is time to.
    fn turn(&mut self) -> Result<Turn, Trouble> {
        let needed_from = self.needed_from();
        let (place, leads) = {
            let state = self.parts.board.state();
            (state.seen.place, state.term.is_some())
        };
        let Some(needed_from) = needed_from.filter(|_| self.is_due(&place)) else {
            (self.turns_left, self.seen_end) = (None, None);
            return Ok(Turn::IsDone);
        };
        let turns = (self.parts.node.0.saturating_sub(1) % RANKS) * TURNS_OF_RANK
            + if leads { TURNS_OF_OTHERS } else { 0 };
        let turns_left = self.turns_left.get_or_insert(turns);
        if *turns_left > 0 {
            *turns_left -= 1;
            return Ok(Turn::Waits);
        }
        let KeeperParts { snapshots, partition, board, .. } = &self.parts;
        let end = snapshots.extent(*partition)?.end;
        if self.seen_end.replace(end) != Some(end) {
            return Ok(Turn::Waits);
        }
        // Another node may have sent one meanwhile.
        let newest = newest_manifests(&**snapshots, *partition, place.log_id, 1, &|| is_over(board))?;
        self.newest = newest.into_iter().next();
        if self.is_due(&place) {
            self.refuse_unsafe()?;
            self.send(needed_from)?;
        }
        (self.turns_left, self.seen_end) = (None, None);
        Ok(Turn::IsDone)
    }

    /// From which offset on sinks need the log, if that is known: whoever leads says so.
    fn needed_from(&self) -> Option<u64> {
        let board = &self.parts.board;
        if board.state().term.is_some() {
            let needed_from = self.parts.retention.needed_from();
            board.note_needed(needed_from);
            return Some(needed_from);
        }
        board.needed_by_leader()
    }

    /// Whether the shared log has grown enough.
    fn is_due(&self, place: &Place) -> bool {
        let since = self.newest.as_ref().map_or_else(Place::default, |newest| newest.reached.place);
        let newest_bytes = self.newest.as_ref().map_or(0, |newest| newest.bytes);
        let record_count = place.next_no.0.saturating_sub(since.next_no.0);
        let reader = self.parts.copy.reader();
        // Both have all of the newest segment in them.
        let behind =
            reader.bytes_from(since.next_offset).saturating_sub(reader.bytes_from(place.next_offset));
        let bytes = behind + record_count * RECORD_HEADER_BYTES as u64;
        record_count > 0 && bytes >= self.parts.snapshot_bytes.max(newest_bytes)
    }

    fn refuse_unsafe(&self) -> Result<(), Trouble> {
        match self.parts.snapshots.inspect()?.into_iter().next() {
            None => Ok(()),
            Some(finding) => Err(Trouble::Unsafe {
                setting: finding.setting.into_owned(),
                found: finding.found,
                wanted: finding.wanted.into_owned(),
                cure: finding.cure,
            }),
        }
    }

    /// Sends what the copy has, up to where this node has read.
    fn send(&mut self, needed_from: u64) -> Result<(), Trouble> {
        let KeeperParts { log, snapshots, copy, board, partition, .. } = &self.parts;
        let (reached, last_checksum) = {
            let state = board.state();
            let reached = Reached {
                place: state.seen.place,
                told_ms: state.told_ms,
                leader_url: state.seen.leader_url.clone(),
                notes: state.notes.clone(),
            };
            (reached, state.seen.last_checksum)
        };
        let (Some(log_id), Some(_)) = (reached.place.log_id, last_checksum) else { return Ok(()) };
        let (end, next_no) = (reached.place.next_offset, reached.place.next_no);
        let state_offset = copy.snapshots()?.into_iter().find(|at| *at <= needed_from.min(end));
        if state_offset.is_none() && copy.reader().oldest_offset() > 0 {
            return Err(Trouble::Sink { needed_from });
        }
        let from = state_offset.unwrap_or(0);
        self.hold.keep_from(from);
        let sending = Sending {
            log: &**snapshots,
            partition: *partition,
            log_id,
            snapshot: getrandom::u64().map_err(Trouble::Random)?,
            bytes_per_s_max: Some(BYTES_PER_S_MAX),
            stops: &|| is_over(board),
        };
        let sent = send_copy(sending, &**copy, state_offset, from..end).and_then(|sender| {
            // A log that has lost its end is not that of this copy any more.
            let log_end = log.extent(*partition)?.end;
            if log_end < next_no {
                return Err(Trouble::LostEnd { next_no, log_end });
            }
            if is_over(board) {
                return Err(SendError::Stopping.into());
            }
            Ok(sender.finish(reached, last_checksum)?)
        });
        self.hold.let_go();
        let manifest = sent?;
        tracing::info!(
            offset = end,
            bytes = manifest.bytes,
            "a snapshot for new nodes is in the topic of snapshots"
        );
        self.trim = self.newest.as_ref().map(|before| {
            // The record before the place says to a new node that the log is the same.
            let oldest = before.reached.place.next_no.0.min(next_no.0);
            Trim {
                records_before: RecordNo(oldest.saturating_sub(1)),
                snapshots_before: before.from_no.min(manifest.from_no),
                turns_left: 0,
                trouble: None,
            }
        });
        self.newest = Some(manifest);
        Ok(())
    }

    /// Drops what no new node needs: what is before the older of two snapshots.
    fn trim_if_due(&mut self) {
        let Some(trim) = &mut self.trim else { return };
        if trim.turns_left > 0 {
            trim.turns_left -= 1;
            return;
        }
        let KeeperParts { log, snapshots, partition, .. } = &self.parts;
        let trimmed = log
            .trim(*partition, trim.records_before)
            .and_then(|()| snapshots.trim(*partition, trim.snapshots_before));
        match trimmed {
            Ok(()) => self.trim = None,
            Err(error) => {
                trim.turns_left = TURNS_AFTER_TROUBLE;
                trim.trouble = Some(format!("the topics could not be trimmed, and grow: {error}"));
            }
        }
    }

    /// Says what is wrong, once, and which snapshot is the newest.
    fn show(&self) {
        let trim_trouble = || self.trim.as_ref().and_then(|trim| trim.trouble.clone());
        let trouble = self.trouble.clone().or_else(trim_trouble);
        let offset = self.newest.as_ref().map(|newest| newest.reached.place.next_offset);
        let mut state = self.parts.board.state();
        state.snapshot_offset = offset;
        if state.snapshot_trouble == trouble {
            return;
        }
        if let Some(trouble) = &trouble {
            tracing::warn!(trouble, "what new nodes begin with is not looked after; it is tried again");
        }
        state.snapshot_trouble = trouble;
    }
}

/// Whether the node leaves, or can follow no more.
fn is_over(board: &Board) -> bool {
    let state = board.state();
    state.is_leaving || state.problem.is_some()
}

/// Sends the state and the entries of a copy, all but the end.
fn send_copy<'a>(
    sending: Sending<'a>,
    copy: &dyn Log,
    state_offset: Option<u64>,
    offsets: Range<u64>,
) -> Result<Sender<'a>, Trouble> {
    let mut sender = Sender::begin(sending)?;
    if let Some(at) = state_offset {
        sender.state(at, &mut *copy.read_snapshot(at)?)?;
    }
    let mut reader = copy.reader();
    reader.read(offsets.start, offsets.end, |entry| sender.entry(&entry)).map_err(
        |error: VisitError<ReadError, SendError>| match error {
            VisitError::Log(error) => Trouble::Read(error),
            VisitError::Refused(refused) => Trouble::Send(refused.error),
        },
    )?;
    Ok(sender)
}

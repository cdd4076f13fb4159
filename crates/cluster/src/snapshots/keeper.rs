//! Keeps the log of snapshots: sends one when the shared log has grown enough since the newest, and trims both logs behind it.

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
/// Turns that whoever leads gives all others before it sends itself.
const TURNS_OF_OTHERS: u32 = 30;
/// Turns until it is tried again after trouble.
const TURNS_AFTER_TROUBLE: u32 = 20;
/// Snapshots that are kept.
const KEPT_COUNT: usize = 2;

/// What the keeper is given.
pub(crate) struct KeeperParts {
    pub(crate) log: Arc<dyn SharedLog>,
    pub(crate) snapshots: Arc<dyn SharedLog>,
    pub(crate) copy: Arc<dyn Log>,
    pub(crate) board: Arc<Board>,
    pub(crate) retention: Retention,
    pub(crate) partition: u32,
    pub(crate) node: NodeId,
    /// The shared log grows by so many bytes between two of them, or by as many as the newest one has.
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
    /// What a snapshot covers was not dropped yet.
    trims: bool,
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
    #[error("{setting} of the topic of snapshots is {found}, and has to be {wanted}: {cure}")]
    Unsafe { setting: String, found: String, wanted: String, cure: String },
}

impl Keeper {
    pub(crate) fn new(parts: KeeperParts, newest: Option<Manifest>) -> Self {
        let hold = parts.retention.hold(0);
        hold.let_go();
        Self { parts, hold, newest, turns_left: None, seen_end: None, trims: false }
    }

    /// Takes turns until the node leaves.
    pub(crate) fn run(mut self) {
        let niced = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
        if let Err(error) = niced {
            tracing::warn!(%error, "snapshots are sent at normal priority");
        }
        while !self.parts.board.state().is_leaving {
            match self.turn() {
                Ok(()) => self.show(None),
                Err(Trouble::Send(SendError::Stopping)) => return,
                Err(trouble) => {
                    self.turns_left = Some(TURNS_AFTER_TROUBLE);
                    self.show(Some(trouble.to_string()));
                }
            }
            std::thread::park_timeout(self.parts.interval);
        }
    }

    /// Sends a snapshot if it is time to.
    fn turn(&mut self) -> Result<(), Trouble> {
        let needed_from = self.needed_from();
        let (place, leads) = {
            let state = self.parts.board.state();
            (state.seen.place, state.term.is_some())
        };
        if self.trims {
            self.trim(&place)?;
        }
        let Some(needed_from) = needed_from.filter(|_| self.is_due(&place)) else {
            (self.turns_left, self.seen_end) = (None, None);
            return Ok(());
        };
        let turns = (self.parts.node.0.saturating_sub(1) % RANKS) + if leads { TURNS_OF_OTHERS } else { 0 };
        let turns_left = self.turns_left.get_or_insert(turns);
        if *turns_left > 0 {
            *turns_left -= 1;
            return Ok(());
        }
        let KeeperParts { snapshots, partition, .. } = &self.parts;
        let end = snapshots.extent(*partition)?.end;
        if self.seen_end.replace(end) != Some(end) {
            return Ok(());
        }
        // Another node may have sent one meanwhile.
        self.newest = newest_manifests(&**snapshots, *partition, place.log_id, 1)?.pop();
        self.trims = true;
        if self.is_due(&place) {
            self.refuse_unsafe()?;
            self.send(needed_from)?;
        }
        (self.turns_left, self.seen_end) = (None, None);
        self.trim(&place)
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
        let KeeperParts { snapshots, copy, board, partition, .. } = &self.parts;
        let reached = {
            let state = board.state();
            Reached {
                place: state.seen.place,
                told_ms: state.told_ms,
                leader_url: state.seen.leader_url.clone(),
                notes: state.notes.clone(),
            }
        };
        let Some(log_id) = reached.place.log_id else { return Ok(()) };
        let end = reached.place.next_offset;
        let state_offset = copy.snapshots()?.into_iter().find(|at| *at <= needed_from.min(end));
        if state_offset.is_none() && copy.reader().oldest_offset() > 0 {
            return Err(Trouble::Sink { needed_from });
        }
        let from = state_offset.unwrap_or(0);
        self.hold.keep_from(from);
        let stopping = Arc::clone(board);
        let sending = Sending {
            log: &**snapshots,
            partition: *partition,
            log_id,
            snapshot: getrandom::u64().map_err(Trouble::Random)?,
            bytes_per_s_max: Some(BYTES_PER_S_MAX),
            stops: &move || stopping.state().is_leaving,
        };
        let sent = send_copy(sending, &**copy, state_offset, from..end, reached);
        self.hold.let_go();
        let manifest = sent?;
        tracing::info!(
            offset = end,
            bytes = manifest.bytes,
            "a snapshot for new nodes is in the topic of snapshots"
        );
        self.newest = Some(manifest);
        Ok(())
    }

    /// Drops what no new node needs: what is before the older of two snapshots.
    fn trim(&mut self, place: &Place) -> Result<(), Trouble> {
        let KeeperParts { log, snapshots, partition, .. } = &self.parts;
        let manifests = newest_manifests(&**snapshots, *partition, place.log_id, KEPT_COUNT)?;
        if let [_, older] = &manifests[..] {
            log.trim(*partition, older.reached.place.next_no)?;
            snapshots.trim(*partition, older.from_no)?;
        }
        self.trims = false;
        Ok(())
    }

    /// Says what is wrong, once, and which snapshot is the newest.
    fn show(&self, trouble: Option<String>) {
        let offset = self.newest.as_ref().map(|newest| newest.reached.place.next_offset);
        let mut state = self.parts.board.state();
        state.snapshot_offset = offset;
        if state.snapshot_trouble == trouble {
            return;
        }
        if let Some(trouble) = &trouble {
            tracing::warn!(trouble, "no snapshot for new nodes was sent; it is tried again");
        }
        state.snapshot_trouble = trouble;
    }
}

/// Sends the state and the entries of a copy.
fn send_copy(
    sending: Sending<'_>,
    copy: &dyn Log,
    state_offset: Option<u64>,
    offsets: std::ops::Range<u64>,
    reached: Reached,
) -> Result<Manifest, Trouble> {
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
    Ok(sender.finish(reached)?)
}

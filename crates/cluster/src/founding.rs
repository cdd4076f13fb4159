//! The log of a single server becomes the beginning of a shared one.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use onrush_log::shared::{
    Extent, Fence, LogId, NodeId, Place, RecordKind, RecordNo, SharedError, SharedLog, SharedRecord, Verdict,
};
use onrush_log::{Entry, Format, Log, OpenError, Opening, SnapshotError, StorageError, VisitError};

use crate::notes::Notes;
use crate::opening::random;
use crate::place_file::{PlaceFile, Reached};
use crate::settings::SharedLogs;
use crate::snapshots::{Handing, SendError, Sender, Sending};

/// How long is waited for a record that was acknowledged.
const READS_MAX: usize = 100;
const PATIENCE: Duration = Duration::from_millis(300);

/// What a shared log begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Founded {
    /// Events before its first record.
    pub offset: u64,
    /// Size of the snapshot that nodes begin with.
    pub snapshot_bytes: u64,
}

/// Why no shared log was founded.
#[derive(Debug, thiserror::Error)]
pub enum FoundError {
    /// It has records.
    #[error(
        "the shared log has records up to number {0} already, so it cannot begin with another log: name a new topic"
    )]
    NotEmpty(u64),
    /// A node began to lead meanwhile.
    #[error(
        "another node has founded a log in this topic meanwhile, so this one did not become its beginning: stop all nodes, and name a new topic"
    )]
    Rival,
    /// There is nothing to begin with.
    #[error("the log has no events, so a cluster need not begin with it: start nodes with empty directories")]
    Empty,
    /// Whether it was founded is not known.
    #[error("nobody knows whether the shared log begins with this one now: {0}")]
    Unknown(SharedError),
    /// A sink would lose events.
    #[error(
        "a sink needs the log from offset {0} on, and no snapshot is as old: start the single server, let its sinks catch up, and stop it again"
    )]
    Sink(u64),
    /// The log of the single server.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Its snapshot.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// Its files.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A part of it is written in the way of an earlier version.
    #[error("{0}")]
    Format(String),
    /// The shared log, or that of its snapshots.
    #[error(transparent)]
    Shared(#[from] SharedError),
}

impl FoundError {
    /// Whether it is certain that nobody goes on from the log, so that its server may.
    pub fn is_void(&self) -> bool {
        !matches!(self, Self::Unknown(_))
    }
}

impl From<SendError> for FoundError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Shared(error) => Self::Shared(error),
            SendError::Snapshot(error) => Self::Snapshot(error),
            error @ (SendError::Format { .. } | SendError::Stopping) => Self::Format(error.to_string()),
        }
    }
}

/// Makes everything in a log the beginning of a shared one that has no records: nodes with empty directories begin with it, behind its
/// last event. Sinks need the log from offset `needed_from` on, and `places` are what they have noted, by their names. The log is
/// opened for that and is to be opened never again.
///
/// # Errors
/// See [`FoundError`]; unless that says otherwise, nothing has happened then.
pub fn found(
    shared: &SharedLogs,
    partition: u32,
    log: &dyn Log,
    needed_from: u64,
    places: &[(String, Vec<u8>)],
) -> Result<Founded, FoundError> {
    let Extent { end, .. } = shared.records.extent(partition)?;
    if end.0 > 0 {
        return Err(FoundError::NotEmpty(end.0));
    }
    let snapshots = log.snapshots()?;
    let state_offset = snapshots.iter().copied().find(|at| *at <= needed_from);
    if state_offset.is_none() && !snapshots.is_empty() {
        return Err(FoundError::Sink(needed_from));
    }
    let log_id = LogId(u128::from(random()?) << 64 | u128::from(random()?));
    let mut sender = Sender::begin(Sending {
        log: &*shared.snapshots,
        partition,
        log_id,
        snapshot: random()?,
        bytes_per_s_max: None,
        stops: &|| false,
    })?;
    let mut time_ms = 0;
    if let Some(at) = state_offset {
        let mut snapshot = log.read_snapshot(at)?;
        time_ms = snapshot.time_ms();
        sender.state(at, &mut *snapshot)?;
    }
    let opening = Opening { from_offset: state_offset.unwrap_or(0), resume_at: None, salt_seed: random()? };
    let opened = log.open(opening, |entry: Entry<'_>| {
        time_ms = time_ms.max(entry.time_ms);
        sender.entry(&entry)
    });
    let opened = opened.map_err(|error| match error {
        VisitError::Log(error) => FoundError::Open(error),
        VisitError::Refused(refused) => FoundError::from(refused.error),
    })?;
    let offset = opened.next_offset;
    if offset == 0 {
        return Err(FoundError::Empty);
    }
    let mut notes = Notes::default();
    for (name, value) in places {
        notes.put(name, value);
    }
    let place = Place { log_id: Some(log_id), next_offset: offset, ..Place::default() };
    let manifest =
        sender.finish(Reached { place, told_ms: time_ms, leader_url: String::new(), notes }, None)?;
    begin_log(&*shared.records, partition, log_id, offset, time_ms)?;
    Ok(Founded { offset, snapshot_bytes: manifest.bytes })
}

/// The first claim of the log says with which offset it begins, and the resignation behind it lets any node lead at once.
fn begin_log(
    log: &dyn SharedLog,
    partition: u32,
    log_id: LogId,
    base_offset: u64,
    time_ms: u64,
) -> Result<(), FoundError> {
    let tag = random()?;
    let claim = SharedRecord {
        kind: RecordKind::Claim,
        format: Format::V1,
        log_id,
        partition,
        node: NodeId::ANY,
        epoch: None,
        sequence: tag,
        base_offset,
        time_ms,
        told_ms: time_ms,
        event_count: 0,
        payload: b"",
    };
    let mut handing = Handing::begin(log, partition, RecordNo(0))?;
    let mut bytes = Vec::new();
    claim.encode(&mut bytes);
    // From here on it may be that the log is founded, whatever is said.
    handing.hand_over(&bytes).map_err(FoundError::Unknown)?;
    handing.wait_for(0, &|| false).map_err(|error| match error {
        SendError::Shared(error) => FoundError::Unknown(error),
        other => other.into(),
    })?;
    let epoch = own_claim(log, partition, log_id, tag).map_err(FoundError::Unknown)?;
    let epoch = epoch.ok_or(FoundError::Rival)?;
    let resignation =
        SharedRecord { kind: RecordKind::Resignation, epoch: Some(epoch), sequence: 1, ..claim };
    bytes.clear();
    resignation.encode(&mut bytes);
    let resigned = handing.hand_over(&bytes).map_err(SendError::from);
    if let Err(error) = resigned.and_then(|()| handing.wait_for(0, &|| false)) {
        // Without it nodes wait for the silence to pass.
        tracing::warn!(%error, "the log is founded, and its first leader has not resigned");
    }
    Ok(())
}

/// What was noted with the log that a node has a copy of, if the file `place` of the node is in this directory.
///
/// # Errors
/// It cannot be read.
pub fn noted_in(directory: &Path) -> io::Result<impl Fn(&str) -> Option<Vec<u8>>> {
    let reached = PlaceFile::in_directory(directory).read()?;
    Ok(move |name: &str| reached.as_ref().and_then(|reached| reached.notes.get(name)))
}

/// The number of this claim, if it is in force.
fn own_claim(
    log: &dyn SharedLog,
    partition: u32,
    log_id: LogId,
    tag: u64,
) -> Result<Option<RecordNo>, SharedError> {
    let mut reader = log.reader(partition, RecordNo(0))?;
    let mut fence = Fence::new(partition, Place::default());
    let mut found = None;
    for _ in 0..READS_MAX {
        reader.read(PATIENCE, &mut |no, record| {
            let admission = fence.read(no, record).ok();
            let own = admission
                .filter(|it| it.record.is_ok_and(|record| record.log_id == log_id && record.sequence == tag));
            found = own.map(|it| (it.verdict == Verdict::InForce).then_some(no));
            if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if let Some(epoch) = found {
            return Ok(epoch);
        }
    }
    Err(SharedError::Unknown("the shared log does not show what was written to it".into()))
}

//! From where the names at an offset can be learnt: the sink's own snapshot, the beginning of the log, or a snapshot.

use onrush_log::{Log, ReadError, SnapshotError, SnapshotReader, StorageError};

use crate::name_table::NameTable;
use crate::status::Stop;
use onrush_node::ReservationIds;
use onrush_node::record::{DecodeError, FactDecoder};

/// Names and the offset as of which they hold; the log is there from that offset on.
pub(crate) struct StartPoint {
    pub(crate) names: NameTable,
    pub(crate) offset: u64,
    /// They come from a snapshot, which goes when there are two newer ones.
    pub(crate) is_snapshot: bool,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartPointError {
    /// Only an operator can help.
    #[error("the log was trimmed")]
    Stop(Stop),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("the sink's files: {0}")]
    Files(#[from] std::io::Error),
}

/// The latest base at or before `offset`; the snapshot is of this log's history.
pub(crate) fn find(
    log: &dyn Log,
    sink_snapshot: Option<(NameTable, u64)>,
    ids: &ReservationIds,
    offset: u64,
) -> Result<StartPoint, StartPointError> {
    let oldest = log.reader().oldest_offset();
    let sink_snapshot_offset = sink_snapshot.as_ref().map(|(_, at)| *at).filter(|at| *at >= oldest);
    let snapshots = log.snapshots()?;
    let snapshot = snapshots.iter().copied().find(|at| *at <= offset && *at >= oldest);
    if let Some((names, at)) = sink_snapshot
        && at >= oldest
        && at <= offset
        && snapshot.is_none_or(|snapshot| snapshot <= at)
    {
        return Ok(StartPoint { names, offset: at, is_snapshot: false });
    }
    if let Some(at) = snapshot {
        let names = read_snapshot(&mut *log.read_snapshot(at)?, ids)?;
        return Ok(StartPoint { names, offset: at, is_snapshot: true });
    }
    if oldest == 0 {
        return Ok(StartPoint { names: NameTable::new(ids.clone()), offset: 0, is_snapshot: false });
    }
    let later = snapshots.iter().copied().filter(|at| *at >= oldest).chain(sink_snapshot_offset);
    Err(StartPointError::Stop(match later.filter(|at| *at > offset).min() {
        Some(to) => Stop::Trimmed { from: offset, to },
        None => Stop::Refused {
            reason: format!(
                "the target lacks the events from offset {offset} on, the log begins at {oldest}, and no snapshot \
                 says what was before: try again when one was taken"
            ),
        },
    }))
}

/// The names in a snapshot.
pub(crate) fn read_snapshot(
    snapshot: &mut dyn SnapshotReader,
    ids: &ReservationIds,
) -> Result<NameTable, StartPointError> {
    let mut names = NameTable::new(ids.clone());
    let mut facts = FactDecoder::new(snapshot.format());
    while let Some(chunk) = snapshot.next_chunk()? {
        facts.decode(chunk, |fact| names.restore(fact))?;
    }
    Ok(names)
}

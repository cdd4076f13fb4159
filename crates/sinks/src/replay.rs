//! The events of a data directory, as sinks get them, without locking or changing it: a server may be running.

use std::path::Path;
use std::sync::Arc;

use onrush_core::Fact;
use onrush_log::{
    DirStorage, FrameHeader, FrameKind, SnapshotError, SnapshotReader, Storage, StorageError, list_snapshots,
};

use crate::event::SinkEvent;
use crate::files::SinkFiles;
use crate::name_table::{NameTable, Unknown};
use crate::settings::Selection;
use crate::start_point::{StartPointError, read_snapshot};
use crate::target::{Skipped, log_id};
use onrush_node::ReservationIds;
use onrush_node::wire::{DecodeError, FactDecoder, Record, decode_records};

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Identity of the log.
    pub log_id: String,
    /// The partition whose log it is.
    pub partition: u16,
    /// The first offset from which events can be told; above 0 if the log was trimmed.
    pub from: u64,
    /// The offset after the last event.
    pub to: u64,
}

/// Why events cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The directory.
    #[error("open the directory {directory}: {source}")]
    Directory {
        /// Its path.
        directory: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file in it.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A snapshot in it.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The log.
    #[error("the log is damaged: {0}")]
    Damaged(String),
    /// There is nothing in it.
    #[error("{directory} holds no log")]
    Empty {
        /// Its path.
        directory: String,
    },
    /// The beginning is gone, and there is no snapshot to start from.
    #[error("the log begins at offset {oldest}, and no snapshot says what was before")]
    Trimmed {
        /// The first offset that is there.
        oldest: u64,
    },
    /// Whoever was given the events.
    #[error("{0}")]
    Visitor(String),
}

impl From<UnknownPartition> for ReplayError {
    fn from(error: UnknownPartition) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl From<StartPointError> for ReplayError {
    fn from(error: StartPointError) -> Self {
        match error {
            StartPointError::Snapshot(error) => Self::Snapshot(error),
            other => Self::Damaged(other.to_string()),
        }
    }
}

/// Gives every event that `selection` takes to `visit`, oldest first.
///
/// # Errors
/// The directory cannot be read, is damaged, or `visit` failed.
pub fn replay(
    directory: &Path,
    selection: &Selection,
    visit: &mut dyn FnMut(&SinkEvent<'_>) -> Result<(), String>,
) -> Result<Replayed, ReplayError> {
    read(directory, &mut |event| if selection.takes(event) { visit(event) } else { Ok(()) })
}

/// What [`replay`] would cover.
///
/// # Errors
/// As of [`replay`].
pub fn log_extent(directory: &Path) -> Result<Replayed, ReplayError> {
    read(directory, &mut |_| Ok(()))
}

/// What operators had left out of a sink, oldest first.
///
/// # Errors
/// The record of it cannot be read.
pub fn skipped(directory: &Path, sink: &str) -> Result<Vec<Skipped>, ReplayError> {
    SinkFiles::new(directory, sink).read_skipped().map_err(|source| directory_error(directory, source))
}

/// The offset noted for a sink whose target keeps none: everything below is in the target. 0 if none was noted.
///
/// # Errors
/// The note cannot be read.
pub fn noted_offset(directory: &Path, sink: &str) -> Result<u64, ReplayError> {
    let files = SinkFiles::new(directory, sink);
    let noted = files.read_offset().and_then(|noted| Ok(noted.or(files.place_offset()?).unwrap_or(0)));
    noted.map_err(|source| directory_error(directory, source))
}

/// The offset of the sink's place, 0 if it has none: its target once had everything below.
///
/// # Errors
/// The place cannot be read.
pub fn place_offset(directory: &Path, sink: &str) -> Result<u64, ReplayError> {
    let offset = SinkFiles::new(directory, sink).place_offset();
    Ok(offset.map_err(|source| directory_error(directory, source))?.unwrap_or(0))
}

fn directory_error(directory: &Path, source: std::io::Error) -> ReplayError {
    ReplayError::Directory { directory: directory.display().to_string(), source }
}

/// What is known while the frames go by.
struct Reading<'v> {
    /// Names, once the founding or a snapshot told the secret behind the ids.
    names: Option<(NameTable, ReservationIds)>,
    partition: u16,
    from: u64,
    to: u64,
    visit: &'v mut dyn FnMut(&SinkEvent<'_>) -> Result<(), String>,
    failed: Option<String>,
}

fn read(
    directory: &Path,
    visit: &mut dyn FnMut(&SinkEvent<'_>) -> Result<(), String>,
) -> Result<Replayed, ReplayError> {
    let storage = DirStorage::existing(directory).map_err(|source| directory_error(directory, source))?;
    let storage: Arc<dyn Storage> = Arc::new(storage);
    let base = oldest_snapshot(&storage)?;
    let mut reading = Reading { names: None, partition: 0, from: 0, to: 0, visit, failed: None };
    let mut is_first = true;
    let mut trimmed = None;
    let report = onrush_log::inspect(&storage, |_, frame| {
        if reading.failed.is_some() || trimmed.is_some() {
            return Ok(());
        }
        let base_offset = frame.header.base_offset;
        if std::mem::take(&mut is_first) && base_offset > 0 {
            match base.as_ref().filter(|(offset, _, _)| *offset >= base_offset) {
                Some((offset, ids, snapshot_names)) => {
                    let names = snapshot_names(ids).map_err(|error| error.to_string())?;
                    reading.names = Some((names, ids.clone()));
                    reading.from = *offset;
                }
                None => trimmed = Some(base_offset),
            }
        }
        if trimmed.is_none() && frame.header.kind == FrameKind::Batch {
            reading.take(&frame.header, frame.payload).map_err(|error| error.to_string())?;
        }
        Ok(())
    })?;
    if let Some(failed) = reading.failed {
        return Err(ReplayError::Visitor(failed));
    }
    if let Some(oldest) = trimmed {
        return Err(ReplayError::Trimmed { oldest });
    }
    if let Some(damage) = report.damage() {
        return Err(ReplayError::Damaged(damage.to_string()));
    }
    let Some((_, ids)) = reading.names else {
        return Err(ReplayError::Empty { directory: directory.display().to_string() });
    };
    Ok(Replayed { log_id: log_id(&ids), partition: reading.partition, from: reading.from, to: reading.to })
}

/// A partition's number as ids hold it.
#[derive(Debug, thiserror::Error)]
#[error("it is of partition {0}, and there are at most 65536")]
struct UnknownPartition(u32);

fn partition_no(partition: u32) -> Result<u16, UnknownPartition> {
    u16::try_from(partition).map_err(|_| UnknownPartition(partition))
}

/// Offset of a snapshot, the secret in it, and how its names are read when they are needed.
type SnapshotBase = (u64, ReservationIds, Box<dyn Fn(&ReservationIds) -> Result<NameTable, StartPointError>>);

fn oldest_snapshot(storage: &Arc<dyn Storage>) -> Result<Option<SnapshotBase>, ReplayError> {
    let Some(offset) = list_snapshots(&**storage)?.last().copied() else { return Ok(None) };
    let mut snapshot = SnapshotReader::open(Arc::clone(storage), None, offset)?;
    let (mut id_key, format) = (None, snapshot.format());
    let partition = partition_no(snapshot.partition())?;
    if let Some(chunk) = snapshot.next_chunk()? {
        let mut look = |fact: &Fact<'_>| {
            if let Fact::Partition { id_key: Some(key), .. } = fact {
                id_key = Some(*key);
            }
            Ok(())
        };
        FactDecoder::new(format)
            .decode(chunk, &mut look)
            .map_err(|error| ReplayError::Damaged(error.to_string()))?;
    }
    let storage = Arc::clone(storage);
    let read_names = move |ids: &ReservationIds| {
        read_snapshot(&mut SnapshotReader::open(Arc::clone(&storage), None, offset)?, ids)
    };
    Ok(id_key.map(|key| (offset, ReservationIds::new(partition, key), Box::new(read_names) as _)))
}

/// Why a frame could not be told.
#[derive(Debug, thiserror::Error)]
enum Untold {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Unknown(#[from] Unknown),
    #[error(transparent)]
    Partition(#[from] UnknownPartition),
}

impl Reading<'_> {
    fn take(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<(), Untold> {
        self.partition = partition_no(header.partition)?;
        decode_records(header.format, payload, header.time_ms, |record| {
            let offset = header.base_offset + record.index;
            self.to = offset + 1;
            if offset < self.from {
                return Ok(());
            }
            self.tell(offset, &record)
        })
    }

    fn tell(&mut self, offset: u64, record: &Record<'_>) -> Result<(), Untold> {
        if let onrush_core::Event::Founded { id_key } = &record.event {
            let ids = ReservationIds::new(self.partition, *id_key);
            self.names = Some((NameTable::new(ids.clone()), ids));
        }
        let (Some((names, _)), None) = (&mut self.names, &self.failed) else { return Ok(()) };
        let visit = &mut self.visit;
        if let Some(Err(problem)) = names.tell(offset, record, |event| visit(event))? {
            self.failed = Some(problem);
        }
        Ok(())
    }
}

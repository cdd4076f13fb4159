//! The events of a log, as sinks get them, without taking it over or changing it: a server may be running.

use std::path::Path;

use onrush_core::Fact;
use onrush_log::{Entry, ReadError, SnapshotError, StorageError, StoredLog, VisitError};

use crate::event::SinkEvent;
use crate::files::SinkFiles;
use crate::leading::kept_note;
use crate::name_table::{NameTable, Unknown};
use crate::settings::{Selection, SinkSettings};
use crate::start_point::{StartPointError, read_snapshot};
use crate::target::{Skipped, log_id};
use onrush_node::ReservationIds;
use onrush_node::record::{DecodeError, FactDecoder, Record, decode_records};

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Identity of the log.
    pub log_id: String,
    /// The partition whose log it is.
    pub partition: u16,
    /// The first offset from which events can be described; above 0 if the log was trimmed.
    pub from: u64,
    /// The offset after the last event.
    pub to: u64,
}

/// Why events cannot be described.
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
    #[error("{place} holds no log")]
    Empty {
        /// Where it is.
        place: String,
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
/// The log cannot be read, is damaged, or `visit` failed.
pub fn replay(
    log: &dyn StoredLog,
    selection: &Selection,
    visit: &mut dyn FnMut(&SinkEvent<'_>) -> Result<(), String>,
) -> Result<Replayed, ReplayError> {
    read(log, &mut |event| if selection.takes(event) { visit(event) } else { Ok(()) })
}

/// What [`replay`] would cover.
///
/// # Errors
/// As of [`replay`].
pub fn log_extent(log: &dyn StoredLog) -> Result<Replayed, ReplayError> {
    read(log, &mut |_| Ok(()))
}

/// What operators had left out of a sink, oldest first.
///
/// # Errors
/// The record of it cannot be read.
pub fn skipped(directory: &Path, sink: &str) -> Result<Vec<Skipped>, ReplayError> {
    SinkFiles::new(directory, sink).read_skipped().map_err(|source| directory_error(directory, source))
}

/// Where the sinks of a log are that goes on elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkPlaces {
    /// They need the log from this offset on; `u64::MAX` without sinks.
    pub needed_from: u64,
    /// What [`onrush_log::Log::note`] is given of each of them.
    pub notes: Vec<(String, Vec<u8>)>,
}

/// Where sinks are by what is `noted` of them with the log, or else by their files in a data directory.
///
/// # Errors
/// The files cannot be read.
pub fn sink_places(
    sinks: &[SinkSettings],
    directory: &Path,
    noted: impl Fn(&str) -> Option<Vec<u8>>,
) -> std::io::Result<SinkPlaces> {
    let mut places = SinkPlaces { needed_from: u64::MAX, notes: Vec::new() };
    for SinkSettings { name, .. } in sinks {
        let files = SinkFiles::new(directory, name);
        let place = match noted(name) {
            Some(place) => Some(place),
            None => files.read_offset()?.map(|noted| noted.encode()),
        };
        places.notes.extend(place.map(|place| (name.clone(), place)));
        let kept_note = kept_note(name);
        let kept = noted(&kept_note).and_then(|kept| Some(u64::from_le_bytes(kept.try_into().ok()?)));
        let kept = match kept {
            Some(kept) => kept,
            None => files.sink_snapshot_offset()?.unwrap_or(0),
        };
        places.notes.push((kept_note, kept.to_le_bytes().to_vec()));
        places.needed_from = places.needed_from.min(kept);
    }
    Ok(places)
}

/// The offset noted for a sink whose target keeps none: everything below is in the target. 0 if none was noted.
///
/// # Errors
/// The note cannot be read.
pub fn noted_offset(directory: &Path, sink: &str) -> Result<u64, ReplayError> {
    let files = SinkFiles::new(directory, sink);
    let noted = files.read_offset().map_err(|source| directory_error(directory, source))?;
    noted.map_or_else(|| sink_snapshot_offset(directory, sink), |noted| Ok(noted.offset))
}

/// The offset of the sink's snapshot, 0 if it has none: its target once had everything below.
///
/// # Errors
/// The snapshot cannot be read.
pub fn sink_snapshot_offset(directory: &Path, sink: &str) -> Result<u64, ReplayError> {
    let offset = SinkFiles::new(directory, sink).sink_snapshot_offset();
    Ok(offset.map_err(|source| directory_error(directory, source))?.unwrap_or(0))
}

fn directory_error(directory: &Path, source: std::io::Error) -> ReplayError {
    ReplayError::Directory { directory: directory.display().to_string(), source }
}

/// What is known while the entries go by.
struct Reading<'v> {
    log: &'v dyn StoredLog,
    /// Names, once the first record or a snapshot gave the secret behind the ids.
    names: Option<(NameTable, ReservationIds)>,
    partition: u16,
    is_first: bool,
    from: u64,
    to: u64,
    visit: &'v mut dyn FnMut(&SinkEvent<'_>) -> Result<(), String>,
}

fn read(
    log: &dyn StoredLog,
    visit: &mut dyn FnMut(&SinkEvent<'_>) -> Result<(), String>,
) -> Result<Replayed, ReplayError> {
    let partition = partition_no(log.partition()?.unwrap_or(0))?;
    let base = oldest_snapshot(log)?;
    let mut reading = Reading { log, names: None, partition, is_first: true, from: 0, to: 0, visit };
    log.read(|entry| reading.take(base.as_ref(), &entry))?;
    let Some((_, ids)) = reading.names else { return Err(ReplayError::Empty { place: log.place() }) };
    Ok(Replayed { log_id: log_id(&ids), partition, from: reading.from, to: reading.to })
}

/// A partition's number as ids hold it.
#[derive(Debug, thiserror::Error)]
#[error("it is of partition {0}, and there are at most 65536")]
struct UnknownPartition(u32);

fn partition_no(partition: u32) -> Result<u16, UnknownPartition> {
    u16::try_from(partition).map_err(|_| UnknownPartition(partition))
}

/// Offset of a snapshot, and the secret in it.
type SnapshotBase = (u64, ReservationIds);

fn oldest_snapshot(log: &dyn StoredLog) -> Result<Option<SnapshotBase>, ReplayError> {
    let Some(offset) = log.snapshots()?.last().copied() else { return Ok(None) };
    let mut snapshot = log.read_snapshot(offset)?;
    let (mut id_key, format) = (None, snapshot.format());
    let partition = partition_no(snapshot.partition())?;
    if let Some(chunk) = snapshot.next_chunk()? {
        let mut find_key = |fact: &Fact<'_>| {
            if let Fact::Partition { id_key: Some(key), .. } = fact {
                id_key = Some(*key);
            }
            Ok(())
        };
        FactDecoder::new(format)
            .decode(chunk, &mut find_key)
            .map_err(|error| ReplayError::Damaged(error.to_string()))?;
    }
    Ok(id_key.map(|key| (offset, ReservationIds::new(partition, key))))
}

/// Why an entry could not be described.
#[derive(Debug, thiserror::Error)]
enum EntryError {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Unknown(#[from] Unknown),
    #[error(transparent)]
    StartPoint(#[from] StartPointError),
    #[error("the log begins here")]
    Trimmed,
    #[error("{0}")]
    Visitor(String),
}

impl From<VisitError<ReadError, EntryError>> for ReplayError {
    fn from(error: VisitError<ReadError, EntryError>) -> Self {
        match error {
            VisitError::Log(ReadError::Storage(error)) => Self::Storage(error),
            VisitError::Log(error) => Self::Damaged(error.to_string()),
            VisitError::Refused(refused) => match refused.error {
                EntryError::StartPoint(error) => error.into(),
                EntryError::Trimmed => Self::Trimmed { oldest: refused.offset },
                EntryError::Visitor(problem) => Self::Visitor(problem),
                EntryError::Decode(_) | EntryError::Unknown(_) => Self::Damaged(refused.to_string()),
            },
        }
    }
}

impl Reading<'_> {
    fn take(&mut self, base: Option<&SnapshotBase>, entry: &Entry<'_>) -> Result<(), EntryError> {
        if std::mem::take(&mut self.is_first) && entry.base_offset > 0 {
            let Some((offset, ids)) = base.filter(|(offset, _)| *offset >= entry.base_offset) else {
                return Err(EntryError::Trimmed);
            };
            let mut snapshot = self.log.read_snapshot(*offset).map_err(StartPointError::from)?;
            self.names = Some((read_snapshot(&mut *snapshot, ids)?, ids.clone()));
            self.from = *offset;
        }
        decode_records(entry.format, entry.payload, entry.time_ms, |record| {
            let offset = entry.base_offset + record.index;
            self.to = offset + 1;
            if offset < self.from {
                return Ok(());
            }
            self.describe(offset, &record)
        })
    }

    fn describe(&mut self, offset: u64, record: &Record<'_>) -> Result<(), EntryError> {
        if let onrush_core::Event::PartitionCreated { id_key } = &record.event {
            let ids = ReservationIds::new(self.partition, *id_key);
            self.names = Some((NameTable::new(ids.clone()), ids));
        }
        let Some((names, _)) = &mut self.names else { return Ok(()) };
        let visit = &mut self.visit;
        names.describe(offset, record, |event| visit(event))?.transpose().map_err(EntryError::Visitor)?;
        Ok(())
    }
}

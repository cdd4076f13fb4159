//! A directory behind the contract of every log.

use std::path::Path;
use std::sync::Arc;

use crate::contract::{Log, LogReader, Opened, Opening, SnapshotReader, SnapshotWriter, Visit};
use crate::error::{BrokenOff, OpenError, SnapshotError, StorageError, VisitError};
use crate::file::dir_storage::{DirStorage, SyncMethod};
use crate::file::directory::LogDirectory;
use crate::file::writer::LogSettings;

/// The log in a directory, which is locked for this process as long as this or anything of it lives.
#[derive(Clone)]
pub struct FileLog {
    directory: LogDirectory,
    settings: LogSettings,
}

impl FileLog {
    /// The log in a directory that is locked.
    pub fn new(directory: LogDirectory, settings: LogSettings) -> Self {
        Self { directory, settings }
    }

    /// Makes the directory if need be, and locks it.
    pub fn lock(
        directory: &Path,
        sync_method: SyncMethod,
        partition: u32,
        settings: LogSettings,
    ) -> Result<Self, OpenError> {
        let storage = DirStorage::create(directory, sync_method).map_err(|source| StorageError {
            doing: "open the directory",
            path: directory.display().to_string(),
            source,
        })?;
        Ok(Self::new(LogDirectory::lock(Arc::new(storage), partition)?, settings))
    }
}

impl Log for FileLog {
    fn open_visiting(
        &self,
        opening: Opening,
        visit: &mut Visit<'_>,
    ) -> Result<Opened, VisitError<OpenError, BrokenOff>> {
        let (writer, recovered) =
            self.directory.open_frames(&self.settings, opening, &mut |frame| visit(frame.entry()))?;
        Ok(Opened {
            writer: Box::new(writer),
            next_offset: recovered.next_offset,
            epoch: recovered.epoch.into(),
            torn_at: recovered.torn_at,
        })
    }

    fn reader(&self) -> Box<dyn LogReader> {
        Box::new(self.directory.reader())
    }

    fn snapshots(&self) -> Result<Vec<u64>, StorageError> {
        self.directory.snapshots()
    }

    fn read_snapshot(&self, offset: u64) -> Result<Box<dyn SnapshotReader>, SnapshotError> {
        Ok(Box::new(self.directory.read_snapshot(offset)?))
    }

    fn write_snapshot(&self, offset: u64, time_ms: u64) -> Result<Box<dyn SnapshotWriter>, SnapshotError> {
        Ok(Box::new(self.directory.write_snapshot(offset, time_ms)?))
    }

    fn trim(&self, before: u64) -> Result<u64, StorageError> {
        self.directory.trim(before)
    }
}

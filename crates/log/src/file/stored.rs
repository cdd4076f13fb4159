//! The log in a directory for whoever only looks: nothing is locked or changed, and a server may be writing to it.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::contract::{SnapshotReader, StoredLog, Visit};
use crate::error::{BrokenOff, ReadError, Refused, SnapshotError, StorageError, VisitError};
use crate::file::dir_storage::DirStorage;
use crate::file::snapshot::{self, FileSnapshotReader};
use crate::file::storage::Storage;
use crate::file::verify::{inspect, partition_of};

/// A directory that is looked at.
pub struct StoredFileLog {
    storage: Arc<dyn Storage>,
}

impl StoredFileLog {
    /// The log in a directory, which need not be there.
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self { storage }
    }

    /// The log in an existing directory.
    ///
    /// # Errors
    /// It is not there, or cannot be read.
    pub fn open(directory: &Path) -> Result<Self, StorageError> {
        let storage = DirStorage::existing(directory).map_err(|source| StorageError {
            doing: "open the directory",
            path: directory.display().to_string(),
            source,
        })?;
        Ok(Self::new(Arc::new(storage)))
    }
}

impl StoredFileLog {
    /// Whether a directory has files of a log, whole or not.
    ///
    /// # Errors
    /// It is not there, or cannot be read.
    pub fn is_in(directory: &Path) -> io::Result<bool> {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "seg" || extension == "snap") {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl StoredLog for StoredFileLog {
    fn place(&self) -> String {
        self.storage.path_of("")
    }

    fn partition(&self) -> Result<Option<u32>, StorageError> {
        partition_of(&*self.storage)
    }

    fn snapshots(&self) -> Result<Vec<u64>, StorageError> {
        snapshot::list(&*self.storage)
    }

    fn read_snapshot(&self, offset: u64) -> Result<Box<dyn SnapshotReader>, SnapshotError> {
        Ok(Box::new(FileSnapshotReader::open(Arc::clone(&self.storage), None, offset)?))
    }

    fn read_visiting(&self, visit: &mut Visit<'_>) -> Result<(), VisitError<ReadError, BrokenOff>> {
        let mut refused = None;
        let report = inspect(&self.storage, |segment, frame| {
            if refused.is_none() && visit(frame.entry()).is_break() {
                let place = format!("{}, byte {}", self.storage.path_of(&segment.name()), frame.position);
                refused = Some(Refused { place, offset: frame.header.base_offset, error: BrokenOff });
            }
            Ok(())
        });
        let report = report.map_err(ReadError::from)?;
        match (refused, report.damage()) {
            (Some(refused), _) => Err(VisitError::Refused(refused)),
            (None, Some(damage)) => Err(ReadError::from(damage.clone()).into()),
            (None, None) => Ok(()),
        }
    }
}

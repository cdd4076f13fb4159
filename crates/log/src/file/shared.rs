//! What everything of one locked directory shares: the writer, the readers and trimming.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::StorageError;
use crate::file::segment_list::SegmentList;
use crate::file::spare::SpareThread;
use crate::file::storage::{Storage, StorageLock, while_doing};

pub(crate) struct Shared {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) partition: u32,
    /// It outlives the writer, so that readers go on when the log is opened again.
    segments: Mutex<SegmentList>,
    term: Mutex<Term>,
    /// Held while segments are trimmed, so that they go in order.
    trimming: Mutex<()>,
    lock: Box<dyn StorageLock>,
}

/// Whose turn it is to write. Held while a frame is written and while the log is opened, so that a writer that was fenced
/// writes nothing more.
#[derive(Default)]
pub(crate) struct Term {
    /// Newest term of this process, also if its first frame failed: it is not used again.
    pub(crate) epoch: u32,
    /// Makes the spares of the writer of this term.
    pub(crate) spare_thread: Option<SpareThread>,
}

impl Shared {
    pub(crate) fn new(storage: Arc<dyn Storage>, partition: u32, lock: Box<dyn StorageLock>) -> Self {
        Self {
            storage,
            partition,
            segments: Mutex::default(),
            term: Mutex::default(),
            trimming: Mutex::new(()),
            lock,
        }
    }

    pub(crate) fn segments(&self) -> MutexGuard<'_, SegmentList> {
        self.segments.lock().expect("no thread panics with the list of segments")
    }

    pub(crate) fn term(&self) -> MutexGuard<'_, Term> {
        // A writer that failed an assertion has closed itself.
        self.term.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn trimming(&self) -> MutexGuard<'_, ()> {
        self.trimming.lock().expect("no thread panics while trimming")
    }

    /// Whether the path still leads to the directory that was locked: whoever starts next looks there.
    pub(crate) fn check_in_place(&self) -> Result<(), StorageError> {
        let is_there = || {
            let is_same = self.storage.identity_of("")? == self.lock.directory()?;
            is_same
                .then_some(())
                .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "another directory is there"))
        };
        is_there().map_err(while_doing(&*self.storage, "look for the directory that was opened as", ""))
    }
}

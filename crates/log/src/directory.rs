//! The directory of one partition, locked: the door to its log, its readers, its snapshots and trimming.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use crate::error::{OpenError, SnapshotError, StorageError, while_doing};
use crate::frame::FrameRef;
use crate::limits::SNAPSHOT_COUNT_MAX;
use crate::live::Live;
use crate::log::{Log, LogSettings};
use crate::reader::LogReader;
use crate::recovery::{self, Opening, Recovered};
use crate::segment::Segment;
use crate::snapshot::{self, SnapshotReader, SnapshotWriter};
use crate::storage::{Storage, StorageLock};

/// A locked directory; clones share the lock, which the last one gives back.
#[derive(Clone)]
pub struct LogDirectory {
    shared: Arc<Shared>,
}

/// What everything of one directory shares.
pub(crate) struct Shared {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) partition: u32,
    pub(crate) live: Live,
    pub(crate) log_open: AtomicBool,
    /// Newest term that this process has had, so that one whose first frame failed is not used again.
    pub(crate) epoch: AtomicU32,
    /// Held while segments are trimmed, so that they go in order.
    trimming: Mutex<()>,
    lock: Box<dyn StorageLock>,
}

impl Shared {
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

impl LogDirectory {
    /// Takes the directory for this process and removes unfinished snapshots.
    pub fn lock(storage: Arc<dyn Storage>, partition: u32) -> Result<Self, OpenError> {
        let lock = match storage.lock() {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(OpenError::Locked { directory: storage.path_of("") });
            }
            Err(error) => return Err(while_doing(&*storage, "lock", "")(error).into()),
        };
        snapshot::remove_unfinished(&*storage)?;
        Ok(Self {
            shared: Arc::new(Shared {
                storage,
                partition,
                live: Live::default(),
                log_open: AtomicBool::new(false),
                epoch: AtomicU32::new(0),
                trimming: Mutex::new(()),
                lock,
            }),
        })
    }

    /// Opens the log and calls `visit` with every frame from `opening.from_offset` on, oldest first, marks included;
    /// an error from it refuses the log. A directory without segments gets a new log that begins at
    /// `opening.from_offset`.
    pub fn open(
        &self,
        settings: &LogSettings,
        opening: Opening,
        mut visit: impl FnMut(FrameRef<'_>) -> Result<(), String>,
    ) -> Result<(Log, Recovered), OpenError> {
        let shared = &self.shared;
        shared.check_in_place()?;
        if shared.log_open.swap(true, Ordering::AcqRel) {
            return Err(OpenError::AlreadyOpen { directory: shared.storage.path_of("") });
        }
        let opened = recovery::open(shared, settings, opening, &mut visit);
        if opened.is_err() {
            shared.log_open.store(false, Ordering::Release);
        }
        opened
    }

    /// A reader of what is durable; empty until the log is opened. It goes on working over a re-open.
    pub fn reader(&self) -> LogReader {
        LogReader::new(Arc::clone(&self.shared))
    }

    /// Offsets of the complete snapshots, newest first.
    pub fn snapshots(&self) -> Result<Vec<u64>, StorageError> {
        snapshot::list(&*self.shared.storage)
    }

    /// Opens the snapshot at `offset`.
    pub fn read_snapshot(&self, offset: u64) -> Result<SnapshotReader, SnapshotError> {
        SnapshotReader::open(Arc::clone(&self.shared.storage), Some(self.shared.partition), offset)
    }

    /// Begins a snapshot of the state at `offset`, which is durable and lies between two batches.
    pub fn write_snapshot(&self, offset: u64, time_ms: u64) -> Result<SnapshotWriter, SnapshotError> {
        SnapshotWriter::create(Arc::clone(&self.shared.storage), self.shared.partition, offset, time_ms)
    }

    /// Drops whole segments that lie below `before` and below the older of the two kept snapshots; with fewer
    /// snapshots nothing is dropped, because a damaged one must leave something to start from. Returns how many went.
    pub fn trim(&self, before: u64) -> Result<u64, StorageError> {
        let _one_at_a_time = self.shared.trimming.lock().expect("no thread panics while trimming");
        let Some(older) = self.snapshots()?.get(SNAPSHOT_COUNT_MAX - 1).copied() else {
            return Ok(0);
        };
        let limit = before.min(older);
        let mut trimmed_count = 0;
        while let Some(name) = self.take_cut_off_below(limit) {
            self.remove(&name)?;
            trimmed_count += 1;
        }
        while let Some(segment) = self.take_oldest_below(limit) {
            self.drop_segment(&segment)?;
            trimmed_count += 1;
        }
        Ok(trimmed_count)
    }

    /// A file before a gap goes when all that lies before the gap may go.
    fn take_cut_off_below(&self, limit: u64) -> Option<String> {
        let mut extent = self.shared.live.extent();
        if extent.segments.front()?.header.base_offset > limit {
            return None;
        }
        extent.cut_off.pop_front()
    }

    fn take_oldest_below(&self, limit: u64) -> Option<Arc<Segment>> {
        let mut extent = self.shared.live.extent();
        if extent.segments.get(1)?.header.base_offset > limit {
            return None;
        }
        extent.segments.pop_front()
    }

    fn drop_segment(&self, segment: &Arc<Segment>) -> Result<(), StorageError> {
        let storage = &*self.shared.storage;
        let spare = self.shared.live.extent().spare.clone();
        // Readers hold on to a segment while they are in it; what is written over would look like damage to them.
        let reusable = Arc::strong_count(segment) == 1;
        let recycled = match spare {
            Some(spare) if reusable && spare.fits(segment.capacity) => {
                spare.recycle(&segment.name).map_err(while_doing(storage, "recycle", &segment.name))?
            }
            _ => false,
        };
        if recycled {
            return Ok(());
        }
        self.remove(&segment.name)
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        let storage = &*self.shared.storage;
        storage.remove(name).map_err(while_doing(storage, "remove", name))?;
        // One by one, so that a crash never keeps an older segment and loses a newer one.
        storage.sync_dir().map_err(while_doing(storage, "sync", ""))
    }
}

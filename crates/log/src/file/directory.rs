//! The directory of one partition, locked: the door to its log, its readers, its snapshots and trimming.

use std::io;
use std::sync::Arc;

use crate::contract::Opening;
use crate::error::{BrokenOff, OpenError, SnapshotError, StorageError, VisitError, break_off};
use crate::file::frame::FrameRef;
use crate::file::reader::FileReader;
use crate::file::recovery::{self, Recovered};
use crate::file::segment::Segment;
use crate::file::shared::Shared;
use crate::file::snapshot::{self, FileSnapshotReader, FileSnapshotWriter};
use crate::file::storage::{Storage, while_doing};
use crate::file::walk::VisitFrame;
use crate::file::writer::{FileWriter, LogSettings};
use crate::limits::SNAPSHOT_COUNT_MAX;

/// A locked directory; clones share the lock, which the last one gives back.
#[derive(Clone)]
pub struct LogDirectory {
    shared: Arc<Shared>,
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
        Ok(Self { shared: Arc::new(Shared::new(storage, partition, lock)) })
    }

    /// Opens the log and calls `visit` with every frame from `opening.from_offset` on, oldest first, marks included;
    /// an error from it refuses the log. A writer of an earlier opening is fenced. A directory without segments gets a new
    /// log that begins at `opening.from_offset`.
    pub fn open<E>(
        &self,
        settings: &LogSettings,
        opening: Opening,
        mut visit: impl FnMut(FrameRef<'_>) -> Result<(), E>,
    ) -> Result<(FileWriter, Recovered), VisitError<OpenError, E>> {
        let mut kept = None;
        let opened = self.open_frames(settings, opening, &mut |frame| break_off(visit(frame), &mut kept));
        opened.map_err(|error| error.with(kept))
    }

    pub(crate) fn open_frames(
        &self,
        settings: &LogSettings,
        opening: Opening,
        visit: &mut VisitFrame<'_>,
    ) -> Result<(FileWriter, Recovered), VisitError<OpenError, BrokenOff>> {
        self.shared.check_in_place().map_err(OpenError::from)?;
        recovery::open(&self.shared, settings, opening, visit)
    }

    /// A reader of what is durable; empty until the log is opened. It goes on working over a re-open.
    pub fn reader(&self) -> FileReader {
        FileReader::new(Arc::clone(&self.shared))
    }

    /// Offsets of the complete snapshots, newest first.
    pub fn snapshots(&self) -> Result<Vec<u64>, StorageError> {
        snapshot::list(&*self.shared.storage)
    }

    /// Opens the snapshot at `offset`.
    pub fn read_snapshot(&self, offset: u64) -> Result<FileSnapshotReader, SnapshotError> {
        FileSnapshotReader::open(Arc::clone(&self.shared.storage), Some(self.shared.partition), offset)
    }

    /// Begins a snapshot of the state at `offset`, which is durable and lies between two batches.
    pub fn write_snapshot(&self, offset: u64, time_ms: u64) -> Result<FileSnapshotWriter, SnapshotError> {
        FileSnapshotWriter::create(Arc::clone(&self.shared.storage), self.shared.partition, offset, time_ms)
    }

    /// Drops whole segments that lie below `before` and below the older of the two kept snapshots; with fewer
    /// snapshots nothing is dropped, because a damaged one must leave something to start from. Returns how many went.
    pub fn trim(&self, before: u64) -> Result<u64, StorageError> {
        let _one_at_a_time = self.shared.trimming();
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
        let mut list = self.shared.segments();
        if list.segments.front()?.header.base_offset > limit {
            return None;
        }
        list.cut_off.pop_front()
    }

    fn take_oldest_below(&self, limit: u64) -> Option<Arc<Segment>> {
        let mut list = self.shared.segments();
        if list.segments.get(1)?.header.base_offset > limit {
            return None;
        }
        list.segments.pop_front()
    }

    fn drop_segment(&self, segment: &Arc<Segment>) -> Result<(), StorageError> {
        let storage = &*self.shared.storage;
        let spare = self.shared.segments().spare.clone();
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

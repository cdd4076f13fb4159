//! What every log promises, wherever it is kept. A file log keeps it in one directory, a log in memory in a test; a log that
//! several nodes share can keep it too.
//!
//! ```text
//!            opened from here            in force: nothing of it is ever lost       outstanding
//!   ┌────────┬────────┬────────┬────────┬────────┬────────┬────────┬────────┬────────┬╌╌╌╌╌╌╌╌┬╌╌╌╌╌╌╌╌┐
//!   │trimmed │ batch  │ batch  │ mark   │ batch  │ batch  │ batch  │ mark   │ batch  │ batch  ┊ batch  ┊
//!   └────────┴────────┴────────┴────────┴────────┴────────┴────────┴────────┴────────┴╌╌╌╌╌╌╌╌┴╌╌╌╌╌╌╌╌┘
//!            ▲        ▲                          ▲                                   ▲                 ▲
//!      oldest_offset  snapshot              sealed_offset                      durable_offset     next to append
//!            └────────────── readers read from any offset here ──────────────────────┘
//! ```
//!
//! A log is an ordered sequence of [`Entry`]s: batches of events, and marks, which have none. An **offset** is the number of
//! events before a place. An entry is **in force** when it is durable and every reader, now and later, gets it at its place.
//!
//! 1. *Order.* Entries come into force in the order in which they were handed over, without a gap.
//! 2. *Durability.* What is in force is never lost and never changes. Readers get nothing else.
//! 3. *One writer.* [`Log::open`] takes the log over. From that call on, whether it succeeds or not, the writer before is
//!    fenced: nothing more of it comes into force.
//! 4. *No ghosts.* What was handed over and is not known to be in force when the log is opened again is either visited then or
//!    void for ever. All of it in force comes before all of it that is void.
//! 5. *Nothing half.* A batch is in force whole or not at all.
//! 6. *Trimming.* Only what a snapshot covers is trimmed, from the beginning and in order, and never what a reader is told is
//!    there. Two snapshots are kept, so that one that is damaged leaves another.
//!
//! A log reads no clock, draws no random number and does not look into payloads. The suite in `conformance/` checks all of this.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::error::{
    AppendError, BrokenOff, OpenError, ReadError, SnapshotError, StorageError, VisitError, break_off,
};
use crate::format::Format;

/// The log of one partition, as one process has it. Clones of the handle are the same log.
pub trait Log: Send + Sync {
    /// Takes the log over: fences the writer before, finds the end, and visits every entry in force from
    /// `opening.from_offset` on, oldest first, marks included. If `visit` breaks off, the log is not opened. A log without
    /// entries begins at `opening.from_offset`. Use [`dyn Log::open`](trait.Log.html#method.open) to have the visitor's own error.
    ///
    /// # Errors
    /// See [`OpenError`].
    fn open_visiting(
        &self,
        opening: Opening,
        visit: &mut Visit<'_>,
    ) -> Result<Opened, VisitError<OpenError, BrokenOff>>;

    /// Whether another process may take the log over at any moment, so that its writer hears of it only when what it handed over
    /// afterwards does not come into force. To open such a log is to wait until nobody else leads, visiting what comes into force
    /// meanwhile. Whatever is told of the state has to rest on something that was handed over after it was looked at.
    fn has_rivals(&self) -> bool {
        false
    }

    /// Whether whoever wrote to the log has left it a moment ago, nobody else writes yet, and this process may be next: within two seconds
    /// it is known who is.
    fn is_vacant(&self) -> bool {
        false
    }

    /// Tells whoever opens the log next something beside the entries, in 64 bytes at most, under a name of at most 64 bytes. It gets
    /// there some time, if this process leads until then. Where nobody else opens the log nothing is kept.
    fn note(&self, name: &str, value: &[u8]) {
        let _ = (name, value);
    }

    /// What was noted last under this name, as far as this process has read the log.
    fn noted(&self, name: &str) -> Option<Vec<u8>> {
        let _ = name;
        None
    }

    /// A reader of what is in force; empty until the log is opened. It goes on working when the log is opened again.
    fn reader(&self) -> Box<dyn LogReader>;

    /// Offsets of the complete snapshots, newest first.
    ///
    /// # Errors
    /// They could not be listed.
    fn snapshots(&self) -> Result<Vec<u64>, StorageError>;

    /// Opens the snapshot at `offset`.
    ///
    /// # Errors
    /// It is not there, or damaged.
    fn read_snapshot(&self, offset: u64) -> Result<Box<dyn SnapshotReader>, SnapshotError>;

    /// Begins a snapshot of the state at `offset`, which is in force and lies between two batches.
    ///
    /// # Errors
    /// There is no room for it.
    fn write_snapshot(&self, offset: u64, time_ms: u64) -> Result<Box<dyn SnapshotWriter>, SnapshotError>;

    /// Drops what lies below `before` and below the older of the two kept snapshots, in whole parts; with fewer snapshots
    /// nothing is dropped. Returns how many parts went.
    ///
    /// # Errors
    /// Some of it could not be removed; that is tried again the next time.
    fn trim(&self, before: u64) -> Result<u64, StorageError>;
}

/// A log as it lies there, for whoever only looks: nothing is taken over, locked or changed, and its writer may be at work.
pub trait StoredLog {
    /// Where it is, for people.
    fn place(&self) -> String;

    /// The partition whose log it is; `None` if there is no log, or nothing of it can be read.
    ///
    /// # Errors
    /// It could not be read.
    fn partition(&self) -> Result<Option<u32>, StorageError>;

    /// Offsets of the complete snapshots, newest first.
    ///
    /// # Errors
    /// They could not be listed.
    fn snapshots(&self) -> Result<Vec<u64>, StorageError>;

    /// Opens the snapshot at `offset`.
    ///
    /// # Errors
    /// It is not there, or damaged.
    fn read_snapshot(&self, offset: u64) -> Result<Box<dyn SnapshotReader>, SnapshotError>;

    /// Visits all entries that are kept, oldest first, marks included. Damage that costs the state nothing is told after that
    /// as well. Use [`dyn StoredLog::read`](trait.StoredLog.html#method.read) to have the visitor's own error.
    ///
    /// # Errors
    /// See [`ReadError`].
    fn read_visiting(&self, visit: &mut Visit<'_>) -> Result<(), VisitError<ReadError, BrokenOff>>;
}

impl dyn StoredLog + '_ {
    /// As [`StoredLog::read_visiting`], with a visitor that fails with an error of its own.
    ///
    /// # Errors
    /// That of the log or that of the visitor, whichever came.
    pub fn read<E>(
        &self,
        mut visit: impl FnMut(Entry<'_>) -> Result<(), E>,
    ) -> Result<(), VisitError<ReadError, E>> {
        let mut kept = None;
        let read = self.read_visiting(&mut |entry| break_off(visit(entry), &mut kept));
        read.map_err(|error| error.with(kept))
    }
}

/// Called with each entry; breaks off to end the reading there.
pub type Visit<'a> = dyn FnMut(Entry<'_>) -> ControlFlow<()> + 'a;

/// Called, from any thread, when more has come into force than was last seen. It must not block.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

impl dyn Log + '_ {
    /// As [`Log::open_visiting`], with a visitor that fails with an error of its own.
    ///
    /// # Errors
    /// That of the log or that of the visitor, whichever came.
    pub fn open<E>(
        &self,
        opening: Opening,
        mut visit: impl FnMut(Entry<'_>) -> Result<(), E>,
    ) -> Result<Opened, VisitError<OpenError, E>> {
        let mut kept = None;
        let opened = self.open_visiting(opening, &mut |entry| break_off(visit(entry), &mut kept));
        opened.map_err(|error| error.with(kept))
    }
}

/// The writing end of a log that is open. Dropping it ends its term; the log is as durable without [`LogWriter::close`].
pub trait LogWriter: Send {
    /// What the log takes now.
    fn capacity(&self) -> Capacity;

    /// Hands over a batch, or a mark, behind all that was handed over before. Where the log is one that waits, it is in force
    /// when this returns; otherwise [`LogWriter::in_force`] tells.
    ///
    /// # Errors
    /// See [`AppendError`]: after `NoRoom` and `TooLarge` nothing has happened, after any other the writer is at an end.
    fn append(&mut self, batch: Batch<'_>) -> Result<(), AppendError>;

    /// How many of the batches and marks that this writer has handed over are in force. Never falls.
    ///
    /// # Errors
    /// Something outstanding failed, and with it all behind it, or another writer took over: the writer is at an end. Unless it
    /// was another writer, what came into force before is told first.
    fn in_force(&mut self) -> Result<u64, AppendError>;

    /// Names who is woken when `in_force` has grown or failed by itself. A log that waits in `append` wakes nobody.
    fn wake_by(&mut self, wake: Wake);

    /// Makes sure that whoever opens the log next finds what this writer appends. To be called now and then.
    ///
    /// # Errors
    /// They would not: the writer is at an end.
    fn check(&mut self) -> Result<(), AppendError>;

    /// Notes the end in good order.
    ///
    /// # Errors
    /// It could not be noted; nothing in force is lost.
    fn close(self: Box<Self>, time_ms: u64) -> Result<(), AppendError>;
}

/// Reads what is in force, from any kept offset, while the log grows. It remembers its place, so that reading on costs nothing
/// extra.
pub trait LogReader: Send {
    /// Oldest offset that can be read.
    fn oldest_offset(&self) -> u64;

    /// Everything below lies in parts of the log that no longer grow: a snapshot there lets the most be trimmed, and to read
    /// so far disturbs no writer.
    fn sealed_offset(&self) -> u64;

    /// Everything below is in force and can be read.
    fn durable_offset(&self) -> u64;

    /// Bytes that are kept for somebody who goes on from `offset`.
    fn bytes_from(&self, offset: u64) -> u64;

    /// Visits the entries in force that hold events from `from` on and begin below `to`, and marks between them, oldest first.
    /// Returns the offset to go on from: that after the last entry, so it can lie beyond `to`. A batch that begins below `from`
    /// and ends above it is visited whole. Use [`dyn LogReader::read`](trait.LogReader.html#method.read) to have the visitor's own
    /// error.
    ///
    /// # Errors
    /// See [`ReadError`].
    fn read_visiting(
        &mut self,
        from: u64,
        to: u64,
        visit: &mut Visit<'_>,
    ) -> Result<u64, VisitError<ReadError, BrokenOff>>;
}

impl dyn LogReader + '_ {
    /// As [`LogReader::read_visiting`], with a visitor that fails with an error of its own.
    ///
    /// # Errors
    /// That of the log or that of the visitor, whichever came.
    pub fn read<E>(
        &mut self,
        from: u64,
        to: u64,
        mut visit: impl FnMut(Entry<'_>) -> Result<(), E>,
    ) -> Result<u64, VisitError<ReadError, E>> {
        let mut kept = None;
        let reached = self.read_visiting(from, to, &mut |entry| break_off(visit(entry), &mut kept));
        reached.map_err(|error| error.with(kept))
    }
}

/// Writes one snapshot. It exists from `finish` on; dropped before, it leaves nothing.
pub trait SnapshotWriter: Send {
    /// Adds a chunk of 1 to `CHUNK_BYTES_MAX` bytes; an empty one is left out.
    ///
    /// # Errors
    /// It is too large, or there is no room.
    fn write_chunk(&mut self, chunk: &[u8]) -> Result<(), SnapshotError>;

    /// Makes the snapshot durable and drops all but the two newest.
    ///
    /// # Errors
    /// There is no room.
    fn finish(self: Box<Self>, digest: [u8; 16]) -> Result<(), SnapshotError>;
}

/// Reads one snapshot from beginning to end.
pub trait SnapshotReader: Send {
    /// How the content of its chunks is written.
    fn format(&self) -> Format;

    /// The partition whose state it is.
    fn partition(&self) -> u32;

    /// Partition time of the state, milliseconds.
    fn time_ms(&self) -> u64;

    /// The next chunk, checked; `None` after the last, when all of the snapshot has been checked.
    ///
    /// # Errors
    /// It is damaged or cannot be read.
    fn next_chunk(&mut self) -> Result<Option<&[u8]>, SnapshotError>;

    /// Digest of the state as it was given to `finish`; `None` before the last chunk was read.
    fn digest(&self) -> Option<[u8; 16]>;

    /// An error that names this snapshot, for content that is whole but makes no sense to the caller.
    fn refuse(&self, problem: String) -> SnapshotError;
}

/// From where and how to open a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Opening {
    /// Entries from this offset on are visited: that of the snapshot the caller starts from, or 0. It lies between two
    /// batches.
    pub from_offset: u64,
    /// After a failed append in this process: the offset below which all is known to be in force. `None` when a process
    /// starts.
    pub resume_at: Option<u64>,
    /// A fresh random number, because a log draws none.
    pub salt_seed: u64,
}

/// A log that was taken over.
pub struct Opened {
    /// Its writing end.
    pub writer: Box<dyn LogWriter>,
    /// Offset after the last event of the log.
    pub next_offset: u64,
    /// The new term; larger than every one before.
    pub epoch: u64,
    /// Where an unfinished write was cut off, for people: a file and a byte. Nothing in it was ever in force.
    pub torn_at: Option<(String, u64)>,
}

/// What a log takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capacity {
    /// Payload bytes that the next batch is certain to have room for; 0 when the log is full or the writer at an end.
    pub bytes: u64,
    /// That is about to become more by itself: waiting is better than refusing.
    pub is_growing: bool,
    /// Batches and marks that may be outstanding at once; at least 1.
    pub batch_count: usize,
}

/// A batch on its way into the log; a mark if it has no events. A mark carries time, and proves that what is before it was
/// complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch<'a> {
    /// Events in the payload; 0 for a mark.
    pub event_count: u32,
    /// Partition time, milliseconds; its origin is the caller's.
    pub time_ms: u64,
    /// The latest partition time at which anything was decided that rests on it; not before `time_ms`. A log with rivals keeps it:
    /// readers find a mark of that time behind the batch.
    pub told_ms: u64,
    /// The events, opaque; empty for a mark.
    pub payload: &'a [u8],
}

impl Batch<'_> {
    /// A mark.
    pub fn mark(time_ms: u64) -> Self {
        Self { event_count: 0, time_ms, told_ms: time_ms, payload: &[] }
    }
}

/// A batch in force, or a mark, which has no events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// How the payload is written.
    pub format: Format,
    /// Term of its writer; never falls within a log.
    pub epoch: u64,
    /// Number of events in the log before it.
    pub base_offset: u64,
    /// Events in the payload; 0 for a mark.
    pub event_count: u32,
    /// Partition time, milliseconds.
    pub time_ms: u64,
    /// The events, opaque.
    pub payload: &'a [u8],
}

impl Entry<'_> {
    /// Offset after its events.
    pub fn next_offset(&self) -> u64 {
        self.base_offset + u64::from(self.event_count)
    }
}

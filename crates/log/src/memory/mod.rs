//! A log in memory, for tests: it keeps the contract, and takes part in whatever may go wrong. It can wait in `append` like the
//! file log, or let several batches be outstanding like a log that is elsewhere.

mod snapshots;
mod writer;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::contract::{
    Entry, Log, LogReader, Opened, Opening, SnapshotReader, SnapshotWriter, StoredLog, Visit, Wake,
};
use crate::error::{
    BrokenOff, Damage, OpenError, ReadError, Refused, SnapshotError, StorageError, VisitError,
};
use crate::format::Format;
use crate::limits::SNAPSHOT_COUNT_MAX;
use snapshots::{MemorySnapshotReader, MemorySnapshotWriter, StoredSnapshot};
use writer::MemoryWriter;

/// Bytes after which a part of the log no longer grows, unless the test says otherwise.
const PART_BYTES: u64 = 64 << 10;
/// What an entry takes beside its payload, bytes.
const ENTRY_BYTES: u64 = 64;
/// Where it is, for people.
const PLACE: &str = "the log in memory";

/// What becomes of an append that the test lets fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendFault {
    /// The batch is not in the log.
    Lost,
    /// The batch is in force, but its writer is told that it failed.
    Kept,
}

/// The log; clones are the same log. It outlives every writer, as a disk outlives the process.
#[derive(Clone)]
pub struct MemoryLog {
    contents: Arc<Mutex<Contents>>,
}

#[derive(Clone)]
struct Contents {
    partition: u32,
    part_bytes: u64,
    epoch: u64,
    /// Oldest first; the last one grows. None before the log was opened.
    parts: VecDeque<Part>,
    durable_offset: u64,
    /// Handed over by the writer of this term and not in force yet.
    outstanding: VecDeque<Arc<StoredEntry>>,
    in_force_count: u64,
    /// Batches that may be outstanding; 1 for a log that waits.
    outstanding_max: usize,
    /// What was outstanding failed.
    lost: bool,
    wake: Option<Wake>,
    snapshots: BTreeMap<u64, Arc<StoredSnapshot>>,
    room_bytes: Option<u64>,
    append_fault: Option<AppendFault>,
    away: bool,
    has_rivals: bool,
}

#[derive(Clone)]
struct Part {
    base_offset: u64,
    bytes: u64,
    entries: Vec<Arc<StoredEntry>>,
}

struct StoredEntry {
    epoch: u64,
    base_offset: u64,
    event_count: u32,
    time_ms: u64,
    payload: Box<[u8]>,
}

impl MemoryLog {
    /// An empty log that waits in `append`.
    pub fn new(partition: u32) -> Self {
        let contents = Contents {
            partition,
            part_bytes: PART_BYTES,
            epoch: 0,
            parts: VecDeque::new(),
            durable_offset: 0,
            outstanding: VecDeque::new(),
            in_force_count: 0,
            outstanding_max: 1,
            lost: false,
            wake: None,
            snapshots: BTreeMap::new(),
            room_bytes: None,
            append_fault: None,
            away: false,
            has_rivals: false,
        };
        Self { contents: Arc::new(Mutex::new(contents)) }
    }

    /// An empty log that takes so many batches before the first of them is in force, which they come to be by
    /// [`MemoryLog::bring_into_force`] only.
    pub fn with_outstanding(partition: u32, outstanding_max: usize) -> Self {
        assert!(outstanding_max > 1, "a log that waits has one");
        let log = Self::new(partition);
        log.contents().outstanding_max = outstanding_max;
        log
    }

    /// The same log, which says that others may take it over at any time.
    #[must_use]
    pub fn with_rivals(self) -> Self {
        self.contents().has_rivals = true;
        self
    }

    /// Another log with the same in it, as of a copy that is restored elsewhere.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self { contents: Arc::new(Mutex::new(self.contents().clone())) }
    }

    /// Lets parts grow to this size.
    #[must_use]
    pub fn with_part_bytes(self, part_bytes: u64) -> Self {
        self.contents().part_bytes = part_bytes;
        self
    }

    /// Brings what is outstanding into force, oldest first, so many at most; wakes whoever waits for it.
    pub fn bring_into_force(&self, count: usize) {
        let wake = {
            let mut contents = self.contents();
            for _ in 0..count {
                let Some(entry) = contents.outstanding.pop_front() else { break };
                contents.keep(entry);
            }
            contents.wake.clone()
        };
        if let Some(wake) = wake {
            wake();
        }
    }

    /// Batches and marks that were handed over and are not in force.
    pub fn outstanding_count(&self) -> usize {
        self.contents().outstanding.len()
    }

    /// Loses what is outstanding; its writer is told.
    pub fn lose_outstanding(&self) {
        let wake = {
            let mut contents = self.contents();
            contents.outstanding.clear();
            contents.lost = true;
            contents.wake.clone()
        };
        if let Some(wake) = wake {
            wake();
        }
    }

    /// Lets the next append fail.
    pub fn fail_next_append(&self, fault: AppendFault) {
        self.contents().append_fault = Some(fault);
    }

    /// From now on payloads of so many bytes find room; `None` is no limit.
    pub fn set_room(&self, room_bytes: Option<u64>) {
        self.contents().room_bytes = room_bytes;
    }

    /// Takes the log away from where it is, or puts it back.
    pub fn set_away(&self, away: bool) {
        self.contents().away = away;
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        // A visitor that panics leaves it as it was.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contents {
    fn oldest_offset(&self) -> u64 {
        self.parts.front().map_or(self.durable_offset, |part| part.base_offset)
    }

    fn check_there(&self) -> Result<(), StorageError> {
        if self.away { Err(failure("look for", io::ErrorKind::NotFound.into())) } else { Ok(()) }
    }

    /// The entry is in force.
    fn keep(&mut self, entry: Arc<StoredEntry>) {
        let part_bytes = self.part_bytes;
        assert_eq!(entry.base_offset, self.durable_offset, "entries come into force without a gap");
        if self.parts.back().is_none_or(|part| part.bytes >= part_bytes) {
            self.parts.push_back(Part { base_offset: entry.base_offset, bytes: 0, entries: Vec::new() });
        }
        let part = self.parts.back_mut().expect("one was added");
        part.bytes += ENTRY_BYTES + entry.payload.len() as u64;
        self.durable_offset += u64::from(entry.event_count);
        self.in_force_count += 1;
        part.entries.push(entry);
    }

    /// Entries that hold events from `from` on and marks behind, oldest first.
    fn entries_from(&self, from: u64) -> Vec<Arc<StoredEntry>> {
        let first = self.parts.partition_point(|part| part.base_offset <= from).saturating_sub(1);
        let entries = self.parts.iter().skip(first).flat_map(|part| &part.entries);
        entries
            .filter(|entry| entry.next_offset() > from || entry.base_offset >= from)
            .map(Arc::clone)
            .collect()
    }
}

impl StoredEntry {
    fn next_offset(&self) -> u64 {
        self.base_offset + u64::from(self.event_count)
    }

    fn entry(&self) -> Entry<'_> {
        Entry {
            format: Format::NEWEST,
            epoch: self.epoch,
            base_offset: self.base_offset,
            event_count: self.event_count,
            time_ms: self.time_ms,
            payload: &self.payload,
        }
    }

    fn visit(&self, visit: &mut Visit<'_>) -> Result<(), Refused<BrokenOff>> {
        if visit(self.entry()).is_continue() {
            return Ok(());
        }
        Err(Refused { place: PLACE.to_owned(), offset: self.base_offset, error: BrokenOff })
    }
}

impl Log for MemoryLog {
    fn open_visiting(
        &self,
        opening: Opening,
        visit: &mut Visit<'_>,
    ) -> Result<Opened, VisitError<OpenError, BrokenOff>> {
        let Opening { from_offset, resume_at, .. } = opening;
        let (epoch, entries, next_offset) = {
            let mut contents = self.contents();
            contents.epoch += 1;
            contents.outstanding.clear();
            (contents.in_force_count, contents.lost, contents.wake) = (0, false, None);
            contents.check_there().map_err(OpenError::from)?;
            if contents.parts.is_empty() && contents.durable_offset == 0 {
                contents.durable_offset = from_offset;
            }
            let (oldest, next) = (contents.oldest_offset(), contents.durable_offset);
            if !(oldest..=next).contains(&from_offset) || resume_at.is_some_and(|resume_at| resume_at > next)
            {
                let problem = format!("it holds offsets {oldest} to {next}");
                return Err(OpenError::from(damage(from_offset, problem)).into());
            }
            (contents.epoch, contents.entries_from(from_offset), next)
        };
        if let Some(first) = entries.first().filter(|first| first.base_offset < from_offset) {
            let place = PLACE.to_owned();
            return Err(OpenError::Between { place, offset: first.base_offset, from_offset }.into());
        }
        for entry in entries {
            entry.visit(visit).map_err(VisitError::Refused)?;
        }
        let writer = MemoryWriter { log: self.clone(), epoch, next_offset, told_count: 0, closed: false };
        Ok(Opened { writer: Box::new(writer), next_offset, epoch, torn_at: None })
    }

    fn has_rivals(&self) -> bool {
        self.contents().has_rivals
    }

    fn reader(&self) -> Box<dyn LogReader> {
        Box::new(MemoryReader { log: self.clone() })
    }

    fn snapshots(&self) -> Result<Vec<u64>, StorageError> {
        Ok(self.contents().snapshots.keys().rev().copied().collect())
    }

    fn read_snapshot(&self, offset: u64) -> Result<Box<dyn SnapshotReader>, SnapshotError> {
        let contents = self.contents();
        let snapshot = contents.snapshots.get(&offset).ok_or(SnapshotError::Missing { offset })?;
        Ok(Box::new(MemorySnapshotReader {
            partition: contents.partition,
            offset,
            snapshot: Arc::clone(snapshot),
            next_index: 0,
        }))
    }

    fn write_snapshot(&self, offset: u64, time_ms: u64) -> Result<Box<dyn SnapshotWriter>, SnapshotError> {
        let snapshot = StoredSnapshot { time_ms, chunks: Vec::new(), digest: [0; 16] };
        Ok(Box::new(MemorySnapshotWriter { log: self.clone(), offset, snapshot }))
    }

    fn trim(&self, before: u64) -> Result<u64, StorageError> {
        let mut contents = self.contents();
        let Some(older) = contents.snapshots.keys().rev().nth(SNAPSHOT_COUNT_MAX - 1).copied() else {
            return Ok(0);
        };
        let limit = before.min(older);
        let mut trimmed_count = 0;
        while contents.parts.get(1).is_some_and(|next| next.base_offset <= limit) {
            contents.parts.pop_front();
            trimmed_count += 1;
        }
        Ok(trimmed_count)
    }
}

impl StoredLog for MemoryLog {
    fn place(&self) -> String {
        PLACE.to_owned()
    }

    fn partition(&self) -> Result<Option<u32>, StorageError> {
        let contents = self.contents();
        Ok(Some(contents.partition).filter(|_| contents.epoch > 0))
    }

    fn snapshots(&self) -> Result<Vec<u64>, StorageError> {
        Log::snapshots(self)
    }

    fn read_snapshot(&self, offset: u64) -> Result<Box<dyn SnapshotReader>, SnapshotError> {
        Log::read_snapshot(self, offset)
    }

    fn read_visiting(&self, visit: &mut Visit<'_>) -> Result<(), VisitError<ReadError, BrokenOff>> {
        let entries = self.contents().entries_from(0);
        for entry in entries {
            entry.visit(visit).map_err(VisitError::Refused)?;
        }
        Ok(())
    }
}

struct MemoryReader {
    log: MemoryLog,
}

impl LogReader for MemoryReader {
    fn oldest_offset(&self) -> u64 {
        self.log.contents().oldest_offset()
    }

    fn sealed_offset(&self) -> u64 {
        let contents = self.log.contents();
        contents.parts.back().map_or(contents.durable_offset, |part| part.base_offset)
    }

    fn durable_offset(&self) -> u64 {
        self.log.contents().durable_offset
    }

    fn bytes_from(&self, offset: u64) -> u64 {
        let contents = self.log.contents();
        let first = contents.parts.partition_point(|part| part.base_offset <= offset).saturating_sub(1);
        contents.parts.iter().skip(first).map(|part| part.bytes).sum()
    }

    fn read_visiting(
        &mut self,
        from: u64,
        to: u64,
        visit: &mut Visit<'_>,
    ) -> Result<u64, VisitError<ReadError, BrokenOff>> {
        let entries = {
            let contents = self.log.contents();
            if from >= to.min(contents.durable_offset) {
                return Ok(from);
            }
            let oldest = contents.oldest_offset();
            if from < oldest {
                return Err(ReadError::Trimmed { from, oldest }.into());
            }
            contents.entries_from(from)
        };
        let mut reached = from;
        for entry in entries {
            if reached >= to {
                break;
            }
            entry.visit(visit).map_err(VisitError::Refused)?;
            reached = entry.next_offset();
        }
        Ok(reached)
    }
}

fn failure(doing: &'static str, source: io::Error) -> StorageError {
    StorageError { doing, path: PLACE.to_owned(), source }
}

fn damage(offset: u64, problem: String) -> Damage {
    Damage {
        path: PLACE.to_owned(),
        position: 0,
        offset,
        problem,
        remedy: "This is a test's to explain.".to_owned(),
    }
}

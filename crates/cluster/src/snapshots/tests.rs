//! Snapshots that are sent and fetched over a log in memory.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use onrush_log::memory::MemoryLog;
use onrush_log::shared::memory::{AckForm, MemorySharedLog};
use onrush_log::shared::{
    LogId, NodeId, Place, RecordKind, RecordNo, SharedBounds, SharedLog as _, SharedRecord,
};
use onrush_log::{Batch, Entry, Format, Log};

use super::*;
use crate::copy::{CopyError, LocalCopy};
use crate::opening::{CopyPlace, OpenCopy};
use crate::place_file::{PlaceFile, Reached};
use crate::settings::SharedLogs;

const LOG_ID: LogId = LogId(77);
const BOUNDS: SharedBounds =
    SharedBounds { record_bytes_max: 200, outstanding_max: 2, numbers_are_dense: true };

/// A log in which everything happens by itself.
struct Running {
    log: MemorySharedLog,
    is_over: Arc<AtomicBool>,
    pump: Option<JoinHandle<()>>,
}

impl Running {
    fn new() -> Self {
        let log = MemorySharedLog::new(BOUNDS, false);
        let is_over = Arc::new(AtomicBool::new(false));
        let (pumped, ends) = (log.clone(), Arc::clone(&is_over));
        let pump = std::thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                for _ in 0..pumped.counts().on_the_way {
                    pumped.store(0, false);
                }
                pumped.show(usize::MAX);
                for _ in 0..pumped.counts().due_acks {
                    pumped.acknowledge(0, AckForm::Whole);
                }
                std::thread::park_timeout(Duration::from_micros(100));
            }
        });
        Self { log, is_over, pump: Some(pump) }
    }

    fn sender(&self, snapshot: u64) -> Sender<'_> {
        let log = &self.log;
        let sending =
            Sending { log, partition: 0, log_id: LOG_ID, snapshot, bytes_per_s_max: None, stops: &|| false };
        Sender::begin(sending).unwrap()
    }

    /// Sends a state as of `state` and batches of one event each up to `end`.
    fn send(&self, snapshot: u64, state: u64, end: u64) -> Manifest {
        let copy = MemoryLog::new(0);
        let mut writer = copy.write_snapshot(state, 5).unwrap();
        writer.write_chunk(&[3; 250]).unwrap();
        writer.finish([9; 16]).unwrap();
        let mut sender = self.sender(snapshot);
        sender.state(state, &mut *copy.read_snapshot(state).unwrap()).unwrap();
        (state..end).for_each(|offset| sender.entry(&entry(offset)).unwrap());
        sender.finish(reached(end), Some(last_checksum(end))).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.pump.take().unwrap().join().unwrap();
    }
}

fn entry(offset: u64) -> Entry<'static> {
    Entry {
        format: Format::NEWEST,
        epoch: 0,
        base_offset: offset,
        event_count: 1,
        time_ms: 1_000 + offset,
        payload: b"an event of some length",
    }
}

fn reached(offset: u64) -> Reached {
    let place = Place {
        log_id: Some(LOG_ID),
        next_no: RecordNo(offset * 2),
        next_offset: offset,
        ..Place::default()
    };
    Reached { place, told_ms: 2_000, ..Reached::default() }
}

/// All of them.
fn newest(log: &MemorySharedLog, partition: u32, log_id: Option<LogId>) -> Vec<Manifest> {
    newest_manifests(log, partition, log_id, 100, &|| false).unwrap()
}

/// What stands in the shared log under a number.
fn record(no: u64) -> Vec<u8> {
    format!("record {no}").into_bytes()
}

/// Of the record before the place with so many events.
fn last_checksum(offset: u64) -> u32 {
    crc32c::crc32c(&record(offset * 2 - 1))
}

#[test]
fn pieces_of_several_snapshots_between_each_other_make_each_of_them() {
    let running = Running::new();
    let (mut one, mut other) = (running.sender(1), running.sender(2));
    for offset in 0..40 {
        one.entry(&entry(offset)).unwrap();
        other.entry(&entry(offset)).unwrap();
    }
    one.entry(&entry(40)).unwrap();
    let sent = [one.finish(reached(41), None).unwrap(), other.finish(reached(40), None).unwrap()];
    assert!(sent.iter().all(|manifest| manifest.piece_count > 5));
    assert_eq!(newest(&running.log, 0, Some(LOG_ID)), sent, "the one with the later place first");
    assert_eq!(newest(&running.log, 0, Some(LogId(1))), [], "of another log");
    assert_eq!(newest(&running.log, 1, None), [], "of another partition");
    for manifest in &sent {
        let copy = MemoryLog::new(0);
        assert_eq!(
            fetch(&running.log, manifest, &copy, 1).unwrap().end(),
            manifest.reached.place.next_offset
        );
    }
}

#[test]
fn what_is_fetched_is_what_was_sent() {
    let running = Running::new();
    let manifest = running.send(1, 30, 45);
    assert_eq!(manifest.state_offset, 30);
    let copy = MemoryLog::new(0);
    fetch(&running.log, &manifest, &copy, 1).unwrap();
    let mut snapshot = copy.read_snapshot(30).unwrap();
    assert_eq!((snapshot.time_ms(), snapshot.next_chunk().unwrap()), (5, Some(&[3; 250][..])));
    assert_eq!(snapshot.next_chunk().unwrap(), None);
    assert_eq!(snapshot.digest(), Some([9; 16]));
    let (mut reader, mut offset) = ((&copy as &dyn Log).reader(), 30);
    let read = reader.read(30, 45, |read| {
        let sent = entry(offset);
        assert_eq!((read.base_offset, read.time_ms, read.payload), (offset, sent.time_ms, sent.payload));
        offset += 1;
        Ok::<_, std::convert::Infallible>(())
    });
    assert_eq!(read.map_err(|_| ()), Ok(45));
}

/// A directory of a node over a shared log with 100 records, which has no copy at first.
struct Directory {
    directory: tempfile::TempDir,
    records: MemorySharedLog,
}

impl Directory {
    fn new() -> Self {
        let records = MemorySharedLog::new(BOUNDS, false);
        for no in 0..100 {
            records.store_junk(&record(no));
        }
        records.show(usize::MAX);
        Self { directory: tempfile::tempdir().unwrap(), records }
    }

    fn place_file(&self) -> PlaceFile {
        PlaceFile::in_directory(self.directory.path())
    }

    fn copy(&self) -> PathBuf {
        self.directory.path().join("copy")
    }

    fn open(&self, running: &Running) -> Result<OpenCopy, onrush_log::OpenError> {
        let (directory, place_file) = (&self.copy(), &self.place_file());
        let place = CopyPlace { directory, partition: 0, segment_bytes: 1 << 20, place_file };
        let (records, snapshots) = (Arc::new(self.records.clone()), Arc::new(running.log.clone()));
        place.open(&SharedLogs { records, snapshots })
    }
}

#[test]
fn a_snapshot_that_is_damaged_leaves_the_one_before() {
    type Change = fn(&mut Manifest);
    let running = Running::new();
    let whole = running.send(1, 3, 8);
    let changes: [(&str, Change); 5] = [
        ("pieces are missing", |manifest| manifest.piece_count += 1),
        ("its bytes", |manifest| manifest.checksum ^= 1),
        ("its bytes", |manifest| manifest.bytes += 1),
        ("another offset", |manifest| manifest.reached.place.next_offset += 1),
        ("pieces are missing", |manifest| manifest.snapshot = 99),
    ];
    for (problem, change) in changes {
        let mut wrong = running.send(2, 4, 9);
        change(&mut wrong);
        let mut record = Vec::new();
        wrong.encode(&mut record);
        running.log.store_junk(&record);
        let error = fetch(&running.log, &wrong, &MemoryLog::new(0), 1).err().unwrap().to_string();
        assert!(error.contains(problem), "{error}");
    }
    let later = running.send(3, 5, 10);
    assert_eq!(Directory::new().open(&running).unwrap().made_from, Some(later.clone()));
    let mut wrong = later.clone();
    (wrong.checksum, wrong.snapshot) = (wrong.checksum ^ 1, 4);
    let mut record = Vec::new();
    wrong.encode(&mut record);
    running.log.store_junk(&record);
    let OpenCopy { copy, reached, made_from, .. } = Directory::new().open(&running).unwrap();
    assert_eq!((copy.end(), reached.place.next_offset, made_from), (10, 10, Some(later)));
    assert!(whole.from_no < RecordNo(1));
}

/// It was taken from a log that has lost its end since, and went on with other records.
#[test]
fn a_snapshot_of_what_the_log_no_longer_has_is_of_no_use() {
    let running = Running::new();
    let right = running.send(1, 3, 8);
    for (snapshot, end, checksum) in
        [(2, 20, Some(last_checksum(20) ^ 1)), (3, 60, Some(last_checksum(60))), (4, 9, None)]
    {
        let mut sender = running.sender(snapshot);
        (0..end).for_each(|offset| sender.entry(&entry(offset)).unwrap());
        sender.finish(reached(end), checksum).unwrap();
    }
    assert_eq!(Directory::new().open(&running).unwrap().made_from, Some(right.clone()));
    // The record before its place says that the log is the same, so it has to be there.
    let kept = right.reached.place.next_no.0 - 1;
    let trimmed = |before: u64| {
        let directory = Directory::new();
        directory.records.trim(0, RecordNo(before)).unwrap();
        directory.open(&running).map(|opened| opened.made_from)
    };
    assert_eq!(trimmed(kept).unwrap(), Some(right));
    assert!(trimmed(kept + 1).is_err(), "there is none to begin with");
}

#[test]
fn a_log_that_nobody_has_begun_has_no_snapshots() {
    let running = Running::new();
    running.send(1, 3, 8);
    let directory = Directory { records: MemorySharedLog::new(BOUNDS, false), ..Directory::new() };
    let opened = directory.open(&running).unwrap();
    assert_eq!((opened.copy.end(), opened.made_from), (0, None));
}

/// Until the new copy is whole, the old one stays.
#[test]
fn a_copy_that_cannot_be_made_anew_is_left_as_it_is() {
    let running = Running::new();
    let whole = running.send(1, 3, 8);
    let directory = Directory::new();
    assert_eq!(directory.open(&running).unwrap().copy.end(), 8);
    // All is trimmed beyond it, and the only snapshot with it.
    directory.records.trim(0, RecordNo(90)).unwrap();
    assert!(directory.open(&running).is_err());
    assert_eq!(directory.place_file().read().unwrap(), Some(whole.reached));
    assert!(std::fs::read_dir(directory.copy()).unwrap().count() > 1, "it is there");
}

#[test]
fn what_an_earlier_version_wrote_is_not_sent() {
    let running = Running::new();
    let mut sender = running.sender(1);
    let old = Entry { format: Format::V1, ..entry(0) };
    assert!(matches!(sender.entry(&old), Err(SendError::Format { offset: 0 })));
    let mark = Entry { event_count: 0, payload: b"", ..old };
    sender.entry(&mark).unwrap();
}

#[test]
fn a_sender_that_stops_leaves_no_snapshot() {
    let running = Running::new();
    running.log.set_frozen(true);
    let stops = AtomicBool::new(false);
    let sending = Sending {
        log: &MemorySharedLog::new(BOUNDS, false),
        partition: 0,
        log_id: LOG_ID,
        snapshot: 1,
        bytes_per_s_max: None,
        stops: &|| stops.load(Ordering::Relaxed),
    };
    let log = sending.log;
    let mut sender = Sender::begin(sending).unwrap();
    stops.store(true, Ordering::Relaxed);
    let sent = (0..40).try_for_each(|offset| sender.entry(&entry(offset)));
    assert!(matches!(sent, Err(SendError::Stopping)), "nothing is acknowledged");
    assert_eq!(newest_manifests(log, 0, None, 1, &|| false).unwrap(), []);
}

#[test]
fn a_copy_takes_entries_as_they_were() {
    let log = MemoryLog::new(0);
    let mut copy = LocalCopy::open(&log, &Reached::default(), 1).unwrap().unwrap();
    for offset in 0..3 {
        copy.append(&entry(offset)).unwrap();
    }
    assert_eq!(copy.end(), 3);
    let Batch { event_count, .. } = Batch::mark(5);
    copy.append(&Entry { event_count, payload: b"", ..entry(3) }).unwrap();
    assert_eq!(copy.end(), 3);
    let Entry { format, payload, time_ms, .. } = entry(9);
    let record = SharedRecord {
        kind: RecordKind::Batch,
        format,
        log_id: LOG_ID,
        partition: 0,
        node: NodeId(1),
        epoch: Some(RecordNo(0)),
        sequence: 1,
        base_offset: 4,
        time_ms,
        told_ms: time_ms,
        event_count: 1,
        payload,
    };
    assert!(matches!(copy.keep(&record), Err(CopyError::Gap { offset: 4, end: 3 })));
    copy.keep(&SharedRecord { base_offset: 3, ..record }).unwrap();
    assert_eq!(copy.end(), 4);
}

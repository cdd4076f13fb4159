//! Looking at a log without taking it over.

use std::convert::Infallible;

use super::Harness;
use super::open_log::{KnownBatch, OpenLog};
use crate::contract::StoredLog;
use crate::error::{ReadError, SnapshotError, VisitError};

fn read(log: &dyn StoredLog) -> Vec<KnownBatch> {
    let mut batches = Vec::new();
    let read = log.read(|entry| {
        batches.extend(Some(KnownBatch::of(&entry)).filter(|batch| batch.event_count > 0));
        Ok::<_, Infallible>(())
    });
    read.map_err(VisitError::of_log).expect("the log can be read");
    batches
}

/// Whoever only looks finds all that is in force, while the writer is at work, and changes nothing.
pub fn whoever_only_looks_finds_what_is_in_force(harness: &mut dyn Harness) {
    assert_eq!(harness.stored().partition().expect("it can be read"), None, "nobody has opened it yet");
    assert_eq!(read(&*harness.stored()), []);
    let mut open = OpenLog::open(harness);
    let partition = harness.stored().partition().expect("it can be read");
    for _ in 0..3 {
        open.fill_part(harness);
        assert_eq!(read(&*harness.stored()), open.batches);
    }
    open.mark(harness, 9_000);
    let offset = open.next_offset;
    let mut writer = open.log.write_snapshot(offset, 77).expect("there is room");
    writer.write_chunk(b"state").expect("there is room");
    writer.finish([7; 16]).expect("there is room");
    let stored = harness.stored();
    assert_eq!(stored.snapshots().expect("listed"), [offset]);
    let mut snapshot = stored.read_snapshot(offset).expect("it is there");
    assert_eq!(Some(snapshot.partition()), partition, "a snapshot is of the partition of its log");
    assert_eq!(snapshot.next_chunk().expect("whole"), Some(&b"state"[..]));
    assert!(matches!(stored.read_snapshot(offset + 1), Err(SnapshotError::Missing { .. })));
    open.append(harness, 100);
    open.check();
}

/// An error of whoever looks ends the looking there, and comes back as it is.
pub fn an_error_of_whoever_looks_comes_back(harness: &mut dyn Harness) {
    let mut open = OpenLog::open(harness);
    for _ in 0..3 {
        open.append(harness, 10);
    }
    let middle = open.batches[1].base_offset;
    let mut visited = Vec::new();
    let read = harness.stored().read(|entry| {
        if entry.event_count > 0 {
            visited.push(entry.base_offset);
        }
        if entry.event_count > 0 && entry.base_offset == middle { Err("not this one") } else { Ok(()) }
    });
    let refused: Result<(), VisitError<ReadError, &str>> = read;
    match refused {
        Err(VisitError::Refused(refused)) => {
            assert_eq!((refused.offset, refused.error), (middle, "not this one"));
        }
        other => panic!("{:?}", other.map_err(|_| "another error")),
    }
    assert_eq!(visited.last(), Some(&middle), "nothing is visited behind it");
}

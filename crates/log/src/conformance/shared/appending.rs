//! Appending to a shared log.

use super::SharedHarness;
use super::open_log::{Writer, bytes_of, read_from};
use crate::shared::{RecordNo, SharedError};

/// Bytes of the largest record that is tried.
const LARGE_BYTES: usize = 1 << 20;

/// Each record stands where its acknowledgement says, one behind the other.
pub fn an_acknowledgement_is_a_place(harness: &dyn SharedHarness) {
    let log = harness.log();
    let is_dense = log.bounds().numbers_are_dense;
    let mut writer = Writer::new(&*log);
    let mut placed: Vec<(RecordNo, Vec<u8>)> = Vec::new();
    for number in 0..20 {
        let record = bytes_of(number, 50);
        let no = writer.append(harness, &record);
        if let Some((before, _)) = placed.last() {
            assert!(*before < no && (!is_dense || no.0 == before.0 + 1), "{no:?} behind {before:?}");
        }
        placed.push((no, record));
    }
    assert_eq!(read_from(harness, placed[0].0), placed);
}

/// As many records as the log says are on their way at once, again and again; they come in order.
pub fn as_many_as_it_says_are_outstanding(harness: &dyn SharedHarness) {
    let log = harness.log();
    let outstanding_max = log.bounds().outstanding_max as u64;
    let mut writer = Writer::new(&*log);
    let first = writer.append(harness, b"first");
    let mut records = vec![b"first".to_vec()];
    for round in 0..40 {
        let tickets: Vec<_> = (0..outstanding_max)
            .map(|at| {
                let record = bytes_of(round * outstanding_max + at, 300);
                let ticket = writer.hand_over(&record).expect("so many are taken");
                records.push(record);
                ticket
            })
            .collect();
        for ticket in tickets {
            let no = writer.told.wait(harness, ticket);
            assert_eq!(no.0, first.0 + ticket - 1, "nothing goes wrong, so they come in order");
        }
    }
    let read: Vec<_> = read_from(harness, first).into_iter().map(|(_, record)| record).collect();
    assert_eq!(read, records);
}

/// Records of several appenders lie between each other, each of them once, and those of one in order.
pub fn several_append_at_once(harness: &dyn SharedHarness) {
    const WRITERS: usize = 3;
    let log = harness.log();
    let mut writers: Vec<_> = (0..WRITERS).map(|_| Writer::new(&*log)).collect();
    let first = writers[0].append(harness, b"first");
    for round in 0..60 {
        for (at, writer) in writers.iter_mut().enumerate() {
            let record = bytes_of(round * WRITERS as u64 + at as u64, 40 + at);
            let ticket = writer.hand_over(&record).expect("it is taken");
            if ticket % 4 == 0 {
                // Those before it may be told a moment later.
                writer.told.wait_for_all(harness, ticket - 3..=ticket);
            }
        }
    }
    for writer in &writers {
        writer.told.wait_for_all(harness, 1..=writer.ticket);
    }
    let read = read_from(harness, RecordNo(first.0 + 1));
    for at in 0..WRITERS {
        let of_one: Vec<_> = read.iter().filter(|(_, record)| record.len() == 40 + at).collect();
        let written = (0..60).map(|round| bytes_of(round * WRITERS as u64 + at as u64, 40 + at));
        assert!(of_one.iter().map(|(_, record)| record.clone()).eq(written), "those of writer {at}");
    }
    assert_eq!(read.len(), WRITERS * 60);
}

/// The largest records come back whole, several on their way at once.
pub fn large_records_come_back(harness: &dyn SharedHarness) {
    let log = harness.log();
    let bounds = log.bounds();
    let mut writer = Writer::new(&*log);
    let first = writer.append(harness, b"first");
    let lengths = [bounds.record_bytes_max.min(LARGE_BYTES), bounds.record_bytes_max, 1];
    let records: Vec<_> = (0..).zip(lengths).map(|(number, length)| bytes_of(number, length)).collect();
    for records in records.chunks(bounds.outstanding_max) {
        let tickets: Vec<_> =
            records.iter().map(|record| writer.hand_over(record).expect("it is taken")).collect();
        writer.told.wait_for_all(harness, tickets);
    }
    let read = read_from(harness, RecordNo(first.0 + 1));
    assert!(read.into_iter().map(|(_, record)| record).eq(records), "they come back as they were");
}

/// A record that is too large is refused, and nothing has happened: no number is used, and no acknowledgement comes.
pub fn too_large_a_record_changes_nothing(harness: &dyn SharedHarness) {
    let log = harness.log();
    let bytes_max = log.bounds().record_bytes_max;
    let mut writer = Writer::new(&*log);
    let before = writer.append(harness, b"before");
    let refused = writer.hand_over(&vec![7; bytes_max + 1]);
    assert_eq!(refused, Err(SharedError::TooLarge { bytes: bytes_max + 1, bytes_max }));
    let after = writer.append(harness, b"after");
    assert_eq!(after.0, before.0 + 1);
    assert_eq!(writer.told.count(), 2);
    assert_eq!(read_from(harness, before), [(before, b"before".to_vec()), (after, b"after".to_vec())]);
}

/// What an appender took is in the log and is acknowledged, though it is dropped.
pub fn a_dropped_appender_leaves_what_it_took(harness: &dyn SharedHarness) {
    let log = harness.log();
    let mut writer = Writer::new(&*log);
    let first = writer.append(harness, b"first");
    let ticket = writer.hand_over(b"last").expect("it is taken");
    let told = writer.told.clone();
    drop(writer);
    let last = told.wait(harness, ticket);
    assert_eq!(read_from(harness, first), [(first, b"first".to_vec()), (last, b"last".to_vec())]);
}

//! Reading a shared log.

use std::ops::ControlFlow;
use std::time::Duration;

use super::SharedHarness;
use super::open_log::{PARTITION, Writer, bytes_of, read_from, read_on};
use crate::shared::{RecordNo, SharedError};

/// Longer than anything takes: whoever waits so long has a record before.
const PATIENT: Duration = Duration::from_secs(30);

fn filled(harness: &dyn SharedHarness, count: u64) -> (Writer, Vec<(RecordNo, Vec<u8>)>) {
    let mut writer = Writer::new(&*harness.log());
    let records = (0..count).map(|number| {
        let record = bytes_of(number, 30);
        (writer.append(harness, &record), record)
    });
    let records = records.collect();
    (writer, records)
}

/// A reader that begins with any number gets all from there on.
pub fn reading_begins_anywhere(harness: &dyn SharedHarness) {
    let (_, records) = filled(harness, 12);
    for (at, (no, _)) in records.iter().enumerate() {
        assert_eq!(read_from(harness, *no), records[at..]);
    }
    let end = RecordNo(records[11].0.0 + 1);
    assert_eq!(read_from(harness, end), []);
}

/// Empty records and all values of a byte.
pub fn any_bytes_come_back(harness: &dyn SharedHarness) {
    let mut writer = Writer::new(&*harness.log());
    let records = [Vec::new(), vec![0], (0..=255).collect(), vec![255; 3], Vec::new()];
    let placed = records.map(|record| (writer.append(harness, &record), record));
    assert_eq!(read_from(harness, placed[0].0), placed);
}

/// At the end a reader is level, without a record; then it gets what is new.
pub fn a_reader_at_the_end_is_level(harness: &dyn SharedHarness) {
    let (mut writer, records) = filled(harness, 3);
    let log = harness.log();
    let mut reader = log.reader(PARTITION, records[0].0).expect("a reader");
    assert_eq!(read_on(harness, &mut *reader, records[0].0), records);
    for number in 0..5 {
        let end = RecordNo(records[2].0.0 + 1 + number);
        assert_eq!(read_on(harness, &mut *reader, end), [], "there is nothing more");
        assert_eq!(read_on(harness, &mut *reader, end), [], "and it is asked again");
        let record = bytes_of(100 + number, 30);
        let no = writer.append(harness, &record);
        assert_eq!(read_on(harness, &mut *reader, no), [(no, record)]);
    }
}

/// A reader at the end waits for a record that comes meanwhile.
pub fn a_reader_waits_for_the_first_record(harness: &dyn SharedHarness) {
    let (mut writer, records) = filled(harness, 1);
    let end = RecordNo(records[0].0.0 + 1);
    let mut reader = harness.log().reader(PARTITION, end).expect("a reader");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(move || {
            let mut read = Vec::new();
            // A log that never waits is asked again and again.
            while read.is_empty() {
                let progress = reader.read(PATIENT, &mut |no, record| {
                    read.push((no, record.to_vec()));
                    ControlFlow::Continue(())
                });
                progress.expect("nothing goes wrong");
            }
            read
        });
        let no = writer.append(harness, b"late");
        assert_eq!(waiting.join().expect("it does not panic"), [(no, b"late".to_vec())]);
    });
}

/// Whoever breaks off has read the record that it was given, and is not level before the end.
pub fn reading_is_broken_off(harness: &dyn SharedHarness) {
    let (_, records) = filled(harness, 6);
    let log = harness.log();
    let mut reader = log.reader(PARTITION, records[0].0).expect("a reader");
    for (at, (no, record)) in records[..4].iter().enumerate() {
        let mut given = Vec::new();
        while given.is_empty() {
            let progress = reader.read(PATIENT, &mut |no, record| {
                given.push((no, record.to_vec()));
                ControlFlow::Break(())
            });
            let progress = progress.expect("nothing goes wrong");
            assert_eq!(progress.next.0, no.0 + given.len() as u64);
            assert!(!progress.is_level, "there is more behind record {at}");
        }
        assert_eq!(given, [(*no, record.clone())]);
    }
    assert_eq!(read_on(harness, &mut *reader, records[4].0), records[4..]);
}

/// Whoever was read to a number that the log does not have yet is told so: the log lost its end.
pub fn a_reader_beyond_the_end_is_told(harness: &dyn SharedHarness) {
    let (_, records) = filled(harness, 3);
    let (end, next) = (RecordNo(records[2].0.0 + 1), RecordNo(records[2].0.0 + 8));
    let mut reader = harness.log().reader(PARTITION, next).expect("a reader");
    for _ in 0..100 {
        let mut read = Vec::new();
        let progress = reader.read(Duration::from_millis(300), &mut |no, _| {
            read.push(no);
            ControlFlow::Continue(())
        });
        assert_eq!(read, []);
        match progress {
            Err(error) => return assert_eq!(error, SharedError::Truncated { next, end }),
            Ok(progress) => assert_eq!((progress.next, progress.is_level), (next, false)),
        }
    }
    panic!("it is told");
}

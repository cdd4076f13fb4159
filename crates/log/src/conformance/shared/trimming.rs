//! What a shared log has, and no longer has.

use std::ops::ControlFlow;
use std::time::Duration;

use super::SharedHarness;
use super::open_log::{PARTITION, Writer, bytes_of, read_from};
use crate::shared::{Extent, RecordNo, SharedError};

/// The oldest record and the one to come are those that readers and writers meet.
pub fn the_extent_is_that_of_what_is_there(harness: &dyn SharedHarness) {
    let log = harness.log();
    let empty = log.extent(PARTITION).expect("it can be asked");
    assert_eq!(empty.oldest, empty.end, "there is nothing");
    let mut writer = Writer::new(&*log);
    for number in 0..5 {
        let no = writer.append(harness, &bytes_of(number, 20));
        assert_eq!(no, RecordNo(empty.end.0 + number));
    }
    let extent = log.extent(PARTITION).expect("it can be asked");
    assert_eq!(extent, Extent { oldest: empty.oldest, end: RecordNo(empty.end.0 + 5) });
}

/// Who wants a record that was dropped is told so; all others stay under their numbers, and more may come.
pub fn what_is_trimmed_is_missing_and_the_rest_stays(harness: &dyn SharedHarness) {
    let log = harness.log();
    let mut writer = Writer::new(&*log);
    let records: Vec<_> = (0..6).map(|number| bytes_of(number, 20)).collect();
    let mut placed: Vec<_> =
        records.iter().map(|record| (writer.append(harness, record), record.clone())).collect();
    assert_eq!(read_from(harness, placed[0].0), placed, "so that they are shown");
    for dropped_count in [0, 2, 2, 1, 6] {
        let (before, oldest) =
            (placed[0].0.0 + dropped_count, log.extent(PARTITION).expect("it can be asked").oldest);
        log.trim(PARTITION, RecordNo(before)).expect("nothing goes wrong");
        let oldest = RecordNo(oldest.0.max(before));
        assert_eq!(log.extent(PARTITION).expect("it can be asked").oldest, oldest);
        let left: Vec<_> = placed.iter().filter(|(no, _)| *no >= oldest).cloned().collect();
        assert_eq!(read_from(harness, oldest), left);
        if oldest > placed[0].0 {
            assert_eq!(
                missing(harness, placed[0].0),
                SharedError::Missing { next: placed[0].0, found: oldest }
            );
        }
    }
    let more = bytes_of(7, 20);
    placed.push((writer.append(harness, &more), more));
    assert_eq!(read_from(harness, placed[6].0), placed[6..]);
}

/// What a reader is told that begins with a record which is not there any more.
fn missing(harness: &dyn SharedHarness, from: RecordNo) -> SharedError {
    let mut reader = harness.log().reader(PARTITION, from).expect("a reader");
    for _ in 0..100 {
        let read = reader.read(Duration::from_millis(300), &mut |no, _| {
            panic!("record {} is read", no.0);
            #[allow(unreachable_code, reason = "a visitor has to return something")]
            ControlFlow::Continue(())
        });
        if let Err(error) = read {
            return error;
        }
    }
    panic!("it is told")
}

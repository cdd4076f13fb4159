//! Reading what is in force.

use std::convert::Infallible;

use super::Harness;
use super::open_log::{KnownBatch, OpenLog};
use crate::error::VisitError;

/// From any offset to any other, whole batches, in order and each once.
pub fn any_range_is_read(harness: &mut dyn Harness) {
    let mut open = OpenLog::open(harness);
    for round in 0..3 {
        open.fill_part(harness);
        open.mark(harness, 50_000 + round);
        open.append(harness, 10);
    }
    let end = open.next_offset;
    for from in (0..=end).step_by(7) {
        for to in [from, from + 1, from + 5, end / 2, end, u64::MAX] {
            let (read, reached) = open.read(from, to);
            let expected = |batch: &&KnownBatch| batch.next_offset() > from && batch.base_offset < to;
            let expected: Vec<_> =
                open.batches.iter().filter(expected).filter(|_| from < to).cloned().collect();
            assert_eq!(reached, expected.last().map_or(from, KnownBatch::next_offset), "{from}..{to}");
            assert_eq!(read, expected, "{from}..{to}");
        }
    }
}

/// At the end and beyond it there is nothing, until there is more.
pub fn nothing_is_read_beyond_the_end(harness: &mut dyn Harness) {
    let unopened = harness.log();
    assert_eq!(super::open_log::read(&*unopened, 0, u64::MAX), (Vec::new(), 0));
    let mut open = OpenLog::open(harness);
    open.append(harness, 10);
    let end = open.next_offset;
    for from in [end, end + 1, u64::MAX] {
        assert_eq!(open.read(from, u64::MAX), (Vec::new(), from));
    }
    let mut reader = open.log.reader();
    for _ in 0..5 {
        let from = open.next_offset;
        open.append(harness, 10);
        assert_eq!(reader.durable_offset(), open.next_offset);
        let mut read_count = 0;
        let reached = reader.read(from, u64::MAX, |entry| {
            read_count += u32::from(entry.event_count > 0);
            Ok::<_, Infallible>(())
        });
        assert_eq!((reached.map_err(VisitError::of_log).expect("whole"), read_count), (open.next_offset, 1));
    }
}

/// An error of the visitor ends the reading there, and comes back as it is.
pub fn the_visitors_own_error_comes_back(harness: &mut dyn Harness) {
    #[derive(Debug, PartialEq)]
    struct Stop(u64);
    let mut open = OpenLog::open(harness);
    for _ in 0..4 {
        open.append(harness, 10);
    }
    let middle = open.batches[2].base_offset;
    let mut visited = Vec::new();
    let mut reader = open.log.reader();
    let read = reader.read(0, u64::MAX, |entry| {
        if entry.event_count == 0 {
            return Ok(());
        }
        visited.push(entry.base_offset);
        if entry.base_offset == middle { Err(Stop(middle)) } else { Ok(()) }
    });
    match read {
        Err(VisitError::Refused(refused)) => {
            assert_eq!((refused.offset, refused.error), (middle, Stop(middle)));
        }
        other => panic!("{:?}", other.map_err(|_| "another error")),
    }
    assert_eq!(visited.last(), Some(&middle), "nothing is visited behind it");
    // The reader is as good as before.
    let mut again = Vec::new();
    let reached = reader.read(middle, u64::MAX, |entry| {
        again.extend(Some(KnownBatch::of(&entry)).filter(|batch| batch.event_count > 0));
        Ok::<_, Infallible>(())
    });
    assert_eq!(reached.map_err(VisitError::of_log).expect("whole"), open.next_offset);
    assert_eq!(again, open.batches[2..]);
}

/// A reader does not notice that the log is opened again.
pub fn a_reader_goes_on_over_an_opening(harness: &mut dyn Harness) {
    let mut open = OpenLog::open(harness);
    let mut reader = open.log.reader();
    let mut known = Vec::new();
    for _ in 0..4 {
        open.append(harness, 300);
        let from = known.last().map_or(0, KnownBatch::next_offset);
        let reached = reader.read(from, u64::MAX, |entry| {
            known.extend(Some(KnownBatch::of(&entry)).filter(|batch| batch.event_count > 0));
            Ok::<_, Infallible>(())
        });
        assert_eq!(reached.map_err(VisitError::of_log).expect("whole"), open.next_offset);
        drop(open);
        open = OpenLog::open(harness);
        assert_eq!(known, open.batches);
    }
}

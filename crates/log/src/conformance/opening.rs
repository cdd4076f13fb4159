//! Taking a log over: terms, the fence, and what is visited.

use super::Harness;
use super::open_log::{OpenLog, read};
use crate::contract::{Batch, Opening};
use crate::error::{AppendError, OpenError, VisitError};

/// Each opening begins a larger term, in this process and in the next.
pub fn terms_grow(harness: &mut dyn Harness) {
    let mut newest = 0;
    for round in 0..6 {
        let mut open = OpenLog::open(harness);
        assert!(open.epoch > newest, "{} after {newest}", open.epoch);
        newest = open.epoch;
        if round % 2 == 0 {
            open.append(harness, 10);
        }
        drop(open);
        if round % 3 == 0 {
            harness.restart();
        }
    }
}

/// What came into force is visited by the next process, wherever the one before stopped.
pub fn what_is_in_force_survives_a_restart(harness: &mut dyn Harness) {
    let mut known = Vec::new();
    for round in 0..8 {
        let mut open = OpenLog::open(harness);
        assert_eq!(open.batches, known);
        for payload_bytes in [1, 500, 5_000, 0] {
            open.append(harness, payload_bytes);
        }
        open.mark(harness, 9_000);
        known.clone_from(&open.batches);
        if round % 2 == 0 {
            open.writer.close(9_001).expect("nothing failed");
        }
        harness.restart();
    }
}

/// From an opening on, nothing more of the writer before comes into force.
pub fn a_new_writer_fences_the_one_before(harness: &mut dyn Harness) {
    let mut old = OpenLog::open(harness);
    old.append(harness, 100);
    let mut new = OpenLog::open(harness);
    assert_eq!(new.batches, old.batches);
    let batch = Batch { event_count: 1, time_ms: 5, told_ms: 5, payload: b"late" };
    assert!(matches!(old.writer.append(batch), Err(AppendError::Fenced)));
    assert!(matches!(old.writer.append(batch), Err(AppendError::Closed)));
    assert_eq!(old.writer.capacity().bytes, 0, "a writer at an end takes nothing");
    assert!(old.writer.check().is_err());
    harness.bring_into_force();
    new.append(harness, 100);
    new.check();
    drop(old);
    new.append(harness, 100);
    new.check();
}

/// A visitor that fails refuses the log; whoever opens it next finds all of it. The writer before is fenced all the same.
pub fn a_refused_opening_changes_nothing(harness: &mut dyn Harness) {
    let mut open = OpenLog::open(harness);
    for _ in 0..3 {
        open.append(harness, 100);
    }
    let middle = open.batches[1].base_offset;
    let opening = Opening { from_offset: 0, resume_at: None, salt_seed: 1 };
    let opened = harness.log().open(opening, |entry| {
        if entry.event_count > 0 && entry.base_offset == middle { Err("not this one") } else { Ok(()) }
    });
    match opened {
        Err(VisitError::Refused(refused)) => {
            assert_eq!((refused.offset, refused.error), (middle, "not this one"));
        }
        Err(VisitError::Log(error)) => panic!("{error}"),
        Ok(_) => panic!("a refused log does not open"),
    }
    let batch = Batch { event_count: 1, time_ms: 5, told_ms: 5, payload: b"late" };
    assert!(matches!(open.writer.append(batch), Err(AppendError::Fenced)));
    let again = OpenLog::open(harness);
    assert_eq!(again.batches, open.batches);
}

/// A new log begins where its first opening says, and goes on from there.
pub fn a_log_begins_where_it_is_told(harness: &mut dyn Harness) {
    let reader = harness.log().reader();
    assert_eq!((reader.oldest_offset(), reader.durable_offset()), (0, 0), "empty until it is opened");
    let mut open = OpenLog::try_open(harness, 70, None).expect("a new log");
    assert_eq!(open.next_offset, 70);
    open.append(harness, 10);
    assert_eq!(open.log.reader().oldest_offset(), 70);
    let known = open.batches.clone();
    drop(open);
    harness.restart();
    let open = OpenLog::try_open(harness, 70, None).expect("a log from there on");
    assert_eq!(open.batches, known);
}

/// A log opens from the beginning of a batch or from its end; anything else belongs to another log.
pub fn a_log_opens_between_two_batches_only(harness: &mut dyn Harness) {
    let mut open = OpenLog::open(harness);
    for _ in 0..3 {
        open.append(harness, 100);
    }
    let batches = open.batches.clone();
    drop(open);
    for (index, batch) in batches.iter().enumerate() {
        let opened = OpenLog::try_open(harness, batch.base_offset, None).expect("between two batches");
        assert_eq!(opened.batches, batches[index..]);
        let inside = OpenLog::try_open(harness, batch.base_offset + 1, None);
        assert!(matches!(inside, Err(OpenError::Between { .. })));
    }
    let end = batches[2].next_offset();
    assert_eq!(OpenLog::try_open(harness, end, None).expect("at the end").next_offset, end);
    assert!(matches!(OpenLog::try_open(harness, end + 2, None), Err(OpenError::Damaged(_))));
    OpenLog::open(harness);
    assert_eq!(read(&*harness.log(), 0, u64::MAX), (batches, end), "nothing was changed");
}

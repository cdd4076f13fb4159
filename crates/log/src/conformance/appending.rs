//! Appending, and what may go wrong with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Harness;
use super::open_log::OpenLog;
use crate::contract::Batch;
use crate::error::AppendError;
use crate::limits::BATCH_BYTES_MAX;

/// As many batches are handed over at once as the log says; they come into force in order.
pub fn as_many_as_it_says_are_outstanding(harness: &mut dyn Harness) {
    let mut open = OpenLog::open(harness);
    let batch_count = open.writer.capacity().batch_count;
    assert!(batch_count > 0);
    let woken_count = Arc::new(AtomicUsize::new(0));
    let woken = Arc::clone(&woken_count);
    open.writer.wake_by(Arc::new(move || {
        woken.fetch_add(1, Ordering::Relaxed);
    }));
    for round in 1..=5 {
        for _ in 0..batch_count {
            open.hand_over(50).expect("it said so");
        }
        let handed_over = round * batch_count as u64;
        let in_force = open.writer.in_force().expect("nothing failed");
        assert!(in_force <= handed_over);
        let woken_before = woken_count.load(Ordering::Relaxed);
        harness.bring_into_force();
        assert_eq!(open.writer.in_force().expect("nothing failed"), handed_over);
        if in_force < handed_over {
            assert!(woken_count.load(Ordering::Relaxed) > woken_before, "whoever waits is woken");
        }
    }
    open.check();
}

/// What is outstanding is read by nobody; if the process ends there, it is in force then, whole and in order, or void.
pub fn nothing_outstanding_is_read(harness: &mut dyn Harness) {
    let mut open = OpenLog::open(harness);
    open.append(harness, 50);
    let known_count = open.batches.len();
    for _ in 0..open.writer.capacity().batch_count {
        open.hand_over(50).expect("it said so");
    }
    let in_force = usize::try_from(open.writer.in_force().expect("nothing failed")).expect("few");
    let (read, _) = open.read(0, u64::MAX);
    assert_eq!(read, open.batches[..in_force], "readers get what is in force and nothing else");
    let batches = open.batches.clone();
    drop(open);
    harness.restart();
    let again = OpenLog::open(harness);
    let count = again.batches.len();
    assert!((known_count..=batches.len()).contains(&count));
    assert_eq!(again.batches, batches[..count]);
}

/// After a failed append the writer is at an end; opened again the log has all that was in force, and the batch that failed
/// whole or not at all.
pub fn a_failed_append_ends_the_writer(harness: &mut dyn Harness) {
    for fault in 0..harness.append_fault_count() {
        for restarts in [false, true] {
            let mut open = OpenLog::open(harness);
            open.append(harness, 700);
            let (known, durable_offset) = (open.batches.clone(), open.next_offset);
            harness.fail_next_append(fault);
            let failed = open.hand_over(700).and_then(|()| {
                harness.bring_into_force();
                open.writer.in_force().map(|_| ())
            });
            assert!(matches!(failed, Err(AppendError::Storage(_))), "fault {fault}: {failed:?}");
            let batch = Batch { event_count: 1, time_ms: 5, told_ms: 5, payload: b"late" };
            assert!(matches!(open.writer.append(batch), Err(AppendError::Closed)));
            assert_eq!(open.writer.capacity().bytes, 0, "a writer at an end takes nothing");
            assert!(open.log.reader().durable_offset() >= durable_offset);
            drop(open);
            let mut again = if restarts {
                harness.restart();
                OpenLog::open(harness)
            } else {
                OpenLog::try_open(harness, 0, Some(durable_offset)).expect("it opens again")
            };
            assert!(again.batches.starts_with(&known), "fault {fault}");
            assert!(again.batches.len() <= known.len() + 1, "fault {fault}");
            again.append(harness, 700);
            again.check();
        }
    }
}

/// A failure does not make unknown what came into force before it, even if nobody had asked.
pub fn what_is_in_force_is_told_before_a_failure(harness: &mut dyn Harness) {
    for fault in 0..harness.append_fault_count() {
        let mut open = OpenLog::open(harness);
        let before = open.writer.in_force().expect("nothing failed");
        open.hand_over(50).expect("there is room");
        harness.bring_into_force();
        harness.fail_next_append(fault);
        let failed = open.hand_over(50);
        harness.bring_into_force();
        let batches = open.writer.in_force();
        assert!(matches!(batches, Ok(count) if count == before + 1), "fault {fault}: {batches:?}");
        let failed = failed.and_then(|()| open.writer.in_force().map(|_| ()));
        assert!(matches!(failed, Err(AppendError::Storage(_))), "fault {fault}: {failed:?}");
        drop(open);
        harness.restart();
    }
}

/// A payload over the maximum is refused before anything happens.
pub fn a_batch_that_is_too_large_changes_nothing(harness: &mut dyn Harness) {
    let mut open = OpenLog::open(harness);
    let payload = vec![7; usize::try_from(BATCH_BYTES_MAX).expect("it fits") + 1];
    let refused = open.writer.append(Batch { event_count: 1, time_ms: 5, told_ms: 5, payload: &payload });
    assert!(matches!(refused, Err(AppendError::TooLarge { .. })));
    open.append(harness, 10);
    open.check();
}

/// A full log refuses a batch, has what it had, and goes on when there is room.
pub fn a_full_log_goes_on_when_there_is_room(harness: &mut dyn Harness) {
    let mut open = OpenLog::open(harness);
    open.append(harness, 1_000);
    harness.set_full(true);
    let refused = (0..10_000).find_map(|_| {
        let appended = open.hand_over(1_000);
        harness.bring_into_force();
        appended.err()
    });
    assert!(matches!(refused, Some(AppendError::NoRoom)), "{refused:?}");
    assert!(open.writer.capacity().bytes < 1_000, "it does not promise what it refuses");
    open.check();
    harness.set_full(false);
    let goes_on = (0..10_000).any(|_| open.hand_over(1_000).is_ok());
    assert!(goes_on, "there is room again");
    harness.bring_into_force();
    open.append(harness, 1_000);
    open.check();
}

/// A writer that whoever opens the log next would not find is told so, and is at an end.
pub fn a_log_that_is_gone_is_noticed(harness: &mut dyn Harness) {
    let mut open = OpenLog::open(harness);
    open.append(harness, 10);
    open.writer.check().expect("it is where it was");
    harness.set_away(true);
    assert!(matches!(open.writer.check(), Err(AppendError::Storage(_))));
    harness.set_away(false);
    let batch = Batch { event_count: 1, time_ms: 5, told_ms: 5, payload: b"late" };
    assert!(matches!(open.writer.append(batch), Err(AppendError::Closed)));
    let known = open.batches;
    let again = OpenLog::try_open(harness, 0, Some(open.next_offset)).expect("it is back");
    assert_eq!(again.batches, known);
}

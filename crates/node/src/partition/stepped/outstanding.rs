//! Several batches on their way into the log at once: deciding goes on, every answer waits for its own batch, and what fails
//! takes all behind it along.

use std::sync::Arc;
use std::time::Duration;

use onrush_log::memory::{AppendFault, MemoryLog};

use super::{LateReply, OUTSTANDING, Rig, add, log_of, reserve, settings};
use crate::partition::writer::Turn;
use crate::{Call, Failure, Name, Outcome, Readiness};

/// A partition whose batches come into force when the test says so.
fn open(log: &MemoryLog) -> Rig {
    let mut rig = Rig::open(Arc::new(log.clone()), settings()).unwrap();
    log.bring_into_force(usize::MAX);
    rig.write();
    assert_eq!(log.outstanding_count(), 0);
    rig
}

/// Logs that do not wait, and how many batches they take.
fn logs() -> impl Iterator<Item = (MemoryLog, usize)> {
    OUTSTANDING.into_iter().filter(|max| *max > 1).map(|max| (log_of(max), max))
}

/// Adds one in a batch of its own, if the log takes it.
fn submit_add(rig: &mut Rig) -> LateReply {
    let late = rig.submit(add("home"));
    rig.write();
    late
}

fn read() -> Call {
    Call::ReadCounter { counter: Name::from("home") }
}

fn value(late: &LateReply) -> Option<u64> {
    late.take().map(|reply| match reply {
        Ok(Outcome::Counter { value }) => value,
        other => panic!("{other:?}"),
    })
}

fn is_unknown(late: &LateReply) -> bool {
    matches!(late.take(), Some(Err(Failure::LogUnavailable)))
}

#[test]
fn each_answer_waits_for_its_own_batch() {
    for (log, max) in logs() {
        let mut rig = open(&log);
        let replies: Vec<_> = (0..max).map(|_| submit_add(&mut rig)).collect();
        assert_eq!(log.outstanding_count(), max);
        // The log takes no more: these go on being decided, and share the batch that is open.
        let (fifth, sixth, read) = (submit_add(&mut rig), submit_add(&mut rig), rig.submit(read()));
        rig.write();
        assert_eq!(log.outstanding_count(), max);
        for (number, late) in (1..).zip(&replies) {
            assert!(late.take().is_none(), "its batch is not in force");
            log.bring_into_force(1);
            rig.write();
            assert_eq!(value(late), Some(number));
        }
        assert_eq!(log.outstanding_count(), 1, "the batch that was open went when there was a place for it");
        assert!(fifth.take().is_none() && read.take().is_none());
        log.bring_into_force(1);
        rig.write();
        let last = max as u64 + 2;
        assert_eq!((value(&fifth), value(&sixth), value(&read)), (Some(last - 1), Some(last), Some(last)));
        let at_once = rig.submit(self::read());
        assert_eq!(value(&at_once), Some(last), "it rests on nothing that is on its way");
    }
}

#[test]
fn a_read_waits_for_what_it_rests_on_and_no_longer() {
    for (log, _) in logs() {
        let mut rig = open(&log);
        let first = submit_add(&mut rig);
        let read_first = rig.submit(read());
        let second = submit_add(&mut rig);
        let read_second = rig.submit(read());
        log.bring_into_force(1);
        rig.write();
        assert_eq!((value(&first), value(&read_first)), (Some(1), Some(1)));
        assert!(second.take().is_none() && read_second.take().is_none());
        log.bring_into_force(1);
        rig.write();
        assert_eq!((value(&second), value(&read_second)), (Some(2), Some(2)));
    }
}

#[test]
fn several_that_came_into_force_are_told_at_once() {
    for (log, max) in logs() {
        let mut rig = open(&log);
        let replies: Vec<_> = (0..max).map(|_| submit_add(&mut rig)).collect();
        let offset = rig.metrics().durable_offset;
        log.bring_into_force(max);
        assert_eq!(rig.parts.writer.turn(), Turn::Wait { at_most: Duration::from_millis(20) });
        assert!(replies.iter().map(value).eq((1..=max as u64).map(Some)));
        assert_eq!(rig.metrics().durable_offset, offset + max as u64);
    }
}

#[test]
fn what_fails_takes_all_behind_it_along_and_nothing_before_it() {
    for (log, max) in logs() {
        for in_force_count in 0..max {
            let log = log.copy();
            let mut rig = open(&log);
            let replies: Vec<_> = (0..max).map(|_| submit_add(&mut rig)).collect();
            let open_batch = submit_add(&mut rig);
            log.bring_into_force(in_force_count);
            log.lose_outstanding();
            rig.write();
            let (before, behind) = replies.split_at(in_force_count);
            assert!(before.iter().map(value).eq((1..=in_force_count as u64).map(Some)));
            assert!(behind.iter().chain([&open_batch]).all(is_unknown));
            assert_eq!(rig.metrics().reopened_count, 1);
            let mut rig = rig.bringing_into_force(&log);
            assert_eq!(rig.add("home").unwrap(), in_force_count as u64 + 1);
        }
    }
}

#[test]
fn an_append_that_fails_makes_nothing_unknown_that_is_in_force() {
    for (log, _) in logs() {
        for fault in [AppendFault::Lost, AppendFault::Kept] {
            let log = log.copy();
            let mut rig = open(&log);
            let first = submit_add(&mut rig);
            let second = rig.submit(add("home"));
            // Between the question what is in force and the next batch.
            log.fail_next_append(fault);
            log.bring_into_force(1);
            rig.write();
            assert_eq!(value(&first), Some(1));
            assert!(is_unknown(&second), "{fault:?}");
            let mut rig = rig.bringing_into_force(&log);
            let kept = u64::from(fault == AppendFault::Kept);
            assert_eq!(rig.add("home").unwrap(), 2 + kept, "{fault:?}");
        }
    }
}

#[test]
fn a_view_never_shows_what_was_lost() {
    for outstanding_max in OUTSTANDING {
        let log = log_of(outstanding_max);
        let mut rig = Rig::on(&log);
        rig.put_sale("s", 10, 0);
        rig.brought_into_force = None;
        let lost = if outstanding_max == 1 {
            log.fail_next_append(AppendFault::Lost);
            rig.submit(reserve("s", "lost"))
        } else {
            let lost = rig.submit(reserve("s", "lost"));
            rig.write();
            log.lose_outstanding();
            lost
        };
        rig.write();
        assert!(is_unknown(&lost));
        let mut rig = rig.bringing_into_force(&log);
        assert_eq!(rig.figures("s"), (0, 0));
        rig.add("home").unwrap();
        assert_eq!(rig.figures("s"), (0, 0), "not with the next batch either");
    }
}

#[test]
fn a_partition_ends_when_all_that_is_outstanding_is_in_force() {
    for (log, max) in logs() {
        let mut rig = open(&log);
        let replies: Vec<_> = (0..=max).map(|_| submit_add(&mut rig)).collect();
        rig.partition.close();
        rig.write();
        assert!(matches!(submit_add(&mut rig).take(), Some(Err(Failure::Draining))));
        for _ in 0..=max {
            assert!(matches!(rig.parts.writer.turn(), Turn::Wait { .. }), "something is outstanding");
            log.bring_into_force(1);
            rig.write();
        }
        assert_eq!(rig.parts.writer.turn(), Turn::Finished);
        assert!(replies.iter().map(value).eq((1..=max as u64 + 1).map(Some)));
        let digest = rig.partition.close();
        assert_eq!(Some(Rig::on(&log).close()), digest);
    }
}

#[test]
fn a_log_that_is_full_or_gone_while_something_is_outstanding() {
    for (log, _) in logs() {
        let mut rig = open(&log);
        let first = submit_add(&mut rig);
        log.set_room(Some(0));
        rig.write();
        let refused = submit_add(&mut rig);
        let read = rig.submit(read());
        assert_eq!(rig.partition.readiness(), Readiness::Ready, "somebody will be answered");
        log.bring_into_force(1);
        rig.write();
        assert_eq!((value(&first), value(&read)), (Some(1), Some(1)));
        assert!(is_unknown(&refused), "there was no room for it");
        assert_eq!(rig.partition.readiness(), Readiness::LogUnavailable);
        log.set_room(None);
        rig.write();
        let second = submit_add(&mut rig);
        assert_eq!(rig.metrics().reopened_count, 0, "nothing had to be given up");
        log.set_away(true);
        rig.clock.pass(Duration::from_millis(400));
        rig.write();
        assert!(is_unknown(&second), "nobody would find it");
        log.set_away(false);
        let mut rig = rig.bringing_into_force(&log);
        assert_eq!(rig.add("home").unwrap(), 2);
    }
}

#[test]
fn a_quiet_log_is_marked_when_nothing_is_outstanding() {
    for (log, _) in logs() {
        let mut rig = open(&log);
        let (first, second) = (submit_add(&mut rig), submit_add(&mut rig));
        log.bring_into_force(1);
        rig.write();
        rig.clock.pass(Duration::from_secs(1));
        rig.write();
        assert_eq!(log.outstanding_count(), 1, "the second batch will be in force after the first, or fail");
        log.bring_into_force(1);
        rig.write();
        rig.clock.pass(Duration::from_secs(1));
        rig.write();
        assert_eq!(log.outstanding_count(), 1, "a mark");
        assert_eq!((value(&first), value(&second)), (Some(1), Some(2)));
        // A batch does not wait for a mark, and reads rest on none.
        let third = submit_add(&mut rig);
        assert_eq!(log.outstanding_count(), 2);
        log.bring_into_force(1);
        rig.write();
        assert!(third.take().is_none());
        log.bring_into_force(1);
        rig.write();
        assert_eq!(value(&third), Some(3));
    }
}

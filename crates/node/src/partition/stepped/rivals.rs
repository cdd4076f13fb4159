//! A log that another process may take over at any time: whatever is told rests on something that was handed over afterwards.

use std::sync::Arc;
use std::time::Duration;

use onrush_log::memory::MemoryLog;

use super::{LateReply, Rig, add, code, reserve, settings};
use crate::{Call, Failure, Name, Outcome};

/// A log with rivals, and a partition on it; what it hands over comes into force when the test says so.
fn open() -> (MemoryLog, Rig) {
    let log = MemoryLog::with_outstanding(0, 4).with_rivals();
    let rig = join(&log);
    (log, rig)
}

fn join(log: &MemoryLog) -> Rig {
    let mut rig = Rig::open(Arc::new(log.clone()), settings()).unwrap();
    settle(log, &mut rig);
    rig
}

fn settle(log: &MemoryLog, rig: &mut Rig) {
    rig.write();
    while log.outstanding_count() > 0 {
        log.bring_into_force(usize::MAX);
        rig.write();
    }
}

fn counter() -> Call {
    Call::ReadCounter { counter: Name::from("home") }
}

fn value(late: &LateReply) -> Option<u64> {
    late.take().map(|reply| match reply {
        Ok(Outcome::Counter { value }) => value,
        other => panic!("{other:?}"),
    })
}

#[test]
fn what_is_only_read_rests_on_a_mark_that_others_share() {
    let (log, mut rig) = open();
    let added = rig.submit(add("home"));
    settle(&log, &mut rig);
    assert_eq!(value(&added), Some(1));
    let (one, other) = (rig.submit(counter()), rig.submit(counter()));
    let refused = rig.submit(reserve("nowhere", "ann"));
    let (sale, list) = (
        rig.submit(Call::ReadSale { sale: Name::from("nowhere") }),
        rig.submit(Call::ListSales { after: None, count_max: 10 }),
    );
    rig.write();
    assert_eq!(log.outstanding_count(), 1, "one mark for all of them");
    for late in [&one, &other, &refused, &sale, &list] {
        assert!(late.take().is_none(), "another may lead by now");
    }
    log.bring_into_force(1);
    rig.write();
    assert_eq!((value(&one), value(&other)), (Some(1), Some(1)));
    assert_eq!(code(&refused.take().unwrap()), "sale_not_found");
    assert_eq!(code(&sale.take().unwrap()), "sale_not_found");
    assert_eq!(code(&list.take().unwrap()), "done");
    assert_eq!(log.outstanding_count(), 0);
}

#[test]
fn a_read_shares_the_batch_that_is_handed_over_next() {
    let (log, mut rig) = open();
    let (read, added) = (rig.submit(counter()), rig.submit(add("home")));
    rig.write();
    assert_eq!(log.outstanding_count(), 1);
    log.bring_into_force(1);
    rig.write();
    assert!(matches!(read.take(), Some(Err(Failure::Refused { .. }))), "it came first");
    assert_eq!(value(&added), Some(1));
}

#[test]
fn reads_wait_for_what_is_on_its_way_so_that_more_of_them_share_a_mark() {
    let (log, mut rig) = open();
    let added = rig.submit(add("home"));
    rig.write();
    let early = rig.submit(counter());
    rig.write();
    assert_eq!(log.outstanding_count(), 2, "the batch and a mark");
    let late = rig.submit(counter());
    rig.write();
    assert_eq!(log.outstanding_count(), 2);
    log.bring_into_force(1);
    rig.write();
    assert_eq!((value(&added), value(&early), value(&late)), (Some(1), None, None));
    settle(&log, &mut rig);
    assert_eq!((value(&early), value(&late)), (Some(1), Some(1)));
}

#[test]
fn nothing_is_told_when_another_has_taken_over() {
    let (log, mut rig) = open();
    let added = rig.submit(add("home"));
    settle(&log, &mut rig);
    assert_eq!(value(&added), Some(1));
    let mut next = join(&log);
    let added = next.submit(add("home"));
    settle(&log, &mut next);
    assert_eq!(value(&added), Some(2));
    let (read, refused) = (rig.submit(counter()), rig.submit(reserve("nowhere", "ann")));
    assert!(read.take().is_none() && refused.take().is_none(), "it does not know yet, and tells nothing");
    rig.parts.writer.turn();
    for late in [read, refused] {
        assert!(matches!(late.take(), Some(Err(Failure::LogUnavailable))));
    }
    // Before it leads again, it says that another may be asked.
    assert!(matches!(rig.submit(counter()).take(), Some(Err(Failure::NotLeader))));
}

#[test]
fn who_leads_says_so_twice_a_second() {
    let (log, mut rig) = open();
    settle(&log, &mut rig);
    for _ in 0..3 {
        rig.clock.pass(Duration::from_millis(499));
        rig.write();
        assert_eq!(log.outstanding_count(), 0);
        rig.clock.pass(Duration::from_millis(1));
        rig.write();
        assert_eq!(log.outstanding_count(), 1);
        settle(&log, &mut rig);
    }
}

#[test]
fn a_node_that_followed_for_long_does_not_run_ahead() {
    let log = MemoryLog::new(0).with_rivals();
    let mut leader = Rig::open(Arc::new(log.clone()), settings()).unwrap();
    leader.add("home").unwrap();
    let clock = Arc::clone(&leader.clock);
    let its_clock = Arc::<crate::ManualClock>::clone(&clock);
    let (follower, mut parts) = crate::partition::handle::Partition::assemble_follower(
        Arc::new(log.clone()),
        settings(),
        its_clock,
        crate::Retention::default(),
    )
    .unwrap();
    clock.pass(Duration::from_hours(1));
    leader.add("home").unwrap();
    for _ in 0..10 {
        parts.writer.turn();
        clock.pass(Duration::from_millis(1));
        follower.call(add("home"), |_| {});
    }
    assert!(follower.leads());
    assert!(follower.metrics().clock_offset_ms.abs() < 10, "{}", follower.metrics().clock_offset_ms);
}

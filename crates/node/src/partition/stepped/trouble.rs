//! What a partition does when its log does not do what it should.

use std::time::Duration;

use onrush_core::Incarnation;
use onrush_log::memory::AppendFault;

use super::{Rig, START_MS, on_every_log, reserve};
use crate::{Asker, Call, Failure, Name, Outcome, Readiness};

const FAULTS: [AppendFault; 2] = [AppendFault::Lost, AppendFault::Kept];

#[test]
fn a_failed_append_is_answered_with_unknown_and_the_log_opens_again() {
    on_every_log(|log| {
        for fault in FAULTS {
            let log = &log.copy();
            let mut rig = Rig::on(log);
            assert_eq!(rig.add("home").unwrap(), 1);
            log.fail_next_append(fault);
            assert!(matches!(rig.add("home"), Err(Failure::LogUnavailable)), "{fault:?}");
            assert_eq!(rig.metrics().reopened_count, 1);
            let expected = if fault == AppendFault::Kept { 3 } else { 2 };
            assert_eq!(rig.add("home").unwrap(), expected, "{fault:?}");
            let digest = rig.close();
            let mut again = Rig::on(log);
            assert_eq!(again.counter("home").unwrap(), expected, "{fault:?}");
            assert_eq!(again.close(), digest);
        }
    });
}

#[test]
fn the_identity_of_a_partition_outlives_a_failure_of_its_first_write() {
    on_every_log(|log| {
        for fault in FAULTS {
            let log = &log.copy();
            log.fail_next_append(fault);
            let mut rig = Rig::on(log);
            let ids = rig.partition.reservation_ids().clone();
            rig.add("c").unwrap();
            assert_eq!(rig.metrics().reopened_count, 1, "{fault:?} was not noticed");
            rig.put_sale("s", 1, 0);
            let Ok(Outcome::Reserved { reservation, .. }) = rig.reserve("s", "c1") else { panic!("refused") };
            let id = ids.write(reservation);
            rig.close();
            let again = Rig::on(log);
            let read = again.partition.reservation_ids().read(std::str::from_utf8(&id).unwrap());
            assert_eq!(read, Some(reservation), "{fault:?}");
        }
    });
}

#[test]
fn the_founder_needs_no_other_incarnation_however_often_its_log_failed() {
    on_every_log(|log| {
        let mut rig = Rig::on(log);
        rig.put_sale("s", 100, 0);
        let Ok(Outcome::Reserved { reservation: before, .. }) = rig.reserve("s", "before") else {
            panic!("refused")
        };
        for round in 0..3 {
            log.fail_next_append(AppendFault::Lost);
            assert!(matches!(rig.reserve("s", "unknown"), Err(Failure::LogUnavailable)));
            let Ok(Outcome::Reserved { reservation, .. }) = rig.reserve("s", &format!("after-{round}"))
            else {
                panic!("refused")
            };
            assert_eq!(reservation.incarnation, Incarnation::FIRST);
        }
        let read = rig.call(Call::ReadReservation {
            sale: Name::from("s"),
            reservation: before,
            asker: Asker::Anyone,
        });
        assert!(matches!(read, Ok(Outcome::Reservation(view)) if view.customer == "before"));
    });
}

#[test]
fn a_log_that_is_gone_stops_the_partition_until_it_is_back() {
    on_every_log(|log| {
        let mut rig = Rig::on(log);
        assert_eq!(rig.add("home").unwrap(), 1);
        log.set_away(true);
        assert_eq!(rig.add("home").unwrap(), 2, "it was looked for a moment ago");
        rig.clock.pass(Duration::from_millis(400));
        assert!(matches!(rig.add("home"), Err(Failure::LogUnavailable)));
        assert_eq!(rig.partition.readiness(), Readiness::LogUnavailable);
        assert!(
            matches!(rig.counter("home"), Err(Failure::LogUnavailable)),
            "nothing is known while it is away"
        );
        log.set_away(false);
        rig.write();
        assert_eq!(rig.partition.readiness(), Readiness::Ready);
        assert_eq!(rig.add("home").unwrap(), 3);
    });
}

#[test]
fn a_partition_ends_although_its_log_does_not_come_back() {
    on_every_log(|log| {
        let mut rig = Rig::on(log);
        assert_eq!(rig.add("home").unwrap(), 1);
        log.set_away(true);
        rig.clock.pass(Duration::from_millis(400));
        rig.write();
        assert_eq!(rig.partition.close(), None);
        rig.write();
        assert!(matches!(rig.add("home"), Err(Failure::Draining)));
        log.set_away(false);
        assert_eq!(Rig::on(log).counter("home").unwrap(), 1);
    });
}

#[test]
fn a_full_log_stops_writes_and_nothing_else() {
    on_every_log(|log| {
        let mut rig = Rig::on(log);
        assert_eq!(rig.add("home").unwrap(), 1);
        log.set_room(Some(0));
        rig.write();
        assert!(matches!(rig.add("home"), Err(Failure::LogUnavailable)));
        assert_eq!(rig.counter("home").unwrap(), 1);
        assert_eq!(rig.partition.readiness(), Readiness::LogUnavailable);
        log.set_room(None);
        rig.write();
        assert_eq!(rig.add("home").unwrap(), 2);
        assert_eq!(rig.partition.readiness(), Readiness::Ready);
        assert_eq!(rig.metrics().reopened_count, 0, "nothing had to be given up");
    });
}

#[test]
fn a_full_log_keeps_reads_working_while_holds_are_due() {
    on_every_log(|log| {
        const HELD: u32 = 15_000;
        let mut rig = Rig::on(log);
        rig.put_sale("s", 20_000, 60_000);
        assert_eq!(rig.add("filler").unwrap(), 1);
        for number in 0..HELD {
            rig.partition.call(reserve("s", &format!("c{number}")), |reply| assert!(reply.is_ok()));
        }
        rig.write();
        assert_eq!(rig.figures("s"), (HELD, 0));
        log.set_room(Some(0));
        rig.write();
        rig.clock.pass_until(START_MS + 60_000);
        for _ in 0..50 {
            assert_eq!(rig.counter("filler").unwrap(), 1);
        }
        assert_eq!(rig.metrics().reopened_count, 0);
        log.set_room(None);
        rig.write();
        assert_eq!(rig.figures("s"), (0, 0));
    });
}

#[test]
fn a_log_that_others_took_over_is_taken_back() {
    on_every_log(|log| {
        let mut rig = Rig::on(log);
        assert_eq!(rig.add("home").unwrap(), 1);
        let mut other = Rig::on(log);
        assert_eq!(other.add("home").unwrap(), 2);
        assert!(matches!(rig.add("home"), Err(Failure::LogUnavailable)), "it is fenced");
        assert_eq!(rig.add("home").unwrap(), 3, "and goes on from what the other left");
        assert!(matches!(other.add("home"), Err(Failure::LogUnavailable)));
    });
}

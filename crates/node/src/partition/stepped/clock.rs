//! A partition on a machine whose wall clock is wrong, steps, and is put right: holds expire by their ttl, windows empty,
//! sales open by the right time, and nothing runs backwards.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use onrush_core::{Precondition, SaleStatus};
use onrush_log::memory::AppendFault;

use super::{LateReply, Rig, START_MS, code, log_of, on_every_log, settings};
use crate::clock::{Clock, ClockReading, ManualClock};
use crate::partition::handle::Partition;
use crate::partition::retention::Retention;
use crate::partition::writer::Turn;
use crate::{Call, Name, Outcome};

const DAY_MS: u64 = 86_400_000;

/// Lets time pass in steps, as a partition that is asked now and then sees it.
fn pass(rig: &mut Rig, seconds: u64) {
    for _ in 0..seconds {
        rig.clock.pass(Duration::from_secs(1));
        rig.counter("nobody").unwrap_err();
    }
}

fn created_at(rig: &mut Rig, sale: &str, customer: &str) -> u64 {
    match rig.reserve(sale, customer) {
        Ok(Outcome::Reserved { created_at, .. }) => created_at,
        other => panic!("{other:?}"),
    }
}

fn hit(rig: &mut Rig) -> u64 {
    match rig.call(Call::HitWindow { window: Name::from("w") }) {
        Ok(Outcome::Window { count, .. }) => count,
        other => panic!("{other:?}"),
    }
}

fn in_window(rig: &mut Rig) -> u64 {
    match rig.call(Call::ReadWindow { window: Name::from("w") }) {
        Ok(Outcome::Window { count, .. }) => count,
        other => panic!("{other:?}"),
    }
}

fn status(rig: &mut Rig, sale: &str) -> SaleStatus {
    match rig.call(Call::ReadSale { sale: Name::from(sale) }) {
        Ok(Outcome::Sale(view)) => view.status,
        other => panic!("{other:?}"),
    }
}

/// A hold of a minute and a window of a minute, both from now on, are over after a minute and a little.
fn holds_expire_and_windows_empty(rig: &mut Rig) {
    rig.put_sale("minute", 1, 60_000);
    assert_eq!(code(&rig.reserve("minute", "c1")), "done");
    hit(rig);
    pass(rig, 54);
    assert_eq!(rig.figures("minute"), (1, 0), "a hold lasts at least ten elevenths of its ttl");
    assert!(in_window(rig) >= 1);
    pass(rig, 14);
    assert_eq!(rig.figures("minute"), (0, 0), "and at most ten ninths");
    assert_eq!(in_window(rig), 0);
}

#[test]
fn a_clock_that_was_a_day_ahead_stops_nothing() {
    on_every_log(|log| {
        let mut rig = Rig::at(log, START_MS + DAY_MS);
        rig.put_sale("s", 9, 0);
        let early = created_at(&mut rig, "s", "c0");
        assert_eq!(early, START_MS + DAY_MS);
        rig.clock.set_wall(START_MS);
        holds_expire_and_windows_empty(&mut rig);
        assert!(rig.metrics().clock_offset_ms > 86_000_000);
        // Nor after a restart with the right clock.
        let digest = rig.close();
        let mut again = Rig::at(log, START_MS + 100_000);
        assert!(again.recovered.time_ms >= early);
        holds_expire_and_windows_empty(&mut again);
        let digest_after = again.close();
        assert_ne!(digest, digest_after);
        assert_eq!(Rig::at(log, START_MS + 200_000).close(), digest_after, "a replay gives the same state");
    });
}

#[test]
fn a_clock_that_steps_back_while_the_server_runs_stops_nothing() {
    on_every_log(|log| {
        let mut rig = Rig::on(log);
        rig.add("home").unwrap();
        rig.clock.set_wall(START_MS - DAY_MS);
        holds_expire_and_windows_empty(&mut rig);
    });
}

#[test]
fn a_clock_that_steps_forward_ends_no_hold_early() {
    on_every_log(|log| {
        let mut rig = Rig::on(log);
        rig.put_sale("s", 1, 60_000);
        assert_eq!(code(&rig.reserve("s", "c1")), "done");
        hit(&mut rig);
        rig.clock.set_wall(START_MS + DAY_MS);
        assert_eq!(rig.figures("s"), (1, 0));
        assert_eq!(in_window(&mut rig), 1);
        assert!(rig.metrics().clock_offset_ms < -86_000_000);
        pass(&mut rig, 54);
        assert_eq!(rig.figures("s"), (1, 0));
        pass(&mut rig, 1);
        assert_eq!(rig.figures("s"), (0, 0));
    });
}

#[test]
fn sales_open_and_close_by_the_clock_as_it_is_now() {
    on_every_log(|log| {
        let mut rig = Rig::at(log, START_MS + DAY_MS);
        let hour = START_MS + 3_600_000;
        rig.put_sale_between("later", 9, 60_000, Some(hour), Some(hour + 3_600_000));
        assert_eq!(code(&rig.reserve("later", "c1")), "sale_closed");
        rig.clock.set_wall(START_MS);
        assert_eq!(status(&mut rig, "later"), SaleStatus::Scheduled);
        assert_eq!(code(&rig.reserve("later", "c1")), "sale_not_open");
        rig.clock.set_wall(hour);
        assert_eq!(status(&mut rig, "later"), SaleStatus::Open);
        assert_eq!(code(&rig.reserve("later", "c1")), "done");
        assert_eq!(
            code(&rig.call(Call::ArchiveSale { sale: Name::from("later"), only_if: Precondition::None })),
            "sale_open"
        );
        rig.clock.set_wall(hour + 3_600_000);
        assert_eq!(status(&mut rig, "later"), SaleStatus::Closed);
        assert_eq!(code(&rig.reserve("later", "c2")), "sale_closed");
    });
}

#[test]
fn time_never_runs_backwards() {
    on_every_log(|log| {
        let mut rig = Rig::on(log);
        rig.put_sale("s", 9, 0);
        rig.clock.pass_until(START_MS + 60_000);
        let mut newest = created_at(&mut rig, "s", "c0");
        for (step, wall_ms) in [START_MS - 1_000_000, START_MS + DAY_MS, 0, START_MS].into_iter().enumerate()
        {
            rig.clock.set_wall(wall_ms);
            rig.clock.pass(Duration::from_millis(50));
            let next = created_at(&mut rig, "s", &format!("c{}", step + 1));
            assert!((newest + 45..=newest + 55).contains(&next), "{newest} {next}");
            newest = next;
        }
        // Nor over a restart.
        rig.close();
        let mut again = Rig::at(log, START_MS - 1_000_000);
        assert_eq!(again.recovered.time_ms, newest);
        assert_eq!(
            created_at(&mut again, "s", "c8"),
            newest + 2_000,
            "behind what was told and not written down yet"
        );
    });
}

#[test]
fn a_start_takes_the_clock_if_it_is_later_than_the_log() {
    on_every_log(|log| {
        let mut rig = Rig::on(log);
        rig.put_sale("s", 1, 60_000);
        assert_eq!(code(&rig.reserve("s", "c1")), "done");
        drop(rig);
        let mut again = Rig::at(log, START_MS + 60_000);
        assert_eq!(again.figures("s"), (0, 0), "the hold ended while nothing ran");
        assert_eq!(again.metrics().clock_offset_ms, 0);
    });
}

#[test]
fn the_clock_goes_on_while_the_log_is_opened_again() {
    on_every_log(|log| {
        let mut rig = Rig::on(log);
        rig.put_sale("s", 9, 0);
        rig.clock.set_wall(START_MS - DAY_MS);
        rig.clock.pass(Duration::from_secs(100));
        let before = created_at(&mut rig, "s", "c1");
        log.fail_next_append(AppendFault::Lost);
        assert_eq!(code(&rig.reserve("s", "c2")), "log_unavailable");
        assert_eq!(rig.metrics().reopened_count, 1);
        let after = created_at(&mut rig, "s", "c3");
        assert!(after >= before, "{before} {after}");
    });
}

/// A clock after whose next reading the thread that read it rests, while something happens.
struct PausingClock {
    clock: ManualClock,
    meanwhile: Mutex<Option<Meanwhile>>,
}

type Meanwhile = Box<dyn FnOnce(&ManualClock) + Send>;

impl PausingClock {
    fn rest_after_next_reading(&self, meanwhile: impl FnOnce(&ManualClock) + Send + 'static) {
        *self.meanwhile.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(meanwhile));
    }
}

impl Clock for PausingClock {
    fn read(&self) -> ClockReading {
        let reading = self.clock.read();
        let meanwhile = self.meanwhile.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(act) = meanwhile {
            act(&self.clock);
        }
        reading
    }
}

#[test]
fn nothing_is_decided_as_of_a_moment_before_it_was_asked() {
    let clock = Arc::new(PausingClock { clock: ManualClock::new(START_MS), meanwhile: Mutex::default() });
    let (partition, mut parts, _) = Partition::assemble(
        Arc::new(log_of(1)),
        settings(),
        Arc::<PausingClock>::clone(&clock),
        Retention::default(),
    )
    .unwrap();
    let hit = |partition: &Partition, late: &LateReply| {
        let filled = late.clone();
        partition.call(Call::HitWindow { window: Name::from("w") }, move |reply| {
            *filled.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reply);
        });
    };
    let (first, second) = (LateReply::default(), LateReply::default());
    let (asking, late) = (Arc::clone(&partition), second.clone());
    clock.rest_after_next_reading(move |clock| {
        clock.pass(Duration::from_hours(1));
        hit(&asking, &late);
    });
    hit(&partition, &first);
    while !matches!(parts.writer.turn(), Turn::Wait { .. }) {}
    let count = |late: &LateReply| match late.take() {
        Some(Ok(Outcome::Window { count, .. })) => count,
        other => panic!("{other:?}"),
    };
    assert_eq!(count(&first), 1);
    assert_eq!(count(&second), 1, "an hour after the first, which is no longer in the window");
}

//! The partition's time while the wall clock does as it likes.

use std::time::Duration;

use proptest::prelude::*;

use super::{ClockNotice, PartitionClock};
use crate::clock::ClockReading;

const START: Duration = Duration::from_secs(1_700_000_000);
const DAY: Duration = Duration::from_hours(24);

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A machine whose wall clock can be set.
struct Machine {
    reading: ClockReading,
    clock: PartitionClock,
}

impl Machine {
    fn start(log: Duration, wall: Duration) -> Self {
        let reading = ClockReading { wall, steady: seconds(7) };
        Self { reading, clock: PartitionClock::start(crate::clock::millis(log), reading) }
    }

    /// Time passes, in steps of a tenth of a second.
    fn pass(&mut self, time: Duration) -> Duration {
        let step = Duration::from_millis(100);
        let before = self.clock.partition;
        for _ in 0..time.as_millis() / step.as_millis() {
            self.reading.wall += step;
            self.reading.steady += step;
            self.clock.advance(self.reading);
        }
        self.clock.partition.saturating_sub(before)
    }

    fn set_wall(&mut self, wall: Duration) {
        self.reading.wall = wall;
        self.clock.advance(self.reading);
    }
}

#[test]
fn it_is_the_wall_clock_while_that_is_right() {
    let mut machine = Machine::start(Duration::ZERO, START);
    assert_eq!(machine.pass(seconds(60)), seconds(60));
    assert_eq!(machine.clock.partition, machine.reading.wall);
    assert_eq!((machine.clock.offset_ms(), machine.clock.take_notice()), (0, None));
}

#[test]
fn a_start_takes_the_later_of_the_log_and_the_wall_clock() {
    for (log, wall, expected) in [
        (Duration::ZERO, START, START),
        (START, START + DAY, START + DAY),
        (START, START, START),
        (START + DAY, START, START + DAY + seconds(2)),
        (START, Duration::ZERO, START + seconds(2)),
    ] {
        assert_eq!(Machine::start(log, wall).clock.partition, expected);
    }
}

#[test]
fn a_clock_that_was_ahead_when_the_log_began_costs_a_tenth_of_the_pace_until_they_meet() {
    let mut machine = Machine::start(Duration::ZERO, START + seconds(60));
    machine.set_wall(START);
    assert_eq!(machine.pass(seconds(10)), seconds(9));
    assert_eq!(machine.clock.offset_ms(), 59_000);
    machine.pass(seconds(589));
    assert_eq!(machine.clock.offset_ms(), 100);
    machine.pass(seconds(2));
    assert_eq!(machine.clock.offset_ms(), 0);
    assert_eq!(machine.pass(seconds(10)), seconds(10));
}

#[test]
fn a_step_forward_is_caught_up_with_a_tenth_more_than_the_pace() {
    let mut machine = Machine::start(Duration::ZERO, START);
    machine.set_wall(START + seconds(1));
    assert_eq!(machine.clock.partition, START);
    assert_eq!(machine.pass(seconds(5)), Duration::from_millis(5_500));
    assert_eq!(machine.pass(seconds(10)), Duration::from_millis(10_500));
    assert_eq!(machine.clock.offset_ms(), 0);
}

#[test]
fn a_clock_of_1970_that_is_put_right_moves_nothing() {
    let mut machine = Machine::start(START, seconds(30));
    assert_eq!(machine.pass(seconds(10)), seconds(9));
    machine.set_wall(START + seconds(40));
    assert_eq!(machine.clock.partition, START + seconds(11));
    machine.pass(seconds(290));
    assert_eq!(machine.clock.offset_ms(), 0);
}

#[test]
fn the_operator_is_told_once_when_the_clocks_part_and_once_when_they_meet() {
    let mut machine = Machine::start(Duration::ZERO, START);
    machine.set_wall(START.saturating_sub(seconds(1)));
    assert_eq!(machine.clock.take_notice(), None, "a second is no news");
    machine.set_wall(START.saturating_sub(seconds(3)));
    assert_eq!(machine.clock.take_notice(), Some(ClockNotice::Apart { offset_ms: 3_000 }));
    machine.pass(seconds(28));
    assert_eq!(machine.clock.take_notice(), None);
    machine.pass(seconds(2));
    assert_eq!(machine.clock.take_notice(), Some(ClockNotice::Together));
    assert_eq!(machine.clock.take_notice(), None);
    machine.set_wall(machine.reading.wall + DAY);
    assert_eq!(machine.clock.take_notice(), Some(ClockNotice::Apart { offset_ms: -86_400_000 }));
}

/// Nanoseconds that pass, and nanoseconds since the epoch that the wall clock is set to, if it is.
fn steps() -> impl Strategy<Value = Vec<(u64, Option<u64>)>> {
    let passed = prop_oneof![0..5_u64, 0..2_000_000_u64, 0..5_000_000_000_u64, 0..100_000_000_000_000_u64];
    let set = prop_oneof![
        8 => Just(None),
        1 => (0..3_400_000_000_000_000_000_u64).prop_map(Some),
        1 => (1_699_999_990_000_000_000..1_700_000_010_000_000_000_u64).prop_map(Some),
    ];
    prop::collection::vec((passed, set), 1..60)
}

proptest! {
    #[test]
    fn it_keeps_within_a_tenth_of_the_pace_and_never_leaves_a_wall_clock_that_it_met(steps in steps()) {
        let mut machine = Machine::start(START, START);
        for (passed, set) in steps {
            let passed = Duration::from_nanos(passed);
            machine.reading.steady += passed;
            let before = machine.clock.partition;
            let apart = before.abs_diff(machine.reading.wall);
            machine.reading.wall = set.map_or(machine.reading.wall + passed, Duration::from_nanos);
            machine.clock.advance(machine.reading);
            let moved = machine.clock.partition.saturating_sub(before);
            prop_assert!(passed * 9 / 10 <= moved && moved <= passed * 11 / 10, "{passed:?} {moved:?}");
            let apart_now = machine.clock.partition.abs_diff(machine.reading.wall);
            if set.is_none() {
                prop_assert!(apart_now <= apart, "it comes nearer or stays");
                let comes = apart.min(passed / 10).saturating_sub(Duration::from_nanos(1));
                prop_assert!(apart_now <= apart.saturating_sub(comes), "by a tenth of what passed");
            }
        }
    }
}

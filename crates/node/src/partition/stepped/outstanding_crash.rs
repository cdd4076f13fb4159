//! Crashes and failures of a log that takes one, two or four batches at once, at every moment and with every number of batches
//! that were in force by then: nothing acknowledged is lost, nothing is done twice, and what was not acknowledged is there
//! wholly or not at all.

use std::sync::Arc;

use onrush_log::memory::MemoryLog;

use super::{LateReply, OUTSTANDING, Rig, add, log_of, reserve_with, settings};
use crate::{Call, Failure, Name, Outcome};

const CUSTOMERS: u32 = 12;
/// Each customer adds one, reserves and reads, and after each of these some of what is outstanding comes into force.
const MOMENTS: u32 = CUSTOMERS * 3;

/// What goes wrong at a moment, after so many of the batches that are outstanding have come into force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// The process ends.
    Crash,
    /// The log loses what is outstanding.
    Loss,
    /// Somebody else opens the log.
    TakenOver,
}

struct Script {
    log: MemoryLog,
    rig: Rig,
    adds: Vec<LateReply>,
    reservations: Vec<LateReply>,
    reads: Vec<LateReply>,
}

fn reserve(number: u32) -> Call {
    reserve_with("s", &format!("c{number}"), Some(&format!("k{number}")), b"")
}

impl Script {
    fn new(outstanding_max: usize) -> Self {
        let log = log_of(outstanding_max);
        let mut rig = Rig::on(&log);
        rig.put_sale("s", 1_000, 0);
        rig.brought_into_force = None;
        Self { log, rig, adds: Vec::new(), reservations: Vec::new(), reads: Vec::new() }
    }

    /// Makes the call of this moment.
    fn call(&mut self, moment: u32) {
        let read = Call::ReadCounter { counter: Name::from("home") };
        let (call, replies) = match moment % 3 {
            0 => (add("home"), &mut self.adds),
            1 => (reserve(moment / 3), &mut self.reservations),
            _ => (read, &mut self.reads),
        };
        replies.push(self.rig.submit(call));
        self.rig.write();
    }

    /// Lets as many batches come into force as chance wants.
    fn bring_into_force(&mut self, moment: u32) {
        let chance = (moment + 7).wrapping_mul(2_654_435_761) >> 24;
        self.log.bring_into_force(if chance.is_multiple_of(4) { 2 } else { 0 });
        self.rig.write();
    }

    /// Runs to the moment of the trouble and a little further, unless the process ends there; how many batches were
    /// outstanding then.
    fn run(&mut self, trouble: Trouble, moment: u32, in_force_count: usize) -> usize {
        for earlier in 0..moment {
            self.call(earlier);
            self.bring_into_force(earlier);
        }
        self.call(moment);
        let outstanding_count = self.log.outstanding_count();
        self.log.bring_into_force(in_force_count);
        match trouble {
            Trouble::Crash => return outstanding_count,
            Trouble::Loss => self.log.lose_outstanding(),
            Trouble::TakenOver => drop(Rig::open(Arc::new(self.log.clone()), settings()).unwrap()),
        }
        self.rig.write();
        for later in moment + 1..MOMENTS.min(moment + 7) {
            self.call(later);
            self.bring_into_force(later);
        }
        outstanding_count
    }

    /// Compares the replies with what whoever opens the log next finds.
    fn check(self, what: &str) {
        let Self { log, rig, adds, reservations, reads } = self;
        drop(rig);
        let (mut added_count, mut unknown_count, mut newest) = (0, 0, 0);
        for late in &adds {
            match late.take() {
                Some(Ok(Outcome::Counter { value })) => {
                    assert!(value > newest, "{what}: numbers run forwards");
                    (added_count, newest) = (added_count + 1, value);
                }
                None | Some(Err(Failure::LogUnavailable)) => unknown_count += 1,
                other => panic!("{what}: {other:?}"),
            }
        }
        let seen = reads.iter().filter_map(|late| match late.take() {
            Some(Ok(Outcome::Counter { value })) => Some(value),
            _ => None,
        });
        let seen = seen.max().unwrap_or(0).max(newest);
        let (mut sold_count, mut unsure_count) = (0, 0);
        for late in &reservations {
            match late.take() {
                Some(Ok(_)) => sold_count += 1,
                None | Some(Err(Failure::LogUnavailable)) => unsure_count += 1,
                other => panic!("{what}: {other:?}"),
            }
        }
        let mut again = Rig::on(&log);
        let counted = again.counter("home").unwrap_or(0);
        assert!((added_count..=added_count + unknown_count).contains(&counted), "{what}: {counted}");
        assert!(counted >= seen, "{what}: {seen} was seen, and {counted} is left");
        let (_, sold) = again.figures("s");
        assert!((sold_count..=sold_count + unsure_count).contains(&sold), "{what}: {sold} of {sold_count}");
        // Whoever does not know asks again, and has one unit in the end however it went.
        for number in 0..CUSTOMERS {
            let reply = again.call(reserve(number));
            assert!(matches!(reply, Ok(Outcome::Reserved { .. })), "{what}: {reply:?}");
        }
        assert_eq!(again.figures("s"), (0, CUSTOMERS), "{what}");
        let digest = again.close();
        assert_eq!(Rig::on(&log).close(), digest, "{what}: a replay gives the same state");
    }
}

#[test]
fn any_trouble_at_any_moment() {
    let mut most_outstanding = 0;
    for outstanding_max in OUTSTANDING {
        for trouble in [Trouble::Crash, Trouble::Loss, Trouble::TakenOver] {
            for moment in 0..MOMENTS {
                for in_force_count in 0..=outstanding_max {
                    let mut script = Script::new(outstanding_max);
                    let outstanding_count = script.run(trouble, moment, in_force_count);
                    most_outstanding = most_outstanding.max(outstanding_count);
                    script.check(&format!(
                        "{trouble:?} at moment {moment}, {in_force_count} of {outstanding_count} in force, {outstanding_max} taken"
                    ));
                    if in_force_count >= outstanding_count {
                        break;
                    }
                }
            }
        }
    }
    assert_eq!(most_outstanding, OUTSTANDING[2], "the script fills the log");
}

#[test]
fn without_trouble_everybody_is_answered_in_the_end() {
    for outstanding_max in OUTSTANDING {
        let mut script = Script::new(outstanding_max);
        for moment in 0..MOMENTS {
            script.call(moment);
            script.bring_into_force(moment);
        }
        for _ in 0..MOMENTS {
            script.log.bring_into_force(1);
            script.rig.write();
        }
        let Script { adds, reservations, reads, .. } = &script;
        assert!(
            [adds, reservations, reads]
                .into_iter()
                .flatten()
                .all(|late| late.take().is_some_and(|reply| reply.is_ok()))
        );
    }
}

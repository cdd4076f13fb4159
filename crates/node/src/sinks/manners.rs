//! When a sink keeps out of the way. Its own thread has the lowest priority, but that does not bind the processes of its
//! target, which may work on the same machine: while answers to changes wait, a sink writes little at a time and rests in between,
//! and when the processors are busy as well, it rests much longer than it worked.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::clock::Stopwatch;

/// Events between two looks at orders when nobody waits.
const TURN_EVENTS_MAX: u64 = 16_384;
/// The same while answers wait: a few milliseconds of a target's work; and how far that grows as long as it is no rush, so that a
/// target that is far away gets enough, too.
const SMALL_TURN_EVENTS: u64 = 256;
const GENTLE_TURN_EVENTS_MAX: u64 = 4_096;
/// How many times as long as it worked a sink rests in a rush, up to a bound: long work is mostly waiting.
const RUSH_RESTS: u32 = 15;
const REST_MAX: Duration = Duration::from_secs(1);
/// One part in so many of the processors' time must be idle for everybody to have enough.
const IDLE_ONE_IN: u64 = 4;
/// Over how long idle time is measured, and for how long a rush that was seen is believed to go on.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
const RUSH_FADES: Duration = Duration::from_secs(1);

/// How fast a sink may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// Nobody waits for the answer to a change.
    Free,
    /// Somebody does, and there is idle time for everybody.
    Gentle,
    /// Answers need what a sink and its target would take.
    Rush,
}

impl Pace {
    /// How long to rest after so much work.
    pub(super) fn rest_after(self, worked: Duration) -> Duration {
        let rests = match self {
            Self::Free => 0,
            Self::Gentle => 1,
            Self::Rush => RUSH_RESTS,
        };
        worked.saturating_mul(rests).min(REST_MAX)
    }
}

/// What one sink knows of the others' needs.
pub(super) struct Manners {
    /// Answers that wait at once lately.
    crowd: Arc<AtomicUsize>,
    since_look: Stopwatch,
    spent: Option<Spent>,
    since_rush: Option<Stopwatch>,
    /// The next turn, if that is a gentle one.
    gentle_turn_events: u64,
}

impl Manners {
    pub(super) fn new(crowd: Arc<AtomicUsize>) -> Self {
        Self {
            crowd,
            since_look: Stopwatch::start(),
            spent: None,
            since_rush: None,
            gentle_turn_events: SMALL_TURN_EVENTS,
        }
    }

    /// Events of the next turn.
    pub(super) fn turn_events_max(&mut self, pace: Pace) -> u64 {
        let gentle = (self.gentle_turn_events * 2).min(GENTLE_TURN_EVENTS_MAX);
        match pace {
            Pace::Free => TURN_EVENTS_MAX,
            Pace::Gentle => std::mem::replace(&mut self.gentle_turn_events, gentle),
            Pace::Rush => {
                self.gentle_turn_events = SMALL_TURN_EVENTS;
                SMALL_TURN_EVENTS
            }
        }
    }

    /// Costs a look at the kernel's figures ten times a second while answers wait, and next to nothing when none do.
    pub(super) fn pace(&mut self) -> Pace {
        let nobody_waits = self.crowd.load(Ordering::Relaxed) == 0;
        if nobody_waits {
            self.spent = None;
        } else if self.spent.is_none() || self.since_look.elapsed() >= LOOK_INTERVAL {
            self.note(Spent::read());
        }
        if self.since_rush.is_some_and(|since| since.elapsed() < RUSH_FADES) {
            Pace::Rush
        } else if nobody_waits {
            Pace::Free
        } else {
            Pace::Gentle
        }
    }

    fn note(&mut self, spent: Option<Spent>) {
        if is_busy(self.spent.as_ref(), spent.as_ref()) {
            self.since_rush = Some(Stopwatch::start());
        }
        (self.spent, self.since_look) = (spent, Stopwatch::start());
    }
}

/// What all processors did since the machine started, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Spent {
    idle: u64,
    all: u64,
}

impl Spent {
    fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/stat").ok()?)
    }

    /// From the first line of `/proc/stat`, see `proc_stat(5)`: user, nice, system, idle, iowait, irq, softirq, steal, and then
    /// guests, which are in user already. Who waits for a disk leaves its processor idle.
    fn parse(text: &str) -> Option<Self> {
        let line = text.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u64> =
            line.split_whitespace().take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
        let [_, _, _, idle, waiting, ..] = ticks[..] else { return None };
        Some(Self { idle: idle + waiting, all: ticks.iter().sum() })
    }
}

/// Whether the processors had too little idle time in between, if that is known.
fn is_busy(before: Option<&Spent>, after: Option<&Spent>) -> bool {
    let (Some(before), Some(after)) = (before, after) else { return false };
    let all = after.all.saturating_sub(before.all);
    let idle = after.idle.saturating_sub(before.idle);
    all > 0 && idle.saturating_mul(IDLE_ONE_IN) < all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_processors_did() {
        let text = "cpu  100 20 30 400 50 6 7 8 90 9\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        assert_eq!(Spent::parse(text), Some(Spent { idle: 450, all: 621 }));
        assert_eq!(Spent::parse("cpu  1 2 3 4 5"), Some(Spent { idle: 9, all: 15 }));
        for text in ["", "cpu", "cpu  1 2 3", "cpu  1 2 3 x 5", "cpu0 1 2 3 4 5 6 7 8", "intr 5"] {
            assert_eq!(Spent::parse(text), None, "{text:?}");
        }
        assert!(Spent::read().is_some_and(|spent| spent.idle <= spent.all));
    }

    #[test]
    fn busy_is_when_little_time_is_idle() {
        let spent = |idle, all| Spent { idle, all };
        let busy = |before: Spent, after: Spent| is_busy(Some(&before), Some(&after));
        assert!(busy(spent(100, 1_000), spent(124, 1_100)));
        assert!(!busy(spent(100, 1_000), spent(125, 1_100)));
        assert!(!busy(spent(100, 1_000), spent(100, 1_000)), "no time has passed");
        // Idle time can go back a little where the kernel corrects it.
        assert!(busy(spent(100, 1_000), spent(90, 1_100)));
        assert!(!is_busy(None, Some(&spent(1, 1))) && !is_busy(Some(&spent(1, 1)), None));
    }

    #[test]
    fn the_pace_is_free_only_when_nobody_waits() {
        let crowd = Arc::new(AtomicUsize::new(0));
        let mut manners = Manners::new(Arc::clone(&crowd));
        assert_eq!(manners.pace(), Pace::Free);
        crowd.store(1, Ordering::Relaxed);
        assert_eq!(manners.pace(), Pace::Gentle, "of the processors nothing is known yet");
        manners.since_rush = Some(Stopwatch::start());
        assert_eq!(manners.pace(), Pace::Rush);
        crowd.store(0, Ordering::Relaxed);
        assert_eq!(manners.pace(), Pace::Rush, "it is believed to go on for a while");
        manners.since_rush = None;
        assert_eq!(manners.pace(), Pace::Free);
    }

    #[test]
    fn it_is_a_rush_when_answers_wait_and_processors_are_busy() {
        let mut manners = Manners::new(Arc::new(AtomicUsize::new(1)));
        let mut sees_rush = |idle, all| {
            manners.since_rush = None;
            manners.note(Some(Spent { idle, all }));
            manners.since_rush.is_some()
        };
        let seen =
            [(0, 1_000), (25, 1_100), (49, 1_200), (149, 1_300)].map(|(idle, all)| sees_rush(idle, all));
        assert_eq!(seen, [false, false, true, false]);
        // What was measured before nobody waited says nothing of later.
        manners.since_rush = None;
        manners.crowd.store(0, Ordering::Relaxed);
        assert_eq!(manners.pace(), Pace::Free);
        manners.note(Some(Spent { idle: 149, all: 1_400 }));
        assert!(manners.since_rush.is_none());
    }

    #[test]
    fn gentle_turns_grow_until_there_is_a_rush() {
        let mut manners = Manners::new(Arc::default());
        let paces = [[Pace::Gentle; 6].as_slice(), &[Pace::Free, Pace::Rush, Pace::Gentle]].concat();
        let turns: Vec<_> = paces.into_iter().map(|pace| manners.turn_events_max(pace)).collect();
        assert_eq!(turns, [256, 512, 1_024, 2_048, 4_096, 4_096, 16_384, 256, 256]);
    }

    #[test]
    fn the_harder_the_pace_the_longer_the_rest() {
        let worked = Duration::from_millis(3);
        let rests = [Pace::Free, Pace::Gentle, Pace::Rush].map(|pace| pace.rest_after(worked).as_millis());
        assert_eq!(rests, [0, 3, 45]);
        assert_eq!(Pace::Rush.rest_after(Duration::MAX), REST_MAX);
    }
}

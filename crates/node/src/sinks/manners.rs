//! When a sink keeps out of the way. Its own thread has the lowest priority, but that does not bind the processes of its
//! target, which may work on the same machine: while answers wait and the processors are busy, a sink writes little at a time
//! and rests much longer than it worked.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::clock::Stopwatch;

/// Events between two looks at orders, usually and in a rush: a few milliseconds of a target's work.
const TURN_EVENTS_MAX: u64 = 16_384;
const RUSH_TURN_EVENTS_MAX: u64 = 256;
/// How many times as long as it worked a sink rests in a rush, up to a bound.
const RESTS: u32 = 15;
const REST_MAX: Duration = Duration::from_secs(10);
/// Answers that wait at once when it can be a rush.
const CROWD_MIN: usize = 4;
/// One part in so many of the processors' time must be idle for everybody to have enough.
const IDLE_ONE_IN: u64 = 4;
/// Over how long idle time is measured, and for how long a rush that was seen is believed to go on.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
const RUSH_FADES: Duration = Duration::from_secs(1);

/// What one sink knows of the rush.
pub(super) struct Manners {
    /// Answers that wait at once lately.
    crowd: Arc<AtomicUsize>,
    since_look: Stopwatch,
    spent: Option<Spent>,
    since_rush: Option<Stopwatch>,
}

impl Manners {
    pub(super) fn new(crowd: Arc<AtomicUsize>) -> Self {
        Self { crowd, since_look: Stopwatch::start(), spent: None, since_rush: None }
    }

    /// Whether answers need what a sink and its target would take. Costs a look at the kernel's figures ten times a second
    /// while answers wait, and next to nothing when none do.
    pub(super) fn in_rush(&mut self) -> bool {
        if self.crowd.load(Ordering::Relaxed) < CROWD_MIN {
            self.spent = None;
        } else if self.spent.is_none() || self.since_look.elapsed() >= LOOK_INTERVAL {
            let spent = Spent::read();
            if is_busy(self.spent.as_ref(), spent.as_ref()) {
                self.since_rush = Some(Stopwatch::start());
            }
            (self.spent, self.since_look) = (spent, Stopwatch::start());
        }
        self.since_rush.is_some_and(|since| since.elapsed() < RUSH_FADES)
    }

    pub(super) fn turn_events_max(in_rush: bool) -> u64 {
        if in_rush { RUSH_TURN_EVENTS_MAX } else { TURN_EVENTS_MAX }
    }

    /// How long to rest in a rush after so much work.
    pub(super) fn rest_after(worked: Duration) -> Duration {
        worked.saturating_mul(RESTS).min(REST_MAX)
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

/// Whether the processors had too little idle time in between. Without figures it is not known; then answers come first.
fn is_busy(before: Option<&Spent>, after: Option<&Spent>) -> bool {
    let (Some(before), Some(after)) = (before, after) else { return true };
    let all = after.all.saturating_sub(before.all);
    let idle = after.idle.saturating_sub(before.idle);
    all == 0 || idle.saturating_mul(IDLE_ONE_IN) < all
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
        assert!(busy(spent(100, 1_000), spent(100, 1_000)), "no time has passed");
        // Idle time can go back a little where the kernel corrects it.
        assert!(busy(spent(100, 1_000), spent(90, 1_100)));
        assert!(is_busy(None, Some(&spent(1, 1))) && is_busy(Some(&spent(1, 1)), None));
    }

    #[test]
    fn it_is_no_rush_without_a_crowd() {
        let crowd = Arc::new(AtomicUsize::new(0));
        let mut manners = Manners::new(Arc::clone(&crowd));
        assert!(!manners.in_rush());
        // Nothing was measured yet, so answers come first.
        crowd.store(CROWD_MIN, Ordering::Relaxed);
        assert!(manners.in_rush());
        crowd.store(0, Ordering::Relaxed);
        assert!(manners.in_rush(), "a rush is believed to go on for a while");
    }

    #[test]
    fn a_rest_is_longer_than_the_work_and_bounded() {
        assert_eq!(Manners::rest_after(Duration::from_millis(3)), Duration::from_millis(45));
        assert_eq!(Manners::rest_after(Duration::MAX), REST_MAX);
    }
}

//! How fast a sink may write. Its thread has the lowest priority, but that does not bind its target, which may work on the same
//! machine or for others: so there can be a ceiling of events a second.

use std::num::NonZeroU32;
use std::time::Duration;

use onrush_node::Stopwatch;

/// Events between two looks at orders.
const TURN_EVENTS_MAX: u64 = 4_096;
/// Turns a second at the ceiling, if it is high enough.
const TURNS_PER_SECOND: u64 = 10;

/// What one sink may still write.
pub(crate) struct Ceiling {
    events_per_second_max: Option<NonZeroU32>,
    since_start: Stopwatch,
    /// What was written is paid for at this time after the start.
    paid_at: Duration,
}

impl Ceiling {
    pub(crate) fn new(events_per_second_max: Option<NonZeroU32>) -> Self {
        Self { events_per_second_max, since_start: Stopwatch::start(), paid_at: Duration::ZERO }
    }

    pub(crate) fn is_set(&self) -> bool {
        self.events_per_second_max.is_some()
    }

    /// Events of the log that are read before the next rest.
    pub(crate) fn turn_events_max(&self) -> u64 {
        let fitting = |max: NonZeroU32| (u64::from(max.get()) / TURNS_PER_SECOND).max(1);
        self.events_per_second_max.map_or(TURN_EVENTS_MAX, |max| fitting(max).min(TURN_EVENTS_MAX))
    }

    /// How long to rest after so many events were written.
    pub(crate) fn rest_after(&mut self, written_count: u64) -> Duration {
        self.rest_at(self.since_start.elapsed(), written_count)
    }

    fn rest_at(&mut self, now: Duration, written_count: u64) -> Duration {
        let Some(max) = self.events_per_second_max else { return Duration::ZERO };
        let price = Duration::from_nanos(written_count.saturating_mul(1_000_000_000) / u64::from(max.get()));
        self.paid_at = self.paid_at.max(now).saturating_add(price);
        self.paid_at.saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ceiling(events_per_second_max: u32) -> Ceiling {
        Ceiling::new(NonZeroU32::new(events_per_second_max))
    }

    #[test]
    fn without_a_ceiling_there_is_no_rest() {
        let mut none = ceiling(0);
        assert_eq!((none.is_set(), none.turn_events_max()), (false, TURN_EVENTS_MAX));
        assert_eq!(none.rest_after(u64::MAX), Duration::ZERO);
    }

    #[test]
    fn turns_are_a_tenth_of_a_second_at_most() {
        for (max, turn) in [(1, 1), (10, 1), (1_000, 100), (1_000_000, TURN_EVENTS_MAX)] {
            assert_eq!(ceiling(max).turn_events_max(), turn, "{max}");
        }
    }

    #[test]
    fn no_second_has_more_than_the_ceiling() {
        let mut ceiling = ceiling(100);
        let mut now = Duration::from_secs(7);
        let mut written = Vec::new();
        for count in [10, 3, 0, 40, 10, 10, 25, 1, 1, 90, 10, 10] {
            written.push((now, count));
            let rest = ceiling.rest_at(now, count);
            assert_eq!(rest, Duration::from_millis(count * 10), "it was all paid for");
            now += rest;
        }
        let second = Duration::from_secs(1);
        for (begin, _) in &written {
            let count: u64 = written
                .iter()
                .filter(|(at, _)| at >= begin && *at < *begin + second)
                .map(|(_, count)| count)
                .sum();
            let last = written
                .iter()
                .rfind(|(at, _)| at >= begin && *at < *begin + second)
                .map_or(0, |(_, count)| *count);
            assert!(count - last < 100, "{count} from {begin:?}");
        }
    }

    #[test]
    fn a_rest_that_was_cut_short_is_made_up_for() {
        let mut ceiling = ceiling(100);
        let now = Duration::from_secs(1);
        assert_eq!(ceiling.rest_at(now, 50), Duration::from_millis(500));
        assert_eq!(ceiling.rest_at(now + Duration::from_millis(100), 10), Duration::from_millis(500));
        assert_eq!(
            ceiling.rest_at(now + Duration::from_secs(9), 1),
            Duration::from_millis(10),
            "quiet times are not saved up"
        );
    }
}

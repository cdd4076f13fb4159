//! The only door to time. Everything else in this crate is told what time it is. What a partition makes of these clocks is
//! in `partition_clock.rs`.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use onrush_core::TimeMs;
use rustix::time::{ClockId, clock_gettime};

/// What the clocks showed at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockReading {
    /// The wall clock, since the Unix epoch. May step in either direction.
    pub wall: Duration,
    /// Time since a fixed moment. Never runs backwards, and nobody can set it.
    pub steady: Duration,
}

impl ClockReading {
    /// The wall clock in milliseconds since the Unix epoch.
    pub fn wall_ms(&self) -> TimeMs {
        millis(self.wall)
    }
}

/// Where a partition reads the time, once a turn.
pub trait Clock: Send + Sync {
    /// What the clocks show.
    fn read(&self) -> ClockReading;

    /// The wall clock in milliseconds since the Unix epoch.
    fn wall_ms(&self) -> TimeMs {
        self.read().wall_ms()
    }
}

/// The machine's clocks. The steady one goes on while the machine sleeps, so that holds expire meanwhile.
#[derive(Clone, Copy, Debug, Default)]
pub struct MachineClock;

impl Clock for MachineClock {
    #[allow(clippy::disallowed_methods, reason = "this is the door")]
    fn read(&self) -> ClockReading {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        // A clock that counts from the machine's start is never negative.
        let steady = Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or(Duration::ZERO);
        ClockReading { wall, steady }
    }
}

/// Clocks that stand still until they are told otherwise, for tests and simulations.
#[derive(Debug)]
pub struct ManualClock(Mutex<ClockReading>);

impl ManualClock {
    /// Clocks of which the wall clock shows `wall_ms`.
    pub fn new(wall_ms: TimeMs) -> Self {
        Self(Mutex::new(ClockReading { wall: Duration::from_millis(wall_ms), steady: Duration::ZERO }))
    }

    /// Time passes: both clocks go on.
    pub fn pass(&self, time: Duration) {
        self.change(|reading| {
            reading.wall += time;
            reading.steady += time;
        });
    }

    /// Time passes until the wall clock shows `wall_ms`; none if it shows that or more.
    pub fn pass_until(&self, wall_ms: TimeMs) {
        let time = Duration::from_millis(wall_ms).saturating_sub(self.read().wall);
        self.pass(time);
    }

    /// Somebody sets the wall clock; no time passes.
    pub fn set_wall(&self, wall_ms: TimeMs) {
        self.change(|reading| reading.wall = Duration::from_millis(wall_ms));
    }

    fn change(&self, change: impl FnOnce(&mut ClockReading)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Clock for ManualClock {
    fn read(&self) -> ClockReading {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whole milliseconds; a span that has more than 64 bits of them counts as that many.
pub(crate) fn millis(span: Duration) -> TimeMs {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Measures how long something took, for metrics and pauses; never for decisions.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Begins to measure.
    #[allow(clippy::disallowed_methods, reason = "this is the door")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// How long ago that was.
    #[allow(clippy::disallowed_methods, reason = "this is the door")]
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

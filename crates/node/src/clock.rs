//! The only door to time. Everything else in this crate is told what time it is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use onrush_core::TimeMs;

/// Where a partition reads the wall clock, once a turn.
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch. May step in either direction.
    fn now_ms(&self) -> TimeMs;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct WallClock;

impl Clock for WallClock {
    #[allow(clippy::disallowed_methods, reason = "this is the door")]
    fn now_ms(&self) -> TimeMs {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
    }
}

/// A clock that stands still until it is told otherwise, for tests and simulations.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock that shows `now_ms`.
    pub fn new(now_ms: TimeMs) -> Self {
        Self(AtomicU64::new(now_ms))
    }

    /// Steps to `now_ms`, forwards or backwards.
    pub fn set(&self, now_ms: TimeMs) {
        self.0.store(now_ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> TimeMs {
        self.0.load(Ordering::SeqCst)
    }
}

/// Measures how long something took, for metrics and pauses; never for decisions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[allow(clippy::disallowed_methods, reason = "this is the door")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    #[allow(clippy::disallowed_methods, reason = "this is the door")]
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

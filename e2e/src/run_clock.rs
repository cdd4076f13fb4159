//! The clock of a run.

use jiff::Timestamp;
use std::time::Instant;

use crate::ledger::Times;

/// One clock for all connections of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started: Instant,
}

impl Clock {
    /// Starts at 0.
    pub(crate) fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// What the wall clock, which nobody sets, shows at such a time, in milliseconds since 1970.
    pub(crate) fn wall_ms(self, at_ns: u64) -> i64 {
        let ago_ms = self.now_ns().saturating_sub(at_ns) / 1_000_000;
        Timestamp::now().as_millisecond().saturating_sub_unsigned(ago_ms)
    }

    /// Does something, and tells when it was begun and done.
    pub(crate) fn time<T>(self, act: impl FnOnce() -> T) -> (Times, T) {
        let sent_ns = self.now_ns();
        let done = act();
        (Times { sent_ns, ended_ns: self.now_ns() }, done)
    }

    /// A moment that lasts no time.
    pub(crate) fn moment(self) -> Times {
        self.time(|| ()).0
    }

    /// Nanoseconds since the start.
    pub(crate) fn now_ns(self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).expect("a run shorter than centuries")
    }
}

//! The partition's time, made of two clocks: it goes on at the pace of the steady clock, and comes to the wall clock
//! without a jump.
//!
//! Nobody can set the steady clock, but it does not know what time it is. The wall clock does, but somebody may set it, and
//! it may have been wrong. So a step of the wall clock never moves the partition's time by more than a tenth of what really
//! passed: in ten seconds the partition moves on by nine while it is ahead, and by eleven while it is behind.
//!
//! Only a start takes the wall clock as it is, if that is later than the log: how long nothing ran is not known otherwise.

use std::time::Duration;

use onrush_core::{Now, TimeMs};

use crate::clock::{ClockReading, millis};
use crate::limits::{ANSWERED_BEFORE_LOGGED_MAX, CLOCK_OFFSET_OVER, CLOCK_OFFSET_WARNED};

/// Tells a partition's time. Pure: it is told what the clocks show.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PartitionClock {
    /// Since the Unix epoch.
    partition: Duration,
    last: ClockReading,
    is_apart: bool,
}

/// Something to tell the operator, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClockNotice {
    /// The partition's time and the wall clock differ by more than [`CLOCK_OFFSET_WARNED`].
    Apart { offset_ms: i64 },
    /// They are together again.
    Together,
}

impl PartitionClock {
    /// Starts at the wall clock, or behind every time that was told if the log's newest time is later than the wall clock.
    pub(crate) fn start(log_ms: TimeMs, reading: ClockReading) -> Self {
        let log = Duration::from_millis(log_ms);
        let partition = if log > reading.wall { log + ANSWERED_BEFORE_LOGGED_MAX } else { reading.wall };
        Self { partition, last: reading, is_apart: false }
    }

    /// Moves on to the moment of `reading`.
    pub(crate) fn advance(&mut self, reading: ClockReading) -> Now {
        let passed = reading.steady.saturating_sub(self.last.steady);
        let gap = reading.wall.saturating_sub(self.partition);
        self.partition += gap.clamp(passed * 9 / 10, passed * 11 / 10);
        self.last = reading;
        self.now()
    }

    /// Goes on no earlier than this time of the log, which somebody may have been told.
    pub(crate) fn go_on_behind(&mut self, log_ms: TimeMs) {
        self.partition = self.partition.max(Duration::from_millis(log_ms));
    }

    /// The steady clock at the last reading.
    pub(crate) fn steady(&self) -> Duration {
        self.last.steady
    }

    /// As of the last reading.
    pub(crate) fn now(&self) -> Now {
        Now { partition: millis(self.partition), wall: self.last.wall_ms() }
    }

    /// How far the partition's time is ahead of the wall clock, as of the last reading; negative if it is behind.
    pub(crate) fn offset_ms(&self) -> i64 {
        let signed = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let ahead = signed(self.partition.saturating_sub(self.last.wall));
        ahead - signed(self.last.wall.saturating_sub(self.partition))
    }

    /// What the operator has to be told since this was last asked.
    pub(crate) fn take_notice(&mut self) -> Option<ClockNotice> {
        let offset = self.partition.abs_diff(self.last.wall);
        if !self.is_apart && offset > CLOCK_OFFSET_WARNED {
            self.is_apart = true;
            return Some(ClockNotice::Apart { offset_ms: self.offset_ms() });
        }
        if self.is_apart && offset <= CLOCK_OFFSET_OVER {
            self.is_apart = false;
            return Some(ClockNotice::Together);
        }
        None
    }
}

#[cfg(test)]
#[path = "partition_clock_tests.rs"]
mod tests;

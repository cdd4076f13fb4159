//! The clocks by which rows are as old as they say.

use std::time::{Duration, Instant};

use onrush_node::{Clock as _, MachineClock};

/// A moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: Instant,
    /// Unix time in milliseconds.
    pub(super) wall_ms: u64,
}

impl Moment {
    /// When it was this time at the source, as far as its clock is ours, and never later than now. Nothing if that is too long ago.
    pub(super) fn of_source(self, ms: u64) -> Option<Instant> {
        let ago = Duration::from_millis(self.wall_ms.saturating_sub(ms));
        self.now.checked_sub(ago)
    }
}

/// This moment on both clocks.
pub(super) fn this_moment() -> Moment {
    Moment { now: now(), wall_ms: MachineClock.wall_ms() }
}

#[allow(
    clippy::disallowed_methods,
    reason = "how old rows are is told by the clock of whoever follows their source"
)]
pub(super) fn now() -> Instant {
    Instant::now()
}

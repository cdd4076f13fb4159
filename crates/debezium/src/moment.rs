//! The clocks by which rows are as old as they say.

use std::time::{Duration, Instant};

/// A moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// By a clock that never goes back.
    pub now: Instant,
    /// Unix time in milliseconds.
    pub wall_ms: u64,
}

impl Moment {
    /// When it was this time at the source, as far as its clock is ours, and never later than now. Nothing if that is too long ago.
    pub(crate) fn of_source(self, ms: u64) -> Option<Instant> {
        let ago = Duration::from_millis(self.wall_ms.saturating_sub(ms));
        self.now.checked_sub(ago)
    }
}

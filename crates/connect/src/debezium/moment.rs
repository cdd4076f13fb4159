//! The clocks by which rows are as old as they say.

use std::time::Instant;

use onrush_debezium::Moment;
use onrush_node::{Clock as _, MachineClock};

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

//! How long a sink waits before it tries again.

use std::time::Duration;

/// Between the first two attempts; each wait is twice the one before, up to a bound, and somewhere between half and all of that.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);
const RETRY_INTERVAL_MAX: Duration = Duration::from_secs(30);

/// Exponential, with jitter, so that the sinks of many servers do not come back at once.
pub(crate) fn back_off(failures_in_a_row: u32) -> Duration {
    let doublings = failures_in_a_row.saturating_sub(1).min(16);
    let whole = RETRY_INTERVAL.saturating_mul(1 << doublings).min(RETRY_INTERVAL_MAX);
    // Without chance the waits are merely all alike.
    let chance = getrandom::u32().unwrap_or(u32::MAX);
    whole / 2 + (whole / 2).mul_f64(f64::from(chance) / f64::from(u32::MAX))
}

//! A token bucket as one number, the generic cell rate algorithm (ITU-T I.371): the time at which the bucket is full again.
//! A request moves that time on by one interval, unless it would then be further ahead than a whole burst takes.

use std::sync::atomic::{AtomicU64, Ordering};

use super::rate::Rate;

/// How a bucket stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level {
    /// Requests that it would let through at once.
    pub(super) remaining: u32,
    /// Ticks until a whole burst is possible.
    pub(super) full_after: u64,
}

/// A request that is refused, and the ticks after which it would not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wait(pub(super) u64);

/// How far the bucket's time is ahead after one more request, if it was `ahead` ticks ahead before.
pub(super) fn admit(rate: Rate, ahead: u64) -> Result<u64, Wait> {
    let after = ahead + rate.interval();
    match after.checked_sub(rate.depth()) {
        Some(excess) if excess > 0 => Err(Wait(excess)),
        _ => Ok(after),
    }
}

/// The level of a bucket that is `ahead` ticks ahead.
pub(super) fn level(rate: Rate, ahead: u64) -> Level {
    let remaining = rate.depth().saturating_sub(ahead) / rate.interval();
    Level { remaining: u32::try_from(remaining).unwrap_or(u32::MAX), full_after: ahead }
}

/// One bucket that all share.
#[derive(Debug, Default)]
pub(super) struct Bucket(AtomicU64);

impl Bucket {
    pub(super) fn take(&self, rate: Rate, now: u64) -> Result<Level, Wait> {
        let mut full_at = self.0.load(Ordering::Relaxed);
        loop {
            let after = admit(rate, full_at.saturating_sub(now))?;
            match self.0.compare_exchange_weak(full_at, now + after, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(level(rate, after)),
                Err(found) => full_at = found,
            }
        }
    }

    pub(super) fn level(&self, rate: Rate, now: u64) -> Level {
        level(rate, self.0.load(Ordering::Relaxed).saturating_sub(now))
    }

    pub(super) fn give_back(&self, rate: Rate) {
        let less = |full_at: u64| Some(full_at.saturating_sub(rate.interval()));
        // The closure always has an answer.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

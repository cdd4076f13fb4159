//! From where on the log is kept: whoever still needs a part of it holds it, and only what nobody holds is trimmed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Nothing is needed.
const NOTHING: u64 = u64::MAX;

/// Who needs which part of a partition's log. Clones are the same; one is given to the partition when it is opened.
#[derive(Clone, Debug, Default)]
pub struct Retention {
    holds: Arc<Mutex<Vec<RetentionHold>>>,
}

impl Retention {
    /// Keeps the log from `offset` on, until the hold says otherwise. Dropping the hold changes nothing: the log is kept rather
    /// too long than too short.
    pub fn hold(&self, offset: u64) -> RetentionHold {
        let hold = RetentionHold { offset: Arc::new(AtomicU64::new(offset)) };
        self.holds().push(hold.clone());
        hold
    }

    /// Nobody needs the log below this offset.
    pub fn needed_from(&self) -> u64 {
        self.holds().iter().map(|hold| hold.offset.load(Ordering::Acquire)).min().unwrap_or(NOTHING)
    }

    fn holds(&self) -> MutexGuard<'_, Vec<RetentionHold>> {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one of them needs.
#[derive(Clone, Debug)]
pub struct RetentionHold {
    offset: Arc<AtomicU64>,
}

impl RetentionHold {
    /// From now on the log is kept from `offset` on.
    pub fn keep_from(&self, offset: u64) {
        self.offset.store(offset, Ordering::Release);
    }

    /// From now on nothing is kept.
    pub fn let_go(&self) {
        self.keep_from(NOTHING);
    }

    /// From where on the log is kept, if it is.
    pub fn offset(&self) -> Option<u64> {
        Some(self.offset.load(Ordering::Acquire)).filter(|offset| *offset != NOTHING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_kept_for_whoever_needs_most_of_it() {
        let retention = Retention::default();
        assert_eq!(retention.needed_from(), NOTHING);
        let (one, two) = (retention.hold(5), retention.clone().hold(0));
        assert_eq!((one.offset(), two.offset(), retention.needed_from()), (Some(5), Some(0), 0));
        two.keep_from(7);
        assert_eq!(retention.needed_from(), 5);
        one.let_go();
        assert_eq!((one.offset(), retention.needed_from()), (None, 7));
        drop(two);
        assert_eq!(retention.needed_from(), 7, "a hold that is dropped holds on");
    }
}

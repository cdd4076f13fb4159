//! Ending threads that wait.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Whether threads have to end.
#[derive(Default)]
pub(super) struct Stop {
    is_stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// Ends them.
    pub(super) fn stop(&self) {
        *self.is_stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits so long, or until it is stopped. Whether it is.
    pub(super) fn wait(&self, time: Duration) -> bool {
        let is_stopped = self.is_stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(is_stopped, time, |is_stopped| !*is_stopped);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

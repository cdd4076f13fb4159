//! Threads that nothing survives: when one fails an assertion, the process stops and starts again from the log.

use std::io;
use std::thread::{Builder, JoinHandle};

/// Starts a thread. A panic in it aborts the process.
///
/// # Errors
/// The operating system has no room for another.
pub fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let run = move || {
        let _guard = AbortOnPanic;
        run();
    };
    Builder::new().name(name.to_owned()).spawn(run)
}

/// A thread failed an assertion. The state may be wrong, the log is right: stop, and start from the log.
pub(crate) fn abort_after_panic() -> ! {
    tracing::error!("an assertion failed; the process stops so that nothing wrong is written or told");
    std::process::abort()
}

/// Aborts the process if its thread panics: answers that wait for it would wait for ever.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            abort_after_panic();
        }
    }
}

//! A thread that moves a connection's bytes, so that the server gets rows while the next are being encoded.

use std::future::Future;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use onrush_sinks::TargetError;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// An event loop on a thread of its own. Dropped, it ends whatever still runs on it.
pub(super) struct IoThread {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl IoThread {
    /// Starts the thread; an error is a sentence.
    pub(super) fn start(name: &str) -> Result<Self, String> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("start an event loop: {error}"))?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            runtime.block_on(async {
                // The sender is dropped, never used.
                let _ = stopped.await;
            });
        });
        let thread = thread.map_err(|error| format!("start a thread: {error}"))?;
        Ok(Self { handle, stop: Some(stop), thread: Some(thread) })
    }

    /// Runs `work` there; what it gives arrives at the receiver. Nothing does if it panics; see [`died`].
    pub(super) fn begin<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Receiver<T> {
        let (sender, receiver) = sync_channel(1);
        self.handle.spawn(async move {
            let answer = work.await;
            // Nobody is left to hear it if the target was dropped.
            let _ = sender.send(answer);
        });
        receiver
    }

    /// Runs `work` there and waits for it, blocking.
    pub(super) fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, TargetError>> + Send + 'static,
    ) -> Result<T, TargetError> {
        self.begin(work).recv().unwrap_or_else(|_| Err(died()))
    }
}

/// The error of work that ended without an answer: the fault of one sink must not end the process.
pub(super) fn died() -> TargetError {
    let reason = "the connection's thread ended: a fault in onrush, please report it";
    TargetError::Unavailable(reason.to_owned())
}

impl Drop for IoThread {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was told by the panic itself.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_panics_is_an_error_and_the_next_runs() {
        let io = IoThread::start("test").unwrap();
        let work = async || -> Result<u8, TargetError> { panic!("as this test wants it") };
        assert!(
            matches!(io.wait(work()), Err(TargetError::Unavailable(reason)) if reason.contains("a fault"))
        );
        assert_eq!(io.wait(async { Ok(7) }).unwrap(), 7);
    }
}

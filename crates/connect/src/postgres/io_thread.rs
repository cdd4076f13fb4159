//! A thread that moves a connection's bytes, so that the server gets rows while the next are being encoded.

use std::future::Future;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

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

    /// Runs `work` there; what it gives arrives at the receiver.
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
    pub(super) fn wait<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        self.begin(work).recv().expect("work ends with an answer, and the thread outlives the wait")
    }
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

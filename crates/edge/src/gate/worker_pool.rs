//! Threads for work that takes long beside a request: they run behind the threads that answer, and what waits for them is bounded.

use std::io;
use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::sync::oneshot;

use crate::problem::Problem;

/// What the threads of a pool are like.
#[derive(Clone, Copy)]
pub(super) struct PoolTerms {
    /// What they are called.
    pub(super) name: &'static str,
    /// Jobs that wait at most. Whoever comes then is answered that too many ask at the same moment.
    pub(super) waiting_max: usize,
    /// 0 is the priority of the threads that answer, 19 the lowest.
    pub(super) niceness: i32,
}

type Job<W> = Box<dyn FnOnce(&mut W) + Send>;

/// The threads, half as many as the machine has cores, each with a `W` to work with, and what waits for them. They end when the
/// pool is dropped.
pub(super) struct WorkerPool<W> {
    jobs: SyncSender<Job<W>>,
}

impl<W: 'static> WorkerPool<W> {
    /// # Errors
    /// The system starts no thread.
    pub(super) fn start(terms: PoolTerms, make: fn() -> W) -> io::Result<Self> {
        let (jobs, waiting) = sync_channel(terms.waiting_max);
        let waiting = Arc::new(Mutex::new(waiting));
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        for _ in 0..cores.div_ceil(2) {
            let waiting = Arc::clone(&waiting);
            let work = move || work(terms, &waiting, make());
            thread::Builder::new().name(terms.name.to_owned()).spawn(work)?;
        }
        Ok(Self { jobs })
    }

    /// What `work` brings on one of the threads.
    ///
    /// # Errors
    /// Too many wait.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut W) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let (sender, receiver) = oneshot::channel();
        let job = move |worker: &mut W| {
            // A client that has gone wants no answer.
            if !sender.is_closed() {
                drop(sender.send(work(worker)));
            }
        };
        self.jobs.try_send(Box::new(job)).map_err(|_| Problem::overloaded())?;
        receiver.await.map_err(|_| Problem::overloaded())
    }
}

fn work<W>(terms: PoolTerms, waiting: &Mutex<Receiver<Job<W>>>, mut worker: W) {
    let PoolTerms { name, niceness, .. } = terms;
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), niceness) {
        tracing::warn!(%error, "the thread {name} runs at normal priority");
    }
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        job(&mut worker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn so_many_wait_and_no_more() {
        let (jobs, waiting) = sync_channel(2);
        let pool = WorkerPool { jobs };
        let first = pool.run(|()| 1);
        let second = pool.run(|()| 2);
        let third = pool.run(|()| 3);
        let (mut first, mut second) = (Box::pin(first), Box::pin(second));
        assert!(poll_once(&mut first).is_none() && poll_once(&mut second).is_none());
        let refused = third.await.unwrap_err();
        assert_eq!(refused.code(), "overloaded");
        // Whoever has gone is passed over, and the other is answered.
        drop(first);
        let waiting = Mutex::new(waiting);
        let terms = PoolTerms { name: "test", waiting_max: 2, niceness: 0 };
        let worker = thread::spawn(move || work(terms, &waiting, ()));
        assert_eq!(second.await.unwrap(), 2);
        drop(pool);
        worker.join().unwrap();
    }

    fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        use std::task::{Context, Poll, Waker};
        match std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }
}

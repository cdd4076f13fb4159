//! Threads for work that takes long beside a request: they run behind the threads that answer, and what waits for them is bounded.
//!
//! Each has a second thread at its side, of the priority of those that answer, which fetches its jobs and gives the answers. A thread of a
//! low priority may be stopped anywhere for long, also while it has a lock; so it shares none with a thread that answers.

use std::io;
use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id, thread_schedule_policy,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::problem::Problem;

/// What the threads of a pool are like.
#[derive(Clone, Copy)]
pub(super) struct PoolTerms {
    /// What those that work are called.
    pub(super) name: &'static str,
    /// What those at their side are called.
    pub(super) aide_name: &'static str,
    /// Jobs that wait at most. Whoever comes then is answered that too many ask at the same moment.
    pub(super) waiting_max: usize,
    pub(super) priority: Priority,
}

/// When the threads run that work.
#[derive(Clone, Copy)]
pub(super) enum Priority {
    /// Less often than those that answer, by this niceness: 19 is the least.
    Behind(i32),
    /// While no other thread wants the core. One of niceness 19 takes 1.5 % of a busy core, for some milliseconds each time, which the
    /// slowest hundredth of the answers would show; one of these takes a fifth of that.
    WhenIdle,
}

/// The threads, half as many as the machine has cores, each with a `W` to work with, and what waits for them. They end when the
/// pool is dropped.
pub(super) struct WorkerPool<W> {
    jobs: SyncSender<Waiting<W>>,
    places: Arc<Semaphore>,
}

/// Room for a job among those that wait, until it is dropped.
pub(super) type Place = OwnedSemaphorePermit;

/// A job, and its place until it is begun.
type Waiting<W> = (Box<dyn Job<W>>, Place);

/// What goes to a thread that works, and comes back.
trait Job<W>: Send {
    fn work(&mut self, worker: &mut W);
    fn answer(self: Box<Self>);
}

struct Asked<F, T> {
    work: F,
    result: Option<T>,
    asker: oneshot::Sender<T>,
}

impl<W, T: Send, F: FnMut(&mut W) -> T + Send> Job<W> for Asked<F, T> {
    fn work(&mut self, worker: &mut W) {
        // A client that has gone wants no answer.
        if !self.asker.is_closed() {
            self.result = Some((self.work)(worker));
        }
    }

    fn answer(self: Box<Self>) {
        let Self { result, asker, .. } = *self;
        if let Some(result) = result {
            drop(asker.send(result));
        }
    }
}

impl<W: 'static> WorkerPool<W> {
    /// # Errors
    /// The system starts no thread.
    pub(super) fn start(terms: PoolTerms, make: fn() -> W) -> io::Result<Self> {
        let (jobs, waiting) = sync_channel(terms.waiting_max);
        let waiting = Arc::new(Mutex::new(waiting));
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        for _ in 0..cores.div_ceil(2) {
            start_worker(terms, Arc::clone(&waiting), make)?;
        }
        Ok(Self { jobs, places: Arc::new(Semaphore::new(terms.waiting_max)) })
    }

    /// Room for one job. Whoever takes it first can be refused before anything else is done.
    ///
    /// # Errors
    /// Too many wait.
    pub(super) fn place(&self) -> Result<Place, Problem> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| Problem::overloaded())
    }

    /// What `work` brings on one of the threads.
    ///
    /// # Errors
    /// The threads have ended.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        place: Place,
        work: impl FnMut(&mut W) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let (asker, answered) = oneshot::channel();
        let job = Box::new(Asked { work, result: None, asker });
        self.jobs.try_send((job, place)).map_err(|_| Problem::overloaded())?;
        answered.await.map_err(|_| Problem::overloaded())
    }
}

/// Starts a thread that works, and the one at its side.
fn start_worker<W: 'static>(
    terms: PoolTerms,
    waiting: Arc<Mutex<Receiver<Waiting<W>>>>,
    make: fn() -> W,
) -> io::Result<()> {
    let (begun, jobs) = sync_channel::<Box<dyn Job<W>>>(1);
    let (done, answers) = sync_channel(1);
    let work = move || {
        yield_to_others(terms);
        let mut worker = make();
        while let Ok(mut job) = jobs.recv() {
            job.work(&mut worker);
            if done.send(job).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name(terms.name.to_owned()).spawn(work)?;
    let aid = move || {
        loop {
            let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok((job, place)) = next else { return };
            drop(place);
            if begun.send(job).is_err() {
                return;
            }
            // A job that panics takes both threads with it.
            let Ok(job) = answers.recv() else { return };
            job.answer();
        }
    };
    thread::Builder::new().name(terms.aide_name.to_owned()).spawn(aid)?;
    Ok(())
}

/// Gives this thread the priority that the terms say, or the lowest that the system lets it have.
fn yield_to_others(PoolTerms { name, priority, .. }: PoolTerms) {
    let niceness = match priority {
        Priority::Behind(niceness) => niceness,
        Priority::WhenIdle => {
            // It sets a niceness as well, which may fail and has no meaning here.
            let set = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, WHEN_IDLE);
            if thread_schedule_policy() == Ok(WHEN_IDLE) {
                return;
            }
            tracing::warn!(error = ?set.err(), "the thread {name} runs at niceness 19 and not only while a core is idle");
            19
        }
    };
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), niceness) {
        tracing::warn!(%error, "the thread {name} runs at normal priority");
    }
}

/// `SCHED_IDLE` of sched(7).
const WHEN_IDLE: ThreadSchedulePolicy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: PoolTerms =
        PoolTerms { name: "test", aide_name: "test-aide", waiting_max: 2, priority: Priority::WhenIdle };

    #[tokio::test]
    async fn so_many_wait_and_no_more() {
        let (jobs, waiting) = sync_channel(2);
        let pool = WorkerPool { jobs, places: Arc::new(Semaphore::new(2)) };
        let first = pool.run(pool.place().unwrap(), |()| 1);
        let second = pool.run(pool.place().unwrap(), |()| 2);
        let (mut first, mut second) = (Box::pin(first), Box::pin(second));
        assert!(poll_once(&mut first).is_none() && poll_once(&mut second).is_none());
        assert_eq!(pool.place().err().map(|refused| refused.code()), Some("overloaded"));
        // Whoever has gone is passed over, and the other is answered.
        drop(first);
        start_worker(TERMS, Arc::new(Mutex::new(waiting)), || ()).unwrap();
        assert_eq!(second.await.unwrap(), 2);
        let _again = (pool.place().unwrap(), pool.place().unwrap());
    }

    #[tokio::test]
    async fn whoever_gives_up_leaves_the_place_to_others() {
        let pool = WorkerPool::start(TERMS, || ()).unwrap();
        let places = [pool.place().unwrap(), pool.place().unwrap()];
        assert!(pool.place().is_err());
        drop(places);
        assert_eq!(pool.run(pool.place().unwrap(), |()| 3).await.unwrap(), 3);
    }

    /// Tells which policy the thread has that drops it.
    struct Told(SyncSender<ThreadSchedulePolicy>);

    impl Drop for Told {
        fn drop(&mut self) {
            self.0.send(thread_schedule_policy().unwrap()).unwrap();
        }
    }

    #[tokio::test]
    async fn only_the_work_itself_is_done_while_a_core_is_idle() {
        let pool = WorkerPool::start(TERMS, || ()).unwrap();
        let (sender, told) = sync_channel(1);
        let brought = Told(sender);
        let work = move |(): &mut ()| {
            let _brought = &brought;
            thread_schedule_policy()
        };
        assert_eq!(pool.run(pool.place().unwrap(), work).await.unwrap(), Ok(WHEN_IDLE));
        // Memory is freed where others would not wait for it.
        assert_eq!(told.recv(), Ok(ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Other)));
    }

    #[tokio::test]
    async fn a_job_that_panics_is_answered() {
        let pool = WorkerPool::start(TERMS, || ()).unwrap();
        let asked = pool.run(pool.place().unwrap(), |()| -> u8 { panic!("as this test wants it") });
        assert_eq!(asked.await.unwrap_err().code(), "overloaded");
    }

    fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        use std::task::{Context, Poll, Waker};
        match std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }
}

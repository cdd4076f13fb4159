//! Between the connections of one edge thread and the partitions: calls go out in batches, answers come back in batches,
//! and each connection is woken for its own.
//!
//! Everything that became readable in one turn of the event loop is handed over at once: the first call of a turn
//! schedules the batcher behind the connections that are ready, so it runs when all of them have had theirs.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker, ready};

use onrush_node::{
    Call, Calls, Failure, Partition, PartitionPort, Partitions, Replies, Reply, ReservationIds, Token,
};
use slab::Slab;

use crate::limits::SUBMISSION_CALLS_MAX;

/// The calls of one edge thread.
pub(crate) struct CallBatcher {
    partitions: Arc<Partitions>,
    /// One for each partition, by number.
    lanes: Box<[Lane]>,
    calls: RefCell<Slab<CallState>>,
    waker: Arc<OnceLock<Waker>>,
    scheduled: Cell<bool>,
}

/// The way to one partition and back.
struct Lane {
    port: PartitionPort,
    outgoing: RefCell<Calls>,
}

enum CallState {
    /// On its way; who waits for it.
    Waiting(Option<Waker>),
    /// Back.
    Answered(Reply),
    /// Nobody waits for it any more.
    Abandoned,
}

impl CallBatcher {
    /// The batcher of this thread; [`CallBatcher::run`] must be spawned on it.
    pub(crate) fn new(partitions: &Arc<Partitions>) -> Rc<Self> {
        let waker = Arc::new(OnceLock::<Waker>::new());
        let lane = |partition: &Arc<Partition>| {
            let woken = Arc::clone(&waker);
            let port = partition.port(move || {
                if let Some(waker) = woken.get() {
                    waker.wake_by_ref();
                }
            });
            Lane { port, outgoing: RefCell::default() }
        };
        Rc::new(Self {
            partitions: Arc::clone(partitions),
            lanes: partitions.every().iter().map(lane).collect(),
            calls: RefCell::default(),
            waker,
            scheduled: Cell::new(false),
        })
    }

    pub(crate) fn partitions(&self) -> &Partitions {
        &self.partitions
    }

    /// How ids of the partition with this number are written.
    fn ids(&self, partition: u16) -> &ReservationIds {
        self.partitions.at(partition).reservation_ids()
    }

    /// Puts a call on its way. It is made even if the returned future is dropped.
    pub(crate) fn call(self: &Rc<Self>, call: Call) -> PendingCall {
        let key = self.calls.borrow_mut().insert(CallState::Waiting(None));
        let token = Token::try_from(key).expect("fewer calls than a token can tell apart");
        let partition = self.partitions.number_for(&call);
        self.lanes[usize::from(partition)].outgoing.borrow_mut().push((token, call));
        if !self.scheduled.replace(true)
            && let Some(waker) = self.waker.get()
        {
            waker.wake_by_ref();
        }
        PendingCall { batcher: Rc::clone(self), token: Some(token), partition }
    }

    /// Moves calls out and answers in, for ever.
    pub(crate) async fn run(self: Rc<Self>) {
        poll_fn(|context| {
            self.waker.get_or_init(|| context.waker().clone());
            // A thread whose batcher is gone would never answer again.
            let guard = AbortOnPanic;
            self.exchange();
            drop(guard);
            Poll::<()>::Pending
        })
        .await;
    }

    fn exchange(&self) {
        self.scheduled.set(false);
        for lane in &self.lanes {
            loop {
                let calls = lane.take_outgoing();
                if calls.is_empty() {
                    break;
                }
                self.hand_out(lane.port.submit(calls));
            }
            self.hand_out(lane.port.take());
        }
    }

    fn hand_out(&self, replies: Replies) {
        let mut calls = self.calls.borrow_mut();
        for (token, reply) in replies {
            let token = token as usize;
            match std::mem::replace(&mut calls[token], CallState::Answered(reply)) {
                CallState::Waiting(Some(waker)) => waker.wake(),
                CallState::Waiting(None) => {}
                CallState::Abandoned => {
                    calls.remove(token);
                }
                CallState::Answered(_) => unreachable!("a call is answered once"),
            }
        }
    }
}

impl Lane {
    fn take_outgoing(&self) -> Calls {
        let mut outgoing = self.outgoing.borrow_mut();
        if outgoing.len() <= SUBMISSION_CALLS_MAX {
            let next = Vec::with_capacity(outgoing.len());
            std::mem::replace(&mut *outgoing, next)
        } else {
            let rest = outgoing.split_off(SUBMISSION_CALLS_MAX);
            std::mem::replace(&mut *outgoing, rest)
        }
    }
}

/// Aborts the process if it is dropped by a panic.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("an assertion failed between edge and partition; the process stops");
            std::process::abort();
        }
    }
}

/// The answer to a call, to be awaited.
pub(crate) struct PendingCall {
    batcher: Rc<CallBatcher>,
    /// Absent once the answer was handed out.
    token: Option<Token>,
    /// The number of the partition that answers.
    partition: u16,
}

impl PendingCall {
    /// Ready when the answer is there, to be taken.
    pub(crate) fn poll_answered(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(token) = self.token else { return Poll::Ready(()) };
        match &mut self.batcher.calls.borrow_mut()[token as usize] {
            CallState::Waiting(waker) => {
                match waker {
                    Some(waker) => waker.clone_from(context.waker()),
                    None => *waker = Some(context.waker().clone()),
                }
                Poll::Pending
            }
            CallState::Answered(_) | CallState::Abandoned => Poll::Ready(()),
        }
    }

    /// The answer, which has to be there. Whoever takes it twice gets one that promises nothing.
    pub(crate) fn take_reply(&mut self) -> Reply {
        let Some(token) = self.token.take() else { return Err(Failure::LogUnavailable) };
        match self.batcher.calls.borrow_mut().remove(token as usize) {
            CallState::Answered(reply) => reply,
            CallState::Waiting(_) | CallState::Abandoned => unreachable!("a call that was answered"),
        }
    }

    /// How ids of the partition that answers are written.
    pub(crate) fn ids(&self) -> &ReservationIds {
        self.batcher.ids(self.partition)
    }
}

impl Future for PendingCall {
    type Output = Reply;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Reply> {
        ready!(self.poll_answered(context));
        Poll::Ready(self.take_reply())
    }
}

impl Drop for PendingCall {
    fn drop(&mut self) {
        let Some(token) = self.token else { return };
        let mut calls = self.batcher.calls.borrow_mut();
        match &mut calls[token as usize] {
            CallState::Answered(_) => {
                calls.remove(token as usize);
            }
            call => *call = CallState::Abandoned,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onrush_log::memory::MemoryLog;
    use onrush_node::{MachineClock, Name, Outcome, Retention, Settings};
    use tokio::runtime::{Builder, LocalOptions};

    /// Runs `test` on a thread with a batcher over a partition of its own.
    fn with_batcher<F: Future<Output = ()>>(test: impl FnOnce(Rc<CallBatcher>) -> F) {
        let log = Arc::new(MemoryLog::new(0));
        let (partition, _) =
            Partition::open(log, Settings::default(), Arc::new(MachineClock), Retention::default()).unwrap();
        let runtime =
            Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap();
        runtime.block_on(async {
            let batcher = CallBatcher::new(&Arc::new(Partitions::one(Arc::clone(&partition))));
            let running = tokio::task::spawn_local(Rc::clone(&batcher).run());
            test(batcher).await;
            running.abort();
        });
        drop(runtime);
        partition.close();
    }

    fn add_to(counter: usize) -> Call {
        Call::AddToCounter { counter: Name::from(&*format!("counter-{counter}")), by: 1 }
    }

    #[test]
    fn each_call_gets_its_own_answer_however_many_there_are() {
        with_batcher(|batcher| async move {
            let count = 2 * SUBMISSION_CALLS_MAX + 3;
            let pending: Vec<PendingCall> =
                (0..count).map(|number| batcher.call(add_to(number % 7))).collect();
            for (number, pending) in pending.into_iter().enumerate() {
                let value = number as u64 / 7 + 1;
                assert!(matches!(pending.await, Ok(Outcome::Counter { value: found }) if found == value));
            }
            assert!(batcher.calls.borrow().is_empty(), "nothing is left behind");
        });
    }

    #[test]
    fn a_call_that_nobody_waits_for_is_made_and_forgotten() {
        with_batcher(|batcher| async move {
            drop(batcher.call(add_to(1)));
            let mut waited_for = batcher.call(add_to(1));
            let reply = (&mut waited_for).await;
            assert!(matches!(reply, Ok(Outcome::Counter { value: 2 })));
            drop(waited_for);
            assert!(batcher.calls.borrow().is_empty(), "nothing is left behind");
        });
    }
}

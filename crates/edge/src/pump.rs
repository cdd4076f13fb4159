//! Between the connections of one edge thread and the partition: calls go out in batches, answers come back in batches,
//! and each connection is woken for its own.
//!
//! Everything that became readable in one turn of the event loop is handed over at once: the first call of a turn
//! schedules the pump behind the connections that are ready, so it runs when all of them have had theirs.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};

use onrush_node::{Call, Calls, Failure, Partition, PartitionPort, Replies, Reply, Token};
use slab::Slab;

use crate::limits::SUBMISSION_CALLS_MAX;

/// The calls of one edge thread.
pub(crate) struct Pump {
    port: PartitionPort,
    outgoing: RefCell<Calls>,
    slots: RefCell<Slab<Slot>>,
    waker: Arc<OnceLock<Waker>>,
    scheduled: Cell<bool>,
}

enum Slot {
    /// On its way; who waits for it.
    Waiting(Option<Waker>),
    /// Back.
    Answered(Reply),
    /// Nobody waits for it any more.
    Abandoned,
}

impl Pump {
    /// The pump of this thread; [`Pump::run`] must be spawned on it.
    pub(crate) fn new(partition: &Arc<Partition>) -> Rc<Self> {
        let waker = Arc::new(OnceLock::<Waker>::new());
        let woken = Arc::clone(&waker);
        let port = partition.port(move || {
            if let Some(waker) = woken.get() {
                waker.wake_by_ref();
            }
        });
        Rc::new(Self {
            port,
            outgoing: RefCell::default(),
            slots: RefCell::default(),
            waker,
            scheduled: Cell::new(false),
        })
    }

    pub(crate) fn partition(&self) -> &Arc<Partition> {
        self.port.partition()
    }

    /// Puts a call on its way. It is made even if the returned future is dropped.
    pub(crate) fn call(self: &Rc<Self>, call: Call) -> Answer {
        let slot = self.slots.borrow_mut().insert(Slot::Waiting(None));
        let token = Token::try_from(slot).expect("fewer calls than a token can tell apart");
        self.outgoing.borrow_mut().push((token, call));
        if !self.scheduled.replace(true)
            && let Some(waker) = self.waker.get()
        {
            waker.wake_by_ref();
        }
        Answer { pump: Rc::clone(self), token: Some(token) }
    }

    /// Moves calls out and answers in, for ever.
    pub(crate) async fn run(self: Rc<Self>) {
        poll_fn(|context| {
            self.waker.get_or_init(|| context.waker().clone());
            // A thread whose pump is gone would never answer again.
            let guard = AbortOnPanic;
            self.turn();
            drop(guard);
            Poll::<()>::Pending
        })
        .await;
    }

    fn turn(&self) {
        self.scheduled.set(false);
        loop {
            let calls = self.take_outgoing();
            if calls.is_empty() {
                break;
            }
            self.settle(self.port.submit(calls));
        }
        self.settle(self.port.take());
    }

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

    fn settle(&self, replies: Replies) {
        let mut slots = self.slots.borrow_mut();
        for (token, reply) in replies {
            let token = token as usize;
            match std::mem::replace(&mut slots[token], Slot::Answered(reply)) {
                Slot::Waiting(Some(waker)) => waker.wake(),
                Slot::Waiting(None) => {}
                Slot::Abandoned => {
                    slots.remove(token);
                }
                Slot::Answered(_) => unreachable!("a call is answered once"),
            }
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
pub(crate) struct Answer {
    pump: Rc<Pump>,
    /// Absent once the answer was handed out.
    token: Option<Token>,
}

impl Future for Answer {
    type Output = Reply;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Reply> {
        let Some(token) = self.token else {
            // Polled again after its answer, which no caller does; there is nothing better to say.
            return Poll::Ready(Err(Failure::LogUnavailable));
        };
        let pump = Rc::clone(&self.pump);
        let mut slots = pump.slots.borrow_mut();
        let slot = &mut slots[token as usize];
        if let Slot::Waiting(waker) = slot {
            *waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        self.token = None;
        match slots.remove(token as usize) {
            Slot::Answered(reply) => Poll::Ready(reply),
            Slot::Waiting(_) | Slot::Abandoned => unreachable!("a slot that is waited for"),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let Some(token) = self.token else { return };
        let mut slots = self.pump.slots.borrow_mut();
        match &mut slots[token as usize] {
            Slot::Answered(_) => {
                slots.remove(token as usize);
            }
            slot => *slot = Slot::Abandoned,
        }
    }
}

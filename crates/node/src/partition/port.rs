//! Where answers arrive: one port per edge thread, filled once per batch.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{Call, Reply};

/// An edge's own name for a call that is on its way; the answer comes back under it.
pub type Token = u32;

/// Calls with their tokens, as an edge hands them over.
pub type Calls = Vec<(Token, Call)>;

/// Answers with the tokens of their calls.
pub type Replies = Vec<(Token, Reply)>;

/// The answers for one edge thread, put there by whichever thread leads.
pub(crate) struct Port {
    ready: Mutex<Replies>,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Port {
    pub(crate) fn new(wake: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { ready: Mutex::default(), wake: Box::new(wake) })
    }

    fn deliver(&self, replies: Replies) {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if ready.is_empty() {
            *ready = replies;
        } else {
            ready.extend(replies);
        }
    }

    pub(crate) fn take(&self) -> Replies {
        std::mem::take(&mut *self.ready.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Where the answers of one submission go. Sending them takes it, so nothing is answered twice.
pub(crate) enum ReplyTo {
    /// To a port, all at once.
    Port(Arc<Port>),
    /// To whoever has no port, all at once.
    Caller(Box<dyn FnOnce(Replies) + Send>),
}

/// Answers that may be told now, to be told outside of any lock, and the ports to wake when all are told: each once,
/// however many submissions of one batch it had.
#[derive(Default)]
pub(crate) struct Outbox {
    addressed: Vec<(ReplyTo, Replies)>,
}

impl Outbox {
    pub(crate) fn push(&mut self, reply_to: ReplyTo, replies: Replies) {
        self.addressed.push((reply_to, replies));
    }

    /// Delivers everything and wakes every port but `awake`, which is about to look by itself. Returns how many calls
    /// were answered.
    pub(crate) fn deliver(&mut self, awake: Option<&Arc<Port>>) -> usize {
        let mut answered_count = 0;
        let mut to_wake: Vec<Arc<Port>> = Vec::new();
        for (reply_to, replies) in self.addressed.drain(..) {
            answered_count += replies.len();
            match reply_to {
                ReplyTo::Port(port) => {
                    port.deliver(replies);
                    let known = awake.into_iter().chain(&to_wake).any(|other| Arc::ptr_eq(other, &port));
                    if !known {
                        to_wake.push(port);
                    }
                }
                ReplyTo::Caller(answer) => answer(replies),
            }
        }
        for port in to_wake {
            (port.wake)();
        }
        answered_count
    }
}

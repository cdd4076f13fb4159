//! The steady clock as requests see it: read once in a turn of the event loop, and only in a turn that asks for it.

use std::cell::{Cell, OnceCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Instant;

/// The clock of one thread.
#[derive(Default)]
pub(crate) struct TurnClock {
    now: Cell<Option<Instant>>,
    /// Of [`TurnClock::run`]; without it the clock is read whenever somebody asks.
    waker: OnceCell<Waker>,
}

impl TurnClock {
    /// The time as of the first call of this turn.
    #[allow(
        clippy::disallowed_methods,
        reason = "this is where an edge thread reads the clock between its ticks"
    )]
    pub(crate) fn now(&self) -> Instant {
        if let Some(now) = self.now.get() {
            return now;
        }
        let now = Instant::now();
        if let Some(waker) = self.waker.get() {
            self.now.set(Some(now));
            waker.wake_by_ref();
        }
        now
    }

    /// Ends turns, for ever: it runs behind everything that was ready when the time was asked for.
    pub(crate) async fn run(self: Rc<Self>) {
        poll_fn(|context| {
            self.waker.get_or_init(|| context.waker().clone());
            self.now.set(None);
            Poll::<()>::Pending
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test(flavor = "local")]
    async fn a_turn_has_one_time() {
        let clock = Rc::new(TurnClock::default());
        tokio::task::spawn_local(Rc::clone(&clock).run());
        yield_now().await;
        let first = clock.now();
        assert_eq!(clock.now(), first);
        yield_now().await;
        assert!(clock.now() > first);
    }
}

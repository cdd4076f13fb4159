//! The answers to calls that were handed over together.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use onrush_node::{Failure, Replies, Reply};
use tokio::sync::mpsc::{Receiver, channel};

/// Where a backend leaves answers to calls that came together: all of them, in as many parts as it likes.
pub(crate) type DoneTogether = Arc<dyn Fn(Replies) + Send + Sync>;

/// Collects the answers, which may come in parts, in the order of the calls. Dropping it forgets them; the calls are made.
pub(crate) struct Together {
    parts: Receiver<Replies>,
    missing_count: usize,
    /// By the tokens of the calls, which count from 0.
    replies: Vec<Option<Reply>>,
}

impl Together {
    /// For `count` calls, and where their answers have to be left.
    pub(super) fn new(count: usize) -> (Self, DoneTogether) {
        // No more parts than calls can come, so there is room for each.
        let (sender, parts) = channel(count.max(1));
        let replies = (0..count).map(|_| None).collect();
        let done: DoneTogether = Arc::new(move |replies| drop(sender.try_send(replies)));
        (Self { parts, missing_count: count, replies }, done)
    }

    /// All answers, when they are there. A backend that is gone without some leaves it unknown whether those calls were made.
    pub(crate) fn poll_all(&mut self, context: &mut Context<'_>) -> Poll<Vec<Reply>> {
        while self.missing_count > 0 {
            let Some(part) = ready!(self.parts.poll_recv(context)) else { break };
            self.missing_count -= part.len();
            for (token, reply) in part {
                self.replies[token as usize] = Some(reply);
            }
        }
        let replies = std::mem::take(&mut self.replies).into_iter();
        Poll::Ready(replies.map(|reply| reply.unwrap_or(Err(Failure::LogUnavailable))).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use onrush_node::Outcome;
    use tokio::runtime::Builder;

    use super::*;

    fn all(mut together: Together) -> Vec<Option<u64>> {
        let runtime = Builder::new_current_thread().build().unwrap();
        let replies = runtime.block_on(poll_fn(|context| together.poll_all(context)));
        let value = |reply| match reply {
            Ok(Outcome::Counter { value }) => Some(value),
            Err(Failure::LogUnavailable) => None,
            other => panic!("{other:?}"),
        };
        replies.into_iter().map(value).collect()
    }

    #[test]
    fn answers_are_in_the_order_of_the_calls_whatever_parts_they_come_in() {
        let (together, done) = Together::new(3);
        let answer = |token, value| (token, Ok(Outcome::Counter { value }));
        done(vec![answer(2, 12), answer(0, 10)]);
        done(vec![answer(1, 11)]);
        assert_eq!(all(together), [Some(10), Some(11), Some(12)]);
    }

    #[test]
    fn a_call_that_nobody_answers_any_more_is_unknown() {
        let (together, done) = Together::new(2);
        done(vec![(1, Ok(Outcome::Counter { value: 5 }))]);
        drop(done);
        assert_eq!(all(together), [None, Some(5)]);
        let (together, _) = Together::new(0);
        assert!(all(together).is_empty());
    }
}

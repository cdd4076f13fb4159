//! Streams of batches: each message has items, which go to the partition together, and is answered by one message with a result for
//! each of them. An item is checked as a call of its own is.
//!
//! Nothing runs here by itself. HTTP/2 asks for the next answer when the client has room for one, and only then is more of the
//! stream read: whoever does not take answers is not listened to.

mod additions;
mod claims;
mod sender;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use onrush_node::{Call, Outcome};
use tokio::time::{Sleep, sleep_until};
use tonic::codegen::tokio_stream::Stream;
use tonic::{Code, Request, Status, Streaming};

pub(super) use self::additions::Additions;
pub(super) use self::claims::Claims;
use self::sender::Sender;
use super::deadline::{Deadline, has_passed};
use super::generated::onrush::v1::Refusal;
use super::status_of;
use crate::api::App;
use crate::api::together::Together;
use crate::limits::{BATCH_ITEMS_MAX, BODY_BYTES_MAX, STREAM_BATCHES_MAX};
use crate::problem::Problem;

/// A call that takes batches.
pub(super) trait Batched: 'static {
    /// One message of the client.
    type Request: Send + 'static;
    /// The answer to it.
    type Response: Send + 'static;

    /// What each item asks of the partition, or why it does not come to that.
    ///
    /// # Errors
    /// The message is none that this call takes, which ends the stream.
    fn read(app: &App, sender: &Sender, request: Self::Request) -> Result<Vec<Item>, Problem>;

    /// The answer with these results.
    fn write(app: &App, results: impl Iterator<Item = Result<Outcome, Problem>>) -> Self::Response;
}

/// One item before it is decided.
pub(super) type Item = Result<Call, Problem>;

/// The answers to a stream of batches.
pub(super) struct Batches<B: Batched> {
    app: Arc<App>,
    sender: Sender,
    requests: Streaming<B::Request>,
    /// Oldest first, at most [`STREAM_BATCHES_MAX`].
    undecided: VecDeque<Batch>,
    /// Whether more is read.
    is_open: bool,
    /// Why no more is read, to be told behind the last answer; nothing if the client said that it is done.
    last: Option<Status>,
    deadline: Option<Pin<Box<Sleep>>>,
}

/// A message whose answer is still to come.
struct Batch {
    /// By item; nothing where an answer comes.
    refused: Vec<Option<Problem>>,
    together: Together,
}

impl<B: Batched> Batches<B> {
    pub(super) fn new(app: &Arc<App>, request: Request<Streaming<B::Request>>) -> Self {
        let deadline = request.extensions().get().map(|Deadline(at)| Box::pin(sleep_until(*at)));
        let sender = Sender::of(app, &request);
        Self {
            app: Arc::clone(app),
            sender,
            requests: request.into_inner(),
            undecided: VecDeque::with_capacity(STREAM_BATCHES_MAX),
            is_open: true,
            last: None,
            deadline,
        }
    }

    /// Reads what the client has sent, as far as there is room for it.
    fn read(&mut self, context: &mut Context<'_>) {
        while self.is_open && self.undecided.len() < STREAM_BATCHES_MAX {
            let Poll::Ready(request) = Pin::new(&mut self.requests).poll_next(context) else { return };
            let read = match request {
                Some(Ok(request)) => {
                    B::read(&self.app, &self.sender, request).map_err(|problem| Some(status_of(&problem)))
                }
                Some(Err(status)) => Err(Some(why_unread(status))),
                None => Err(None),
            };
            match read {
                Ok(items) => self.undecided.push_back(Batch::begin(&self.app, items)),
                Err(last) => (self.is_open, self.last) = (false, last),
            }
        }
    }
}

impl<B: Batched> Stream for Batches<B> {
    type Item = Result<B::Response, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(context).is_ready()) {
            // What was handed over is made; nobody waits for the answers.
            this.undecided.clear();
            (this.is_open, this.last, this.deadline) = (false, Some(has_passed()), None);
        }
        this.read(context);
        let Some(batch) = this.undecided.front_mut() else {
            return if this.is_open { Poll::Pending } else { Poll::Ready(this.last.take().map(Err)) };
        };
        let results = ready!(batch.poll_results(&this.app, context));
        let response = B::write(&this.app, results.into_iter());
        this.undecided.pop_front();
        Poll::Ready(Some(Ok(response)))
    }
}

impl Batch {
    /// Hands the items over.
    fn begin(app: &App, items: Vec<Item>) -> Self {
        let mut calls = Vec::with_capacity(items.len());
        let refused = items.into_iter().map(|item| item.map(|call| calls.push(call)).err()).collect();
        Self { refused, together: app.call_together(calls) }
    }

    /// The results of all items, when they are there.
    fn poll_results(&mut self, app: &App, context: &mut Context<'_>) -> Poll<Vec<Result<Outcome, Problem>>> {
        let mut replies = ready!(self.together.poll_all(context)).into_iter();
        let now = app.backend.now_ms();
        let mut answered = || {
            let reply = replies.next().expect("an answer for each call");
            reply.map_err(|failure| Problem::from_failure(&failure, now))
        };
        let result = |refused: Option<Problem>| refused.map_or_else(&mut answered, Err);
        Poll::Ready(std::mem::take(&mut self.refused).into_iter().map(result).collect())
    }
}

/// Whether a message may have so many items.
fn check_count(field: &'static str, count: usize) -> Result<(), Problem> {
    if (1..=BATCH_ITEMS_MAX).contains(&count) {
        Ok(())
    } else {
        Err(Problem::invalid(field, &format!("must be 1 to {BATCH_ITEMS_MAX}")))
    }
}

/// What the client is told of a message that could not be read.
fn why_unread(status: Status) -> Status {
    match status.code() {
        Code::Internal => status_of(&Problem::malformed(
            "The message is not of the type that this call takes, or not framed as gRPC frames it.",
        )),
        Code::OutOfRange => status_of(&Problem::body_too_large(BODY_BYTES_MAX)),
        _ => status,
    }
}

fn refusal(problem: &Problem) -> Refusal {
    let retry_after_s = problem.retry_after_s().unwrap_or_default();
    Refusal {
        code: problem.code().to_owned(),
        detail: problem.detail().to_owned(),
        retry_after_s: u32::try_from(retry_after_s).unwrap_or(u32::MAX),
    }
}

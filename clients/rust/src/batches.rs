//! Both sides of a stream of batches.

use std::fmt;
use std::pin::Pin;

use tokio::sync::mpsc::{self, Sender};
use tonic::Streaming;
use tonic::codegen::tokio_stream::Stream;
use tonic::codegen::tokio_stream::StreamExt as _;
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;

use crate::error::{Error, Refusal};

/// Batches that were given and that the connection has not taken. At it, [`Batches::send`] waits.
const WAITING_BATCHES_MAX: usize = 2;

/// The side of a stream where batches go in. Dropping it says that no more come; the answers that are due come nonetheless.
#[derive(Debug)]
pub struct Batches<T>(Sender<Vec<T>>);

/// The side of a stream where answers come out. Dropping it gives the stream up; what was asked may be done nonetheless.
pub struct Answers<T>(Pin<Box<dyn Stream<Item = Result<Ends<T>, Error>> + Send>>);

/// What became of each item of one batch, in their order.
type Ends<T> = Vec<Result<T, Refusal>>;

impl<T> Batches<T> {
    /// Sends 1 to 256 items. Waits while the server has no room for more, which is so while its answers are not taken.
    ///
    /// # Errors
    /// The stream has ended; the answers say why.
    pub async fn send(&self, items: Vec<T>) -> Result<(), Error> {
        self.0.send(items).await.map_err(|_| Error::Unsendable("the stream has ended"))
    }
}

impl<T> Answers<T> {
    /// The end of each item of the next batch, in order; nothing once all batches are answered and no more come.
    ///
    /// # Errors
    /// The stream has ended. Whether batches were done that have no answer is unknown; claims with keys can be made again.
    pub async fn next(&mut self) -> Result<Option<Vec<Result<T, Refusal>>>, Error> {
        self.0.next().await.transpose()
    }

    pub(crate) fn new<M: Send + 'static>(
        messages: Streaming<M>,
        read: impl Fn(M) -> Result<Ends<T>, Error> + Send + 'static,
    ) -> Self {
        Self(Box::pin(messages.map(move |message| read(message?))))
    }
}

impl<T> fmt::Debug for Answers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answers(…)")
    }
}

/// Where batches go in, and the messages that `write` makes of them.
pub(crate) fn channel<T: Send + 'static, M>(
    write: impl Fn(Vec<T>) -> M + Send + 'static,
) -> (Batches<T>, impl Stream<Item = M> + Send + 'static) {
    let (sender, receiver) = mpsc::channel(WAITING_BATCHES_MAX);
    (Batches(sender), ReceiverStream::new(receiver).map(write))
}

//! A call of gRPC in which both sides send messages.

use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use prost::Message;

use crate::grpc::{Answer, answer_of, framed};
use crate::support::ANSWER_TIMEOUT;

/// Runs what a client does, which must come to an end.
pub(crate) fn talk<T>(client: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(ANSWER_TIMEOUT, client).await.expect("an end in time") })
}

/// A connection whose streams take so many bytes before somebody reads them.
pub(crate) async fn connect(address: SocketAddr, window_bytes: u32) -> SendRequest<Bytes> {
    let stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
    let handshake = h2::client::Builder::new().initial_window_size(window_bytes).handshake(stream);
    let (client, connection) = handshake.await.expect("HTTP/2");
    tokio::spawn(connection);
    client
}

/// One call.
pub(crate) struct Conversation {
    sending: SendStream<Bytes>,
    body: RecvStream,
    /// Messages that were received and not asked for.
    received: VecDeque<Vec<u8>>,
    /// What came behind the last whole message.
    begun: Vec<u8>,
}

impl Conversation {
    /// Calls `path` on a connection of its own.
    pub(crate) async fn begin(address: SocketAddr, path: &str, fields: &[(&str, &str)]) -> Self {
        Self::begin_on(&mut connect(address, 1 << 20).await, path, fields).await
    }

    /// The same on a connection that is there.
    pub(crate) async fn begin_on(
        client: &mut SendRequest<Bytes>,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Self {
        Self::try_begin_on(client, path, fields).await.expect("a stream that is taken")
    }

    /// The same, or the answer to one that is refused at once.
    pub(crate) async fn try_begin_on(
        client: &mut SendRequest<Bytes>,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Result<Self, Answer> {
        let mut request = http::Request::post(format!("http://localhost{path}"))
            .version(http::Version::HTTP_2)
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(()).expect("a request");
        std::future::poll_fn(|context| client.poll_ready(context)).await.expect("room for a stream");
        let (response, sending) = client.send_request(request, false).expect("a stream");
        let (parts, body) = response.await.expect("an answer").into_parts();
        assert_eq!(parts.headers["content-type"], "application/grpc");
        if parts.headers.contains_key("grpc-status") {
            return Err(answer_of(&parts.headers, &[]));
        }
        Ok(Self { sending, body, received: VecDeque::new(), begun: Vec::new() })
    }

    pub(crate) fn send(&mut self, message: &impl Message) {
        self.send_bytes(&framed(&message.encode_to_vec()));
    }

    /// Sends what is no message.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.sending.send_data(Bytes::copy_from_slice(bytes), false).expect("a stream that is open");
    }

    /// Sends no more.
    pub(crate) fn finish(&mut self) {
        self.sending.send_data(Bytes::new(), true).expect("a stream that is open");
    }

    /// Gives the call up.
    pub(crate) fn cancel(mut self) {
        self.sending.send_reset(h2::Reason::CANCEL);
    }

    /// The next answer, which has to come.
    pub(crate) async fn next<T: Message + Default>(&mut self) -> T {
        loop {
            if let Some(message) = self.received.pop_front() {
                return T::decode(&*message).expect("a message");
            }
            assert!(self.read().await, "an answer, and not the end");
        }
    }

    /// Reads on to the end of the call. What is returned has the messages that were not asked for.
    pub(crate) async fn end(mut self) -> Answer {
        while self.read().await {}
        let trailers = self.body.trailers().await.expect("trailers").expect("a status");
        Answer { messages: self.received.into(), ..answer_of(&trailers, &[]) }
    }

    /// Reads some more; false at the end.
    async fn read(&mut self) -> bool {
        let Some(bytes) = self.body.data().await else { return false };
        let bytes = bytes.expect("a body");
        self.body.flow_control().release_capacity(bytes.len()).expect("capacity");
        self.begun.extend_from_slice(&bytes);
        while let Some((length, rest)) = self.begun.get(1..).and_then(|bytes| bytes.split_first_chunk::<4>())
        {
            let length = usize::try_from(u32::from_be_bytes(*length)).expect("it fits");
            if rest.len() < length {
                break;
            }
            self.received.push_back(rest[..length].to_vec());
            self.begun.drain(..5 + length);
        }
        true
    }
}

//! A closed-loop load generator that sends a prepared order of requests and looks at every answer: a connection sends the next
//! request as soon as it has its answer. It speaks HTTP, gRPC and the protocol of Redis, so that all are asked by the same code:
//! wrk knows neither gRPC nor Redis, and redis-benchmark sends no order of others.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::connections::Connections;
use crate::http::parse_head;
use crate::http2;

/// Bytes of an answer that a failure quotes.
const QUOTE_BYTES_MAX: usize = 400;

/// What answers look like.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Protocol {
    Http,
    /// Requests are those that [`http2::call`] makes.
    Grpc,
    /// The Redis serialization protocol.
    Redis,
}

/// What to send, and which answers are right.
pub(crate) struct Plan<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) protocol: Protocol,
    /// As bytes.
    pub(crate) requests: &'a [Vec<u8>],
    /// Which of the requests are sent one after the other, over all connections together, and again from the start.
    pub(crate) order: &'a [usize],
    /// Each carries one request at a time.
    pub(crate) connection_count: usize,
    pub(crate) duration: Duration,
    /// Bytes of every body.
    pub(crate) body_bytes: usize,
}

/// Answers that were whole before the end.
#[derive(Debug, Default)]
pub(crate) struct ClosedLoopRun {
    /// Status 200 or a bulk string, with a body of the right length.
    pub(crate) success_count: u64,
    /// Any other status or reply.
    pub(crate) refusal_count: u64,
    /// Status 200 or a bulk string with a body of another length.
    pub(crate) other_length_count: u64,
    /// Bytes of all answers, heads and bodies.
    pub(crate) received_bytes: u64,
    /// The start of the first answer that was no success.
    pub(crate) first_other: Option<String>,
    pub(crate) seconds: f64,
}

/// A whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Answer {
    is_ok: bool,
    body_bytes: usize,
    /// All of it, its head too.
    bytes: usize,
}

/// Runs the plan to its end on this thread. Answers that are under way then are not waited for.
pub(crate) fn run(plan: &Plan<'_>) -> Result<ClosedLoopRun> {
    let mut connections = Connections::open(plan.address, plan.connection_count)?;
    let mut order = plan.order.iter().cycle();
    let mut next = || order.next().map(|at| plan.requests[*at].as_slice()).context("there is no request");
    let mut run = ClosedLoopRun::default();
    let mut ready = Vec::new();
    let mut senders = vec![Sender::new(plan.protocol); plan.connection_count];
    let started = Instant::now();
    for (index, sender) in senders.iter_mut().enumerate() {
        connections.send(index, sender.bytes(next()?))?;
    }
    while let Some(left) = plan.duration.checked_sub(started.elapsed()) {
        connections.wait(left, &mut ready)?;
        for index in ready.drain(..) {
            let answer = connections.receive(index, |bytes| {
                let answer = plan.protocol.whole_answer(bytes)?;
                Ok(answer.map(|answer| (run.count(answer, bytes, plan.body_bytes), answer.bytes)))
            })?;
            if answer.is_some() {
                connections.send(index, senders[index].bytes(next()?))?;
            }
        }
    }
    run.seconds = started.elapsed().as_secs_f64();
    Ok(run)
}

/// What a connection has to know to send its next request.
#[derive(Debug, Clone)]
struct Sender {
    protocol: Protocol,
    next_stream: u32,
    bytes: Vec<u8>,
}

impl Sender {
    fn new(protocol: Protocol) -> Self {
        Self { protocol, next_stream: 1, bytes: Vec::new() }
    }

    /// The request as it goes over the wire. The first of gRPC has before it what opens the connection.
    fn bytes<'a>(&'a mut self, request: &'a [u8]) -> &'a [u8] {
        if !matches!(self.protocol, Protocol::Grpc) {
            return request;
        }
        self.bytes.clear();
        if self.next_stream == 1 {
            self.bytes.extend(http2::opening());
        }
        let call_at = self.bytes.len();
        self.bytes.extend_from_slice(request);
        http2::set_stream(&mut self.bytes[call_at..], self.next_stream);
        self.next_stream += 2;
        &self.bytes
    }
}

impl ClosedLoopRun {
    fn count(&mut self, answer: Answer, bytes: &[u8], body_bytes: usize) {
        self.received_bytes += answer.bytes as u64;
        if answer.is_ok && answer.body_bytes == body_bytes {
            self.success_count += 1;
            return;
        }
        if answer.is_ok {
            self.other_length_count += 1;
        } else {
            self.refusal_count += 1;
        }
        let quote = || String::from_utf8_lossy(&bytes[..bytes.len().min(QUOTE_BYTES_MAX)]).into_owned();
        self.first_other.get_or_insert_with(quote);
    }
}

impl Protocol {
    /// `None` while a part is missing. Bytes that were not announced count as part of the body.
    fn whole_answer(self, bytes: &[u8]) -> Result<Option<Answer>> {
        match self {
            Self::Http => {
                let Some(head) = parse_head(bytes)? else { return Ok(None) };
                let whole = body_behind(bytes, head.bytes, head.body_bytes);
                Ok(whole.map(|body_bytes| Answer {
                    is_ok: head.status == 200,
                    body_bytes,
                    bytes: bytes.len(),
                }))
            }
            Self::Grpc => Ok(http2::whole_answer(bytes)
                .map(|http2::Answer { is_ok, body_bytes, bytes }| Answer { is_ok, body_bytes, bytes })),
            Self::Redis => redis_answer(bytes),
        }
    }
}

/// A bulk string has its length in the first line and a line end behind it; every other reply is taken as one line.
fn redis_answer(bytes: &[u8]) -> Result<Option<Answer>> {
    const LINE_END_BYTES: usize = 2;
    let Some(line_bytes) = bytes.windows(LINE_END_BYTES).position(|window| window == b"\r\n") else {
        return Ok(None);
    };
    let line = std::str::from_utf8(&bytes[..line_bytes]).context("read a reply of Redis")?;
    // A null has the length -1.
    let Some(stated) = line.strip_prefix('$').and_then(|length| length.parse::<usize>().ok()) else {
        return Ok(Some(Answer { is_ok: false, body_bytes: 0, bytes: bytes.len() }));
    };
    let whole = body_behind(bytes, line_bytes + LINE_END_BYTES, stated + LINE_END_BYTES);
    Ok(whole.map(|body_bytes| Answer {
        is_ok: true,
        body_bytes: body_bytes - LINE_END_BYTES,
        bytes: bytes.len(),
    }))
}

/// The bytes behind the head, once there are as many as the head states.
fn body_behind(bytes: &[u8], head_bytes: usize, stated: usize) -> Option<usize> {
    let body_bytes = bytes.len() - head_bytes;
    (body_bytes >= stated).then_some(body_bytes)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[track_caller]
    fn check(protocol: Protocol, bytes: &str, expected: Option<(bool, usize)>) {
        let expected = expected.map(|(is_ok, body_bytes)| Answer { is_ok, body_bytes, bytes: bytes.len() });
        assert_eq!(protocol.whole_answer(bytes.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn whole_answers_are_told() {
        check(Protocol::Http, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", None);
        check(Protocol::Http, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Some((true, 2)));
        check(Protocol::Http, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokay", Some((true, 4)));
        check(Protocol::Http, "HTTP/1.1 206 Partial\r\nContent-Length: 1\r\n\r\no", Some((false, 1)));
        check(Protocol::Redis, "$2\r", None);
        check(Protocol::Redis, "$2\r\nok\r", None);
        check(Protocol::Redis, "$2\r\nok\r\n", Some((true, 2)));
        check(Protocol::Redis, "$-1\r\n", Some((false, 0)));
        check(Protocol::Redis, "-ERR no\r\n", Some((false, 0)));
    }

    /// Answers to `/good` with two bytes, to `/short` with one, and to all else with 404. Returns the paths that it was asked.
    fn serve_one(listener: &TcpListener) -> Vec<String> {
        let (stream, _) = listener.accept().unwrap();
        let mut paths = Vec::new();
        for line in BufReader::new(&stream).lines().map_while(Result::ok) {
            let Some(path) = line.strip_prefix("GET ").and_then(|rest| rest.split(' ').next()) else {
                continue;
            };
            let (status, body) = match path {
                "/good" => (200, "ok"),
                "/short" => (200, "o"),
                _ => (404, "no"),
            };
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            paths.push(path.to_owned());
            if (&stream).write_all(answer.as_bytes()).is_err() {
                break;
            }
        }
        paths
    }

    #[test]
    fn requests_go_out_in_order_and_answers_are_counted_by_class() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || serve_one(&listener));
        let requests = ["/gone", "/good", "/short"].map(|path| crate::http::request_bytes("GET", path, None));
        let run = run(&Plan {
            address,
            protocol: Protocol::Http,
            requests: &requests,
            order: &[1, 0, 1, 2],
            connection_count: 1,
            duration: Duration::from_millis(300),
            body_bytes: 2,
        })
        .unwrap();
        let paths = server.join().unwrap();
        let expected = ["/good", "/gone", "/good", "/short"].iter().cycle();
        assert!(paths.iter().zip(expected).all(|(path, expected)| path == expected), "{paths:?}");
        let answered = run.success_count + run.refusal_count + run.other_length_count;
        assert!(run.refusal_count > 0 && run.other_length_count > 0, "{run:?}");
        assert!(run.success_count.abs_diff(answered / 2) <= 1, "{run:?}");
        assert!(run.first_other.unwrap().starts_with("HTTP/1.1 404"));
    }
}

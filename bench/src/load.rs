//! Fills a server with an exact number of things: pipelined requests over a few connections, answers counted by class.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use crate::http::parse_head;

/// The fastest way.
const FILLING: Clients = Clients { connection_count: 4, pipelined_count: 128 };

/// Who sends the requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clients {
    pub(crate) connection_count: u64,
    /// Requests that are written before their answers are read.
    pub(crate) pipelined_count: u64,
}

/// How a server was filled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filled {
    /// Answers other than 2xx.
    pub(crate) other_count: u64,
    pub(crate) seconds: f64,
}

/// Sends the requests `0..count` as `request` builds them and waits for every answer.
pub(crate) fn fill(
    address: SocketAddr,
    count: u64,
    request: impl Fn(u64) -> Vec<u8> + Sync,
) -> Result<Filled> {
    fill_by(FILLING, address, count, request)
}

/// The same by other clients.
pub(crate) fn fill_by(
    clients: Clients,
    address: SocketAddr,
    count: u64,
    request: impl Fn(u64) -> Vec<u8> + Sync,
) -> Result<Filled> {
    let started = Instant::now();
    let Clients { connection_count, pipelined_count } = clients;
    let share = |part: u64| part * count / connection_count;
    let counts: Result<Vec<u64>> = thread::scope(|scope| {
        let request = &request;
        let parts: Vec<_> = (0..connection_count)
            .map(|part| {
                let range = share(part)..share(part + 1);
                scope.spawn(move || fill_part(address, range, pipelined_count, request))
            })
            .collect();
        parts.into_iter().map(|part| part.join().map_err(|_| anyhow!("a loader thread panicked"))?).collect()
    });
    let counts = counts.context("fill the server")?;
    Ok(Filled { other_count: counts.iter().sum(), seconds: started.elapsed().as_secs_f64() })
}

fn fill_part(
    address: SocketAddr,
    range: std::ops::Range<u64>,
    pipelined_count: u64,
    request: &(impl Fn(u64) -> Vec<u8> + Sync),
) -> Result<u64> {
    let mut stream = TcpStream::connect(address).context("connect")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut other_count = 0;
    let mut answers = Answers::default();
    let mut next = range.start;
    while next < range.end {
        let end = range.end.min(next + pipelined_count);
        let requests: Vec<u8> = (next..end).flat_map(request).collect();
        stream.write_all(&requests).context("send requests")?;
        for _ in next..end {
            let status = answers.read_status(&mut stream)?;
            other_count += u64::from(!(200..300).contains(&status));
        }
        next = end;
    }
    Ok(other_count)
}

/// Bytes that arrived, those before `start` already taken.
#[derive(Default)]
struct Answers {
    bytes: Vec<u8>,
    start: usize,
}

impl Answers {
    /// Takes one answer off the front, reading more as needed.
    fn read_status(&mut self, stream: &mut impl Read) -> Result<u16> {
        loop {
            let waiting = &self.bytes[self.start..];
            if let Some(head) = parse_head(waiting)? {
                let answer_bytes = head.bytes + head.body_bytes;
                if waiting.len() >= answer_bytes {
                    self.start += answer_bytes;
                    return Ok(head.status);
                }
            }
            self.bytes.drain(..self.start);
            self.start = 0;
            let mut chunk = [0; 16 * 1024];
            let read_bytes = stream.read(&mut chunk).context("read answers")?;
            if read_bytes == 0 {
                bail!("the server closed the connection");
            }
            self.bytes.extend_from_slice(&chunk[..read_bytes]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Answers;

    /// Hands out one byte at a time.
    struct Trickle<'a>(&'a [u8]);

    impl std::io::Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            buffer[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    #[test]
    fn pipelined_answers_are_told_apart() {
        let text = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n";
        let mut stream = Trickle(text);
        let mut answers = Answers::default();
        assert_eq!(answers.read_status(&mut stream).unwrap(), 201);
        assert_eq!(answers.read_status(&mut stream).unwrap(), 409);
        assert!(answers.read_status(&mut stream).is_err());
        let mut answers = Answers { bytes: text.to_vec(), start: 0 };
        assert_eq!(answers.read_status(&mut Trickle(b"")).unwrap(), 201);
        assert_eq!(answers.read_status(&mut Trickle(b"")).unwrap(), 409);
    }
}

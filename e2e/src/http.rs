//! A blocking HTTP/1.1 client over a plain socket. It hides nothing: bytes go out as given, and what comes back is told
//! apart as an answer, a closed connection without any byte of an answer, and an answer torn in the middle.

use anyhow::{Context as _, Result, bail, ensure};
use serde::de::DeserializeOwned;
use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// How long a client waits for an answer before it says that the server hangs.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest answer that a client accepts, so that a runaway answer ends a check and not the machine.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The connection ended before the first byte of an answer.
    Closed,
    /// The connection ended inside an answer.
    Torn,
    /// Nothing came within the time that a client waits.
    TimedOut,
    /// What came is not HTTP/1.1; says what is wrong with it.
    Malformed(String),
}

impl fmt::Display for Lost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => formatter.write_str("the connection was closed without an answer"),
            Self::Torn => formatter.write_str("the connection was closed inside an answer"),
            Self::TimedOut => formatter.write_str("no answer came in time"),
            Self::Malformed(reason) => write!(formatter, "the answer is malformed: {reason}"),
        }
    }
}

impl std::error::Error for Lost {}

/// One answer, whole.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    /// The status code.
    pub status: u16,
    /// The minor version of HTTP/1.
    pub minor_version: u8,
    /// Names in lower case, in the order received.
    pub headers: Vec<(String, String)>,
    /// The body, with any transfer coding undone.
    pub body: Vec<u8>,
    /// How many 1xx answers came before.
    pub interim_count: usize,
}

impl Response {
    /// The first value of a header, its name given in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as a value of `T`; the error shows the body.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("read a {} answer: {}", self.status, self.text()))
    }

    /// The body as text, shortened.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(400).collect()
    }

    /// The body as `T` if the status is the expected one.
    pub(crate) fn expect<T: DeserializeOwned>(&self, status: u16) -> Result<T> {
        ensure!(self.status == status, "expected {status}, got {}: {}", self.status, self.text());
        self.json()
    }
}

/// One keep-alive connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    /// Connects; answers are awaited for `ANSWER_TIMEOUT`.
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT)?;
        stream.set_nodelay(true)?;
        let connection = Self { stream, received: Vec::new() };
        connection.set_timeout(ANSWER_TIMEOUT)?;
        Ok(connection)
    }

    /// Changes how long reads and writes wait.
    pub(crate) fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(timeout))?;
        self.stream.set_write_timeout(Some(timeout))
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        self.stream.write_all(bytes).map_err(|error| lost(&error, Lost::Closed))
    }

    /// Tells the server that nothing more will be sent.
    pub(crate) fn finish_sending(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Sends one request and reads its answer.
    pub(crate) fn call(&mut self, request: &[u8]) -> Result<Response, Lost> {
        // A server that refuses early may close while the request is still going out; its answer can be there even so.
        let sent = self.send(request);
        match self.receive(request.starts_with(b"HEAD ")) {
            Err(Lost::Closed) => Err(sent.err().unwrap_or(Lost::Closed)),
            answered => answered,
        }
    }

    /// Sends requests together, `depth` at a time, and reads the answers in order.
    pub(crate) fn pipeline(&mut self, requests: &[Vec<u8>], depth: usize) -> Result<Vec<Response>, Lost> {
        let mut answers = Vec::with_capacity(requests.len());
        for group in requests.chunks(depth) {
            self.send(&group.concat())?;
            for request in group {
                answers.push(self.receive(request.starts_with(b"HEAD "))?);
            }
        }
        Ok(answers)
    }

    /// Reads one answer; `bodiless` when it answers a HEAD request.
    pub(crate) fn receive(&mut self, bodiless: bool) -> Result<Response, Lost> {
        let mut interim_count = 0;
        loop {
            let mut response = self.receive_head()?;
            if (100..200).contains(&response.status) {
                interim_count += 1;
                continue;
            }
            response.interim_count = interim_count;
            response.body = self.receive_body(&response, bodiless)?;
            return Ok(response);
        }
    }

    /// True when the server closes the connection before the timeout, whatever it sends until then.
    pub(crate) fn closed_within(&mut self, timeout: Duration) -> bool {
        if self.set_timeout(timeout).is_err() {
            return true;
        }
        let mut chunk = [0_u8; 4096];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return lost(&error, Lost::Closed) == Lost::Closed,
            }
        }
    }

    fn receive_head(&mut self) -> Result<Response, Lost> {
        let end = loop {
            if let Some(at) = self.received.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at;
            }
            self.receive_more(if self.received.is_empty() { Lost::Closed } else { Lost::Torn })?;
        };
        let head = self.received.drain(..end + 4).collect::<Vec<_>>();
        parse_head(&head[..end]).map_err(|error| Lost::Malformed(error.to_string()))
    }

    fn receive_body(&mut self, response: &Response, bodiless: bool) -> Result<Vec<u8>, Lost> {
        if bodiless || response.status == 204 || response.status == 304 {
            return Ok(Vec::new());
        }
        let lengths =
            response.headers.iter().filter(|(name, _)| name == "content-length").collect::<Vec<_>>();
        let chunked = response.header("transfer-encoding").is_some();
        match (lengths.as_slice(), chunked) {
            ([(_, length)], false) => {
                let length =
                    length.parse().map_err(|_| Lost::Malformed(format!("content-length {length}")))?;
                self.take(length)
            }
            ([], true) => self.receive_chunks(),
            ([], false) => {
                while self.receive_more(Lost::Closed).is_ok() {}
                Ok(std::mem::take(&mut self.received))
            }
            _ => Err(Lost::Malformed("several framings of one body".into())),
        }
    }

    fn receive_chunks(&mut self) -> Result<Vec<u8>, Lost> {
        let mut body = Vec::new();
        loop {
            let line = self.take_line()?;
            let length = usize::from_str_radix(line.trim(), 16)
                .map_err(|_| Lost::Malformed(format!("chunk size {line:?}")))?;
            if length == 0 {
                while !self.take_line()?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.take(length)?);
            self.take(2)?;
        }
    }

    fn take_line(&mut self) -> Result<String, Lost> {
        loop {
            if let Some(at) = self.received.windows(2).position(|bytes| bytes == b"\r\n") {
                let line = self.take(at + 2)?;
                return Ok(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            self.receive_more(Lost::Torn)?;
        }
    }

    fn take(&mut self, length: usize) -> Result<Vec<u8>, Lost> {
        while self.received.len() < length {
            self.receive_more(Lost::Torn)?;
        }
        Ok(self.received.drain(..length).collect())
    }

    fn receive_more(&mut self, at_end: Lost) -> Result<(), Lost> {
        let mut chunk = [0_u8; 16 << 10];
        match self.stream.read(&mut chunk) {
            Ok(0) => Err(at_end),
            Ok(_) if self.received.len() > ANSWER_BYTES_MAX => Err(Lost::Malformed("endless answer".into())),
            Ok(length) => {
                self.received.extend_from_slice(&chunk[..length]);
                Ok(())
            }
            Err(error) => Err(lost(&error, at_end)),
        }
    }
}

/// The bytes of a request without a body.
pub(crate) fn request(method: &str, target: &str) -> Vec<u8> {
    format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

/// The bytes of a request with a JSON body and further header lines (`"Name: value"`).
pub(crate) fn request_json(method: &str, target: &str, headers: &[String], body: &str) -> Vec<u8> {
    let mut text =
        format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n");
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    let length = format!("Content-Length: {}\r\n\r\n", body.len());
    [text.as_str(), &length, body].concat().into_bytes()
}

/// The bytes of a request with a body of any type.
pub(crate) fn request_of_type(method: &str, target: &str, content_type: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Sends one request on a connection of its own.
pub(crate) fn once(address: SocketAddr, bytes: &[u8]) -> Result<Response> {
    let mut connection = Connection::open(address).context("connect")?;
    Ok(connection.call(bytes)?)
}

fn lost(error: &io::Error, at_end: Lost) -> Lost {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Lost::TimedOut,
        _ => at_end,
    }
}

/// The head of an answer, without the empty line behind it.
pub(crate) fn parse_head(head: &[u8]) -> Result<Response> {
    let text = std::str::from_utf8(head).context("the head is not UTF-8")?;
    let mut lines = text.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let minor_version = match status_line.get(..9) {
        Some("HTTP/1.1 ") => 1,
        Some("HTTP/1.0 ") => 0,
        _ => bail!("status line {status_line:?}"),
    };
    let status = status_line.get(9..12).unwrap_or_default().parse().context("status code")?;
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').with_context(|| format!("header line {line:?}"))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Ok(Response { status, minor_version, headers, body: Vec::new(), interim_count: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Serves `answer` to one connection and closes, after which the client sees `expected`.
    fn check(answer: &'static [u8], expected: Result<(u16, &[u8]), Lost>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("address");
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("accept");
            let mut request = [0_u8; 256];
            assert!(stream.read(&mut request).expect("read") > 0);
            stream.write_all(answer).expect("write");
        });
        let mut connection = Connection::open(address).expect("connect");
        let got = connection.call(&request("GET", "/"));
        server.join().expect("server");
        assert_eq!(
            got.map(|response| (response.status, response.body)),
            expected.map(|(s, b)| (s, b.to_vec()))
        );
    }

    #[test]
    fn answers_are_told_apart_from_lost_and_torn_ones() {
        check(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", Ok((200, b"abc")));
        check(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            Ok((200, b"abc")),
        );
        check(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", Ok((204, b"")));
        check(b"HTTP/1.0 404 Not Found\r\n\r\nto the end", Ok((404, b"to the end")));
        check(b"", Err(Lost::Closed));
        check(b"HTTP/1.1 200 OK\r\nCont", Err(Lost::Torn));
        check(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", Err(Lost::Torn));
        check(
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
            Err(Lost::Malformed("several framings of one body".into())),
        );
    }
}

//! A connection that reads one row after the other, with what the answers say of their age.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result, ensure};

/// Reads rows that have a number as `value`.
pub(crate) struct RowReader {
    stream: BufReader<TcpStream>,
    collection: &'static str,
    /// What the last answer told.
    pub(crate) lag_ms: u64,
}

impl RowReader {
    pub(crate) fn connect(address: SocketAddr, collection: &'static str) -> Result<Self> {
        let stream = TcpStream::connect(address).context("connect")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), collection, lag_ms: 0 })
    }

    /// The value of the row; `query` may ask for a version.
    pub(crate) fn value(&mut self, id: u32, query: &str) -> Result<i64> {
        let Self { collection, .. } = self;
        let request = format!("GET /v1/catalog/{collection}/{id}{query} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.stream.get_mut().write_all(request.as_bytes())?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).context("read the answer")?;
            let Some((name, value)) = line.trim().split_once(": ") else {
                ensure!(line == "\r\n" || line.starts_with("HTTP/1.1 200"), "the answer is {line}");
                if line == "\r\n" {
                    break;
                }
                continue;
            };
            match name {
                "content-length" => length = value.parse()?,
                "onrush-lag-ms" => self.lag_ms = value.parse()?,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        let row: serde_json::Value = serde_json::from_slice(&body)?;
        row["value"].as_i64().context("the row has a value")
    }
}

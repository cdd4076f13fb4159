//! A stream of Redis, read by XRANGE.

use anyhow::{Context as _, Result};
use redis::{Client, Connection, cmd};
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::{Stored, kind_of, offset_of, retried};
use crate::services::Services;

/// Entries read at once.
const PAGE_COUNT: usize = 5_000;

/// Where a run writes.
pub(crate) struct Stream {
    /// The key of the stream.
    pub name: String,
    /// Where the sink connects to: the server, or a proxy before it.
    pub address: SocketAddr,
    direct: SocketAddr,
    password: String,
}

impl fmt::Debug for Stream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "stream {} at {}", self.name, self.direct)
    }
}

impl Stream {
    /// A stream of this name.
    pub(crate) fn new(services: &Services, name: &str) -> Result<Self> {
        let direct = services.address("REDIS_ADDRESS")?;
        let password = services.value("REDIS_PASSWORD")?;
        Ok(Self { name: name.into(), address: direct, direct, password })
    }

    /// The settings of its sink.
    pub(crate) fn settings(&self) -> Vec<(String, String)> {
        vec![
            ("URL".to_owned(), format!("redis://{}/0", self.address)),
            ("PASSWORD".to_owned(), self.password.clone()),
            ("STREAM".to_owned(), self.name.clone()),
        ]
    }

    /// A connection to the server itself.
    pub(crate) fn connection(&self) -> Result<Connection> {
        retried("connect to Redis", || {
            let client = Client::open(format!("redis://{}/0", self.direct))?;
            let mut connection = client.get_connection_with_timeout(Duration::from_secs(10))?;
            connection.set_read_timeout(Some(Duration::from_secs(30)))?;
            cmd("AUTH").arg(&self.password).exec(&mut connection)?;
            cmd("PING").exec(&mut connection)?;
            Ok(connection)
        })
    }

    /// The entries from an offset on.
    pub(crate) fn events(&self, from: u64) -> Result<Vec<Stored>> {
        let mut connection = self.connection()?;
        let mut events = Vec::new();
        let mut start = format!("{}-0", from.max(1));
        loop {
            let page: Vec<(String, HashMap<String, String>)> = cmd("XRANGE")
                .arg(&self.name)
                .arg(&start)
                .arg("+")
                .arg("COUNT")
                .arg(PAGE_COUNT)
                .query(&mut connection)
                .context("read the stream")?;
            let Some((last, _)) = page.last() else { return Ok(events) };
            start = format!("({last}");
            for (entry, fields) in &page {
                events.push(read(fields).with_context(|| format!("entry {entry}: {fields:?}"))?);
            }
        }
    }

    /// Runs a command given as words.
    pub(crate) fn execute(&self, words: &[&str]) -> Result<()> {
        let mut connection = self.connection()?;
        let mut command = cmd(words[0]);
        for word in &words[1..] {
            command.arg(*word);
        }
        command.exec(&mut connection).with_context(|| words.join(" "))
    }

    /// Lets the server take no more memory, or as much as it likes.
    pub(crate) fn refuse(&self, refused: bool) -> Result<()> {
        self.execute(&["CONFIG", "SET", "maxmemory-policy", "noeviction"])?;
        self.execute(&["CONFIG", "SET", "maxmemory", if refused { "1" } else { "0" }])
    }

    /// Removes the stream and what the sink keeps beside it.
    pub(crate) fn clean(&self) -> Result<()> {
        self.execute(&["DEL", &self.name, &format!("{}:onrush", self.name)])
    }
}

fn read(fields: &HashMap<String, String>) -> Result<Stored> {
    let field = |name: &str| fields.get(name).map(String::as_str).with_context(|| format!("no field {name}"));
    Ok(Stored {
        offset: offset_of(field("id")?)?,
        kind: kind_of(field("type")?)?,
        key: field("key")?.to_owned(),
        at: field("time")?.to_owned(),
        body: field("data")?.to_owned(),
    })
}

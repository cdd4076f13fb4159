//! Redis, and redis-benchmark adding one of the sink's entries to a stream over and over, pipelined.

use std::cell::RefCell;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use redis::{Cmd, Connection, FromRedisValue};

use super::SinkTarget;
use crate::process::search_path;
use crate::servers::parse_rate;
use crate::services::Services;

/// How long Redis may take for one answer, the removal of millions of entries included.
const EXCHANGE_TIMEOUT: Duration = Duration::from_mins(1);
/// Rewriting the append-only file in the middle of a turn would hit one side at random.
const REWRITING: &str = "auto-aof-rewrite-percentage";

/// A server that runs, without rewriting its file while this value lives.
pub(crate) struct Redis {
    connection: RefCell<Connection>,
    host: String,
    port: String,
    password: String,
    pid: u32,
    rewriting_before: String,
}

/// How redis-benchmark sends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pipelining {
    pub(crate) connection_count: u32,
    /// Commands that each connection sends before it reads the answers.
    pub(crate) command_count: u32,
}

impl Pipelining {
    /// From the least that hides a sync to more than helps.
    pub(crate) const CHOICES: [Self; 6] = [
        Self { connection_count: 1, command_count: 64 },
        Self { connection_count: 1, command_count: 256 },
        Self { connection_count: 1, command_count: 512 },
        Self { connection_count: 16, command_count: 64 },
        Self { connection_count: 16, command_count: 256 },
        Self { connection_count: 16, command_count: 512 },
    ];
}

/// One run of redis-benchmark.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AddRun {
    pub(crate) added_count: u64,
    pub(crate) seconds: f64,
}

impl Redis {
    pub(crate) fn connect(services: &Services) -> Result<Self> {
        let (address, password) = (services.get("REDIS_ADDRESS")?, services.get("REDIS_PASSWORD")?);
        let (host, port) = address.split_once(':').context("read the address of Redis")?;
        let client = redis::Client::open(format!("redis://{address}/0"))?;
        let mut connection =
            client.get_connection_with_timeout(EXCHANGE_TIMEOUT).context("connect to Redis")?;
        connection.set_read_timeout(Some(EXCHANGE_TIMEOUT))?;
        redis::cmd("AUTH").arg(password).exec(&mut connection).context("log in to Redis")?;
        let rewriting_before = config(&mut connection, REWRITING)?;
        set_config(&mut connection, REWRITING, "0")?;
        Ok(Self {
            connection: RefCell::new(connection),
            host: host.to_owned(),
            port: port.to_owned(),
            password: password.to_owned(),
            pid: services.pid("REDIS_PID")?,
            rewriting_before,
        })
    }

    fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T> {
        command.query(&mut *self.connection.borrow_mut()).context("ask Redis")
    }

    /// Fields and values of the entry for the event at this offset, in turn.
    pub(crate) fn sample(&self, place: &str, offset: u64) -> Result<Vec<String>> {
        let mut command = redis::cmd("XRANGE");
        command.arg(place).arg(format!("{offset}-0")).arg("+").arg("COUNT").arg(1);
        let entries: Vec<(String, Vec<String>)> = self.ask(&command)?;
        let (_, fields) = entries.into_iter().next().context("there is no entry to take as an example")?;
        Ok(fields)
    }

    /// Adds the entry about so many times, under ids that Redis gives.
    pub(crate) fn add(
        &self,
        place: &str,
        fields: &[String],
        count: u64,
        pipelining: Pipelining,
    ) -> Result<AddRun> {
        let Pipelining { connection_count, command_count } = pipelining;
        // It sends whole pipelines only, and would send more than was asked for.
        let count = count.next_multiple_of(u64::from(connection_count * command_count));
        let output = Command::new("redis-benchmark")
            .env("PATH", search_path())
            // It takes a password in no other way; the server is one of this machine's tests.
            .args(["--csv", "-h", &self.host, "-p", &self.port, "-a", &self.password])
            .args(["-n", &count.to_string(), "-c", &connection_count.to_string()])
            .args(["-P", &command_count.to_string(), "XADD", place, "*"])
            .args(fields)
            .output()
            .context("run redis-benchmark")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let rate = parse_rate(&text).with_context(|| format!("no rate in redis-benchmark's {text:?}"))?;
        let there_count = self.event_count(place)?;
        ensure!(there_count == count, "{count} entries added, but {there_count} there");
        Ok(AddRun { added_count: count, seconds: count as f64 / rate })
    }
}

impl SinkTarget for Redis {
    fn kind(&self) -> &'static str {
        "redis"
    }

    fn pids(&self) -> Vec<u32> {
        vec![self.pid]
    }

    fn settings(&self, place: &str) -> Vec<(&'static str, String)> {
        let url = format!("redis://{}:{}/0", self.host, self.port);
        vec![("url", url), ("password", self.password.clone()), ("stream", place.to_owned())]
    }

    fn prepare(&self, place: &str) -> Result<()> {
        self.remove(place)
    }

    fn event_count(&self, place: &str) -> Result<u64> {
        self.ask(redis::cmd("XLEN").arg(place))
    }

    fn remove(&self, place: &str) -> Result<()> {
        // The hash beside the stream says who writes it.
        self.ask::<i64>(redis::cmd("DEL").arg(place).arg(format!("{place}:onrush"))).map(drop)
    }

    fn durability(&self) -> Result<String> {
        let text: String = self.ask(redis::cmd("INFO").arg("server"))?;
        let version = text.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or_default();
        let mut connection = self.connection.borrow_mut();
        let append_only = config(&mut connection, "appendonly")?;
        let sync = config(&mut connection, "appendfsync")?;
        Ok(format!(
            "Redis {}: appendonly {append_only}, appendfsync {sync}, no rewriting of the file",
            version.trim()
        ))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = set_config(&mut self.connection.borrow_mut(), REWRITING, &self.rewriting_before);
    }
}

fn config(connection: &mut Connection, name: &str) -> Result<String> {
    let pair: Vec<String> = redis::cmd("CONFIG").arg("GET").arg(name).query(connection)?;
    pair.into_iter().nth(1).with_context(|| format!("Redis has no setting {name}"))
}

fn set_config(connection: &mut Connection, name: &str, value: &str) -> Result<()> {
    redis::cmd("CONFIG")
        .arg("SET")
        .arg(name)
        .arg(value)
        .exec(connection)
        .with_context(|| format!("set {name}"))
}

//! Redis with an append-only file synced before every answer, taking reservations with a script: the peer for durable
//! work. It is driven by redis-benchmark, the generator its users know.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::process::{Running, free_port, search_path};

/// Every answer waits for its sync, as onrush's does.
pub(crate) const DURABILITY: &str =
    "appendonly yes, appendfsync always, save \"\", auto-aof-rewrite-percentage 0";

/// One unit for a customer who has none yet, out of a stock that is not empty: what onrush's `decide` checks, as a script.
const RESERVE_SCRIPT: &str = "if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then return 'customer_limit_reached' end \
    local left = tonumber(redis.call('GET', KEYS[1])) \
    if left < tonumber(ARGV[2]) then return 'insufficient_stock' end \
    redis.call('DECRBY', KEYS[1], ARGV[2]) \
    redis.call('HSET', KEYS[2], ARGV[1], ARGV[2]) \
    return 'confirmed'";
/// Commands that are sent before their replies are read, where keys are set. The buffer that the server keeps for a long
/// pipeline would count as memory of the keys.
const PIPELINED_SET_COUNT: usize = 64;
const STOCK_KEY: &str = "stock";
const RESERVATIONS_KEY: &str = "reservations";

/// A started Redis whose stock is practically endless.
#[derive(Debug)]
pub(crate) struct Redis {
    process: Running,
    pub(crate) address: SocketAddr,
    script: String,
    /// From the start of the process until it had loaded its file.
    pub(crate) ready_after: Duration,
}

/// One run of redis-benchmark.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReserveRun {
    pub(crate) request_count: u64,
    pub(crate) confirmed_count: u64,
    pub(crate) seconds: f64,
}

impl Redis {
    /// Serves what is in `directory`.
    pub(crate) fn start(directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let port = free_port()?;
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"]).arg(directory);
        command.args(["--save", "", "--appendonly", "yes", "--appendfsync", "always"]);
        command.args(["--auto-aof-rewrite-percentage", "0", "--loglevel", "warning"]);
        let started = Instant::now();
        let mut process = Running::start(&command, "KILL", &directory.join("output"))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        process.wait_until(Duration::from_mins(5), Duration::from_millis(2), || {
            ask(address, &["PING"]).is_ok_and(|answer| answer == "PONG")
        })?;
        let ready_after = started.elapsed();
        ask(address, &["SET", STOCK_KEY, "1000000000000", "NX"])?;
        let script = ask(address, &["SCRIPT", "LOAD", RESERVE_SCRIPT])?;
        Ok(Self { process, address, script, ready_after })
    }

    pub(crate) fn pids(&self) -> Vec<u32> {
        self.process.pids()
    }

    /// kill -9: what follows is a recovery.
    pub(crate) fn kill(self) -> Result<()> {
        self.process.kill()
    }

    /// Runs the script `request_count` times for random customers out of 2^31, so that nearly every one is new;
    /// the successes are counted by what Redis holds afterwards.
    pub(crate) fn reserve(
        &self,
        request_count: u64,
        connection_count: u32,
        pipelined_count: u32,
    ) -> Result<ReserveRun> {
        // It sends whole pipelines only, and would send more than was asked for.
        let request_count = request_count.next_multiple_of(u64::from(connection_count * pipelined_count));
        let before = self.reservation_count()?;
        let output = Command::new("redis-benchmark")
            .env("PATH", search_path())
            .args(["--csv", "-p", &self.address.port().to_string(), "-r", "2147483647"])
            .args(["-n", &request_count.to_string(), "-c", &connection_count.to_string()])
            .args(["-P", &pipelined_count.to_string()])
            .args(["evalsha", &self.script, "2", STOCK_KEY, RESERVATIONS_KEY, "__rand_int__", "1"])
            .output()
            .context("run redis-benchmark")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let rate = parse_rate(&text).with_context(|| format!("no rate in redis-benchmark's {text:?}"))?;
        let confirmed_count = self.reservation_count()? - before;
        Ok(ReserveRun { request_count, confirmed_count, seconds: request_count as f64 / rate })
    }

    pub(crate) fn reservation_count(&self) -> Result<u64> {
        ask(self.address, &["HLEN", RESERVATIONS_KEY])?.parse().context("parse HLEN")
    }

    /// Sets each of these keys to its value.
    pub(crate) fn set_all(&self, pairs: &[(String, String)]) -> Result<()> {
        let stream = TcpStream::connect(self.address).context("connect to Redis")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_mins(1)))?;
        let mut replies = BufReader::new(&stream);
        for some in pairs.chunks(PIPELINED_SET_COUNT) {
            let commands: String =
                some.iter().map(|(key, value)| command_text(&["SET", key, value])).collect();
            (&stream).write_all(commands.as_bytes()).context("send commands to Redis")?;
            for _ in some {
                let reply = read_reply(&mut replies)?;
                ensure!(reply == "OK", "Redis answered SET with {reply:?}");
            }
        }
        Ok(())
    }

    /// The value of a key; empty when there is none.
    pub(crate) fn value(&self, key: &str) -> Result<String> {
        ask(self.address, &["GET", key])
    }

    /// `used_memory` of `INFO memory`, in bytes.
    pub(crate) fn used_memory_bytes(&self) -> Result<u64> {
        let text = ask(self.address, &["INFO", "memory"])?;
        let line =
            text.lines().find_map(|line| line.strip_prefix("used_memory:")).context("no used_memory")?;
        line.trim().parse().context("parse used_memory")
    }

    /// Rewrites the append-only file to its compact form and waits for the end of it.
    pub(crate) fn rewrite_log(&self) -> Result<()> {
        ask(self.address, &["BGREWRITEAOF"])?;
        let limit = Instant::now() + Duration::from_mins(2);
        while Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(50));
            let text = ask(self.address, &["INFO", "persistence"])?;
            if text.contains("aof_rewrite_in_progress:0") && text.contains("aof_rewrite_scheduled:0") {
                return Ok(());
            }
        }
        bail!("Redis did not finish rewriting its log")
    }
}

/// One command on a connection of its own; an error reply is an error.
fn ask(address: SocketAddr, words: &[&str]) -> Result<String> {
    let stream = TcpStream::connect(address).context("connect to Redis")?;
    stream.set_read_timeout(Some(Duration::from_mins(1)))?;
    (&stream).write_all(command_text(words).as_bytes())?;
    read_reply(&mut BufReader::new(stream))
}

/// A command in the Redis serialization protocol.
pub(crate) fn command_text(words: &[&str]) -> String {
    let mut command = format!("*{}\r\n", words.len());
    for word in words {
        let _ = write!(command, "${}\r\n{word}\r\n", word.len());
    }
    command
}

/// The simple, integer and bulk strings of the Redis serialization protocol; a null is empty.
fn read_reply(reader: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line).context("read from Redis")?;
    let line = line.trim_end();
    match line.split_at_checked(1) {
        Some(("+" | ":", text)) => Ok(text.to_owned()),
        Some(("$", "-1")) => Ok(String::new()),
        Some(("$", length)) => {
            let mut bytes = vec![0; length.parse().context("parse a bulk length")?];
            reader.read_exact(&mut bytes).context("read from Redis")?;
            String::from_utf8(bytes).context("read text from Redis")
        }
        _ => bail!("Redis answered {line:?}"),
    }
}

/// Commands per second as `redis-benchmark --csv` tells them: the second column, `rps`. The first is the command, which
/// may hold anything, so columns are counted from the end, as many as the first line names.
pub(crate) fn parse_rate(csv: &str) -> Option<f64> {
    let (head, line) = csv.trim_end().split_once('\n')?;
    let column_count = head.split("\",\"").count();
    line.rsplit("\",\"").nth(column_count.checked_sub(2)?)?.trim_matches('"').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_reply(bytes: &str, expected: Option<&str>) {
        assert_eq!(read_reply(&mut bytes.as_bytes()).ok().as_deref(), expected);
    }

    #[test]
    fn replies() {
        check_reply("+PONG\r\n", Some("PONG"));
        check_reply(":42\r\n", Some("42"));
        check_reply("$5\r\nhello\r\n", Some("hello"));
        check_reply("$-1\r\n", Some(""));
        check_reply("-LOADING wait\r\n", None);
        check_reply("", None);
    }

    #[test]
    fn commands_state_their_lengths() {
        assert_eq!(command_text(&["GET", "12"]), "*2\r\n$3\r\nGET\r\n$2\r\n12\r\n");
    }

    #[test]
    fn rates_are_read() {
        let csv = "\"test\",\"rps\",\"avg_latency_ms\"\n\"evalsha a 2 k\",\"32310.18\",\"3.02\"\n";
        assert_eq!(parse_rate(csv), Some(32310.18));
        let csv =
            "\"test\",\"rps\",\"avg_latency_ms\"\n\"xadd {\"a\":1,\"b\":\"c\",\"d\":2}\",\"7.50\",\"3.02\"\n";
        assert_eq!(parse_rate(csv), Some(7.5));
        assert_eq!(parse_rate(""), None);
    }
}

//! How soon a change in PostgreSQL is shown: by a server that follows the database, and by PostgreSQL's own streaming replica. And how
//! far the server is behind while many rows change.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, Config, NoTls};

use crate::report::{Better, Figure, Findings, Row, Target};
use crate::servers::Onrush;
use crate::services::Services;
use crate::setting::{Bench, progress};

const ONRUSH: &str = "onrush";
const REPLICA: &str = "PostgreSQL's replica";

/// Rows of the table.
const ROW_COUNT: u32 = 100_000;

/// Of each second in which many rows change.
const ROWS_PER_TRANSACTION: u32 = 100;
const TRANSACTIONS_PER_S: u32 = 100;

/// Longest wait for one change.
const CHANGE_TIME_MAX: Duration = Duration::from_secs(10);

/// Between two changes, so that none is shown together with the one before.
const PAUSE: Duration = Duration::from_millis(5);

/// A database with a table, its replica, and a server that follows it.
struct Followed {
    runtime: Runtime,
    primary: Client,
    replica: Client,
    onrush: Onrush,
    value: i64,
}

/// Time from a commit to the first read that shows it, in turns with the replica, and the lag under many changes.
pub(crate) fn visible(bench: &Bench) -> Result<Findings> {
    let services = Services::read(&bench.settings.services)?;
    let mut followed = Followed::start(bench, &services)?;
    let (mut own, mut reference) = (Vec::new(), Vec::new());
    let mut findings = Findings::default();
    for round in 1..=bench.settings.round_count {
        let [onrush, replica] = followed.round(Duration::from_secs(2 * bench.settings.turn_seconds))?;
        let quantiles =
            |times: &Histogram<u64>| [0.5, 0.99].map(|quantile| times.value_at_quantile(quantile));
        let ([onrush_p50, onrush_p99], [replica_p50, replica_p99]) =
            (quantiles(&onrush), quantiles(&replica));
        progress(&format!(
            "  round {round}: p50 {onrush_p50} µs, p99 {onrush_p99} µs; the replica {replica_p50} µs, {replica_p99} µs"
        ));
        findings
            .raw
            .push(json!({"round": round, "changes": onrush.len(), "onrush": [onrush_p50, onrush_p99],
            "replica": [replica_p50, replica_p99]}));
        own.push(onrush_p99 as f64);
        reference.push(replica_p99 as f64);
    }
    let figures = (Figure::new(ONRUSH, "µs", own), Figure::new(REPLICA, "µs", reference));
    let row = Row::new("commit to visible, p99", figures.0, Some(figures.1), Better::Lower);
    findings.rows.push(
        row.targets(Target::RatioAtLeast(0.5), Target::RatioAtLeast(1.0))
            .note("one change at a time, looked for without pause; servers and client on the same cores"),
    );
    findings.merge(followed.many_changes(bench)?);
    followed.end(&services)?;
    Ok(findings)
}

impl Followed {
    fn start(bench: &Bench, services: &Services) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let primary = connect(&runtime, services, "POSTGRES_URL")?;
        let replica = connect(&runtime, services, "POSTGRES_REPLICA_URL")?;
        runtime.block_on(primary.batch_execute(&format!(
            "DROP TABLE IF EXISTS bench_visible; DROP PUBLICATION IF EXISTS onrush_bench_visible; \
             CREATE TABLE bench_visible (id int PRIMARY KEY, value bigint NOT NULL, text text NOT NULL); \
             INSERT INTO bench_visible SELECT id, 0, repeat('x', 400) FROM generate_series(0, {}) AS id; \
             CREATE PUBLICATION onrush_bench_visible FOR TABLE bench_visible",
            ROW_COUNT - 1
        )))?;
        let environment = [
            ("SOURCE", "postgres"),
            ("URL", services.get("POSTGRES_URL")?),
            ("PASSWORD", services.get("POSTGRES_PASSWORD")?),
            ("TABLE", "bench_visible"),
            ("KEY", "id"),
        ];
        let named =
            |(key, value): (&str, &str)| (format!("ONRUSH_CATALOG__BENCH_VISIBLE__{key}"), value.to_owned());
        let mut environment: Vec<_> = environment.map(named).into();
        environment.push(("ONRUSH_CATALOG__READY_WHEN_COHERENT".to_owned(), "true".to_owned()));
        let onrush = Onrush::start_bare(&bench.settings.onrush, &bench.directory("visible")?, &environment)?;
        Ok(Self { runtime, primary, replica, onrush, value: 0 })
    }

    /// Changes one row again and again, and looks for each change in one of the two, by turns. Times in microseconds.
    fn round(&mut self, duration: Duration) -> Result<[Histogram<u64>; 2]> {
        let mut reader = Reader::connect(self.onrush.address)?;
        let mut times = [Histogram::new(3)?, Histogram::new(3)?];
        let begun = Instant::now();
        while begun.elapsed() < duration {
            for (side, times) in times.iter_mut().enumerate() {
                self.value += 1;
                let update = format!("UPDATE bench_visible SET value = {} WHERE id = 7", self.value);
                self.runtime.block_on(self.primary.batch_execute(&update))?;
                let committed = Instant::now();
                while if side == 0 { reader.value()? } else { self.value_at_replica()? } < self.value {
                    ensure!(committed.elapsed() < CHANGE_TIME_MAX, "a change is not shown");
                }
                times.record(u64::try_from(committed.elapsed().as_micros())?)?;
                std::thread::sleep(PAUSE);
            }
        }
        Ok(times)
    }

    fn value_at_replica(&self) -> Result<i64> {
        let row = self
            .runtime
            .block_on(self.replica.query_one("SELECT value FROM bench_visible WHERE id = 7", &[]))?;
        Ok(row.get(0))
    }

    /// Changes many rows at a steady rate, and asks what the lag is.
    fn many_changes(&mut self, bench: &Bench) -> Result<Findings> {
        let mut reader = Reader::connect(self.onrush.address)?;
        let mut lags = Histogram::<u64>::new(3)?;
        let seconds = 5 * bench.settings.turn_seconds;
        let (begun, mut first) = (Instant::now(), 0);
        let count = u32::try_from(seconds)? * TRANSACTIONS_PER_S;
        for number in 1..=count {
            self.value += 1;
            let update = format!(
                "UPDATE bench_visible SET value = {} WHERE id >= {first} AND id < {}",
                self.value,
                first + ROWS_PER_TRANSACTION
            );
            self.runtime.block_on(self.primary.batch_execute(&update))?;
            first = (first + ROWS_PER_TRANSACTION) % ROW_COUNT;
            reader.value()?;
            lags.record(reader.lag_ms.max(1))?;
            let due = begun + Duration::from_secs(1) * number / TRANSACTIONS_PER_S;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        let rate = f64::from(count * ROWS_PER_TRANSACTION) / begun.elapsed().as_secs_f64();
        let quantile = |quantile| lags.value_at_quantile(quantile) as f64;
        let mut findings = Findings::default();
        findings.raw.push(json!({"changes_per_s": rate, "lag_ms": [quantile(0.5), quantile(0.99)]}));
        let row = Row::new(
            "lag that answers tell under 10,000 changes/s, p99",
            Figure::new(ONRUSH, "ms", vec![quantile(0.99)]),
            None,
            Better::Lower,
        );
        findings.rows.push(row.note(format!(
            "{rate:.0} rows were changed in a second, {ROWS_PER_TRANSACTION} in a transaction; median {} ms; the source is asked every 100 ms",
            quantile(0.5)
        )));
        Ok(findings)
    }

    fn end(self, services: &Services) -> Result<()> {
        self.onrush.stop()?;
        let primary = connect(&self.runtime, services, "POSTGRES_URL")?;
        self.runtime.block_on(
            primary.batch_execute("DROP PUBLICATION onrush_bench_visible; DROP TABLE bench_visible"),
        )?;
        Ok(())
    }
}

fn connect(runtime: &Runtime, services: &Services, name: &str) -> Result<Client> {
    let mut config: Config = services.get(name)?.parse().context("parse the URL of PostgreSQL")?;
    config.password(services.get("POSTGRES_PASSWORD")?);
    let connected = runtime.block_on(async {
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok::<_, tokio_postgres::Error>(client)
    });
    connected.with_context(|| format!("connect to {name}"))
}

/// A connection that reads the changed row.
struct Reader {
    stream: BufReader<TcpStream>,
    lag_ms: u64,
}

impl Reader {
    fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).context("connect")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), lag_ms: 0 })
    }

    /// The value in the row, and the lag that the answer tells.
    fn value(&mut self) -> Result<i64> {
        self.stream
            .get_mut()
            .write_all(b"GET /v1/catalog/bench_visible/7 HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
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

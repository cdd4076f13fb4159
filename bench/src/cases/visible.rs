//! How soon a change in PostgreSQL is shown: by a server that follows the database, and by PostgreSQL's own streaming replica. And how
//! far the server is behind while many rows change.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use serde_json::json;
use tokio_postgres::Client;

use crate::report::{Better, Figure, Findings, Row, Target};
use crate::row_reader::RowReader;
use crate::servers::Onrush;
use crate::services::Services;
use crate::setting::{Bench, progress};
use crate::source_table::{FIRST_ROW, SourceTable, connect};

const ONRUSH: &str = "onrush";
const REPLICA: &str = "PostgreSQL's replica";

const TABLE: &str = "bench_visible";
/// Rows of the table.
const ROW_COUNT: u32 = 100_000;
/// The row that changes.
const CHANGED: u32 = FIRST_ROW + 7;

/// Of each second in which many rows change.
const ROWS_PER_TRANSACTION: u32 = 100;
const TRANSACTIONS_PER_S: u32 = 100;

/// Longest wait for one change.
const CHANGE_TIME_MAX: Duration = Duration::from_secs(10);

/// Between two changes, so that none is shown together with the one before.
const PAUSE: Duration = Duration::from_millis(5);

/// A database with a table, its replica, and a server that follows it.
struct Followed<'a> {
    table: SourceTable<'a>,
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
    followed.end()?;
    Ok(findings)
}

impl<'a> Followed<'a> {
    fn start(bench: &Bench, services: &'a Services) -> Result<Self> {
        let table = SourceTable::make(services, TABLE, ROW_COUNT)?;
        let replica = table.runtime.block_on(connect(services, "POSTGRES_REPLICA_URL"))?;
        let mut environment = table.environment(&[])?;
        environment.push(("ONRUSH_CATALOG__READY_WHEN_COHERENT".to_owned(), "true".to_owned()));
        let onrush = Onrush::start_bare(&bench.settings.onrush, &bench.directory("visible")?, &environment)?;
        let value = table.value(CHANGED)?;
        Ok(Self { table, replica, onrush, value })
    }

    /// Changes one row again and again, and looks for each change in one of the two, by turns. Times in microseconds.
    fn round(&mut self, duration: Duration) -> Result<[Histogram<u64>; 2]> {
        let mut reader = RowReader::connect(self.onrush.address, TABLE)?;
        let mut times = [Histogram::new(3)?, Histogram::new(3)?];
        let begun = Instant::now();
        while begun.elapsed() < duration {
            for (side, times) in times.iter_mut().enumerate() {
                self.value += 1;
                let update = format!("UPDATE {TABLE} SET value = {} WHERE id = {CHANGED}", self.value);
                self.table.execute(&update)?;
                let committed = Instant::now();
                while if side == 0 { reader.value(CHANGED, "")? } else { self.value_at_replica()? }
                    < self.value
                {
                    ensure!(committed.elapsed() < CHANGE_TIME_MAX, "a change is not shown");
                }
                times.record(u64::try_from(committed.elapsed().as_micros())?)?;
                std::thread::sleep(PAUSE);
            }
        }
        Ok(times)
    }

    fn value_at_replica(&self) -> Result<i64> {
        let query = format!("SELECT value FROM {TABLE} WHERE id = {CHANGED}");
        let row = self.table.runtime.block_on(self.replica.query_one(&query, &[]));
        Ok(row.context("ask the replica")?.get(0))
    }

    /// Changes many rows at a steady rate, and asks what the lag is.
    fn many_changes(&mut self, bench: &Bench) -> Result<Findings> {
        let mut reader = RowReader::connect(self.onrush.address, TABLE)?;
        let mut lags = Histogram::<u64>::new(3)?;
        let seconds = 5 * bench.settings.turn_seconds;
        let (begun, mut first) = (Instant::now(), 0);
        let count = u32::try_from(seconds)? * TRANSACTIONS_PER_S;
        for number in 1..=count {
            self.value += 1;
            let from = FIRST_ROW + first;
            self.table.execute(&format!(
                "UPDATE {TABLE} SET value = {} WHERE id >= {from} AND id < {}",
                self.value,
                from + ROWS_PER_TRANSACTION
            ))?;
            first = (first + ROWS_PER_TRANSACTION) % ROW_COUNT;
            reader.value(CHANGED, "")?;
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

    fn end(self) -> Result<()> {
        self.onrush.stop()?;
        self.table.remove()
    }
}

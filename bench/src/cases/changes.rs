//! What changes in PostgreSQL do to reads of the rows: their p99, open loop at half of peak, while rows change and while none does.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use hdrhistogram::Histogram;
use serde_json::json;

use super::latency::summary;
use crate::closed_loop::{self, Protocol};
use crate::http::{expect_success, request_bytes};
use crate::open_loop::{self, OpenLoopRun};
use crate::random::{Random, Zipf};
use crate::report::{Better, Figure, Findings, Row, Target};
use crate::row_reader::RowReader;
use crate::servers::Onrush;
use crate::services::Services;
use crate::setting::{Bench, progress};
use crate::source_table::{Changed, Changing, FIRST_ROW, SourceTable};
use crate::statistics::Spread;

const TABLE: &str = "bench_changes";
/// The same rows, which nobody follows.
const OTHER_TABLE: &str = "bench_changes_other";
const ROW_COUNT: u32 = 100_000;
const EXPONENT: f64 = 1.0;
const ORDER_LENGTH: usize = 1 << 20;
/// Ranks are spread over the rows by a factor that has no divisor in common with their count.
const FACTOR: usize = 61_803;
const PEAK_CONNECTION_COUNT: usize = 100;
/// More than are ever busy at half of the peak, so that arrivals rarely wait for a connection.
const CONNECTION_COUNT: usize = 256;
/// A transaction for each row, as a shop changes them.
const SOME: Changing = Changing { rows_per_s: 1_000, rows_per_transaction: 1, connection_count: 4 };
const MANY: Changing = Changing { rows_per_s: 10_000, rows_per_transaction: 100, connection_count: 2 };
/// Turns with many changes are longer than the others by this.
const MANY_LENGTH: u64 = 3;
/// How often somebody looks how far rows are behind.
const LAG_INTERVAL: Duration = Duration::from_millis(10);
/// Rows that are compared with the database after changes.
const COMPARED_COUNT: u32 = 100;

const QUIET: &str = "no changes";
const FOLLOWED: &str = "1,000 changes/s";
const NOT_FOLLOWED: &str = "1,000 changes/s of a table that nobody follows";
const FLOOD: &str = "10,000 changes/s";

/// One turn.
struct Turn {
    run: OpenLoopRun,
    changed: Option<Changed>,
    lags: Histogram<u64>,
}

struct Measured<'a> {
    bench: &'a Bench,
    onrush: Onrush,
    table: SourceTable<'a>,
    other: SourceTable<'a>,
    gets: Vec<Vec<u8>>,
    order: Vec<usize>,
    rate: f64,
}

/// Reads without changes, with some, with as many that nobody follows, and with many, in turn.
pub(crate) fn changes(bench: &Bench) -> Result<Findings> {
    let services = Services::read(&bench.settings.services)?;
    let measured = Measured::start(bench, &services)?;
    let sides = [QUIET, FOLLOWED, NOT_FOLLOWED, FLOOD];
    let turns: [RefCell<Vec<Turn>>; 4] = Default::default();
    let mut raw = Vec::new();
    for round in 0..=bench.settings.round_count {
        for (place, (side, turns)) in sides.iter().zip(&turns).enumerate() {
            let turn = measured.turn(side, 4 * round + u32::try_from(place)?)?;
            // Round 0 warms up.
            if round == 0 {
                continue;
            }
            let rate = turn.changed.map_or(0.0, Changed::rate);
            let lag = [0.5, 0.99].map(|quantile| turn.lags.value_at_quantile(quantile));
            progress(&format!(
                "  round {round} {side}: p99 {:.0} µs at {:.0} reads/s; {rate:.0} changes/s, lag {lag:?} ms",
                p99_us(&turn.run),
                reads_per_s(&turn.run)
            ));
            raw.push(json!({"round": round, "side": side, "run": summary(&turn.run), "changes_per_s": rate, "lag_ms": lag}));
            turns.borrow_mut().push(turn);
        }
    }
    let [quiet, followed, not_followed, flood] = turns.map(RefCell::into_inner);
    let mut findings = Findings { rows: Vec::new(), costs: Vec::new(), raw };
    let title = "p99 of reads of followed rows, open loop at half of peak";
    let compare = |name: &str, side: &str, turns: &[Turn], peer: &str, peers: &[Turn]| {
        let row = Row::new(
            format!("{title}, {name}"),
            p99_figure(side, turns),
            Some(p99_figure(peer, peers)),
            Better::Lower,
        );
        row.note(in_words(turns, peers))
    };
    findings.rows.extend([
        compare("with 1,000 changes/s", FOLLOWED, &followed, QUIET, &quiet)
            .targets(Target::RatioAtLeast(0.77), Target::RatioAtLeast(0.91))
            .note(format!(
                "{:.0}/s of {ROW_COUNT} rows, keys by a Zipf distribution with exponent {EXPONENT:.1}; each change is a transaction of \
                 its own, at any row; PostgreSQL, the server and the one thread of clients share the cores; latencies count from the \
                 moment at which a read was meant to be sent",
                measured.rate
            )),
        compare("the same", FOLLOWED, &followed, NOT_FOLLOWED, &not_followed)
            .note("the peer shows what PostgreSQL itself takes of the cores"),
        compare("with 10,000 changes/s", FLOOD, &flood, QUIET, &quiet).note("100 rows in a transaction"),
    ]);
    findings.rows.extend(flood_rows(&flood));
    measured.end()?;
    Ok(findings)
}

impl<'a> Measured<'a> {
    fn start(bench: &'a Bench, services: &'a Services) -> Result<Self> {
        let table = SourceTable::make(services, TABLE, ROW_COUNT)?;
        let other = SourceTable::make(services, OTHER_TABLE, ROW_COUNT)?;
        let mut environment = table.environment(&[])?;
        environment.push(("ONRUSH_CATALOG__READY_WHEN_COHERENT".to_owned(), "true".to_owned()));
        let onrush = Onrush::start_bare(&bench.settings.onrush, &bench.directory("changes")?, &environment)?;
        let path = |id: u32| format!("/v1/catalog/{TABLE}/{id}");
        let gets: Vec<_> =
            (FIRST_ROW..FIRST_ROW + ROW_COUNT).map(|id| request_bytes("GET", &path(id), None)).collect();
        let body = expect_success(onrush.address, "GET", &path(FIRST_ROW), None)?.body;
        let zipf = Zipf::new(ROW_COUNT, EXPONENT);
        let mut random = Random::new(1);
        let order: Vec<_> =
            (0..ORDER_LENGTH).map(|_| zipf.draw(&mut random) * FACTOR % ROW_COUNT as usize).collect();
        let peak = closed_loop::run(&closed_loop::Plan {
            address: onrush.address,
            protocol: Protocol::Http,
            requests: &gets,
            order: &order,
            connection_count: PEAK_CONNECTION_COUNT,
            duration: Duration::from_secs(bench.settings.turn_seconds),
            body_bytes: body.len(),
        })?;
        ensure!(peak.first_other.is_none(), "an answer is {:?}", peak.first_other);
        let rate = peak.success_count as f64 / peak.seconds / 2.0;
        progress(&format!("  half of peak is {rate:.0}/s"));
        Ok(Self { bench, onrush, table, other, gets, order, rate })
    }

    fn turn(&self, side: &str, seed: u32) -> Result<Turn> {
        let seconds = self.bench.settings.turn_seconds;
        let (table, changing, seconds) = match side {
            QUIET => return self.read(seconds, seed, None),
            FOLLOWED => (&self.table, SOME, seconds),
            NOT_FOLLOWED => (&self.other, SOME, seconds),
            _ => (&self.table, MANY, seconds * MANY_LENGTH),
        };
        let turn = self.read(seconds, seed, Some((table, changing)))?;
        self.compare_some()?;
        Ok(turn)
    }

    /// Reads at half of peak, with somebody who looks at the lag.
    fn read(&self, seconds: u64, seed: u32, changing: Option<(&SourceTable<'_>, Changing)>) -> Result<Turn> {
        let request = |number: u64| {
            let place = usize::try_from(number).unwrap_or_default() % ORDER_LENGTH;
            self.gets[self.order[place]].clone()
        };
        let plan = open_loop::Plan {
            address: self.onrush.address,
            rate: self.rate,
            duration: Duration::from_secs(seconds),
            connection_count: CONNECTION_COUNT,
            seed: u64::from(seed),
            request: &request,
        };
        let read = || while_lag_is_seen(self.onrush.address, || open_loop::run(&plan));
        let ((run, lags), changed) = match changing {
            Some((table, changing)) => {
                let (read, changed) = table.while_changing(changing, read)?;
                (read, Some(changed))
            }
            None => (read()?, None),
        };
        ensure!(run.other_count == 0, "{} reads were not answered 2xx", run.other_count);
        Ok(Turn { run, changed, lags })
    }

    /// Reads rows with every change up to now, and in the database.
    fn compare_some(&self) -> Result<()> {
        let query = format!("?min_version={}", self.table.version()?);
        let mut reader = RowReader::connect(self.onrush.address, TABLE)?;
        for number in 0..COMPARED_COUNT {
            let id = FIRST_ROW + number * (ROW_COUNT / COMPARED_COUNT);
            let (shown, stored) = (reader.value(id, &query)?, self.table.value(id)?);
            ensure!(shown == stored, "row {id} is shown with {shown}, but has {stored}");
        }
        Ok(())
    }

    fn end(self) -> Result<()> {
        self.onrush.stop()?;
        self.table.remove()?;
        self.other.remove()
    }
}

/// Lags in milliseconds, as answers tell them while the work is done.
fn while_lag_is_seen<T>(
    address: SocketAddr,
    work: impl FnOnce() -> Result<T>,
) -> Result<(T, Histogram<u64>)> {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let is_over = &is_over;
        let seen = scope.spawn(move || -> Result<Histogram<u64>> {
            let mut reader = RowReader::connect(address, TABLE)?;
            let mut lags = Histogram::new(3)?;
            while !is_over.load(Ordering::Relaxed) {
                reader.value(FIRST_ROW, "")?;
                lags.record(reader.lag_ms)?;
                thread::sleep(LAG_INTERVAL);
            }
            Ok(lags)
        });
        let worked = work();
        is_over.store(true, Ordering::Relaxed);
        let lags = seen.join().map_err(|_| anyhow!("the thread that looks at the lag panicked"))?;
        Ok((worked?, lags.context("look at the lag")?))
    })
}

/// What is reached while many rows change.
fn flood_rows(turns: &[Turn]) -> [Row; 3] {
    let values = |value: fn(&Turn) -> f64| turns.iter().map(value).collect::<Vec<_>>();
    let row = |name: &str, unit, values, better| {
        Row::new(
            format!("{name}, with 10,000 changes/s and reads at half of peak"),
            Figure::new("onrush", unit, values),
            None,
            better,
        )
    };
    let lag_p99 = |turn: &Turn| turn.lags.value_at_quantile(0.99) as f64;
    let lag_p50 = spread(turns, |turn| turn.lags.value_at_quantile(0.5) as f64);
    let longest = turns.iter().map(|turn| turn.lags.max()).max().unwrap_or_default();
    [
        row(
            "changes that were made and followed",
            "/s",
            values(|turn| turn.changed.map_or(0.0, Changed::rate)),
            Better::Higher,
        )
        .note(format!(
            "after each turn a read with the database's version waits for the last change, and {COMPARED_COUNT} rows are compared with the database"
        )),
        row("reads", "/s", values(|turn| reads_per_s(&turn.run)), Better::Higher),
        row("lag that answers tell, p99", "ms", values(lag_p99), Better::Lower).note(format!(
            "p50 {}, the longest {longest} ms; the source is asked every 100 ms",
            in_brackets(lag_p50, "ms")
        )),
    ]
}

fn p99_figure(side: &str, turns: &[Turn]) -> Figure {
    Figure::new(side, "µs", turns.iter().map(|turn| p99_us(&turn.run)).collect())
}

/// What else there is to know of both sides of a row.
fn in_words(turns: &[Turn], peers: &[Turn]) -> String {
    let p50 = |turn: &Turn| turn.run.latency.value_at_quantile(0.5) as f64 / 1000.0;
    let late = |turn: &Turn| turn.run.lateness.value_at_quantile(0.99) as f64 / 1000.0;
    let side = |turns| {
        format!(
            "p99 {}, p50 {}, p99 of how late the generator itself was {}",
            in_brackets(spread(turns, |turn| p99_us(&turn.run)), "µs"),
            in_brackets(spread(turns, p50), "µs"),
            in_brackets(spread(turns, late), "µs")
        )
    };
    let changed = spread(turns, |turn| turn.changed.map_or(0.0, Changed::rate));
    format!(
        "{}; the peer {}; {} were changed; every read was answered 200",
        side(turns),
        side(peers),
        in_brackets(changed, "rows/s")
    )
}

fn spread(turns: &[Turn], value: impl Fn(&Turn) -> f64) -> Option<Spread> {
    Spread::of(turns.iter().map(value))
}

fn in_brackets(spread: Option<Spread>, unit: &str) -> String {
    spread.map_or("-".to_owned(), |Spread { median, min, max }| {
        format!("{median:.0} {unit} [{min:.0}-{max:.0}]")
    })
}

fn p99_us(run: &OpenLoopRun) -> f64 {
    run.latency.value_at_quantile(0.99) as f64 / 1000.0
}

fn reads_per_s(run: &OpenLoopRun) -> f64 {
    run.success_count as f64 / run.seconds
}

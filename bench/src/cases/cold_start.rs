//! How long a server that follows PostgreSQL takes from its start until all rows are in memory, next to psql copying the same rows to
//! nowhere; and what it says meanwhile.

use std::cell::RefCell;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::http::expect_success;
use crate::process::{most_resident_bytes, resident_bytes, search_path};
use crate::report::{Better, Figure, Findings, Row};
use crate::rounds::{Contender, Outcome, Rounds};
use crate::servers::Onrush;
use crate::services::Services;
use crate::setting::{Bench, progress};
use crate::source_table::SourceTable;

const TABLE: &str = "bench_cold";
const ROW_COUNT: u32 = 1_000_000;
const ROW_COUNT_QUICK: u32 = 20_000;
/// Bytes that rows may take in memory; more than they do.
const MEMORY_BYTES_MAX: &str = "2147483648";
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
const LOAD_TIME_MAX: Duration = Duration::from_mins(5);

const ONRUSH: &str = "onrush";
const COPY: &str = "psql, COPY of the columns";
const COPY_JSON: &str = "psql, COPY of the rows as JSON";

/// What a server was like once all rows were there.
#[derive(Debug, Clone, Copy, Default)]
struct Loaded {
    resident_bytes: u64,
    most_resident_bytes: u64,
    memory_bytes: u64,
    json_bytes: u64,
    /// Different counts of rows that it said it had read, before it had all.
    told_count: usize,
}

/// Rows per second, from the start of the process on.
pub(crate) fn cold_start(bench: &Bench) -> Result<Findings> {
    let services = Services::read(&bench.settings.services)?;
    let row_count = if bench.settings.is_quick { ROW_COUNT_QUICK } else { ROW_COUNT };
    let table = SourceTable::make(&services, TABLE, row_count)?;
    progress(&format!("  made {row_count} rows"));
    let loaded = RefCell::new(Vec::new());
    let pid = table.pid()?;
    let copy = |name: &str, query: String| Contender {
        name: name.into(),
        pids: vec![pid],
        turn: Box::new({
            let services = &services;
            move |_| copy_to_nowhere(services, &query, row_count)
        }),
    };
    let mut contenders = [
        copy(COPY, format!("COPY {TABLE} TO STDOUT")),
        copy(COPY_JSON, format!("COPY (SELECT id, row_to_json(t) FROM {TABLE} t) TO STDOUT")),
        Contender {
            name: ONRUSH.into(),
            pids: vec![pid],
            turn: Box::new(|_| {
                let (outcome, last) = load(bench, &table)?;
                loaded.borrow_mut().push(last);
                Ok(outcome)
            }),
        },
    ];
    let rounds = Rounds::interleave(bench, &mut contenders)?;
    drop(contenders);
    table.remove()?;
    // The first is the warm-up's.
    let loaded = loaded.into_inner().split_off(1);
    let mut findings = Findings::of_rounds("rows of PostgreSQL", &rounds);
    findings.raw.extend(loaded.iter().map(|loaded| {
        json!({"resident_bytes": loaded.resident_bytes, "most_resident_bytes": loaded.most_resident_bytes,
            "memory_bytes": loaded.memory_bytes, "json_bytes": loaded.json_bytes, "told_count": loaded.told_count})
    }));
    let figure = |side| Figure::new(side, "rows/s", rounds.values(side, |turn| turn.outcome.success_rate()));
    let title = format!("cold start with {row_count} rows");
    let compare = |peer| Row::new(title.clone(), figure(ONRUSH), Some(figure(peer)), Better::Higher);
    let mut row = compare(COPY).note(
        "from the start of the process until the collection is coherent; psql from its start until it has written the last row to /dev/null",
    );
    row.notes.extend(rounds.doubts());
    let seconds = rounds.values(ONRUSH, |turn| turn.outcome.seconds);
    let least_told = loaded.iter().map(|loaded| loaded.told_count).min().unwrap_or_default();
    let time = Row::new(
        format!("{title}, until coherent"),
        Figure::new(ONRUSH, "s", seconds),
        None,
        Better::Lower,
    )
    .note(format!(
        "GET /v1/catalog was asked every {LOOK_INTERVAL:?} meanwhile: its loading_rows only grew, and had {least_told} different values at least"
    ));
    findings.rows.extend([row, compare(COPY_JSON), time, memory_row(&title, row_count, &loaded)]);
    Ok(findings)
}

/// What rows take in memory.
fn memory_row(title: &str, row_count: u32, loaded: &[Loaded]) -> Row {
    let bytes = |value: fn(&Loaded) -> u64| {
        loaded.iter().map(|loaded| value(loaded) as f64 / f64::from(row_count)).collect::<Vec<_>>()
    };
    let most = bytes(|loaded| loaded.most_resident_bytes).into_iter().fold(0.0, f64::max);
    Row::new(
        format!("{title}, resident memory"),
        Figure::new(ONRUSH, "B a row", bytes(|loaded| loaded.resident_bytes)),
        None,
        Better::Lower,
    )
    .note(format!(
        "of all the process; {most:.0} B a row at most before; it counts {:.0} B a row itself (memory_bytes), of which {:.0} B are JSON",
        bytes(|loaded| loaded.memory_bytes).first().copied().unwrap_or_default(),
        bytes(|loaded| loaded.json_bytes).first().copied().unwrap_or_default()
    ))
}

/// Starts a server and looks at it until it has all rows.
fn load(bench: &Bench, table: &SourceTable<'_>) -> Result<(Outcome, Loaded)> {
    let environment = table.environment(&[("MEMORY_BYTES_MAX", MEMORY_BYTES_MAX)])?;
    let directory = bench.directory("cold-start")?;
    let started = Instant::now();
    let onrush = Onrush::start_bare(&bench.settings.onrush, &directory, &environment)?;
    let (mut told, mut told_count) = (0, 0);
    let last = loop {
        let answer = expect_success(onrush.operator_address, "GET", "/v1/catalog", None)?;
        let listed: Value = serde_json::from_str(&answer.body).context("parse collections")?;
        let collection = &listed["collections"][0];
        if collection["state"] == "coherent" {
            break collection.clone();
        }
        if let Some(count) = collection["loading_rows"].as_u64() {
            ensure!(count >= told, "{told} rows were read, and then {count}");
            told_count += usize::from(count > told);
            told = count;
        }
        ensure!(started.elapsed() < LOAD_TIME_MAX, "not coherent yet: {collection}");
        std::thread::sleep(LOOK_INTERVAL);
    };
    let seconds = started.elapsed().as_secs_f64();
    ensure!(last["rows"] == table.row_count, "not all rows are there: {last}");
    let number = |name: &str| last[name].as_u64().with_context(|| format!("no {name} in {last}"));
    let loaded = Loaded {
        resident_bytes: resident_bytes(&onrush.pids()),
        most_resident_bytes: most_resident_bytes(&onrush.pids()),
        memory_bytes: number("memory_bytes")?,
        json_bytes: number("bytes")?,
        told_count,
    };
    onrush.stop()?;
    Ok((Outcome::of_count(u64::from(table.row_count), seconds, None), loaded))
}

fn copy_to_nowhere(services: &Services, statement: &str, row_count: u32) -> Result<Outcome> {
    let started = Instant::now();
    let status = Command::new("psql")
        .env("PATH", search_path())
        .env("PGPASSWORD", services.get("POSTGRES_PASSWORD")?)
        .args(["--no-psqlrc", "--quiet", "--dbname", services.get("POSTGRES_URL")?, "--command", statement])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .context("run psql")?;
    ensure!(status.success(), "psql ended with {status}: {statement}");
    Ok(Outcome::of_count(u64::from(row_count), started.elapsed().as_secs_f64(), None))
}

//! A target that is away while the log grows over many snapshots: the log is kept for its sink and trimmed afterwards, or the
//! sink is let go and, when an operator says so, begins again with what is left.

use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::Bench;
use crate::activity;
use crate::operator::{self, AGREES, DIFFERS, await_caught_up, await_sink, reconcile, sinks_command};
use crate::server::{Launch, Server};
use crate::targets::{Targets, compare, with_targets};

/// The one that lags, and one to compare with.
const SINKS: [&str; 2] = ["postgres", "redis"];

/// Log written while the target is away; segments and snapshots are of 1 MiB.
const GROWTH_BYTES: u64 = 12 << 20;

/// What the sink may hold back: less than that.
const BACKLOG_BYTES_MAX: u64 = 4 << 20;

/// How long trimming may take once nothing keeps the log.
const TRIM_TIMEOUT: Duration = Duration::from_mins(1);

const SETTINGS: &[(&str, &str)] = &[
    ("ONRUSH_LOG__SEGMENT_BYTES", "1048576"),
    ("ONRUSH_LOG__SNAPSHOT_BYTES", "1048576"),
    ("ONRUSH_SINKS__POSTGRES__BACKLOG_BYTES_MAX", "4194304"),
];

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    with_targets(&mut bench.random.fork(2), |targets| {
        let mut launch = bench.launch()?.with(SETTINGS);
        launch.environment.extend(targets.settings_of(&SINKS)?);
        let mut server = launch.start()?;
        activity::set_up(server.operator())?;
        activity::go_on(server.public(), 100)?;
        await_caught_up(server.operator(), &SINKS)?;
        let mut kept = 0;
        for round in 0..2 {
            kept = keep(&launch, server, targets).with_context(|| format!("round {round}"))?;
            server = launch.start()?;
            await_trimmed(&server, &launch, kept).with_context(|| format!("round {round}"))?;
        }
        server.stop(rustix::process::Signal::TERM)?;
        // Another log, and small snapshots again.
        targets.postgres.clean()?;
        targets.redis.clean()?;
        launch.data = bench.directory.join("let-go");
        let launch = launch.with(&[("ONRUSH_SINKS__POSTGRES__AT_BACKLOG_MAX", "let-go")]);
        let lost = let_go(&launch, targets).context("let go")?;
        Ok(format!(
            "{kept} bytes of log were kept for a sink that then caught up; let go, it left out {lost} events"
        ))
    })
}

/// The log is kept, with a warning, and everything arrives later. The server is killed at the end.
fn keep(launch: &Launch, mut server: Server, targets: &Targets) -> Result<u64> {
    targets.services.kill("postgres")?;
    let before = log_bytes(launch)?;
    grow(launch, &server, before + GROWTH_BYTES)?;
    // Whatever is kept is kept over a restart, too.
    server.kill()?;
    launch.verify_log()?;
    server = launch.start()?;
    let sink = operator::sink(server.operator(), "postgres")?;
    ensure!(sink.backlog_bytes > BACKLOG_BYTES_MAX, "the backlog is {sink:?}");
    let kept = log_bytes(launch)?;
    ensure!(kept >= before + GROWTH_BYTES, "the log was trimmed to {kept} bytes");
    await_output(launch, "backlog_bytes_max")?;
    targets.services.start("postgres")?;
    operator::retry(server.operator(), "postgres")?;
    await_caught_up(server.operator(), &SINKS)?;
    let (rows, entries) = targets.rows_and_entries()?;
    compare(("PostgreSQL", &rows), ("Redis", &entries))?;
    reconcile(launch, "postgres", AGREES)?;
    server.kill()?;
    Ok(kept)
}

/// Writes until the log has so many bytes.
fn grow(launch: &Launch, server: &Server, bytes: u64) -> Result<()> {
    let mut rounds = 0;
    while log_bytes(launch)? < bytes {
        activity::go_on(server.public(), 500)?;
        rounds += 1;
        ensure!(rounds < 400, "the log does not grow: {} bytes", log_bytes(launch)?);
    }
    Ok(())
}

/// With the sink level, new snapshots let the log go.
fn await_trimmed(server: &Server, launch: &Launch, kept: u64) -> Result<()> {
    let started = Instant::now();
    loop {
        activity::go_on(server.public(), 500)?;
        await_caught_up(server.operator(), &SINKS)?;
        let bytes = log_bytes(launch)?;
        if bytes < kept / 2 {
            return Ok(());
        }
        ensure!(started.elapsed() < TRIM_TIMEOUT, "{bytes} bytes are still kept, of {kept}");
    }
}

/// The sink is let go, the log is trimmed, and an operator lets the sink begin again. Returns how many events it lacks.
fn let_go(launch: &Launch, targets: &Targets) -> Result<usize> {
    let server = launch.start()?;
    activity::set_up(server.operator())?;
    activity::go_on(server.public(), 100)?;
    await_caught_up(server.operator(), &SINKS)?;
    targets.services.kill("postgres")?;
    let started = Instant::now();
    let stopped = loop {
        activity::go_on(server.public(), 500)?;
        let sink = operator::sink(server.operator(), "postgres")?;
        if sink.state == "stopped" && oldest_offset(launch)? > sink.sink_offset {
            break sink;
        }
        ensure!(started.elapsed() < TRIM_TIMEOUT, "the log is not trimmed past {sink:?}");
    };
    let reason = stopped.reason.unwrap_or_default();
    ensure!(reason.contains("backlog_bytes_max"), "the reason is {reason:?}");
    targets.services.start("postgres")?;
    targets.postgres.client()?;
    operator::retry(server.operator(), "postgres")?;
    let trimmed = await_sink(server.operator(), "postgres", "a gap", |sink| sink.skippable_offset.is_some())?;
    let from = trimmed.skippable_offset.context("no offset to skip")?;
    let (rows, _) = targets.rows_and_entries()?;
    let last = rows.last_key_value().map_or(0, |(offset, _)| *offset);
    ensure!(last < from, "there is a row {last}, but {from} is said to be missing");
    sinks_command(launch, &["skip", "postgres", &from.to_string()])?;
    await_caught_up(server.operator(), &SINKS)?;
    activity::go_on(server.public(), 50)?;
    await_caught_up(server.operator(), &SINKS)?;
    check_begun_again(launch, targets, from)
}

/// Rows are the entries without one gap, which is recorded, and which is all that reconcile may say anything about.
fn check_begun_again(launch: &Launch, targets: &Targets, from: u64) -> Result<usize> {
    let gaps = targets.postgres.numbers("SELECT from_offset::text, to_offset FROM skipped")?;
    ensure!(gaps.len() == 1 && gaps[0].0 == from.to_string(), "recorded as left out: {gaps:?}");
    let to = gaps[0].1;
    let (rows, mut entries) = targets.rows_and_entries()?;
    let whole = entries.len();
    entries.retain(|offset, _| !(from..to).contains(offset));
    compare(("PostgreSQL", &rows), ("Redis", &entries))?;
    reconcile(launch, "postgres", AGREES).context("the gap is excused")?;
    let offset = rows.last_key_value().map_or(0, |(offset, _)| *offset);
    targets.postgres.execute(&format!("DELETE FROM events WHERE event_offset = {offset}"))?;
    reconcile(launch, "postgres", DIFFERS).context("an event behind the gap is missed")?;
    Ok(whole - entries.len())
}

/// Bytes of all segments.
fn log_bytes(launch: &Launch) -> Result<u64> {
    Ok(segments(launch)?.iter().map(|(_, bytes)| bytes).sum())
}

/// Where the log begins.
fn oldest_offset(launch: &Launch) -> Result<u64> {
    segments(launch)?.iter().map(|(base, _)| *base).min().context("no segments")
}

/// Segments are named by the offset of their first record; each with its bytes.
fn segments(launch: &Launch) -> Result<Vec<(u64, u64)>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(&launch.data).context("list the log")? {
        let entry = entry.context("list the log")?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let base = name.strip_suffix(".seg").and_then(|name| name.split('-').next());
        // What has no number is not in use; what has one may be trimmed between the two looks.
        if let (Some(Ok(base)), Ok(metadata)) = (base.map(str::parse), entry.metadata()) {
            segments.push((base, metadata.len()));
        }
    }
    Ok(segments)
}

fn await_output(launch: &Launch, text: &str) -> Result<()> {
    let started = Instant::now();
    while !fs::read_to_string(&launch.output).context("read server output")?.contains(text) {
        ensure!(started.elapsed() < TRIM_TIMEOUT, "the server says nothing of {text}");
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

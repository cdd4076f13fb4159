//! What millions of reservations cost once they are taken: bytes of memory, bytes of log, and the time to restart with
//! them, from a snapshot and from the log alone, after a kill -9.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::{Value, json};

use crate::disk::tree_bytes;
use crate::engine::EngineOrder;
use crate::process::Usage;
use crate::report::{Better, Figure, Findings, Row, Target};
use crate::servers::{Onrush, Redis};
use crate::setting::{Bench, progress};
use crate::statistics::Spread;

/// Bytes of log between two snapshots: never reached, so that the log alone holds everything.
const WITHOUT_SNAPSHOTS: u64 = 1 << 40;
/// Whenever a segment of 64 MiB is full, so that 5 million reservations leave a snapshot and a tail behind it.
const WITH_SNAPSHOTS: u64 = 32 << 20;
/// As `docs/log-format.md` has it.
const FRAME_HEADER_BYTES: u64 = 48;

/// All of it on the same filled servers, since filling them takes longest.
pub(crate) fn stored(bench: &Bench) -> Result<Findings> {
    let count = bench.settings.reservation_count;
    let log_alone = bench.directory("stored-log")?;
    let snapshot = bench.directory("stored-snapshot")?;
    let redis = bench.directory("stored-redis")?;
    let own = fill_onrush(&log_alone, WITHOUT_SNAPSHOTS, count)?;
    let own_with_snapshots = fill_onrush(&snapshot, WITH_SNAPSHOTS, count)?;
    let peer = fill_redis(&redis, count)?;
    let mut findings = Findings::default();
    let per_reservation = |name: &str, filled: &Filled, bytes: u64| {
        Figure::new(name, "B", vec![bytes as f64 / filled.count as f64])
    };
    let memory = Row::new(
        "memory per confirmed reservation",
        per_reservation("onrush", &own, own.memory_bytes),
        Some(per_reservation("redis", &peer, peer.memory_bytes)),
        Better::Lower,
    )
    .targets(Target::ValueAtMost(100.0), Target::ValueAtMost(64.0))
    .note(format!(
        "{count} reservations without details; growth of the engine's resident memory, used_memory of Redis; \
         with snapshots, {:.0} B",
        own_with_snapshots.memory_bytes as f64 / count as f64
    ));
    let log = Row::new(
        "log per reservation",
        per_reservation("onrush", &own, own.log_bytes),
        Some(per_reservation("redis", &peer, peer.log_bytes)),
        Better::Lower,
    )
    .targets(Target::ValueAtMost(64.0), Target::ValueAtMost(48.0));
    findings.rows.extend([memory, log]);
    findings
        .raw
        .push(json!({"onrush": own.raw, "onrush_with_snapshots": own_with_snapshots.raw, "redis": peer.raw}));
    let covered = match own_with_snapshots.snapshot_offset {
        0 => "too few reservations for a snapshot".to_owned(),
        offset => format!("the snapshot covers {offset} events, the tail has the rest"),
    };
    let mut restarts = restarts(bench, [&log_alone, &snapshot, &redis], count)?;
    restarts.rows[0].notes.push(covered);
    findings.merge(restarts);
    Ok(findings)
}

/// A filled and killed server.
struct Filled {
    count: u64,
    memory_bytes: u64,
    log_bytes: u64,
    snapshot_offset: u64,
    raw: Value,
}

fn fill_onrush(directory: &Path, snapshot_bytes: u64, count: u64) -> Result<Filled> {
    let data = Onrush::data_directory(directory);
    let run = EngineOrder::fill(&data, count, snapshot_bytes)?;
    let rate = run.confirmed_count as f64 / run.seconds;
    progress(&format!("  the engine took {count} reservations, {rate:.0}/s, state {} B", run.state_bytes));
    let log_bytes = run.batch_bytes + run.batch_count * FRAME_HEADER_BYTES;
    let raw = json!({"run": run, "directory_bytes": tree_bytes(&data)});
    Ok(Filled {
        count,
        memory_bytes: run.resident_bytes,
        log_bytes,
        snapshot_offset: run.snapshot_offset,
        raw,
    })
}

fn fill_redis(directory: &Path, count: u64) -> Result<Filled> {
    let redis = Redis::start(directory)?;
    let memory_before = redis.used_memory_bytes()?;
    let run = redis.reserve(count, 4, 64)?;
    let memory_bytes = redis.used_memory_bytes()? - memory_before;
    let log_bytes = tree_bytes(directory);
    let rate = run.confirmed_count as f64 / run.seconds;
    progress(&format!("  redis took {} reservations, {rate:.0}/s pipelined", run.confirmed_count));
    let raw = json!({"fill_rate": rate, "memory_bytes": memory_bytes, "log_bytes": log_bytes});
    redis.kill()?;
    Ok(Filled { count: run.confirmed_count, memory_bytes, log_bytes, snapshot_offset: 0, raw })
}

/// How long a server took until it was ready, and what of that was its own processor time.
#[derive(Debug, Clone, Copy, Serialize)]
struct Restart {
    seconds: f64,
    cpu_seconds: f64,
}

/// Interleaved restarts; every one is killed once it has answered for what it holds.
fn restarts(bench: &Bench, directories: [&Path; 3], count: u64) -> Result<Findings> {
    let [log_alone, snapshot, redis] = directories;
    let (mut by_log, mut by_snapshot, mut by_redis) = (Vec::new(), Vec::new(), Vec::new());
    let mut findings = Findings::default();
    for round in 1..=bench.settings.round_count {
        let from_snapshot = restart_onrush(bench, snapshot, WITH_SNAPSHOTS, count)?;
        let from_log = restart_onrush(bench, log_alone, WITHOUT_SNAPSHOTS, count)?;
        let peer = restart_redis(redis)?;
        progress(&format!(
            "  round {round} restart: snapshot and tail {:.2} s, log alone {:.2} s, redis {:.2} s",
            from_snapshot.seconds, from_log.seconds, peer.seconds
        ));
        findings.raw.push(json!({"round": round, "restart": {
            "snapshot_and_tail": from_snapshot, "log_alone": from_log, "redis": peer}}));
        by_snapshot.push(from_snapshot);
        by_log.push(from_log);
        by_redis.push(peer);
    }
    let rewritten = rewritten_redis(redis)?;
    let [peer_seconds, peer_cpu_seconds] = columns(&by_redis);
    for (way, own) in [("snapshot and tail", by_snapshot), ("log alone", by_log)] {
        let [seconds, cpu_seconds] = columns(&own);
        let rate = count as f64 / median(&seconds);
        let subject = Figure::new("onrush", "s", seconds);
        let peer = Figure::new("redis", "s", peer_seconds.clone());
        let row = Row::new(format!("restart, {way}"), subject, Some(peer), Better::Lower)
            .targets(Target::RatioAtLeast(2.0), Target::RatioAtLeast(5.0))
            .note(format!(
                "{rate:.0} reservations/s; processor time {:.2} s, redis {:.2} s; files in the page cache for both",
                median(&cpu_seconds),
                median(&peer_cpu_seconds)
            ))
            .note(format!("redis needs {rewritten:.2} s after BGREWRITEAOF, its compact form"));
        findings.rows.push(row);
    }
    Ok(findings)
}

fn columns(restarts: &[Restart]) -> [Vec<f64>; 2] {
    [|restart: &Restart| restart.seconds, |restart: &Restart| restart.cpu_seconds]
        .map(|column| restarts.iter().map(column).collect())
}

fn median(values: &[f64]) -> f64 {
    Spread::of(values.iter().copied()).map_or(f64::NAN, |spread| spread.median)
}

fn restart_onrush(bench: &Bench, directory: &Path, snapshot_bytes: u64, count: u64) -> Result<Restart> {
    let environment = [("ONRUSH_LOG__SNAPSHOT_BYTES".to_owned(), snapshot_bytes.to_string())];
    let onrush = Onrush::start(&bench.settings.onrush, directory, &environment)?;
    let cpu_seconds = Usage::of(&onrush.pids()).cpu_seconds;
    let confirmed = onrush.sale_figures("drop")?.quantity_confirmed;
    ensure!(confirmed == count, "{count} reservations were acknowledged, {confirmed} recovered");
    let seconds = onrush.ready_after.as_secs_f64();
    onrush.kill()?;
    Ok(Restart { seconds, cpu_seconds })
}

fn restart_redis(directory: &Path) -> Result<Restart> {
    let redis = Redis::start(directory)?;
    let cpu_seconds = Usage::of(&redis.pids()).cpu_seconds;
    let seconds = redis.ready_after.as_secs_f64();
    redis.kill()?;
    Ok(Restart { seconds, cpu_seconds })
}

fn rewritten_redis(directory: &Path) -> Result<f64> {
    progress("  redis rewrites its log");
    let redis = Redis::start(directory)?;
    redis.rewrite_log().context("rewrite Redis's log")?;
    redis.kill()?;
    Ok(restart_redis(directory)?.seconds)
}

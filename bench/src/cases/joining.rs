//! What it takes to follow a topic of three brokers: how long a node without anything takes until it answers, next to a start from the
//! same log in files, and how far a follower is behind while the leader takes all that it can.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use onrush_log::file::StoredFileLog;
use onrush_log::shared::{LogId, NodeId, RecordKind, RecordNo, SharedRecord};
use onrush_log::{Entry, Format, StoredLog as _};
use serde_json::json;
use std::ops::ControlFlow;

use super::reserve::{ENDLESS, new_customers};
use crate::disk::copy_tree;
use crate::engine::EngineOrder;
use crate::http::expect_success;
use crate::report::{Better, Figure, Findings, Row, Target};
use crate::servers::{Cluster, Onrush, sale_body, shared_log_environment};
use crate::services::Services;
use crate::setting::{Bench, progress};
use crate::shared_topic::{RecordWriter, SharedTopic};
use crate::wrk::Wrk;

/// Bytes of log between two snapshots: never reached, so that all of it is read.
const WITHOUT_SNAPSHOTS: u64 = 1 << 40;
/// Who has written the topic, and is gone.
const WRITER: NodeId = NodeId(9);
const LOG_ID: LogId = LogId(9);
/// Between two looks at a follower.
const LOOK: Duration = Duration::from_millis(3);
const CONNECTION_COUNT: u32 = 1_000;

/// Both.
pub(crate) fn joining(bench: &Bench) -> Result<Findings> {
    let mut findings = replay(bench)?;
    findings.merge(lag(bench)?);
    Ok(findings)
}

/// The same events as a log in files and as a topic, of which everything is read.
fn replay(bench: &Bench) -> Result<Findings> {
    let services = Services::read(&bench.settings.services)?;
    let count = bench.settings.reservation_count;
    let filled = bench.directory("joining-log")?;
    EngineOrder::fill(&filled, count, WITHOUT_SNAPSHOTS)?;
    let environment = shared_log_environment(&services, "joining")?;
    Cluster::prepare_topic(bench, &environment)?;
    let event_count = write_topic(&environment, &filled)?;
    progress(&format!("  {event_count} events are in the topic"));
    let (mut topic, mut files) = (Vec::new(), Vec::new());
    for round in 1..=bench.settings.round_count {
        // Whoever reads that the leader has resigned leads at once, so it answers as soon as it has everything.
        let joined = timed(bench, "joining-topic", None, &environment)?;
        let started = timed(bench, "joining-files", Some(&filled), &[])?;
        progress(&format!("  round {round}: {joined:?} from the topic, {started:?} from files"));
        topic.push(event_count as f64 / joined.as_secs_f64());
        files.push(event_count as f64 / started.as_secs_f64());
    }
    let raw = json!({"events": event_count, "topic": topic, "files": files});
    let (subject, peer) = (Figure::new("topic", "events/s", topic), Figure::new("files", "events/s", files));
    let row = Row::new("replay by a node without anything", subject, Some(peer), Better::Higher)
        .targets(Target::RatioAtLeast(0.8), Target::RatioAtLeast(1.0))
        .note(format!(
            "{event_count} events without a snapshot, from the start of the process until it answers; the node also writes its copy"
        ));
    Ok(Findings { rows: vec![row], costs: Vec::new(), raw: vec![raw] })
}

/// How long a server takes until it answers, on a copy of a directory or without anything.
fn timed(
    bench: &Bench,
    name: &str,
    filled: Option<&Path>,
    environment: &[(String, String)],
) -> Result<Duration> {
    let directory = bench.directory(name)?;
    if let Some(filled) = filled {
        copy_tree(filled, &Onrush::data_directory(&directory))?;
    }
    let server = Onrush::start_bare(&bench.settings.onrush, &directory, environment)?;
    let ready_after = server.ready_after;
    // In good order, so that it resigns.
    server.stop()?;
    Ok(ready_after)
}

/// Writes a log in files into a topic, as a leader that then resigned; returns how many events there are.
fn write_topic(environment: &[(String, String)], filled: &Path) -> Result<u64> {
    let of = |name: &str| {
        let found = environment.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).with_context(|| format!("no {name}"))
    };
    let topic = SharedTopic::open(of("ONRUSH_LOG__BROKERS")?, of("ONRUSH_LOG__TOPIC")?)?;
    let mut leader = Leader { writer: topic.writer()?, sequence: 0, next_offset: 0, time_ms: 0 };
    leader.write(RecordKind::Claim, Entry { payload: b"http://127.0.0.1:9", ..nothing() })?;
    let mut written = Ok(());
    let log = StoredFileLog::open(filled).context("open the log in files")?;
    let read = log.read_visiting(&mut |entry| {
        if entry.event_count > 0 {
            written = leader.write(RecordKind::Batch, entry);
        }
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    written.context("write the topic")?;
    read.map_err(|error| anyhow!("read the log in files: {error:?}"))?;
    leader.write(RecordKind::Resignation, nothing())?;
    let event_count = leader.next_offset;
    leader.writer.finish()?;
    Ok(event_count)
}

fn nothing() -> Entry<'static> {
    Entry { format: Format::V1, epoch: 0, base_offset: 0, event_count: 0, time_ms: 0, payload: b"" }
}

/// Who leads the topic while it is written.
struct Leader {
    writer: RecordWriter,
    sequence: u64,
    next_offset: u64,
    time_ms: u64,
}

impl Leader {
    fn write(&mut self, kind: RecordKind, entry: Entry<'_>) -> Result<()> {
        self.time_ms = self.time_ms.max(entry.time_ms);
        let is_claim = kind == RecordKind::Claim;
        let record = SharedRecord {
            kind,
            format: entry.format,
            log_id: LOG_ID,
            partition: 0,
            node: if kind == RecordKind::Resignation { NodeId::ANY } else { WRITER },
            epoch: (!is_claim).then_some(RecordNo(0)),
            sequence: self.sequence,
            base_offset: self.next_offset,
            time_ms: self.time_ms,
            told_ms: self.time_ms,
            event_count: entry.event_count,
            payload: entry.payload,
        };
        self.sequence += 1;
        self.next_offset += u64::from(entry.event_count);
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        self.writer.write(&bytes, Instant::now())
    }
}

/// How old the newest record is that a follower has read, again and again while the leader takes all that it can.
fn lag(bench: &Bench) -> Result<Findings> {
    let services = Services::read(&bench.settings.services)?;
    let cluster = Cluster::start(bench, &services, "lag", 2)?;
    let leader = cluster.wait_until_level()?;
    let follower = 1 - leader;
    let address = cluster.addresses()[leader];
    let operator = cluster.operator_address(leader);
    expect_success(operator, "PUT", "/v1/sales/drop", Some(&sale_body(ENDLESS)))?;
    let scripts = bench.directory("lag-scripts")?;
    let seconds = bench.settings.turn_seconds;
    let wrk = Wrk { directory: &scripts, connection_count: CONNECTION_COUNT, seconds };
    let (mut p99s, mut raw) = (Vec::new(), Vec::new());
    for round in 1..=bench.settings.round_count {
        let is_over = AtomicBool::new(false);
        let (run, mut lags) = thread::scope(|scope| {
            let watching = scope.spawn(|| watch(&cluster, follower, &is_over));
            let run = wrk.run(address, &new_customers("drop"), &format!("r{round}-"));
            is_over.store(true, Ordering::Relaxed);
            let lags = watching.join().map_err(|_| anyhow!("whoever watches the follower panicked"))??;
            anyhow::Ok((run?, lags))
        })?;
        ensure!(!lags.is_empty(), "the follower told nothing");
        lags.sort_unstable();
        let p99 = lags[(lags.len() * 99).div_ceil(100) - 1] as f64;
        let rate = (run.answer_count - run.refusal_count) as f64 / run.seconds;
        progress(&format!("  round {round}: p99 {p99:.0} ms behind at {rate:.0} reservations/s"));
        raw.push(json!({"round": round, "rate": rate, "lag_p99_ms": p99, "looks": lags.len()}));
        p99s.push(p99);
    }
    let row =
        Row::new("follower behind the leader, p99", Figure::new("onrush", "ms", p99s), None, Better::Lower)
            .targets(Target::ValueAtMost(50.0), Target::ValueAtMost(20.0))
            .note(format!(
                "reservations over {CONNECTION_COUNT} connections as fast as they go; age of the newest record that the follower has read"
            ));
    Ok(Findings { rows: vec![row], costs: Vec::new(), raw })
}

fn watch(cluster: &Cluster, follower: usize, is_over: &AtomicBool) -> Result<Vec<u64>> {
    let mut lags = Vec::new();
    // What was there before the load is old.
    thread::sleep(Duration::from_millis(100));
    while !is_over.load(Ordering::Relaxed) {
        lags.extend(cluster.report(follower)?.lag_ms);
        thread::sleep(LOOK);
    }
    Ok(lags)
}

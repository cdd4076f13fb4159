//! Records of a topic of three brokers without a server: how many bytes a second come into force as a node writes them, and how long a record takes,
//! next to `kafka-producer-perf-test` with records of the same size in topics with the same settings.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;

use crate::report::{Better, Figure, Findings, Row, Target};
use crate::rounds::{Contender, Outcome, Rounds};
use crate::services::Services;
use crate::setting::{Bench, progress};
use crate::shared_topic::SharedTopic;
use crate::targets::{Kafka, SinkTarget as _, place};

/// Sizes of records: of a few events, of many, and of a rush.
const RECORD_BYTES: [usize; 3] = [1 << 10, 16 << 10, 256 << 10];
/// Part of the slower one's rate at which times are taken.
const LOAD: f64 = 0.2;
/// What the peer is tried with first, bytes.
const TRIAL_BYTES: u64 = 16 << 20;
const OURS: &str = "kafka_log";
const PEER: &str = "producer-perf-test";

/// All sizes, rates first and then times.
pub(crate) fn shared_records(bench: &Bench) -> Result<Findings> {
    let kafka = Kafka::cluster(&Services::read(&bench.settings.services)?)?;
    let mut findings = Findings::default();
    for record_bytes in RECORD_BYTES {
        findings.merge(measure(bench, &kafka, record_bytes)?);
    }
    Ok(findings)
}

fn measure(bench: &Bench, kafka: &Kafka, record_bytes: usize) -> Result<Findings> {
    let seconds = bench.settings.turn_seconds as f64;
    let trial_bytes = if bench.settings.is_quick { TRIAL_BYTES / 16 } else { TRIAL_BYTES };
    let trial_count = (trial_bytes / record_bytes as u64).max(20);
    let trial = in_topic(kafka, "trial", |topic| kafka.perf(topic, record_bytes, trial_count, None))?;
    let count = at_least_one(trial.records_per_second * seconds);
    // Nobody compresses it.
    let record = (0..=u8::MAX).cycle().take(record_bytes).collect::<Vec<_>>();
    let mut contenders = [
        Contender {
            name: PEER.into(),
            pids: kafka.pids(),
            turn: Box::new(|turn| {
                let run = in_topic(kafka, turn, |topic| kafka.perf(topic, record_bytes, count, None))?;
                Ok(Outcome::of_count(count, count as f64 / run.records_per_second, None))
            }),
        },
        Contender {
            name: OURS.into(),
            pids: kafka.pids(),
            turn: Box::new(|turn| in_topic(kafka, turn, |topic| write(kafka, topic, &record, seconds))),
        },
    ];
    let rounds = Rounds::interleave(bench, &mut contenders)?;
    drop(contenders);
    let title = format!("records of {} KiB", record_bytes >> 10);
    let mut findings = Findings::of_rounds(&title, &rounds);
    let rates = |name| rounds.values(name, |turn| turn.outcome.success_rate());
    let figure = |name| {
        let megabytes = rates(name).into_iter().map(|rate| rate * record_bytes as f64 / 1e6);
        Figure::new(name, "MB/s", megabytes.collect())
    };
    let mut row = Row::new(format!("{title} in force"), figure(OURS), Some(figure(PEER)), Better::Higher)
        .targets(Target::RatioAtLeast(0.8), Target::RatioAtLeast(1.0));
    row.notes = rounds.doubts();
    row.notes.push(format!(
        "{PEER}: idempotent, acks=all, 5 requests in flight, linger.ms=0, {count} records a turn after a \
         tenth as many that do not count; topics with the same settings on three brokers"
    ));
    findings.rows.push(row);
    let slower = [OURS, PEER].iter().flat_map(|name| rates(name)).fold(f64::INFINITY, f64::min);
    findings.merge(latencies(bench, kafka, &record, (slower * LOAD).max(1.0))?);
    Ok(findings)
}

/// From hand-over to in force, at a rate that leaves both sides room.
fn latencies(bench: &Bench, kafka: &Kafka, record: &[u8], rate: f64) -> Result<Findings> {
    let seconds = bench.settings.turn_seconds as f64;
    let (mut ours, mut peer) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    let mut findings = Findings::default();
    for round in 1..=bench.settings.round_count {
        let count = at_least_one(rate * seconds);
        let run = in_topic(kafka, &format!("l{round}p"), |topic| {
            kafka.perf(topic, record.len(), count, Some(rate))
        })?;
        peer[0].push(run.p50_ms);
        peer[1].push(run.p99_ms);
        let mut times = in_topic(kafka, &format!("l{round}o"), |topic| {
            write_at_rate(kafka, topic, record, (rate, count))
        })?;
        times.sort_unstable();
        let at = |percent: usize| {
            let time = times.get((times.len() * percent).div_ceil(100).saturating_sub(1));
            time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
        };
        ours[0].push(at(50));
        ours[1].push(at(99));
        progress(&format!(
            "  round {round}: p50 {:.2} ms, {PEER} {:.0} ms; p99 {:.2} ms, {PEER} {:.0} ms",
            at(50),
            run.p50_ms,
            at(99),
            run.p99_ms
        ));
        findings.raw.push(json!({"round": round, "record_bytes": record.len(), "rate": rate,
            OURS: [at(50), at(99)], PEER: [run.p50_ms, run.p99_ms]}));
    }
    let kibibytes = record.len() >> 10;
    for (name, [ours, peer], reach) in
        [("p50", [&ours[0], &peer[0]], 0.83), ("p99", [&ours[1], &peer[1]], 0.67)]
    {
        let figure = |name, values: &Vec<f64>| Figure::new(name, "ms", values.clone());
        let title = format!("{name} of a record of {kibibytes} KiB");
        let row = Row::new(title, figure(OURS, ours), Some(figure(PEER, peer)), Better::Lower)
            .targets(Target::RatioAtLeast(reach), Target::RatioAtLeast(1.0))
            .note(format!(
                "{rate:.0} records/s, a fifth of the slower rate; from when a record is due until it is in force, with {PEER} \
                 until it is acknowledged, in whole ms, so that 0 is below a half"
            ));
        findings.rows.push(row);
    }
    Ok(findings)
}

/// As many records as go in so many seconds.
fn write(kafka: &Kafka, topic: &str, record: &[u8], seconds: f64) -> Result<Outcome> {
    let mut writer = SharedTopic::open(kafka.brokers(), topic)?.writer()?;
    // The first one waits for connections.
    writer.write(record, Instant::now())?;
    let started = Instant::now();
    while started.elapsed().as_secs_f64() < seconds {
        writer.write(record, Instant::now())?;
    }
    let count = writer.finish()?.len() as u64;
    Ok(Outcome::of_count(count, started.elapsed().as_secs_f64(), None))
}

/// So many records a second; how long each took but the first.
fn write_at_rate(
    kafka: &Kafka,
    topic: &str,
    record: &[u8],
    (rate, count): (f64, u64),
) -> Result<Vec<Duration>> {
    let mut writer = SharedTopic::open(kafka.brokers(), topic)?.writer()?;
    let warm_up_count = count.div_ceil(10);
    let started = Instant::now();
    for number in 0..count + warm_up_count {
        let due = started + Duration::from_secs_f64(number as f64 / rate);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        writer.write(record, due)?;
    }
    let warm_up_count = usize::try_from(warm_up_count).context("count records")?;
    Ok(writer.finish()?.split_off(warm_up_count))
}

/// Works with a topic that is made with the settings of a log, and removes it afterwards.
fn in_topic<T>(kafka: &Kafka, turn: &str, work: impl FnOnce(&str) -> Result<T>) -> Result<T> {
    let topic = place(turn);
    drop(SharedTopic::open(kafka.brokers(), &topic)?);
    let done = work(&topic);
    kafka.remove_if_there(&topic)?;
    done
}

fn at_least_one(count: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive number below 2^52"
    )]
    let whole = count as u64;
    whole.max(1)
}

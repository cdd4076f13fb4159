//! How fast sinks write a log that is there already, each next to the load generator of its server. onrush's sinks run at the
//! lowest priority; here nothing else runs beside the server, onrush and the benchmark.

use anyhow::{Context, Result};
use serde_json::json;

use crate::drain::{FilledLog, drain};
use crate::meter::Meter;
use crate::report::{Better, Figure, Findings, Row, Target};
use crate::rounds::{Contender, Outcome, Rounds};
use crate::services::Services;
use crate::setting::{Bench, progress};
use crate::targets::{
    Dump, Kafka, Pipelining, Postgres, ProducerSettings, RabbitMq, Redis, SinkTarget,
    UNCONFIRMED_COUNT_MAX as RABBITMQ_WINDOW, with_place,
};

/// Part of a turn's events that a peer tries each of its choices with.
const TRIAL_PART: u64 = 5;

/// Exactly once into tables, next to `pgbench` and to `COPY` of the same rows into the same tables.
pub(crate) fn postgres(bench: &Bench) -> Result<Findings> {
    let target = Postgres::connect(&Services::read(&bench.settings.services)?)?;
    let log = FilledLog::for_turns(bench, &target)?;
    with_model(bench, &log, &target, |model| postgres_next_to_peers(bench, &target, &log, model))
}

/// The peers write rows of `model`, which the sink wrote before.
fn postgres_next_to_peers(
    bench: &Bench,
    target: &Postgres,
    log: &FilledLog,
    model: &str,
) -> Result<Findings> {
    let dump = Dump::take(target, model)?;
    let directory = bench.directory("pgbench")?;
    let insert = |place: &str| {
        let run = target.insert_one_by_one(model, place, bench.settings.turn_seconds, &directory)?;
        Ok((run.inserted_count, run.seconds))
    };
    let copy = |transaction_count: usize| {
        let dump = &dump;
        move |place: &str| {
            dump.prepare(target, place)?;
            let meter = Meter::start(&target.pids(), &[]);
            let seconds = dump.write(target, place, transaction_count)?;
            Ok(Outcome::of_count(dump.event_count(), seconds, Some(meter.stop())))
        }
    };
    let mut contenders = vec![
        timed(target, "pgbench", insert),
        sink(bench, log, target),
        cleaned(target, "COPY", copy(dump.transaction_count)),
        cleaned(target, "COPY, all at once", copy(1)),
    ];
    let rounds = Rounds::interleave(bench, &mut contenders)?;
    drop(contenders);
    let mut findings = compared(&rounds, target, log, "pgbench", [5.0, 10.0])?;
    findings.rows[0]
        .notes
        .push("pgbench: 50 clients, 2 threads, one row of events a transaction, prepared".into());
    let to = |peer| Some(rates(&rounds, peer));
    let by_batches = Row::new("sink to postgres, to COPY", subject(&rounds), to("COPY"), Better::Higher)
        .targets(Target::RatioAtLeast(0.4), Target::RatioAtLeast(0.7))
        .note(format!("{} in {} transactions, as the sink's", dump.row_counts(), dump.transaction_count));
    let whole =
        Row::new("sink to postgres, to one COPY", subject(&rounds), to("COPY, all at once"), Better::Higher);
    findings.rows.extend([by_batches, whole]);
    Ok(findings)
}

/// Acknowledged messages, next to `kafka-producer-perf-test`.
pub(crate) fn kafka(bench: &Bench) -> Result<Findings> {
    let target = Kafka::connect(&Services::read(&bench.settings.services)?)?;
    let log = FilledLog::for_turns(bench, &target)?;
    let records = bench.directory("kafka-records")?.join("records");
    let record_bytes = with_model(bench, &log, &target, |model| target.sample(model, &records))?;
    let produce =
        |place: &str, count: u64, settings| Ok((count, target.produce(place, count, &records, settings)?));
    let (settings, _) = best(&target, log.event_count, ProducerSettings::CHOICES, produce)?;
    let peer = timed(&target, "producer-perf-test", |place| produce(place, log.event_count, settings));
    let rounds = Rounds::interleave(bench, &mut [peer, sink(bench, &log, &target)])?;
    let mut findings = compared(&rounds, &target, &log, "producer-perf-test", [0.6, 0.9])?;
    findings.rows[0].notes.push(format!(
        "producer-perf-test: {}; records of {record_bytes:.0} B, taken from the sink's messages (headers, key and value \
         as one value); its costs include its start and what does not count",
        settings.description()
    ));
    Ok(findings)
}

/// Confirmed messages, next to lapin alone.
pub(crate) fn rabbitmq(bench: &Bench) -> Result<Findings> {
    let target = RabbitMq::connect(&Services::read(&bench.settings.services)?)?;
    let log = FilledLog::for_turns(bench, &target)?;
    let sample = with_model(bench, &log, &target, |model| target.sample(model))?;
    let publish = |place: &str| Ok((log.event_count, target.publish(place, &sample, log.event_count)?));
    let rounds =
        Rounds::interleave(bench, &mut [timed(&target, "lapin", publish), sink(bench, &log, &target)])?;
    let mut findings = compared(&rounds, &target, &log, "lapin", [0.6, 0.9])?;
    findings.rows[0].notes.push(format!(
        "lapin: one connection, one message of {} B with the sink's properties over and over, at most {RABBITMQ_WINDOW} \
         unconfirmed, handed over by 256",
        sample.body_bytes()
    ));
    Ok(findings)
}

/// Entries of a stream, next to `redis-benchmark`.
pub(crate) fn redis(bench: &Bench) -> Result<Findings> {
    let target = Redis::connect(&Services::read(&bench.settings.services)?)?;
    let log = FilledLog::for_turns(bench, &target)?;
    let fields = with_model(bench, &log, &target, |model| target.sample(model, log.event_count / 2))?;
    let add = |place: &str, count: u64, pipelining| {
        let run = target.add(place, &fields, count, pipelining)?;
        Ok((run.added_count, run.seconds))
    };
    let (pipelining, tried) = best(&target, log.event_count, Pipelining::CHOICES, add)?;
    let peer = timed(&target, "redis-benchmark", |place| add(place, log.event_count, pipelining));
    let rounds = Rounds::interleave(bench, &mut [peer, sink(bench, &log, &target)])?;
    let mut findings = compared(&rounds, &target, &log, "redis-benchmark", [0.6, 0.9])?;
    findings.rows[0].notes.push(format!(
        "redis-benchmark: XADD of one entry's fields and values ({} B) over and over, {} connections, -P {}, the best of {tried}",
        fields.iter().map(String::len).sum::<usize>(),
        pipelining.connection_count,
        pipelining.command_count
    ));
    Ok(findings)
}

/// onrush with one sink: every turn has a server, a copy of the log and a place of its own.
fn sink<'a>(bench: &'a Bench, log: &'a FilledLog, target: &'a dyn SinkTarget) -> Contender<'a> {
    cleaned(target, "onrush", move |place| drain(bench, log, target, place))
}

/// A contender of which every turn is given a place, to be removed after it.
fn cleaned<'a>(
    target: &'a dyn SinkTarget,
    name: &str,
    turn: impl Fn(&str) -> Result<Outcome> + 'a,
) -> Contender<'a> {
    let turn = move |run: &str| with_place(target, run, &turn);
    Contender { name: name.into(), pids: target.pids(), turn: Box::new(turn) }
}

/// A load generator that tells what it wrote and in how many seconds.
fn timed<'a>(
    target: &'a dyn SinkTarget,
    name: &str,
    turn: impl Fn(&str) -> Result<(u64, f64)> + 'a,
) -> Contender<'a> {
    cleaned(target, name, move |place| {
        target.prepare(place)?;
        let meter = Meter::start(&target.pids(), &[]);
        let (count, seconds) = turn(place)?;
        Ok(Outcome::of_count(count, seconds, Some(meter.stop())))
    })
}

/// What a look at a place that the sink has written gives.
fn with_model<T>(
    bench: &Bench,
    log: &FilledLog,
    target: &dyn SinkTarget,
    look: impl FnOnce(&str) -> Result<T>,
) -> Result<T> {
    with_place(target, "model", |model| {
        drain(bench, log, target, model)?;
        look(model).context("look at what the sink wrote")
    })
}

/// The choice with which a peer is fastest, and the rates of all.
fn best<C: Copy + std::fmt::Debug>(
    target: &dyn SinkTarget,
    event_count: u64,
    choices: impl IntoIterator<Item = C>,
    turn: impl Fn(&str, u64, C) -> Result<(u64, f64)>,
) -> Result<(C, String)> {
    let mut tried = Vec::new();
    for choice in choices {
        let (count, seconds) = with_place(target, "choice", |place| {
            target.prepare(place)?;
            turn(place, event_count.div_ceil(TRIAL_PART), choice)
        })?;
        progress(&format!("  {choice:?}: {:.0}/s", count as f64 / seconds));
        tried.push((choice, count as f64 / seconds));
    }
    let fastest =
        tried.iter().max_by(|one, other| one.1.total_cmp(&other.1)).context("there is no choice")?.0;
    let rates: Vec<_> = tried.iter().map(|(_, rate)| format!("{rate:.0}/s")).collect();
    Ok((fastest, rates.join(", ")))
}

fn rates(rounds: &Rounds, contender: &str) -> Figure {
    Figure::new(contender, "/s", rounds.values(contender, |turn| turn.outcome.success_rate()))
}

fn subject(rounds: &Rounds) -> Figure {
    rates(rounds, "onrush")
}

/// The first row, costs and raw figures; `ratios` are what to reach and what to aim at.
fn compared(
    rounds: &Rounds,
    target: &dyn SinkTarget,
    log: &FilledLog,
    peer: &str,
    ratios: [f64; 2],
) -> Result<Findings> {
    let title = format!("sink to {}", target.kind());
    let mut findings = Findings::of_rounds(&title, rounds);
    let durability = target.durability()?;
    findings.raw.push(json!({"target": target.kind(), "events": log.event_count, "durability": durability}));
    let [reach, aim] = ratios.map(Target::RatioAtLeast);
    let mut row =
        Row::new(title, subject(rounds), Some(rates(rounds, peer)), Better::Higher).targets(reach, aim).note(
            format!("{} events a turn, each a reservation confirmed at once; {durability}", log.event_count),
        );
    row.notes.extend(rounds.doubts());
    findings.rows.push(row);
    Ok(findings)
}

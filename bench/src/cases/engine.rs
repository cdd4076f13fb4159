//! The engine alone against Redis alone: both without HTTP, both with a real sync before every answer, both with 1,024
//! reservations on their way at once.

use anyhow::Result;

use super::reserve::redis_reserve;
use crate::engine::{EngineOrder, SUBMISSION_CALL_COUNT};
use crate::meter::Meter;
use crate::report::{Better, Figure, Findings, Row, Target};
use crate::rounds::{Contender, Outcome, Rounds};
use crate::servers::Redis;
use crate::setting::{Bench, progress};

/// Submissions of 256 on their way at once, next to 16 connections of Redis with 64 each.
const IN_FLIGHT_COUNT: u64 = 4;
const REDIS_CONNECTION_COUNT: u32 = 16;
const REDIS_PIPELINED_COUNT: u32 = 64;

/// Reservations per second of one partition.
pub(crate) fn engine(bench: &Bench) -> Result<Findings> {
    let redis = Redis::start(&bench.directory("engine-redis")?)?;
    let mut contenders = vec![
        engine_reserve(bench, IN_FLIGHT_COUNT, "onrush"),
        engine_reserve(bench, 1, "onrush, one submission at a time"),
        redis_reserve(&redis, bench.settings.turn_seconds, REDIS_CONNECTION_COUNT, REDIS_PIPELINED_COUNT)?,
    ];
    let rounds = Rounds::interleave(bench, &mut contenders)?;
    drop(contenders);
    let mut findings = Findings::of_rounds("reserve, engine alone", &rounds);
    let figure =
        |side: &str| Figure::new(side, "/s", rounds.values(side, |turn| turn.outcome.success_rate()));
    let mut row =
        Row::new("engine, submissions of 256", figure("onrush"), Some(figure("redis")), Better::Higher)
            .targets(Target::RatioAtLeast(7.6), Target::RatioAtLeast(9.0));
    row.notes = rounds.doubts();
    let alone = figure("onrush, one submission at a time");
    findings.rows.push(row);
    findings.rows.push(Row::new(
        "engine, one submission of 256 at a time",
        alone,
        Some(figure("redis")),
        Better::Higher,
    ));
    Ok(findings)
}

/// Every turn takes a fresh directory and a fresh process.
fn engine_reserve<'a>(bench: &'a Bench, in_flight_count: u64, name: &str) -> Contender<'a> {
    let turn = move |_: &str| {
        let meter = Meter::start(&[], &[]);
        let run = EngineOrder {
            directory: bench.directory("engine-onrush")?,
            seconds: bench.settings.turn_seconds as f64,
            reservation_count: u64::MAX,
            in_flight_count,
            snapshot_bytes: 1 << 40,
        }
        .send()?;
        let batch_calls = run.confirmed_count / run.batch_count.max(1);
        progress(&format!("    {batch_calls} reservations a batch, submitted by {SUBMISSION_CALL_COUNT}"));
        let spent = meter.stop_with(run.usage);
        let mut outcome = Outcome::of_count(run.confirmed_count, run.seconds, Some(spent));
        outcome.refusal_count = run.other_count;
        Ok(outcome)
    };
    Contender { name: name.into(), pids: Vec::new(), turn: Box::new(turn) }
}

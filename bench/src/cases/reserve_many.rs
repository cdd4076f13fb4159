//! Reservations over streams of batches, by the client that users have, next to Redis pipelined. Every reservation is of a
//! customer never seen before.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use onrush_client::{Claim, Client};

use super::reserve::{ENDLESS, redis_reserve};
use crate::report::{Better, Figure, Findings, Row, Target};
use crate::rounds::{Contender, Outcome, Rounds};
use crate::servers::{Onrush, Redis};
use crate::setting::Bench;

/// Claims of one message, as many as the server takes.
const BATCH_CLAIM_COUNT: u64 = 256;
/// Streams, each over a connection of its own, so that all threads of the server have some.
const STREAM_COUNT: u64 = 4;
/// Messages of a stream that are on their way at once: as many as the server reads ahead.
const BATCHES_AHEAD: u64 = 4;
/// 1,024 on their way at once, which is what the streams have with one message each.
const REDIS_CONNECTION_COUNT: u32 = 16;
const REDIS_PIPELINED_COUNT: u32 = 64;

const DEEP: &str = "onrush";
const FLAT: &str = "onrush, one batch of a stream at a time";

/// Durable reservations per second.
pub(crate) fn reserve_many(bench: &Bench) -> Result<Findings> {
    let onrush = Onrush::start_bare(&bench.settings.onrush, &bench.directory("reserve-many-onrush")?, &[])?;
    onrush.put_sale("drop", ENDLESS)?;
    let redis = Redis::start(&bench.directory("reserve-many-redis")?)?;
    let seconds = bench.settings.turn_seconds;
    let mut contenders = vec![
        streams(&onrush, seconds, BATCHES_AHEAD, DEEP),
        streams(&onrush, seconds, 1, FLAT),
        redis_reserve(&redis, seconds, REDIS_CONNECTION_COUNT, REDIS_PIPELINED_COUNT)?,
    ];
    let rounds = Rounds::interleave(bench, &mut contenders)?;
    drop(contenders);
    let mut findings = Findings::of_rounds("reserve over streams of batches", &rounds);
    let figure =
        |side: &str| Figure::new(side, "/s", rounds.values(side, |turn| turn.outcome.success_rate()));
    let row = |name: &str, side| Row::new(name, figure(side), Some(figure("redis")), Better::Higher);
    let mut deep = row("ReserveMany, 4 streams, 4 batches of 256 each", DEEP)
        .targets(Target::RatioAtLeast(4.0), Target::RatioAtLeast(8.0))
        .note(
            "the client of clients/rust in one thread; redis-benchmark with 16 connections, pipelined by 64",
        );
    deep.notes.extend(rounds.doubts());
    findings.rows.extend([deep, row("ReserveMany, 4 streams, a batch of 256 each", FLAT)]);
    onrush.stop()?;
    Ok(findings)
}

/// Checks that the sale's own figure moved by what was answered.
fn streams<'a>(onrush: &'a Onrush, seconds: u64, batches_ahead: u64, name: &str) -> Contender<'a> {
    let turn = move |run: &str| {
        let before = onrush.sale_figures("drop")?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let address = format!("http://{}", onrush.address);
        let started = Instant::now();
        let until = started + Duration::from_secs(seconds);
        let all = (0..STREAM_COUNT).map(|stream| {
            let names = format!("{run}{stream}-");
            reserve_until(&address, names, batches_ahead, until)
        });
        let counts = runtime.block_on(futures_util::future::try_join_all(all))?;
        let elapsed = started.elapsed();
        let success_count = counts.iter().map(|(success_count, _)| success_count).sum();
        let mut outcome = Outcome::of_count(success_count, elapsed.as_secs_f64(), None);
        outcome.refusal_count = counts.iter().map(|(_, refusal_count)| refusal_count).sum();
        let sold = onrush.sale_figures("drop")?.quantity_confirmed - before.quantity_confirmed;
        if sold != success_count {
            outcome.doubts.push(format!("{success_count} reservations were answered, and {sold} units sold"));
        }
        Ok(outcome)
    };
    Contender { name: name.into(), pids: onrush.pids(), turn: Box::new(turn) }
}

/// Reserves on one stream until it is time. Returns how many claims were granted, and how many refused.
async fn reserve_until(
    address: &str,
    names: String,
    batches_ahead: u64,
    until: Instant,
) -> Result<(u64, u64)> {
    let client = Client::connect(address).await?;
    let (batches, mut answers) = client.reserve_many("drop").await?;
    let mut batches = Some(batches);
    let (mut success_count, mut refusal_count) = (0, 0);
    let (mut sent_count, mut answered_count) = (0, 0);
    loop {
        while let Some(open) = batches.as_ref().filter(|_| sent_count - answered_count < batches_ahead) {
            if Instant::now() >= until {
                batches = None;
                break;
            }
            let first = sent_count * BATCH_CLAIM_COUNT;
            let numbers = first..first + BATCH_CLAIM_COUNT;
            open.send(numbers.map(|number| Claim::of(format!("{names}{number}")).line("units", 1)).collect())
                .await?;
            sent_count += 1;
        }
        let Some(ends) = answers.next().await? else { break };
        answered_count += 1;
        let granted = ends.iter().filter(|end| end.is_ok()).count() as u64;
        success_count += granted;
        refusal_count += ends.len() as u64 - granted;
    }
    if answered_count != sent_count {
        bail!("{sent_count} batches were sent, and {answered_count} answered");
    }
    Ok((success_count, refusal_count))
}

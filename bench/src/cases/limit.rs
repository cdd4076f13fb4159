//! Rate limits: what a refusal costs next to nginx refusing by `limit_req`, and what a key takes in memory.

use std::hash::RandomState;
use std::net::Ipv4Addr;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use onrush_gate::{GroupRates, RateLimitSettings, RateLimits, RouteGroup};

use super::reserve::new_customers;
use crate::report::{Better, Figure, Findings, Row, Target};
use crate::rounds::{Contender, Outcome, Rounds};
use crate::servers::{Nginx, Onrush};
use crate::setting::Bench;
use crate::wrk::{Traffic, Wrk};

const CONNECTION_COUNT: u32 = 100;
/// Next to nothing is let through, so a turn measures refusals.
const RATE: &str = "1/m burst 1";
/// Addresses whose memory is measured.
const KEY_COUNT: u32 = 10_000_000;

/// Refusals of reservations and of a page, and bytes a key.
pub(crate) fn limit(bench: &Bench) -> Result<Findings> {
    let limits = ["LIMIT_RESERVE_ADDRESS", "LIMIT_PAGES_ADDRESS"];
    let environment = limits.map(|key| (format!("ONRUSH_GATE__{key}"), RATE.to_owned()));
    let onrush = Onrush::start(&bench.settings.onrush, &bench.directory("limit-onrush")?, &environment)?;
    onrush.put_sale("drop", 1_000)?;
    let nginx = Nginx::start_limited(&bench.directory("limit-nginx")?)?;
    let scripts = bench.directory("limit-scripts")?;
    let wrk =
        Wrk { directory: &scripts, connection_count: CONNECTION_COUNT, seconds: bench.settings.turn_seconds };
    let mut findings = Findings::default();
    let page = Traffic::Same { method: "GET", path: "/v1/counters/x" };
    for (title, traffic) in
        [("refuse by rate limit, POST", new_customers("drop")), ("refuse by rate limit, GET", page)]
    {
        let contender = |name: &str, pids, address| {
            let (wrk, traffic) = (&wrk, traffic.clone());
            let turn = move |run: &str| Ok(refused(wrk.run(address, &traffic, run)?));
            Contender { name: name.into(), pids, turn: Box::new(turn) }
        };
        let mut contenders = vec![
            contender("nginx limit_req", nginx.pids(), nginx.address),
            contender("onrush", onrush.pids(), onrush.address),
        ];
        let rounds = Rounds::interleave(bench, &mut contenders)?;
        drop(contenders);
        let mut part = Findings::of_rounds(title, &rounds);
        let figure = |side| Figure::new(side, "/s", rounds.values(side, |turn| turn.outcome.refusal_rate()));
        let mut row = Row::new(title, figure("onrush"), Some(figure("nginx limit_req")), Better::Higher)
            .targets(Target::RatioAtLeast(0.9), Target::RatioAtLeast(1.1));
        row.notes = rounds.doubts();
        part.rows.push(row);
        findings.merge(part);
    }
    onrush.stop()?;
    findings.rows.push(bytes_a_key()?);
    Ok(findings)
}

/// One request a minute is let through.
fn refused(run: crate::wrk::WrkRun) -> Outcome {
    let mut outcome = Outcome::of_wrk(run, true);
    if outcome.success_count <= 1 {
        outcome.doubts.clear();
    }
    outcome
}

/// The table of a limit that is made for so many addresses and asked by all of them.
fn bytes_a_key() -> Result<Row> {
    let rate = "1/s burst 100".parse().context("parse the rate")?;
    let pages = GroupRates { address: Some(rate), ..GroupRates::default() };
    let settings = RateLimitSettings { keys_max: KEY_COUNT, pages, ..RateLimitSettings::default() };
    let limits = RateLimits::new(&settings, RandomState::new()).context("make the limits")?;
    let started = Instant::now();
    for number in 0..KEY_COUNT {
        let taken = limits.take(RouteGroup::Pages, Ipv4Addr::from_bits(number).into(), 0);
        ensure!(taken.is_ok(), "address {number} was refused its first request");
    }
    let decision_ns = started.elapsed().as_secs_f64() * 1e9 / f64::from(KEY_COUNT);
    let figures = limits.figures();
    let [figure] = figures.as_slice() else { anyhow::bail!("one limit is on: {figures:?}") };
    let bytes = figure.table_bytes as f64 / figure.key_count as f64;
    let row = Row::new(
        "limiter, 10 million addresses",
        Figure::new("onrush", "B a key", vec![bytes]),
        None,
        Better::Lower,
    );
    Ok(row.targets(Target::ValueAtMost(30.0), Target::ValueAtMost(16.0)).note(format!(
        "{} keys in {} bytes, {} forgotten, {decision_ns:.0} ns a decision on a key never seen before",
        figure.key_count, figure.table_bytes, figure.forgotten_count
    )))
}

//! What sinks cost the answers: reservations on a server with four sinks, and on one without. Their targets run on the same
//! machine and take most of what they cost there; elsewhere they would not.

use std::cell::RefCell;
use std::time::Instant;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::json;

use super::latency::{measure, summary};
use super::reserve::{ENDLESS, onrush_reserve};
use crate::drain::wait_for_sink;
use crate::meter::Meter;
use crate::open_loop::OpenLoopRun;
use crate::report::{Better, Figure, Findings, Row, Target};
use crate::rounds::{Contender, Rounds};
use crate::servers::Onrush;
use crate::services::Services;
use crate::setting::{Bench, progress};
use crate::statistics::Spread;
use crate::targets::{Kafka, Postgres, RabbitMq, Redis, SinkTarget, environment, place};
use crate::wrk::Wrk;

const WITH: &str = "onrush with sinks";
const WITHOUT: &str = "onrush without";

/// How far the sinks were behind when a turn ended, and how long they then took.
#[derive(Debug, Clone, Serialize)]
struct CatchUp {
    turn: String,
    /// In the order of the targets.
    lags: Vec<u64>,
    seconds: f64,
}

/// The server with sinks and what they write to.
struct Sinking<'a> {
    onrush: &'a Onrush,
    targets: &'a [Box<dyn SinkTarget>],
    catch_ups: RefCell<Vec<CatchUp>>,
}

/// Rate and p99 of reservations with all four sinks on, to the same with none.
pub(crate) fn sinks_on(bench: &Bench) -> Result<Findings> {
    let services = Services::read(&bench.settings.services)?;
    let targets: [Box<dyn SinkTarget>; 4] = [
        Box::new(Postgres::connect(&services)?),
        Box::new(Kafka::connect(&services)?),
        Box::new(RabbitMq::connect(&services)?),
        Box::new(Redis::connect(&services)?),
    ];
    let place = place("on");
    let done = next_to_none(bench, &targets, &place);
    for target in &targets {
        target.remove(&place)?;
    }
    done
}

fn next_to_none(bench: &Bench, targets: &[Box<dyn SinkTarget>], place: &str) -> Result<Findings> {
    let mut variables = Vec::new();
    for target in targets {
        target.prepare(place)?;
        variables.extend(environment(target.as_ref(), place));
    }
    let with = Onrush::start(&bench.settings.onrush, &bench.directory("sinks-on")?, &variables)?;
    let without = Onrush::start(&bench.settings.onrush, &bench.directory("sinks-off")?, &[])?;
    for onrush in [&with, &without] {
        onrush.put_sale("drop", ENDLESS)?;
    }
    for target in targets {
        wait_for_sink(&with, target.kind(), |sink| sink.state == "running")?;
    }
    let sinking = Sinking { onrush: &with, targets, catch_ups: RefCell::default() };
    let (mut findings, peak) = closed_loop(bench, &sinking, &without)?;
    findings.merge(open_loop(bench, &sinking, &without, peak / 2.0)?);
    findings.merge(sinking.behind()?);
    with.stop()?;
    without.stop()?;
    Ok(findings)
}

/// Also returns the rate of the server without sinks.
fn closed_loop(bench: &Bench, sinking: &Sinking<'_>, without: &Onrush) -> Result<(Findings, f64)> {
    let scripts = bench.directory("sinks-scripts")?;
    let wrk = Wrk { directory: &scripts, connection_count: 100, seconds: bench.settings.turn_seconds };
    let mut contenders = [onrush_reserve(&wrk, without, WITHOUT), sinking.contender(&wrk)];
    let rounds = Rounds::interleave(bench, &mut contenders)?;
    drop(contenders);
    let mut findings = Findings::of_rounds("reserve", &rounds);
    let figure = |side| Figure::new(side, "/s", rounds.values(side, |turn| turn.outcome.success_rate()));
    let peak = Spread::of(figure(WITHOUT).values).context("there was no round")?.median;
    let title = "reserve while four sinks write, 100 connections";
    let mut row = Row::new(title, figure(WITH), Some(figure(WITHOUT)), Better::Higher)
        .targets(Target::RatioAtLeast(0.7), Target::RatioAtLeast(0.9))
        .note("the four targets run on the same cores");
    row.notes.extend(rounds.doubts());
    findings.rows.push(row);
    Ok((findings, peak))
}

/// Both at the same rate, which is half of what the server without sinks reaches.
fn open_loop(bench: &Bench, sinking: &Sinking<'_>, without: &Onrush, rate: f64) -> Result<Findings> {
    let mut findings = Findings::default();
    let (mut own, mut reference) = (Vec::new(), Vec::new());
    let p99_us = |run: &OpenLoopRun| run.latency.value_at_quantile(0.99) as f64 / 1000.0;
    for round in 1..=bench.settings.round_count {
        let plain = measure(bench, without.address, rate, round)?;
        let sinks = measure(bench, sinking.onrush.address, rate, round)?;
        sinking.catch_up(&format!("open loop {round}"))?;
        progress(&format!(
            "  round {round} p99: {:.0} µs with sinks, {:.0} µs without",
            p99_us(&sinks),
            p99_us(&plain)
        ));
        findings
            .raw
            .push(json!({"round": round, "rate": rate, "with": summary(&sinks), "without": summary(&plain)}));
        own.push(p99_us(&sinks));
        reference.push(p99_us(&plain));
    }
    let (own, reference) = (Figure::new(WITH, "µs", own), Figure::new(WITHOUT, "µs", reference));
    let row = Row::new("the same, open loop at half of peak, p99", own, Some(reference), Better::Lower);
    findings.rows.push(row.note(format!("{rate:.0}/s, half of what the server without sinks reaches")));
    Ok(findings)
}

impl Sinking<'_> {
    /// A turn of reservations, and after it, apart from its figures, the wait until the sinks are level.
    fn contender<'a>(&'a self, wrk: &'a Wrk<'_>) -> Contender<'a> {
        let mut reserve = onrush_reserve(wrk, self.onrush, WITH);
        let pids: Vec<u32> = self
            .onrush
            .pids()
            .into_iter()
            .chain(self.targets.iter().flat_map(|target| target.pids()))
            .collect();
        let servers = pids.clone();
        let turn = move |run: &str| {
            let meter = Meter::start(&servers, &[]);
            let mut outcome = (reserve.turn)(run)?;
            outcome.spent = Some(meter.stop());
            self.catch_up(run)?;
            Ok(outcome)
        };
        Contender { name: WITH.into(), pids, turn: Box::new(turn) }
    }

    fn catch_up(&self, turn: &str) -> Result<()> {
        let started = Instant::now();
        let kinds: Vec<_> = self.targets.iter().map(|target| target.kind()).collect();
        let lags: Result<Vec<u64>> =
            kinds.iter().map(|kind| Ok(self.onrush.sink(kind)?.lag_events)).collect();
        for kind in kinds {
            wait_for_sink(self.onrush, kind, |sink| sink.lag_events == 0)?;
        }
        let catch_up = CatchUp { turn: turn.into(), lags: lags?, seconds: started.elapsed().as_secs_f64() };
        progress(&format!("    behind by {:?}, level after {:.1} s", catch_up.lags, catch_up.seconds));
        self.catch_ups.borrow_mut().push(catch_up);
        Ok(())
    }

    /// Rows about the sinks themselves.
    fn behind(&self) -> Result<Findings> {
        let catch_ups = self.catch_ups.borrow();
        let mut findings = Findings::default();
        findings.raw.push(json!({"catch_ups": *catch_ups}));
        let title = "behind when a turn ends";
        for (index, target) in self.targets.iter().enumerate() {
            let lags = catch_ups.iter().map(|catch_up| catch_up.lags[index] as f64).collect();
            let figure = Figure::new(target.kind(), "events", lags);
            findings.rows.push(Row::new(format!("{} {title}", target.kind()), figure, None, Better::Lower));
            let figures = self.onrush.sink(target.kind())?;
            let mut notes = vec![target.durability()?];
            if let Some(error) = figures.last_error {
                notes.push(format!("{} failures, the last: {}", figures.failure_count, error.error));
            }
            if let Some(row) = findings.rows.last_mut() {
                row.notes = notes;
            }
        }
        let seconds = catch_ups.iter().map(|catch_up| catch_up.seconds).collect();
        let figure = Figure::new("onrush", "s", seconds);
        findings.rows.push(Row::new("all four level after", figure, None, Better::Lower));
        Ok(findings)
    }
}

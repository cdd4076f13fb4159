//! What a storm of log-ins does to reservations: their p99, open loop at half of peak, with the storm and without it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::json;
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};

use super::latency::{measure, summary};
use super::reserve::{ENDLESS, new_customers};
use crate::http::{exchange, expect_success};
use crate::open_loop::OpenLoopRun;
use crate::report::{Better, Figure, Findings, Row, Target};
use crate::servers::Onrush;
use crate::setting::{Bench, progress};
use crate::statistics::Spread;
use crate::wrk::Wrk;

/// Who log in at the same time, again and again, with a wrong password: twice what the server lets wait.
const CLIENT_COUNT: usize = 128;
/// How long one waits who was refused at once: as `Retry-After` says.
const PAUSE: Duration = Duration::from_secs(1);
/// Before each measurement, with the storm and without: a disk that lets bursts through has to have as many of them left.
const REST: Duration = Duration::from_secs(3);
/// How long it may take until so many wait that one is refused.
const FILL_TIME_MAX: Duration = Duration::from_secs(30);
const QUIET: &str = "no storm";
const STORM: &str = "storm";

/// What clients of the storm were told.
#[derive(Default)]
struct LogIns {
    checked: AtomicU64,
    refused: AtomicU64,
}

/// What happened while it was measured.
#[derive(Default)]
struct StormTotals {
    checked_count: u64,
    refused_count: u64,
    seconds: f64,
}

/// Reservations while nobody logs in and while everybody does, in turn.
pub(crate) fn storm(bench: &Bench) -> Result<Findings> {
    let accounts = [("ONRUSH_GATE__ACCOUNTS".to_owned(), "true".to_owned())];
    let onrush = Onrush::start(&bench.settings.onrush, &bench.directory("storm-onrush")?, &accounts)?;
    onrush.put_sale("drop", ENDLESS)?;
    let account = json!({"customer": "ada", "password": "correct horse"});
    expect_success(onrush.address, "POST", "/v1/customers", Some(&account))?;
    let scripts = bench.directory("storm-scripts")?;
    let wrk = Wrk { directory: &scripts, connection_count: 100, seconds: bench.settings.turn_seconds };
    let peak = wrk.run(onrush.address, &new_customers("drop"), "peak-")?;
    let rate = (peak.answer_count - peak.refusal_count) as f64 / peak.seconds / 2.0;
    let mut totals = StormTotals::default();
    let (mut quiet, mut stormy, mut raw) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=bench.settings.round_count {
        let without = || {
            thread::sleep(REST);
            measure(bench, onrush.address, rate, 2 * round)
        };
        let with = || measure(bench, onrush.address, rate, 2 * round + 1);
        // Each comes first in every other round.
        let (without, with) = if round % 2 == 1 {
            let without = without()?;
            (without, in_storm(onrush.address, &mut totals, with)?)
        } else {
            let with = in_storm(onrush.address, &mut totals, with)?;
            (without()?, with)
        };
        progress(&format!(
            "  round {round} p99: {:.0} µs, in a storm {:.0} µs; from when it was sent {:.0} µs and {:.0} µs",
            p99_us(&without),
            p99_us(&with),
            answer_p99_us(&without),
            answer_p99_us(&with)
        ));
        raw.push(json!({"round": round, "rate": rate, QUIET: summary(&without), STORM: summary(&with)}));
        quiet.push(without);
        stormy.push(with);
    }
    onrush.stop()?;
    let notes = notes(rate, &totals, &quiet, &stormy);
    let title = "p99 of reservations in a storm of log-ins, open loop at half of peak";
    let of = |title: &str, p99_us: fn(&OpenLoopRun) -> f64| {
        let figure = |name, runs: &[OpenLoopRun]| Figure::new(name, "µs", runs.iter().map(p99_us).collect());
        Row::new(title, figure(STORM, &stormy), Some(figure(QUIET, &quiet)), Better::Lower)
    };
    let mut whole = of(title, p99_us).targets(Target::RatioAtLeast(0.77), Target::RatioAtLeast(0.9));
    whole.notes = notes;
    let sent = of("the same from when the generator has sent the request", answer_p99_us);
    Ok(Findings { rows: vec![whole, sent], costs: Vec::new(), raw })
}

fn notes(rate: f64, totals: &StormTotals, quiet: &[OpenLoopRun], stormy: &[OpenLoopRun]) -> Vec<String> {
    let per_second = |count: u64| count as f64 / totals.seconds;
    let mut notes = vec![format!(
        "{rate:.0}/s; {CLIENT_COUNT} clients log in again and again, those who were refused at once after a second, as they are told; they run only \
         while a core is idle (SCHED_IDLE). {:.0} passwords a second were checked, {:.0} log-ins a second were refused at once, so that the queue was full",
        per_second(totals.checked_count),
        per_second(totals.refused_count)
    )];
    let other_count: u64 = quiet.iter().chain(stormy).map(|run| run.other_count).sum();
    if other_count > 0 {
        notes.push(format!("{other_count} answers to reservations were not 2xx"));
    }
    let median = |runs: &[OpenLoopRun], value: fn(&OpenLoopRun) -> f64| {
        Spread::of(runs.iter().map(value)).map_or(0.0, |spread| spread.median)
    };
    let both = |value| (median(stormy, value), median(quiet, value));
    let pairs = quiet.iter().zip(stormy);
    let times = |value: fn(&OpenLoopRun) -> f64| {
        let ratios = pairs.clone().map(|(without, with)| value(with) / value(without));
        Spread::of(ratios).map_or_else(String::new, |spread| {
            format!("{:.2} [{:.2} to {:.2}]", spread.median, spread.min, spread.max)
        })
    };
    let (p50, late) = (both(p50_us), both(late_p99_us));
    notes.push(format!(
        "p99 in a storm was {} times the one without; from when the request was sent {} times",
        times(p99_us),
        times(answer_p99_us)
    ));
    notes.push(format!(
        "p50: {:.0} µs in a storm, {:.0} µs without; the generator itself was late by {:.0} µs and {:.0} µs (p99)",
        p50.0, p50.1, late.0, late.1
    ));
    notes
}

fn p99_us(run: &OpenLoopRun) -> f64 {
    run.latency.value_at_quantile(0.99) as f64 / 1000.0
}

fn answer_p99_us(run: &OpenLoopRun) -> f64 {
    run.answer_time.value_at_quantile(0.99) as f64 / 1000.0
}

fn late_p99_us(run: &OpenLoopRun) -> f64 {
    run.lateness.value_at_quantile(0.99) as f64 / 1000.0
}

fn p50_us(run: &OpenLoopRun) -> f64 {
    run.latency.value_at_quantile(0.5) as f64 / 1000.0
}

/// Measures while clients log in, [`REST`] after as many wait as the server lets wait. Adds to `totals` what happened meanwhile.
fn in_storm<T>(
    address: SocketAddr,
    totals: &mut StormTotals,
    measure: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let (is_over, told) = (AtomicBool::new(false), LogIns::default());
    let counts = || (told.checked.load(Ordering::Relaxed), told.refused.load(Ordering::Relaxed));
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENT_COUNT)
            .map(|_| scope.spawn(|| log_in_again_and_again(address, &is_over, &told)))
            .collect();
        let started = Instant::now();
        while counts().1 == 0 && started.elapsed() < FILL_TIME_MAX {
            thread::sleep(Duration::from_millis(10));
        }
        thread::sleep(REST);
        let (before, started) = (counts(), Instant::now());
        let measured = measure();
        let (after, seconds) = (counts(), started.elapsed().as_secs_f64());
        is_over.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().map_err(|_| anyhow!("a client panicked"))??;
        }
        if before.1 == 0 {
            bail!("no log-in was refused within {FILL_TIME_MAX:?}, so that there was no storm");
        }
        totals.checked_count += after.0 - before.0;
        totals.refused_count += after.1 - before.1;
        totals.seconds += seconds;
        measured
    })
}

/// One client of the storm. It takes no time from the server and the generator: those of a real storm are on other machines.
fn log_in_again_and_again(address: SocketAddr, is_over: &AtomicBool, told: &LogIns) -> Result<()> {
    let when_idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, when_idle)
        .context("run a client of the storm while a core is idle")?;
    let credentials = json!({"customer": "ada", "password": "wrong password"});
    while !is_over.load(Ordering::Relaxed) {
        let answer = exchange(address, "POST", "/v1/session", Some(&credentials))?;
        match answer.status {
            401 => drop(told.checked.fetch_add(1, Ordering::Relaxed)),
            503 => {
                told.refused.fetch_add(1, Ordering::Relaxed);
                thread::sleep(PAUSE);
            }
            other => bail!("a log-in was answered {other}: {}", answer.body),
        }
    }
    Ok(())
}

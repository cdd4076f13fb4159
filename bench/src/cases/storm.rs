//! What a storm of log-ins does to reservations: their p99, open loop at half of peak, with the storm and without it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use serde_json::json;

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
const QUIET: &str = "no storm";
const STORM: &str = "storm";

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
    let (checked, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    let (mut quiet, mut stormy, mut raw) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=bench.settings.round_count {
        let without = measure(bench, onrush.address, rate, 2 * round)?;
        let with = in_storm(onrush.address, [&checked, &refused], || {
            measure(bench, onrush.address, rate, 2 * round + 1)
        })?;
        progress(&format!(
            "  round {round} p99: {:.0} µs, in a storm {:.0} µs",
            p99_us(&without),
            p99_us(&with)
        ));
        raw.push(json!({"round": round, "rate": rate, QUIET: summary(&without), STORM: summary(&with)}));
        quiet.push(without);
        stormy.push(with);
    }
    onrush.stop()?;
    let values = |runs: &[OpenLoopRun]| runs.iter().map(p99_us).collect::<Vec<_>>();
    let title = "p99 of reservations in a storm of log-ins, open loop at half of peak";
    let (subject, peer) =
        (Figure::new(STORM, "µs", values(&stormy)), Figure::new(QUIET, "µs", values(&quiet)));
    let mut row = Row::new(title, subject, Some(peer), Better::Lower).note(format!(
        "{rate:.0}/s; {CLIENT_COUNT} clients log in again and again, those who were refused at once after a second, as they are told; {} passwords were checked, {} log-ins were refused at once",
        checked.into_inner(),
        refused.into_inner()
    ));
    row = row.targets(Target::RatioAtLeast(0.77), Target::RatioAtLeast(0.9));
    let other_count: u64 = quiet.iter().chain(&stormy).map(|run| run.other_count).sum();
    if other_count > 0 {
        row = row.note(format!("{other_count} answers to reservations were not 2xx"));
    }
    let median = |runs: &[OpenLoopRun], value: fn(&OpenLoopRun) -> u64| {
        Spread::of(runs.iter().map(|run| value(run) as f64 / 1000.0)).map_or(0.0, |spread| spread.median)
    };
    let p50 = |run: &OpenLoopRun| run.latency.value_at_quantile(0.5);
    let late_p99 = |run: &OpenLoopRun| run.lateness.value_at_quantile(0.99);
    let row = row.note(format!(
        "p50: {:.0} µs in a storm, {:.0} µs without; the generator itself was late by {:.0} µs and {:.0} µs (p99)",
        median(&stormy, p50),
        median(&quiet, p50),
        median(&stormy, late_p99),
        median(&quiet, late_p99)
    ));
    Ok(Findings { rows: vec![row], costs: Vec::new(), raw })
}

fn p99_us(run: &OpenLoopRun) -> f64 {
    run.latency.value_at_quantile(0.99) as f64 / 1000.0
}

/// Measures while clients log in. Counts passwords that were checked, and log-ins that were refused without that.
fn in_storm<T>(
    address: SocketAddr,
    [checked, refused]: [&AtomicU64; 2],
    measure: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let is_over = &is_over;
        let clients: Vec<_> = (0..CLIENT_COUNT)
            .map(|_| {
                scope.spawn(move || -> Result<()> {
                    let credentials = json!({"customer": "ada", "password": "wrong password"});
                    while !is_over.load(Ordering::Relaxed) {
                        let answer = exchange(address, "POST", "/v1/session", Some(&credentials))?;
                        match answer.status {
                            401 => drop(checked.fetch_add(1, Ordering::Relaxed)),
                            503 => {
                                refused.fetch_add(1, Ordering::Relaxed);
                                thread::sleep(PAUSE);
                            }
                            other => bail!("a log-in was answered {other}: {}", answer.body),
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        let measured = measure();
        is_over.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().map_err(|_| anyhow!("a client panicked"))??;
        }
        measured
    })
}

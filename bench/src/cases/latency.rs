//! Open loop at half of the measured peak: how long customers wait when the server is busy but not saturated, in units
//! of what one sync of the same disk takes.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::reserve::{ENDLESS, new_customers};
use crate::http::request_bytes;
use crate::open_loop::{self, OpenLoopRun, Plan};
use crate::report::{Better, Figure, Findings, Row, Target};
use crate::servers::{Nginx, Onrush};
use crate::setting::{Bench, progress};
use crate::wrk::Wrk;

const PERCENTILES: [(f64, &str); 3] = [(50.0, "p50"), (99.0, "p99"), (99.9, "p99.9")];
/// More than are ever busy at half of the peak, so that arrivals rarely wait for a connection.
const CONNECTION_COUNT: usize = 256;

/// Reservations at half of what wrk's closed loop reaches; nginx at the same rate shows the generator's own share.
pub(crate) fn latency(bench: &Bench) -> Result<Findings> {
    let onrush = Onrush::start(&bench.settings.onrush, &bench.directory("latency-onrush")?, &[])?;
    onrush.put_sale("drop", ENDLESS)?;
    let nginx = Nginx::start(&bench.directory("latency-nginx")?)?;
    let scripts = bench.directory("latency-scripts")?;
    let wrk = Wrk { directory: &scripts, connection_count: 100, seconds: bench.settings.turn_seconds };
    let peak = wrk.run(onrush.address, &new_customers("drop"), "peak-")?;
    let rate = (peak.answer_count - peak.refusal_count) as f64 / peak.seconds / 2.0;
    progress(&format!("  half of peak is {rate:.0}/s"));
    let mut syncs = Vec::new();
    let mut own = Vec::new();
    let mut reference = Vec::new();
    let mut raw = Vec::new();
    for round in 1..=bench.settings.round_count {
        let sync_time = bench.sync_time()?;
        let plain = measure(bench, nginx.address, rate, round)?;
        let durable = measure(bench, onrush.address, rate, round)?;
        let p99 = |run: &OpenLoopRun| run.latency.value_at_quantile(0.99) / 1000;
        progress(&format!("  round {round} p99: nginx {} µs, onrush {} µs", p99(&plain), p99(&durable)));
        raw.push(json!({"round": round, "rate": rate, "sync_us": sync_time.as_secs_f64() * 1e6,
            "onrush": summary(&durable), "nginx": summary(&plain)}));
        syncs.push(sync_time.as_secs_f64() * 1e9);
        own.push(durable);
        reference.push(plain);
    }
    let mut findings = Findings { rows: Vec::new(), costs: Vec::new(), raw };
    for (percentile, name) in PERCENTILES {
        findings.rows.push(percentile_row(percentile, name, &syncs, &own, &reference, rate));
    }
    let other_count: u64 = own.iter().map(|run| run.other_count).sum();
    if other_count > 0 {
        findings.rows[0].notes.push(format!("{other_count} answers were not 2xx"));
    }
    onrush.stop()?;
    Ok(findings)
}

/// One turn of reservations by new customers.
pub(super) fn measure(bench: &Bench, address: SocketAddr, rate: f64, round: u32) -> Result<OpenLoopRun> {
    let request = |number: u64| {
        let body = format!(
            "{{\"customer\":\"open-{round}-{number:010}\",\"lines\":[{{\"stock\":\"units\",\"quantity\":1}}]}}"
        );
        request_bytes("POST", "/v1/sales/drop/reservations", Some(&body))
    };
    open_loop::run(&Plan {
        address,
        rate,
        duration: Duration::from_secs(bench.settings.turn_seconds),
        connection_count: CONNECTION_COUNT,
        seed: u64::from(round),
        request: &request,
    })
}

fn percentile_row(
    percentile: f64,
    name: &str,
    syncs: &[f64],
    own: &[OpenLoopRun],
    reference: &[OpenLoopRun],
    rate: f64,
) -> Row {
    let at = |run: &OpenLoopRun| run.latency.value_at_percentile(percentile) as f64;
    let in_syncs = own.iter().zip(syncs).map(|(run, sync)| at(run) / sync).collect();
    let median_us = |runs: &[OpenLoopRun]| {
        let spread = crate::statistics::Spread::of(runs.iter().map(|run| at(run) / 1000.0));
        spread.map_or(0.0, |spread| spread.median)
    };
    let row = Row::new(
        format!("open loop at half of peak, {name}"),
        Figure::new("onrush", "syncs", in_syncs),
        Some(Figure::new(
            "nginx",
            "syncs",
            reference.iter().zip(syncs).map(|(run, sync)| at(run) / sync).collect(),
        )),
        Better::Lower,
    )
    .note(format!("{rate:.0}/s: onrush {:.0} µs, nginx {:.0} µs", median_us(own), median_us(reference)));
    if name == "p99" { row.targets(Target::ValueAtMost(20.0), Target::ValueAtMost(8.0)) } else { row }
}

pub(super) fn summary(run: &OpenLoopRun) -> Value {
    let at = |percentile: f64| run.latency.value_at_percentile(percentile) as f64 / 1000.0;
    json!({
        "success_count": run.success_count, "other_count": run.other_count, "seconds": run.seconds,
        "p50_us": at(50.0), "p90_us": at(90.0), "p99_us": at(99.0), "p99_9_us": at(99.9), "max_us": at(100.0),
        "lateness_p50_us": run.lateness.value_at_percentile(50.0) as f64 / 1000.0,
        "lateness_p99_us": run.lateness.value_at_percentile(99.0) as f64 / 1000.0,
        "answer_time_p50_us": run.answer_time.value_at_percentile(50.0) as f64 / 1000.0,
        "answer_time_p99_us": run.answer_time.value_at_percentile(99.0) as f64 / 1000.0,
    })
}

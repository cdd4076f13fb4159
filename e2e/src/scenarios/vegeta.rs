//! The published load commands of the service that the product inventory stands for: vegeta asks for one product at a steady rate, however
//! fast it is answered. Every answer has to be 200; how long they took is told, and judged by nobody.

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use super::inventory;
use crate::Bench;
use crate::go;

const MODULE: &str = "github.com/tsenart/vegeta/v12";
const VERSION: &str = "v12.13.0";

/// The product that the commands ask for.
const PRODUCT: i64 = 35_586;

/// Requests in each second.
const RATES: [u64; 3] = [1_000, 10_000, 20_000];

/// What `vegeta report -type=json` says; times in nanoseconds.
#[derive(Debug, Deserialize)]
struct Report {
    requests: u64,
    rate: f64,
    throughput: f64,
    latencies: Latencies,
    status_codes: BTreeMap<String, u64>,
    errors: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Latencies {
    #[serde(rename = "50th")]
    p50: u64,
    #[serde(rename = "95th")]
    p95: u64,
    #[serde(rename = "99th")]
    p99: u64,
    max: u64,
}

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    let Some(vegeta) = go::program(&bench.directory, "vegeta", MODULE, VERSION) else {
        return Ok("nothing was checked".to_owned());
    };
    let (server, rows) = match inventory::followed(bench, PRODUCT)? {
        Some(server) => (server, "rows of PostgreSQL"),
        None => (bench.launch()?.arguments(&["--demo"]).start()?, "rows of the demo"),
    };
    let (rates, duration) = if bench.short { (&RATES[..1], "3s") } else { (&RATES[..], "60s") };
    for rate in rates {
        let report = attack(&vegeta, server.public(), *rate, duration)?;
        println!("    {rate}/s for {duration}: {}", report.line());
        ensure!(
            report.status_codes.keys().eq(["200"]) && report.errors.is_empty(),
            "not every answer is 200: {report:?}"
        );
    }
    server.stop(Signal::TERM)?;
    Ok(format!("{} of {rows}, {duration} each", rates.len()))
}

/// `echo "GET http://…/cache?product_id=35586" | vegeta attack -rate=… -duration=…`
fn attack(vegeta: &Path, public: SocketAddr, rate: u64, duration: &str) -> Result<Report> {
    let mut attacking = Command::new(vegeta)
        .args(["attack", &format!("-rate={rate}"), &format!("-duration={duration}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("start vegeta")?;
    let results = attacking.stdout.take().context("the results of vegeta")?;
    let reporting = Command::new(vegeta)
        .args(["report", "-type=json"])
        .stdin(results)
        .stdout(Stdio::piped())
        .spawn()
        .context("start vegeta's report")?;
    let mut targets = attacking.stdin.take().context("the targets of vegeta")?;
    writeln!(targets, "GET http://{public}/cache?product_id={PRODUCT}")?;
    drop(targets);
    let status = attacking.wait().context("wait for vegeta")?;
    let report = reporting.wait_with_output().context("wait for vegeta's report")?;
    ensure!(status.success() && report.status.success(), "vegeta ended with {status} and {}", report.status);
    serde_json::from_slice(&report.stdout).context("read vegeta's report")
}

impl Report {
    fn line(&self) -> String {
        let Self { requests, rate, throughput, latencies, status_codes, .. } = self;
        let [p50, p95, p99, max] =
            [latencies.p50, latencies.p95, latencies.p99, latencies.max].map(|time| time / 1_000);
        format!(
            "{requests} requests, {rate:.1} asked and {throughput:.1} answered in a second, statuses {status_codes:?}, \
             p50 {p50} µs, p95 {p95} µs, p99 {p99} µs, longest {max} µs"
        )
    }
}

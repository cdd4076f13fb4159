//! The onrush binary, driven over its two listeners as any user would.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::http;
use crate::process::{Running, free_port};

/// A restart with millions of reservations must come back within this.
const READY_TIME_MAX: Duration = Duration::from_mins(5);

/// A started onrush.
#[derive(Debug)]
pub(crate) struct Onrush {
    process: Running,
    pub(crate) address: SocketAddr,
    pub(crate) operator_address: SocketAddr,
    /// From the start of the process until `/readyz` answered 200.
    pub(crate) ready_after: Duration,
}

/// The figures of a sale's first stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SaleFigures {
    pub(crate) quantity_confirmed: u64,
    pub(crate) quantity_available: u64,
}

/// A sink as the operator's listener shows it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct SinkFigures {
    pub(crate) state: String,
    pub(crate) reason: Option<String>,
    /// Durable events that are not at the target yet.
    pub(crate) lag_events: u64,
    /// Events sent to the target since the server started.
    pub(crate) written_count: u64,
    pub(crate) failure_count: u64,
    pub(crate) last_error: Option<SinkError>,
}

/// The last trouble of a sink.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct SinkError {
    pub(crate) error: String,
}

impl Onrush {
    /// Serves the data directory `directory/data`, recovering what an earlier server left there. `environment` holds
    /// settings other than the defaults.
    pub(crate) fn start(binary: &Path, directory: &Path, environment: &[(String, String)]) -> Result<Self> {
        Self::start_with(binary, &["--demo"], directory, environment)
    }

    /// The same with nothing on but what `environment` says.
    pub(crate) fn start_bare(
        binary: &Path,
        directory: &Path,
        environment: &[(String, String)],
    ) -> Result<Self> {
        Self::start_with(binary, &[], directory, environment)
    }

    fn start_with(
        binary: &Path,
        flags: &[&str],
        directory: &Path,
        environment: &[(String, String)],
    ) -> Result<Self> {
        let data = Self::data_directory(directory);
        fs::create_dir_all(&data)?;
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let (address, operator_address) = (local(free_port()?), local(free_port()?));
        let mut command = Command::new(binary);
        command.arg("serve").args(flags).args(["--listen", &address.to_string()]);
        command.args(["--operator-listen", &operator_address.to_string(), "--data"]).arg(&data);
        command.envs(environment.iter().cloned());
        let started = Instant::now();
        let mut process = Running::start(&command, "KILL", &directory.join("output"))?;
        process.wait_until(READY_TIME_MAX, Duration::from_millis(2), || {
            http::exchange(address, "GET", "/readyz", None).is_ok_and(|answer| answer.status == 200)
        })?;
        Ok(Self { process, address, operator_address, ready_after: started.elapsed() })
    }

    /// Where a server of `directory` keeps its log.
    pub(crate) fn data_directory(directory: &Path) -> PathBuf {
        directory.join("data")
    }

    pub(crate) fn pids(&self) -> Vec<u32> {
        self.process.pids()
    }

    /// Drains and waits for the end.
    pub(crate) fn stop(self) -> Result<()> {
        self.process.stop(Duration::from_mins(1))
    }

    /// kill -9: what follows is a recovery.
    pub(crate) fn kill(self) -> Result<()> {
        self.process.kill()
    }

    /// Opens a sale with the one stock `units`, one unit per customer, confirmed at once.
    pub(crate) fn put_sale(&self, sale: &str, quantity_total: u64) -> Result<()> {
        let body = sale_body(quantity_total);
        http::expect_success(self.operator_address, "PUT", &format!("/v1/sales/{sale}"), Some(&body))?;
        Ok(())
    }

    pub(crate) fn sale_figures(&self, sale: &str) -> Result<SaleFigures> {
        let answer = http::expect_success(self.address, "GET", &format!("/v1/sales/{sale}"), None)?;
        let body: Value = serde_json::from_str(&answer.body).context("parse a sale")?;
        let figure =
            |name: &str| body["stocks"][0][name].as_u64().with_context(|| format!("no {name} in {body}"));
        Ok(SaleFigures {
            quantity_confirmed: figure("quantity_confirmed")?,
            quantity_available: figure("quantity_available")?,
        })
    }

    /// How far a sink is.
    pub(crate) fn sink(&self, sink: &str) -> Result<SinkFigures> {
        let path = format!("/v1/sinks/{sink}");
        let answer = http::expect_success(self.operator_address, "GET", &path, None)?;
        serde_json::from_str(&answer.body).context("parse a sink")
    }

    /// Adds 1 to a counter.
    pub(crate) fn count(&self, counter: &str) -> Result<()> {
        http::expect_success(self.address, "POST", &format!("/v1/counters/{counter}"), None)?;
        Ok(())
    }

    /// The value of a counter, 0 before it exists.
    pub(crate) fn counter(&self, counter: &str) -> Result<u64> {
        let answer = http::exchange(self.address, "GET", &format!("/v1/counters/{counter}"), None)?;
        if answer.status == 404 {
            return Ok(0);
        }
        let body: Value = serde_json::from_str(&answer.body).context("parse a counter")?;
        body["value"].as_u64().with_context(|| format!("no value in {body}"))
    }

    /// Refusals so far by code, as the server's own metrics count them; empty when it has no such series.
    pub(crate) fn refusal_counts(&self) -> Vec<(String, u64)> {
        let answer = http::exchange(self.operator_address, "GET", "/metrics", None);
        answer.map_or_else(|_| Vec::new(), |answer| parse_refusals(&answer.body))
    }
}

/// The body that opens a sale of one stock `units`.
pub(crate) fn sale_body(quantity_total: u64) -> Value {
    json!({
        "title": "benchmark",
        "per_customer_max": 1,
        "stocks": [{"stock": "units", "title": "units", "quantity_total": quantity_total}],
    })
}

/// Series of the Prometheus text format that speak of refusals and carry a `code` label.
fn parse_refusals(metrics: &str) -> Vec<(String, u64)> {
    let series = metrics.lines().filter(|line| line.starts_with("onrush_") && line.contains("refus"));
    series
        .filter_map(|line| {
            let code = line.split_once("code=\"")?.1.split_once('"')?.0;
            let value: f64 = line.rsplit_once(' ')?.1.parse().ok()?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a counter is a whole number"
            )]
            Some((code.to_owned(), value as u64))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_read_from_metrics() {
        let text = "# HELP onrush_refusals x\nonrush_refusals_total{check=\"stock\",code=\"insufficient_stock\"} 41\nonrush_hits_total 3\n";
        assert_eq!(parse_refusals(text), [("insufficient_stock".to_owned(), 41)]);
    }
}

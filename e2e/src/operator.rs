//! Sinks as an operator sees them: on the operator listener, and by the commands `sinks` and `reconcile`.

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use std::net::SocketAddr;
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use crate::http::{self, request};
use crate::server::Launch;

/// How long sinks may take to write what they lack once their targets are there.
const CATCH_UP_TIMEOUT: Duration = Duration::from_mins(3);

/// `reconcile` found no difference.
pub(crate) const AGREES: i32 = 0;
/// `reconcile` could not compare.
pub(crate) const NOT_COMPARED: i32 = 1;
/// `reconcile` found differences.
pub(crate) const DIFFERS: i32 = 5;

/// What `onrush reconcile` ends with if the target agrees so far, and the sink has more to write.
const BEHIND: i32 = 6;

/// One sink.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "the whole shape is checked, not all of it is compared")]
#[allow(clippy::struct_field_names, reason = "the names are those of the contract")]
pub(crate) struct Sink {
    /// Its name.
    pub sink: String,
    /// What it writes to.
    pub kind: String,
    /// `starting`, `running`, `retrying` or `stopped`.
    pub state: String,
    /// Why it stopped.
    pub reason: Option<String>,
    /// What `skip` has to name.
    pub skippable_offset: Option<u64>,
    /// Where it will go on.
    pub sink_offset: u64,
    /// Events that it has not passed.
    pub lag_events: u64,
    /// For how long it has been behind.
    pub lag_ms: u64,
    /// Bytes of log kept for it.
    pub backlog_bytes: u64,
    /// Events handed to the target.
    pub written_count: u64,
    /// Failed attempts.
    pub failure_count: u64,
    /// Events left out.
    pub skipped_count: u64,
    /// The newest failure.
    pub last_error: Option<Failure>,
}

/// A failed attempt.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "the whole shape is checked, not all of it is compared")]
pub(crate) struct Failure {
    /// RFC 3339.
    pub at: String,
    /// What the target said.
    pub error: String,
}

/// Every sink of a server.
pub(crate) fn sinks(operator: SocketAddr) -> Result<Vec<Sink>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sinks {
        sinks: Vec<Sink>,
    }
    let sinks: Sinks = http::once(operator, &request("GET", "/v1/sinks"))?.expect(200)?;
    Ok(sinks.sinks)
}

/// The sink of this name.
pub(crate) fn sink(operator: SocketAddr, name: &str) -> Result<Sink> {
    http::once(operator, &request("GET", &format!("/v1/sinks/{name}")))?.expect(200)
}

/// Tells a sink to try again now.
pub(crate) fn retry(operator: SocketAddr, name: &str) -> Result<Sink> {
    http::once(operator, &request("POST", &format!("/v1/sinks/{name}/retry")))?.expect(200)
}

/// Waits until a sink is as wanted.
pub(crate) fn await_sink(
    operator: SocketAddr,
    name: &str,
    what: &str,
    wanted: impl Fn(&Sink) -> bool,
) -> Result<Sink> {
    let started = Instant::now();
    loop {
        let sink = sink(operator, name)?;
        if wanted(&sink) {
            return Ok(sink);
        }
        ensure!(started.elapsed() < CATCH_UP_TIMEOUT, "waited in vain for {what}: {sink:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until the sinks of these names have written everything; nobody may be writing.
pub(crate) fn await_caught_up(operator: SocketAddr, names: &[&str]) -> Result<()> {
    for name in names {
        let caught_up = |sink: &Sink| sink.state == "running" && sink.lag_events == 0;
        await_sink(operator, name, "a sink that has caught up", caught_up)?;
    }
    Ok(())
}

/// Runs `onrush reconcile`, which must end with this status, and returns what it printed. A sink that caught up a moment ago
/// may not have noted it yet.
pub(crate) fn reconcile(launch: &Launch, name: &str, status: i32) -> Result<String> {
    let started = Instant::now();
    let output = loop {
        let output = launch
            .command()
            .args(["reconcile", name, "--data"])
            .arg(&launch.data)
            .output()
            .context("run reconcile")?;
        let is_early = status == AGREES && output.status.code() == Some(BEHIND);
        if !is_early || started.elapsed() >= CATCH_UP_TIMEOUT {
            break output;
        }
        thread::sleep(Duration::from_millis(50));
    };
    let printed = text(&output);
    ensure!(
        output.status.code() == Some(status),
        "reconcile {name} ended with {} instead of {status}:\n{printed}",
        output.status
    );
    Ok(printed)
}

/// Runs `onrush sinks …` against a server, which must succeed, and returns what it printed.
pub(crate) fn sinks_command(launch: &Launch, arguments: &[&str]) -> Result<String> {
    let output = launch
        .command()
        .arg("sinks")
        .args(arguments)
        .args(["--operator-listen", &launch.operator.to_string()])
        .output()
        .context("run sinks")?;
    let printed = text(&output);
    ensure!(output.status.success(), "sinks {arguments:?} ended with {}:\n{printed}", output.status);
    Ok(printed)
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|stream| String::from_utf8_lossy(stream)).concat()
}

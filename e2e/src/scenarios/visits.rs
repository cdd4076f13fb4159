//! The published check of the visit counter: ten thousand visits by `ab` are ten thousand rows, and the newest is read from a
//! real streaming replica.

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::Bench;
use crate::answers::value_of;
use crate::http::{self, Connection, Response, request};
use crate::operator::{AGREES, await_caught_up, reconcile};
use crate::server::Server;
use crate::targets::{Targets, with_targets};
use crate::tool::AB;

/// Visits of the published command.
const VISIT_COUNT: u64 = 10_000;

/// How long a replica may take to have what its primary has.
const REPLICATION_TIMEOUT: Duration = Duration::from_mins(1);

/// A row as the route shows it; the names are those of the published system.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Visitor {
    #[serde(rename = "ID")]
    id: u64,
    #[serde(rename = "CreatedAt")]
    created_at: String,
    #[serde(rename = "UpdatedAt")]
    updated_at: String,
    #[serde(rename = "DeletedAt")]
    deleted_at: Option<String>,
    counter: u64,
}

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    if !AB.present() {
        return Ok("SKIPPED".into());
    }
    with_targets(&mut bench.random.fork(2), |targets| {
        let services = targets.services.clone();
        services.start("postgres-replica")?;
        targets.postgres.rows = "visit";
        targets.postgres.replica = Some(services.address("POSTGRES_REPLICA_URL")?);
        let mut launch = bench.launch()?.arguments(&["--demo"]);
        launch.environment.extend(targets.settings("postgres")?);
        let server = launch.start()?;
        let url = format!("http://{}/web-counter/increment", server.public());
        let printed = AB.run(&["-n", "10000", "-c", "100", &url])?;
        ensure!(!printed.contains("Non-2xx"), "ab says:\n{printed}");
        await_caught_up(server.operator(), &["postgres"])?;
        check_rows(targets, VISIT_COUNT)?;
        let counter = Connection::open(server.public())?.call(&request("GET", "/v1/counters/web-counter"))?;
        ensure!(value_of(&counter)? == VISIT_COUNT, "the counter says {}", counter.text());
        let lag_ms = await_replicated(&server, VISIT_COUNT)?;
        check_replica_away(&server, targets).context("without the replica")?;
        server.kill()?;
        let server = launch.start()?;
        let visit = http::once(server.public(), &request("GET", "/web-counter/increment"))?;
        ensure!(visit.text() == (VISIT_COUNT + 1).to_string(), "the next visit is {}", visit.text());
        await_caught_up(server.operator(), &["postgres"])?;
        check_rows(targets, VISIT_COUNT + 1).context("after a kill")?;
        await_replicated(&server, VISIT_COUNT + 1)?;
        reconcile(&launch, "postgres", AGREES)?;
        targets.check_secrets(&launch)?;
        Ok(format!("{VISIT_COUNT} visits are as many rows; read from the replica, {lag_ms} ms behind"))
    })
}

/// The table has every number once, in order of its ids.
fn check_rows(targets: &Targets, count: u64) -> Result<()> {
    for (what, query) in [
        ("rows", "SELECT 'rows', count(*) FROM m_visitor"),
        ("different counters", "SELECT 'counters', count(DISTINCT counter) FROM m_visitor"),
        ("the largest counter", "SELECT 'max', max(counter) FROM m_visitor"),
        ("different ids", "SELECT 'ids', count(DISTINCT id) FROM m_visitor"),
    ] {
        let (_, found) = targets.postgres.number(query)?;
        ensure!(found == count, "{what}: {found} instead of {count}");
    }
    // Ids are counted over all counters, and nobody else is counting.
    let (_, steps) =
        targets.postgres.number("SELECT 'steps', count(DISTINCT id - counter) FROM m_visitor")?;
    ensure!(steps == 1, "ids and counters do not grow together");
    let (_, least) = targets.postgres.number("SELECT 'min', min(counter) FROM m_visitor")?;
    ensure!(least == 1, "the least counter is {least}");
    Ok(())
}

/// Reads the newest row by the replica until it has `counter`; returns the lag it tells of.
pub(super) fn await_replicated(server: &Server, counter: u64) -> Result<u64> {
    let started = Instant::now();
    loop {
        let answer = ask_replica(server.public())?;
        let visitor: Visitor = answer.json()?;
        ensure!(visitor.counter <= counter && visitor.deleted_at.is_none(), "the row is {visitor:?}");
        ensure!(visitor.created_at.parse::<jiff::Timestamp>().is_ok(), "created at {}", visitor.created_at);
        ensure!(visitor.updated_at == visitor.created_at, "the row is {visitor:?}");
        // Before the first row nothing is known.
        if visitor.counter > 0 {
            let lag = answer.header("onrush-replica-lag-ms").context("no header for the lag")?;
            let lag_ms = lag.parse::<u64>().with_context(|| format!("the lag is {lag:?}"))?;
            ensure!(visitor.id >= visitor.counter, "the row is {visitor:?}");
            if visitor.counter == counter {
                return Ok(lag_ms);
            }
        }
        ensure!(started.elapsed() < REPLICATION_TIMEOUT, "the replica still shows {visitor:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Asks until the replica answers: on a busy machine it may take too long for one question.
pub(super) fn ask_replica(public: SocketAddr) -> Result<Response> {
    let started = Instant::now();
    loop {
        let answer = http::once(public, &request("GET", "/web-counter/db/"))?;
        let is_unanswered = answer.status == 503 && started.elapsed() < REPLICATION_TIMEOUT;
        ensure!(answer.status == 200 || is_unanswered, "answered {}: {}", answer.status, answer.text());
        if answer.status == 200 {
            return Ok(answer);
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// Without the replica its route says so, and nothing else is touched.
fn check_replica_away(server: &Server, targets: &Targets) -> Result<()> {
    targets.services.kill("postgres-replica")?;
    let answer = http::once(server.public(), &request("GET", "/web-counter/db/"))?;
    let counter = http::once(server.public(), &request("GET", "/v1/counters/web-counter"))?;
    let ready = http::once(server.public(), &request("GET", "/readyz"))?;
    targets.services.start("postgres-replica")?;
    let body: serde_json::Value = answer.json()?;
    ensure!(
        answer.status == 503 && body["status"] == "Unsuccessful" && body["code"] == 503,
        "answered {}: {body}",
        answer.status
    );
    ensure!(answer.header("retry-after").is_some(), "no Retry-After");
    targets.check_text("the answer", &answer.text())?;
    ensure!(
        (counter.status, ready.status) == (200, 200),
        "other routes answer {}, {}",
        counter.status,
        ready.status
    );
    ask_replica(server.public()).context("the replica is back").map(drop)
}

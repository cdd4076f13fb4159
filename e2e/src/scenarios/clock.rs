//! A machine whose clock was a day ahead, is put right, and steps back while the server runs: holds expire by their ttl,
//! windows empty, sales open by the right time, the server says what it sees, and nothing stops.

use anyhow::{Context as _, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::Bench;
use crate::api::Sale;
use crate::http::{self, Connection, request, request_json};
use crate::problem::check_problem;
use crate::server::Server;
use crate::wall_clock::WallClock;

const DAY_S: i64 = 86_400;

/// A wait that is over in seconds unless time stands still.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    let Some(clock) = WallClock::new(&bench.directory)? else {
        return Ok("SKIPPED: it needs libfaketime".to_owned());
    };
    let launch = clock.launch(bench.launch()?);
    clock.set_ahead(DAY_S)?;
    let server = launch.start()?;
    put(&server, "hold", 1_000, None)?;
    put(&server, "later", 1_000, Some(3_600))?;
    let shape = request_json("PUT", "/v1/windows/w", &[], r#"{"span_ms":1000,"precision_ms":100}"#);
    let shaped = http::once(server.operator(), &shape)?;
    ensure!(shaped.status == 200 || shaped.status == 201, "a window is {}: {}", shaped.status, shaped.text());
    holds_end(&server, "early").context("while the clock is a day ahead")?;
    check_reserve(&server, "later", "early", 201, "")?;
    clock.set_ahead(0)?;
    holds_end(&server, "put-right").context("after the clock was put right")?;
    check_reserve(&server, "later", "put-right", 409, "sale_not_open")?;
    check_offset(&server, 86_000..=86_400)?;
    server.kill()?;

    let server = launch.start()?;
    // Messages are written by a thread of their own.
    await_that("the start tells of the log's time", || {
        let output = fs::read_to_string(&launch.output).context("read the server's output")?;
        Ok(output.contains("the log's newest time is"))
    })?;
    holds_end(&server, "restarted").context("after a restart with the right clock")?;
    check_reserve(&server, "later", "restarted", 409, "sale_not_open")?;
    clock.set_ahead(3_601)?;
    check_reserve(&server, "later", "on-time", 201, "")?;
    clock.set_ahead(-DAY_S)?;
    holds_end(&server, "stepped-back").context("after the clock stepped back by a day")?;
    check_reserve(&server, "later", "stepped-back", 409, "sale_not_open")?;
    server.stop(Signal::TERM)?;
    launch.verify_log()?;
    Ok("a day ahead, put right, restarted and a day back: holds end, windows empty, sales open in time"
        .to_owned())
}

/// A sale of one stock that opens so many seconds from now by the right clock.
fn put(server: &Server, sale: &str, hold_ttl_ms: u64, opens_in_s: Option<i64>) -> Result<()> {
    let at = |seconds| Timestamp::now().checked_add(SignedDuration::from_secs(seconds));
    let opens_at = opens_in_s.map(at).transpose()?.map(|time| time.to_string());
    let body = json!({
        "opens_at": opens_at, "hold_ttl_ms": hold_ttl_ms, "stocks": [{"stock": "unit", "quantity_total": 9}],
    });
    let put = request_json("PUT", &format!("/v1/sales/{sale}"), &[], &body.to_string());
    let answer = http::once(server.operator(), &put)?;
    ensure!(answer.status == 201, "put is {}: {}", answer.status, answer.text());
    Ok(())
}

/// A hold that is made now expires, and a window that is hit now empties.
fn holds_end(server: &Server, customer: &str) -> Result<()> {
    check_reserve(server, "hold", customer, 201, "")?;
    let mut connection = Connection::open(server.public())?;
    let hit: Value = connection.call(&request("POST", "/v1/windows/w"))?.expect(200)?;
    ensure!(hit["count"] == 1, "the window was not empty: {hit}");
    await_that("the hold's end", || {
        Ok(Sale::read(&mut connection, "hold")?.stock("unit")?.quantity_held == 0)
    })?;
    await_that("an empty window", || {
        let window: Value = connection.call(&request("GET", "/v1/windows/w"))?.expect(200)?;
        Ok(window["count"] == 0)
    })
}

fn check_reserve(server: &Server, sale: &str, customer: &str, status: u16, code: &str) -> Result<()> {
    let body = json!({"customer": customer, "lines": [{"stock": "unit", "quantity": 1}]});
    let reserve = request_json("POST", &format!("/v1/sales/{sale}/reservations"), &[], &body.to_string());
    let answer = http::once(server.public(), &reserve)?;
    ensure!(answer.status == status, "a reservation of {sale} is {}: {}", answer.status, answer.text());
    if status != 201 {
        let found = check_problem(&answer)?;
        ensure!(found == code, "instead of {code}: {found}");
    }
    Ok(())
}

/// How far the server says that its time is ahead of the clock.
fn check_offset(server: &Server, seconds: std::ops::RangeInclusive<i64>) -> Result<()> {
    let offset = server.metric("onrush_clock_offset_seconds")?;
    let whole: i64 = offset.split('.').next().unwrap_or(&offset).parse().context("read the offset")?;
    ensure!(seconds.contains(&whole), "the server says it is {offset} s ahead of the clock");
    Ok(())
}

fn await_that(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while !is_so()? {
        ensure!(started.elapsed() < TIMEOUT, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

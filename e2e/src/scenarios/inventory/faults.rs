//! What a caller and an operator see when something is wrong.

use anyhow::{Context as _, Result, ensure};
use onrush_proxy::{Mode, Proxy, vacant};
use rustix::process::Signal;
use serde_json::Value;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use super::Run;
use super::shop::{Kept, ask_line, compare, line_target, many_request};
use crate::http::{self, ANSWER_TIMEOUT, Connection, Response, request, request_json};
use crate::scenarios::grpc;
use crate::secret::write_secret;
use crate::server::Server;

/// Connections that the server of one check takes.
const CONNECTIONS_MAX: usize = 8;

/// The server starts without the database, says so, and has the rows soon after the database is there.
pub(super) fn a_database_that_is_not_there_at_the_start_is_waited_for(run: &mut Run<'_>) -> Result<()> {
    let address = vacant()?;
    let prepared = run.launch("absent", Kept::All, run.shop.address().port(), "")?;
    run.shop.prepare(&prepared, "absent")?;
    let launch = run.launch("absent", Kept::All, address.port(), "")?;
    let launch = launch.with(&[("ONRUSH_CATALOG__WAIT_MS_MAX", "300")]);
    let server = launch.start()?;
    for _ in 0..3 {
        expect_problem(&ask_line(server.public(), 1)?, 503, "incoherent")?;
        expect_problem(&http::once(server.public(), &many_request(&[1]))?, 503, "incoherent")?;
    }
    let proxy = Proxy::start_on(address, run.shop.address()).context("start a proxy")?;
    await_answer(&server, &line_target(1), 200)?;
    compare(&server, &mut run.client, &[1, 2])?;
    server.stop(Signal::TERM)?;
    drop(proxy);
    Ok(())
}

/// Over HTTP and over gRPC.
pub(super) fn what_goes_wrong_is_a_status_with_a_code(run: &mut Run<'_>) -> Result<()> {
    let public = run.all.public();
    let post = |body: &str| http::once(public, &request_json("POST", "/v1/product-inventory", &[], body));
    let too_many = (1..=101).collect::<Vec<_>>();
    for (answer, status, code) in [
        (ask_line(public, 777_777)?, 404, "row_not_found"),
        (http::once(public, &request("GET", "/cache?product_id=chair"))?, 400, "invalid_request"),
        (http::once(public, &request("GET", "/cache"))?, 400, "invalid_request"),
        (post("{")?, 400, "invalid_request"),
        (post(r#"{"product_ids":["x"]}"#)?, 400, "invalid_request"),
        (http::once(public, &many_request(&too_many))?, 400, "invalid_request"),
    ] {
        expect_problem(&answer, status, code)?;
    }
    let launch = run.launch("impatient", Kept::Asked, run.shop.address().port(), "")?;
    run.shop.prepare(&launch, "impatient")?;
    let more = [("ONRUSH_CATALOG__WAIT_MS_MAX", "300"), ("ONRUSH_CATALOG__READY_WHEN_COHERENT", "true")];
    let server = launch.with(&more).start()?;
    let mut locking = run.shop.client()?;
    locking.batch_execute("BEGIN; LOCK TABLE product")?;
    expect_problem(&ask_line(server.public(), 1)?, 503, "source_unavailable")?;
    expect_problem(&http::once(server.public(), &many_request(&[1, 2]))?, 503, "source_unavailable")?;
    expect_grpc(run, &server, &[1, 2], "UNAVAILABLE", "source_unavailable")?;
    locking.batch_execute("COMMIT")?;
    expect_grpc(run, &server, &too_many, "INVALID_ARGUMENT", "invalid_request")?;
    if let Some(told) = grpc_answer(run, &server, &[3, 777_777, 2])? {
        let products = told["products"].as_array().map_or(0, Vec::len);
        ensure!(told["status"] == "OK" && told["code"] == 0 && products == 2, "gRPC answers {told}");
    }
    server.stop(Signal::TERM)
}

/// Rows that were found and that were missing, each by its number.
pub(super) fn reads_are_counted_under_their_names(run: &mut Run<'_>) -> Result<()> {
    let all = &run.all;
    let before = (figure(all, "found")?, figure(all, "missing")?);
    for id in [1, 2, 777_777, 3] {
        ask_line(all.public(), id)?;
    }
    let _: Value = http::once(all.public(), &many_request(&[1, 2, 777_777]))?.expect(200)?;
    let more = (figure(all, "found")? - before.0, figure(all, "missing")? - before.1);
    ensure!(more == (5, 2), "of five rows that were found and two that were missing {more:?} are counted");
    Ok(())
}

/// A server that waits for the rows of its sources is live all the time, and ready while they are known.
pub(super) fn readiness_says_whether_the_rows_are_known(run: &mut Run<'_>) -> Result<()> {
    let proxy = Proxy::start(run.shop.address()).context("start a proxy")?;
    let launch = run.launch("ready", Kept::All, proxy.address().port(), "lag_ms_max = 300\n")?;
    run.shop.prepare(&launch, "ready")?;
    let server = launch.with(&[("ONRUSH_CATALOG__READY_WHEN_COHERENT", "true")]).start()?;
    proxy.set(Mode::Refuse);
    await_answer(&server, "/readyz", 503)?;
    expect_problem(&ask_line(server.public(), 1)?, 503, "incoherent")?;
    await_answer(&server, "/livez", 200)?;
    proxy.set(Mode::Pass);
    await_answer(&server, "/readyz", 200)?;
    server.stop(Signal::TERM)
}

/// Readers that wait for the database take the connections there are; one more is refused at once, and the others are answered.
pub(super) fn one_connection_too_many_is_refused(run: &mut Run<'_>) -> Result<()> {
    let launch = run.launch("bounded", Kept::Asked, run.shop.address().port(), "")?;
    run.shop.prepare(&launch, "bounded")?;
    let connections = CONNECTIONS_MAX.to_string();
    let more = [
        ("ONRUSH_SERVER__CONNECTIONS_MAX", connections.as_str()),
        ("ONRUSH_CATALOG__READY_WHEN_COHERENT", "true"),
    ];
    let server = launch.with(&more).start()?;
    let mut locking = run.shop.client()?;
    locking.batch_execute("BEGIN; LOCK TABLE product")?;
    let mut waiting = Vec::new();
    // The connection of the last question whether the server is ready may not have ended yet.
    let begun = Instant::now();
    while waiting.len() < CONNECTIONS_MAX {
        ensure!(begun.elapsed() < ANSWER_TIMEOUT, "only {} connections are taken", waiting.len());
        let mut connection = Connection::open(server.public())?;
        connection.send(&request("GET", &line_target(1)))?;
        connection.set_timeout(Duration::from_millis(200))?;
        if connection.receive(false).is_err_and(|lost| lost == http::Lost::TimedOut) {
            connection.set_timeout(ANSWER_TIMEOUT)?;
            waiting.push(connection);
        }
    }
    expect_problem(&http::once(server.public(), &request("GET", &line_target(2)))?, 503, "overloaded")?;
    locking.batch_execute("COMMIT")?;
    for connection in &mut waiting {
        let answer = connection.receive(false)?;
        ensure!(answer.status == 200, "a reader that waited got {} {}", answer.status, answer.text());
    }
    drop(waiting);
    server.stop(Signal::TERM)
}

/// Statements and the stream of changes.
pub(super) fn the_database_is_reached_with_a_password_over_tls(run: &mut Run<'_>) -> Result<()> {
    let authority = run.services.value("POSTGRES_CA")?;
    let tls = format!("tls = \"verify\"\ntls_ca_file = \"{authority}\"\n");
    let launch = run.launch("encrypted", Kept::All, run.shop.address().port(), &tls)?;
    run.shop.prepare(&launch, "encrypted")?;
    let server = launch.with(&[("ONRUSH_CATALOG__READY_WHEN_COHERENT", "true")]).start()?;
    compare(&server, &mut run.client, &[1])?;
    let sessions = "SELECT count(*), count(*) FILTER (WHERE s.ssl) FROM pg_stat_activity a JOIN pg_stat_ssl s USING (pid) \
         WHERE a.pid IN (SELECT active_pid FROM pg_replication_slots WHERE slot_name = 'onrush_inventory_encrypted')";
    let row = run.client.query_one(sessions, &[])?;
    let (all, encrypted): (i64, i64) = (row.get(0), row.get(1));
    ensure!(all == 1 && encrypted == 1, "of {all} streams {encrypted} are encrypted");
    server.stop(Signal::TERM)?;
    let wrong = launch_with_wrong_password(run)?;
    expect_problem(&ask_line(wrong.public(), 1)?, 503, "incoherent")?;
    await_text(wrong.operator(), "password authentication failed")?;
    wrong.stop(Signal::TERM)
}

fn launch_with_wrong_password(run: &mut Run<'_>) -> Result<Server> {
    let launch = run.launch("unknown", Kept::All, run.shop.address().port(), "")?;
    let password = launch.data.with_file_name("password");
    write_secret(&password, "not the password")?;
    launch.with(&[("ONRUSH_CATALOG__WAIT_MS_MAX", "300")]).start()
}

/// Waits until the operator is told this of the collections.
fn await_text(operator: SocketAddr, words: &str) -> Result<()> {
    let begun = Instant::now();
    loop {
        let text = http::once(operator, &request("GET", "/v1/catalog"))?.text();
        if text.contains(words) {
            return Ok(());
        }
        ensure!(begun.elapsed() < ANSWER_TIMEOUT, "nothing says {words}: {text}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn expect_problem(answer: &Response, status: u16, code: &str) -> Result<()> {
    let problem: Value = answer.json().with_context(|| format!("{} {}", answer.status, answer.text()))?;
    ensure!(
        answer.status == status && problem["code"] == code,
        "not {status} {code}: {} {problem}",
        answer.status
    );
    Ok(())
}

/// Waits until a target is answered with this status.
fn await_answer(server: &Server, target: &str, status: u16) -> Result<()> {
    let begun = Instant::now();
    loop {
        let answer = http::once(server.public(), &request("GET", target))?;
        if answer.status == status {
            return Ok(());
        }
        ensure!(begun.elapsed() < ANSWER_TIMEOUT, "{target} stays {} {}", answer.status, answer.text());
        thread::sleep(Duration::from_millis(20));
    }
}

/// What gRPC's client hears of these products; nothing if there is no such client.
fn grpc_answer(run: &Run<'_>, server: &Server, ids: &[i64]) -> Result<Option<Value>> {
    let Some(environment) = &run.grpc else { return Ok(None) };
    let ids = ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    let ids = ids.iter().map(String::as_str).collect::<Vec<_>>();
    let client = grpc::client(environment, server, "inventory.py", &ids)?;
    Ok(Some(grpc::result_of(client)?))
}

fn expect_grpc(run: &Run<'_>, server: &Server, ids: &[i64], status: &str, reason: &str) -> Result<()> {
    let Some(told) = grpc_answer(run, server, ids)? else { return Ok(()) };
    ensure!(told["status"] == status && told["reason"] == reason, "gRPC is not {status} {reason}: {told}");
    Ok(())
}

/// Rows that were read, by the metric.
fn figure(server: &Server, result: &str) -> Result<u64> {
    let name = format!("onrush_catalog_reads_total{{collection=\"product_inventory\",result=\"{result}\"}}");
    server.metric(&name)?.parse().context("read a figure")
}

//! The full disk: writes are refused, reads go on, and when there is room again writes do too; nothing acknowledged is lost
//! on the way, not even when the process is killed afterwards.

use anyhow::{Context as _, Result, ensure};
use std::thread;
use std::time::{Duration, Instant};

use crate::Bench;
use crate::answers::value_of;
use crate::api::{Reservation, Sale, SaleSettings};
use crate::disk::Disk;
use crate::http::{Connection, request, request_json};
use crate::problem::check_problem;
use crate::server::Server;

/// The size of the file system that is filled.
pub(super) const DISK_BYTES: u64 = 64 << 20;

/// Reservations after which a run says that the disk never fills.
const RESERVATIONS_MAX: u64 = 100_000;

/// Refused additions in a row after which the disk counts as full.
const REFUSALS_IN_A_ROW: u64 = 50;

/// How long the server may take to find out that there is room again.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) const SETTINGS: &[(&str, &str)] =
    &[("ONRUSH_LOG__SEGMENT_BYTES", "4194304"), ("ONRUSH_LOG__SNAPSHOT_BYTES", "1048576")];

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    let Some(disk) = Disk::mount(&bench.directory.join("disk"), DISK_BYTES)? else {
        return Ok("SKIPPED: only root can mount the small file system that this needs".into());
    };
    let mut launch = bench.launch()?.with(SETTINGS);
    launch.data = disk.path.join("data");
    let mut server = launch.start()?;
    put_sale(&server)?;
    let mut taken = Vec::new();
    let mut counted = 0;
    let rounds = if bench.short { 1 } else { 3 };
    for round in 0..rounds {
        disk.fill()?;
        let mut connection = Connection::open(server.public())?;
        write_until_full(&mut connection, round, &mut taken, &mut counted)
            .with_context(|| format!("round {round}"))?;
        check_reads(&mut connection, &taken, counted).context("while the disk is full")?;
        disk.free()?;
        counted += await_room(&mut connection, &mut 0)?;
        taken.push(
            reserve(&mut connection, round, u64::MAX)?.context("with room again a reservation is refused")?,
        );
        check_reads(&mut connection, &taken, counted).context("with room again")?;
        server.kill()?;
        launch.verify_log()?;
        server = launch.start().context("start after the disk was full")?;
        check_reads(&mut Connection::open(server.public())?, &taken, counted).context("after a kill")?;
    }
    counted += full_at_start(&disk, server, &launch, &taken, counted)?;
    Ok(format!("{rounds} rounds, {} reservations and {counted} additions kept", taken.len()))
}

/// The sale of which these functions reserve.
fn put_sale(server: &Server) -> Result<()> {
    let stocks = [("unit", 1_000_000)];
    SaleSettings { sale: "full", stocks: &stocks, per_customer_max: None, hold_ttl_ms: 0, cooldown_ms: 0 }
        .put(server.operator())?;
    Ok(())
}

/// Killed and started again while the disk is full: reads work.
fn full_at_start(
    disk: &Disk,
    server: Server,
    launch: &crate::server::Launch,
    taken: &[String],
    counted: u64,
) -> Result<u64> {
    server.kill()?;
    disk.fill()?;
    let server = launch.start().context("start on a full disk")?;
    let mut connection = Connection::open(server.public())?;
    check_reads(&mut connection, taken, counted).context("started on a full disk")?;
    disk.free()?;
    let added = await_room(&mut connection, &mut 0)?;
    server.stop(rustix::process::Signal::TERM)?;
    Ok(added)
}

/// Writes until neither reservations nor additions are accepted any more, noting what was.
fn write_until_full(
    connection: &mut Connection,
    round: u64,
    taken: &mut Vec<String>,
    counted: &mut u64,
) -> Result<()> {
    let mut refused = 0;
    for number in 0..RESERVATIONS_MAX {
        if let Some(id) = reserve(connection, round, number)? {
            taken.push(id);
            continue;
        }
        let answer = connection.call(&request("POST", "/v1/counters/full"))?;
        if answer.status == 200 {
            *counted += 1;
            refused = 0;
            continue;
        }
        ensure!(answer.status == 503, "an addition was answered {}: {}", answer.status, answer.text());
        check_problem(&answer)?;
        refused += 1;
        if refused == REFUSALS_IN_A_ROW {
            return Ok(());
        }
    }
    anyhow::bail!("{RESERVATIONS_MAX} reservations fitted on a disk of {DISK_BYTES} bytes")
}

/// Reserves with almost 4 KiB of details; `None` when the log is not available.
fn reserve(connection: &mut Connection, round: u64, number: u64) -> Result<Option<String>> {
    let note = "x".repeat(4_000);
    let body = format!(
        r#"{{"customer":"c-{round}-{number}","lines":[{{"stock":"unit","quantity":1}}],"details":{{"note":"{note}"}}}}"#
    );
    let answer = connection.call(&request_json("POST", "/v1/sales/full/reservations", &[], &body))?;
    if answer.status == 503 {
        let code = check_problem(&answer)?;
        ensure!(code == "log_unavailable", "on a full disk the code is {code}");
        return Ok(None);
    }
    Ok(Some(answer.expect::<Reservation>(201)?.reservation))
}

/// Everything acknowledged is readable, nothing else is.
fn check_reads(connection: &mut Connection, taken: &[String], counted: u64) -> Result<()> {
    let sale = Sale::read(connection, "full")?;
    let confirmed = sale.stock("unit")?.quantity_confirmed;
    ensure!(confirmed == taken.len() as u64, "{} were acknowledged, {confirmed} are confirmed", taken.len());
    let requests = taken
        .iter()
        .map(|id| request("GET", &format!("/v1/sales/full/reservations/{id}")))
        .collect::<Vec<_>>();
    for (answer, id) in connection.pipeline(&requests, 16)?.iter().zip(taken) {
        ensure!(answer.status == 200, "reservation {id} is {}: {}", answer.status, answer.text());
    }
    if counted > 0 {
        let answer = connection.call(&request("GET", "/v1/counters/full"))?;
        ensure!(value_of(&answer)? == counted, "{counted} were counted, now: {}", answer.text());
    }
    let live = connection.call(&request("GET", "/livez"))?;
    ensure!(live.status == 200, "livez is {}", live.status);
    Ok(())
}

/// Adds until an addition is accepted, counting those refused; returns how many were accepted, which is one.
pub(super) fn await_room(connection: &mut Connection, refused: &mut u64) -> Result<u64> {
    let started = Instant::now();
    loop {
        let answer = connection.call(&request("POST", "/v1/counters/full"))?;
        if answer.status == 200 {
            return Ok(1);
        }
        *refused += 1;
        ensure!(answer.status == 503, "an addition was answered {}: {}", answer.status, answer.text());
        ensure!(
            started.elapsed() < RECOVERY_TIMEOUT,
            "with room again, writes are still refused: {}",
            answer.text()
        );
        thread::sleep(Duration::from_millis(20));
    }
}

//! The server's own disk is full because of a target that is away: the log is kept for its sink. Writes are refused, and as soon
//! as the target is back and has everything, the log is trimmed and writes go on, without anybody's help.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;

use crate::Bench;
use crate::answers::value_of;
use crate::disk::Disk;
use crate::http::{self, Connection, request, request_json};
use crate::operator::{AGREES, await_caught_up, reconcile, retry};
use crate::problem::check_problem;
use crate::scenarios::disk_full::{DISK_BYTES, SETTINGS, await_room};
use crate::targets::{Targets, compare, with_targets};

/// The one that lags, and one to compare with.
const SINKS: [&str; 2] = ["postgres", "redis"];

/// A sale as large as this is put again and again: the log grows, and what has to be kept for good does not.
const STOCK_COUNT: usize = 200;

/// Refused changes in a row after which the disk counts as full.
const REFUSALS_IN_A_ROW: u64 = 50;

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    let Some(disk) = Disk::mount(&bench.directory.join("disk"), DISK_BYTES)? else {
        return Ok("SKIPPED: only root can mount the small file system that this needs".into());
    };
    with_targets(&mut bench.random.fork(2), |targets| on_small_disk(bench, &disk, targets))
}

fn on_small_disk(bench: &mut Bench, disk: &Disk, targets: &Targets) -> Result<String> {
    let mut launch = bench.launch()?.with(SETTINGS);
    launch.data = disk.path.join("data");
    launch.environment.extend(targets.settings_of(&SINKS)?);
    let mut server = launch.start()?;
    let (mut changes, mut counted, mut refused) = (0, 0, 0);
    let rounds = if bench.short { 1 } else { 4 };
    for round in 0..rounds {
        await_caught_up(server.operator(), &SINKS)?;
        targets.services.kill("postgres")?;
        changes += change_until_full(&mut Connection::open(server.operator())?, changes)
            .with_context(|| format!("round {round}"))?;
        if round % 2 == 0 {
            server.kill()?;
            server = launch.start().context("start on a full disk")?;
        }
        let mut connection = Connection::open(server.public())?;
        counted += add_until_full(&mut connection)?;
        refused += 1;
        targets.services.start("postgres")?;
        retry(server.operator(), "postgres")?;
        counted += await_room(&mut connection, &mut refused).context("with the target back")?;
        await_caught_up(server.operator(), &SINKS)?;
        let (rows, entries) = targets.rows_and_entries()?;
        compare(("PostgreSQL", &rows), ("Redis", &entries))?;
        server.kill()?;
        launch.verify_log()?;
        for kind in SINKS {
            reconcile(&launch, kind, AGREES)?;
        }
        server = launch.start().context("start after the disk was full")?;
        let stored = value_of(&http::once(server.public(), &request("GET", "/v1/counters/full"))?)?;
        // Of a refusal it is not known whether it was counted.
        ensure!(
            (counted..=counted + refused).contains(&stored),
            "{counted} were counted, {stored} are stored"
        );
    }
    Ok(format!("{rounds} rounds, {changes} changes and {counted} additions kept"))
}

/// What has no room for a change may have some for additions; returns how many were accepted.
fn add_until_full(connection: &mut Connection) -> Result<u64> {
    for accepted in 0..DISK_BYTES {
        let answer = connection.call(&request("POST", "/v1/counters/full"))?;
        if answer.status == 503 {
            return Ok(accepted);
        }
        ensure!(answer.status == 200, "an addition was answered {}: {}", answer.status, answer.text());
    }
    bail!("{DISK_BYTES} additions fitted on a disk of as many bytes")
}

/// Changes a sale until that is refused; returns how often it was accepted.
fn change_until_full(operator: &mut Connection, before: u64) -> Result<u64> {
    let (mut accepted, mut refused) = (0, 0);
    for number in before.. {
        let title = "t".repeat(180);
        let stocks: Vec<_> = (0..STOCK_COUNT)
            .map(|stock| json!({"stock": format!("stock-{stock}"), "title": title, "quantity_total": 1_000 + number}))
            .collect();
        let body = json!({"title": format!("change {number}"), "stocks": stocks}).to_string();
        let answer = operator.call(&request_json("PUT", "/v1/sales/wide", &[], &body))?;
        match answer.status {
            200 | 201 => {
                (accepted, refused) = (accepted + 1, 0);
                let bytes = accepted * body.len() as u64;
                ensure!(bytes < 4 * DISK_BYTES, "{bytes} bytes fitted on a disk of {DISK_BYTES}");
            }
            503 => {
                let code = check_problem(&answer)?;
                ensure!(code == "log_unavailable", "on a full disk the code is {code}");
                refused += 1;
                if refused == REFUSALS_IN_A_ROW {
                    return Ok(accepted);
                }
            }
            status => bail!("a change was answered {status}: {}", answer.text()),
        }
    }
    bail!("there are no more numbers")
}

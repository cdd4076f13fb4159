//! The disk of all four targets is full: their servers refuse, hang or die, each in its way. Answers go on, no sink stops for
//! good, and when there is room again and the servers are back, each target has every event.

use anyhow::{Context as _, Result, ensure};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::thread;
use std::time::{Duration, Instant};

use crate::Bench;
use crate::activity;
use crate::disk::Disk;
use crate::operator::{AGREES, await_caught_up, reconcile, retry, sinks};
use crate::scenarios::sinks::arrived::Arrived;
use crate::server::{Launch, Server};
use crate::services::Services;
use crate::targets::{KINDS, Targets};

/// What the four servers share, a few times what they need.
const DISK_BYTES: u64 = 768 << 20;

/// How long the servers may hold out on a full disk; a sink waits half a minute for an answer.
const HOLD_OUT_TIMEOUT: Duration = Duration::from_mins(3);

/// Between two bursts of traffic while they do.
const PAUSE: Duration = Duration::from_millis(200);

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    let Some(services) = Services::find()? else {
        return Ok("SKIPPED: cargo xtask services up tells how to start servers".into());
    };
    let Some(disk) = Disk::mount(&bench.directory.join("targets"), DISK_BYTES)? else {
        return Ok("SKIPPED: only root can mount the small file system that this needs".into());
    };
    // Servers that run as other users have to get there.
    for path in [&bench.directory, &disk.path] {
        fs::set_permissions(path, Permissions::from_mode(0o755)).context("open the directory")?;
    }
    let services = services.at(&disk.path.join("services"));
    let up = services.up(&KINDS)?;
    let told = on_small_disk(bench, &disk, services)?;
    up.purge()?;
    Ok(told)
}

fn on_small_disk(bench: &mut Bench, disk: &Disk, services: Services) -> Result<String> {
    let mut targets = Targets::on(services, &mut bench.random.fork(2))?;
    let mut launch = bench.launch()?;
    targets.kafka.create()?;
    launch.environment.extend(targets.settings_of(&KINDS)?);
    let server = launch.start()?;
    activity::set_up(server.operator())?;
    let mut arrived = Arrived::default();
    let rounds = if bench.short { 1 } else { 4 };
    for round in 0..rounds {
        round_of(&server, &launch, disk, &mut targets, &mut arrived)
            .with_context(|| format!("round {round} of {rounds}"))?;
    }
    server.stop(rustix::process::Signal::TERM)?;
    targets.check_secrets(&launch)?;
    Ok(format!("{rounds} rounds; {arrived}"))
}

fn round_of(
    server: &Server,
    launch: &Launch,
    disk: &Disk,
    targets: &mut Targets,
    arrived: &mut Arrived,
) -> Result<()> {
    activity::go_on(server.public(), 200)?;
    await_caught_up(server.operator(), &KINDS)?;
    write_until_all_fail(server, disk).context("on a full disk")?;
    disk.free()?;
    // A queue that ended for want of room is down until the broker starts again, which is what its operator has to do.
    targets.services.kill("rabbitmq")?;
    for kind in KINDS {
        targets.services.start(kind).with_context(|| format!("start {kind} when there is room again"))?;
        retry(server.operator(), kind)?;
    }
    activity::go_on(server.public(), 100)?;
    await_caught_up(server.operator(), &KINDS)?;
    arrived.check(targets, true)?;
    for kind in KINDS {
        reconcile(launch, kind, AGREES)?;
    }
    Ok(())
}

/// Fills the disk, and whatever a server gives back, until every sink has failed since.
fn write_until_all_fail(server: &Server, disk: &Disk) -> Result<()> {
    let before = sinks(server.operator())?;
    let started = Instant::now();
    loop {
        disk.fill()?;
        activity::go_on(server.public(), 100)?;
        thread::sleep(PAUSE);
        let now = sinks(server.operator())?;
        let stopped = now.iter().find(|sink| sink.state == "stopped");
        ensure!(stopped.is_none(), "a sink stopped: {stopped:?}");
        let well = now.iter().zip(&before).filter(|(now, before)| now.failure_count == before.failure_count);
        let well: Vec<_> = well.map(|(now, _)| now.kind.as_str()).collect();
        if well.is_empty() {
            return Ok(());
        }
        ensure!(started.elapsed() < HOLD_OUT_TIMEOUT, "{well:?} never failed");
    }
}

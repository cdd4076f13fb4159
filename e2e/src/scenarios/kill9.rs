//! The pulled plug: mixed traffic from many connections, SIGKILL at a random moment, a restart on the same directory, and an
//! audit of everything ever acknowledged; then again.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use std::net::SocketAddr;
use std::thread;

use crate::Bench;
use crate::audit::History;
use crate::http::{self, request_json};
use crate::ledger::Record;
use crate::load::{ARGUMENTS, Traffic};
use crate::random::Random;
use crate::run_clock::Clock;
use crate::server::Launch;
use crate::shop::{LONG_WINDOW, RESIZED_SALE, SALES, SHORT_WINDOW};

/// Connections of the traffic.
const CONNECTION_COUNT: u64 = 64;

/// Small segments and frequent snapshots, so that crashes fall into their switching too.
const SETTINGS: &[(&str, &str)] =
    &[("ONRUSH_LOG__SEGMENT_BYTES", "1048576"), ("ONRUSH_LOG__SNAPSHOT_BYTES", "1048576")];

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    let launch = bench.launch()?.with(SETTINGS).arguments(ARGUMENTS);
    let clock = Clock::start();
    let traffic = Traffic::new(clock);
    let mut history = History::new(clock);
    let mut random = bench.random.fork(1);
    let mut server = launch.start()?;
    set_up(server.operator(), true)?;
    let cycles = bench.cycles(8, 40);
    for cycle in 0..cycles {
        let place = || format!("cycle {cycle} of {cycles}");
        let pause = random.span_ms(20, 400);
        let mut killed_ns = 0;
        let (public, operator) = (server.public(), server.operator());
        let records = traffic
            .drive(public, operator, CONNECTION_COUNT, &random.fork(cycle + 1), || {
                thread::sleep(pause);
                killed_ns = clock.now_ns();
                server.kill()
            })
            .with_context(place)?;
        check_answered(&records, killed_ns).with_context(place)?;
        history.absorb(records).with_context(place)?;
        launch.verify_log().with_context(place)?;
        if random.chance(25) {
            kill_in_recovery(&launch, &mut random).with_context(place)?;
        }
        let sync = *random.pick(&["fdatasync", "direct"]);
        server = launch.clone().with(&[("ONRUSH_LOG__SYNC", sync)]).start().with_context(place)?;
        history.audit(&server, &mut random).with_context(place)?;
        set_up(server.operator(), false).with_context(place)?;
        if cycle % 10 == 9 {
            println!("    {}: {}", place(), history.tally);
        }
    }
    history.audit_all(&server)?;
    server.stop(rustix::process::Signal::TERM)?;
    let server = launch.start().context("start after the last, orderly stop")?;
    history.audit(&server, &mut random).context("after the last, orderly stop")?;
    Ok(format!("{cycles} cycles, {}", history.tally))
}

/// Starts a process and kills it before or while it recovers.
pub(super) fn kill_in_recovery(launch: &Launch, random: &mut Random) -> Result<()> {
    let mut child = launch.spawn()?;
    thread::sleep(random.span_ms(0, 30));
    child.kill().context("kill a recovering server")?;
    child.wait().context("wait for a killed server")?;
    launch.verify_log().context("after a kill in recovery")
}

/// Puts the sales and windows of the traffic; doing so again changes nothing, except that the sale which an operator resizes
/// is only put the first time.
pub(crate) fn set_up(operator: SocketAddr, first: bool) -> Result<()> {
    for sale in SALES.iter().filter(|sale| first || sale.sale != RESIZED_SALE) {
        let shown = sale.put(operator)?;
        ensure!(shown.stocks.len() == sale.stocks.len(), "{shown:?} is not what was put");
    }
    for (window, span_ms, precision_ms) in [(LONG_WINDOW, 86_400_000, 10_000), (SHORT_WINDOW, 2_000, 100)] {
        let body = json!({"span_ms": span_ms, "precision_ms": precision_ms}).to_string();
        let answer = http::once(operator, &request_json("PUT", &format!("/v1/{window}"), &[], &body))?;
        ensure!(matches!(answer.status, 200 | 201), "put {window}: {} {}", answer.status, answer.text());
    }
    Ok(())
}

/// While the server lives it may not drop a request without an answer.
pub(crate) fn check_answered(records: &[Record], killed_ns: u64) -> Result<()> {
    for record in records {
        if let Some(lost) = record.lost() {
            ensure!(record.times().ended_ns >= killed_ns, "before the kill, {lost}: {record:?}");
        }
    }
    Ok(())
}

//! Who watches the watcher: after traffic that the history knows, something happens that it does not know, and the audit
//! must notice. A harness that lets any of this pass proves nothing when it passes.

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use std::fs;
use std::thread;

use crate::Bench;
use crate::audit::History;
use crate::disk::copy_directory;
use crate::http::{Connection, request, request_json};
use crate::load::{ARGUMENTS, Traffic};
use crate::operator_traffic::DENIAL_REASON;
use crate::random::Random;
use crate::run_clock::Clock;
use crate::scenarios::kill9::set_up;
use crate::server::{Launch, Server};
use crate::shop::LONG_WINDOW;

const CONNECTION_COUNT: u64 = 16;

/// What it is, who asks for it, and a request that the history is not told of.
type Secret = (&'static str, By, fn(&History) -> Vec<u8>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Client,
    Operator,
}

/// Each of them must be noticed.
const SECRETS: &[Secret] = &[
    ("an addition", By::Client, |_| request("POST", "/v1/counters/visits-0?by=3")),
    ("a hit of the long window", By::Client, |_| request("POST", &format!("/v1/{LONG_WINDOW}"))),
    ("a stranger's reservation", By::Client, |_| reserve("stranger")),
    ("a reservation for a known customer", By::Client, |history| reserve(&history.held_reservation().2)),
    ("a confirmation", By::Client, |history| step(history, "confirm")),
    ("a release", By::Client, |history| step(history, "release")),
    ("an entry of the denylist", By::Operator, |_| {
        let body = format!(r#"{{"reason":"{DENIAL_REASON}"}}"#);
        request_json("PUT", "/v1/denylist/customer/p50", &[], &body)
    }),
];

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    let mut launch = bench.launch()?.arguments(ARGUMENTS);
    for (at, (what, by, secret)) in SECRETS.iter().enumerate() {
        launch.data = bench.directory.join(format!("data-{at}"));
        let (server, _, mut history) = traffic(bench, &launch)?;
        let listener = if *by == By::Operator { server.operator() } else { server.public() };
        let answer = Connection::open(listener)?.call(&secret(&history))?;
        ensure!(answer.status < 300, "{what} was answered {}: {}", answer.status, answer.text());
        let audit = history.audit(&server, &mut bench.random);
        ensure!(audit.is_err(), "nobody noticed {what}");
    }
    for with_traffic in [true, false] {
        launch.data = bench.directory.join(format!("rolled-back-{with_traffic}"));
        rolled_back(bench, &launch, with_traffic).context("a data directory that is put back")?;
    }
    Ok(format!("{} secrets and a rolled-back directory were noticed", SECRETS.len()))
}

/// A server on fresh data with some traffic behind it, all of it known and sound.
fn traffic(bench: &mut Bench, launch: &Launch) -> Result<(Server, Traffic, History)> {
    let clock = Clock::start();
    let traffic = Traffic::new(clock);
    let mut history = History::new(clock);
    let server = launch.start()?;
    set_up(server.operator(), true)?;
    more(bench, &server, &traffic, &mut history)?;
    history.audit(&server, &mut bench.random).context("before anything secret")?;
    Ok((server, traffic, history))
}

fn more(bench: &mut Bench, server: &Server, traffic: &Traffic, history: &mut History) -> Result<()> {
    let pause = bench.random.span_ms(50, 100);
    let random = Random::new(bench.random.next());
    let records = traffic.drive(server.public(), server.operator(), CONNECTION_COUNT, &random, || {
        thread::sleep(pause);
        Ok(())
    })?;
    ensure!(records.len() > 20, "only {} requests were answered", records.len());
    history.absorb(records)
}

/// The data directory is put back to where it was: with traffic in between that is a loss, without it is none.
fn rolled_back(bench: &mut Bench, launch: &Launch, with_traffic: bool) -> Result<()> {
    let (server, traffic, mut history) = traffic(bench, launch)?;
    server.stop(Signal::TERM)?;
    let copy = launch.data.with_extension("copy");
    copy_directory(&launch.data, &copy)?;
    let server = launch.start()?;
    if with_traffic {
        more(bench, &server, &traffic, &mut history)?;
    }
    server.kill()?;
    fs::remove_dir_all(&launch.data).context("remove the data directory")?;
    fs::rename(&copy, &launch.data).context("put the copy in its place")?;
    let server = launch.start()?;
    let audit = history.audit(&server, &mut bench.random);
    ensure!(audit.is_err() == with_traffic, "with traffic: {with_traffic}, the audit says {audit:?}");
    Ok(())
}

fn reserve(customer: &str) -> Vec<u8> {
    let body = format!(r#"{{"customer":"{customer}","lines":[{{"stock":"unit","quantity":1}}]}}"#);
    request_json("POST", "/v1/sales/wide/reservations", &[], &body)
}

fn step(history: &History, verb: &str) -> Vec<u8> {
    let (sale, reservation, _) = history.held_reservation();
    request("POST", &format!("/v1/sales/{sale}/reservations/{reservation}/{verb}"))
}

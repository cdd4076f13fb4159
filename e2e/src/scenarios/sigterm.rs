//! The orderly stop: under load every request is answered or was never accepted, so that what is stored equals what was
//! acknowledged; an idle start and stop changes nothing; a second process keeps its hands off the data.

use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::process::Signal;
use std::thread;
use std::time::{Duration, Instant};

use crate::Bench;
use crate::answers::value_of;
use crate::audit::History;
use crate::http::{self, Connection, Lost, request};
use crate::ledger::{Outcome, Record};
use crate::load::{ARGUMENTS, Traffic};
use crate::random::Random;
use crate::run_clock::Clock;
use crate::scenarios::kill9::set_up;
use crate::server::{Launch, Server, wait_for};
use crate::tool::H2LOAD;

const CONNECTION_COUNT: u64 = 64;

/// How long a listener may stay open after a stop was asked for, before a run says that it never closes.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a load generator may take until its first request is stored, before a run says that it does nothing.
const LOAD_TIMEOUT: Duration = Duration::from_mins(1);

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    let launch = bench.launch()?.arguments(ARGUMENTS);
    let clock = Clock::start();
    let traffic = Traffic::new(clock);
    let mut history = History::new(clock);
    let mut random = bench.random.fork(2);
    let rounds = if bench.short { 4 } else { 20 };
    for round in 0..rounds {
        let signal = if round % 2 == 0 { Signal::TERM } else { Signal::INT };
        let place = || format!("round {round}, {signal:?}");
        let server = launch.start().with_context(place)?;
        set_up(server.operator(), round == 0).with_context(place)?;
        history.audit(&server, &mut random).with_context(place)?;
        let records = stop_under_load(&traffic, server, signal, round, &mut random).with_context(place)?;
        history.absorb(refuse_what_was_not_accepted(records).with_context(place)?).with_context(place)?;
        launch.verify_log().with_context(place)?;
    }
    let mut server = launch.start()?;
    history.audit(&server, &mut random).context("after the last stop")?;
    for signal in [Signal::TERM, Signal::INT] {
        server.stop(signal).context("stop when idle")?;
        server = launch.start()?;
        history.audit(&server, &mut random).context("after an idle start and stop")?;
    }
    second_process(&launch)?;
    history.audit_all(&server)?;
    in_flight_is_answered(server)?;
    let streams = http_2_under_load(&launch, &mut random).context("HTTP/2")?;
    Ok(format!("{rounds} stops, {}; {streams} additions over HTTP/2", history.tally))
}

fn stop_under_load(
    traffic: &Traffic,
    mut server: Server,
    signal: Signal,
    round: u64,
    random: &mut Random,
) -> Result<Vec<Record>> {
    let pause = random.span_ms(50, 300);
    let (public, operator) = (server.public(), server.operator());
    traffic.drive(public, operator, CONNECTION_COUNT, &random.fork(round + 1), || {
        thread::sleep(pause);
        server.signal(signal)?;
        let status = server.wait()?;
        ensure!(status.success(), "after {signal:?} under load the server ended with {status}");
        Ok(())
    })
}

/// A request on a connection that was closed without one byte of an answer was never accepted: it must have no effect.
/// Any other lost answer is a violation.
fn refuse_what_was_not_accepted(mut records: Vec<Record>) -> Result<Vec<Record>> {
    fn refuse_one<T>(outcome: &mut Outcome<T>) -> Result<()> {
        if let Outcome::Unknown(lost) = outcome {
            ensure!(*lost == Lost::Closed, "during an orderly stop, {lost}");
            *outcome = Outcome::Refused { status: 503, code: "draining".into() };
        }
        Ok(())
    }
    for record in &mut records {
        match record {
            Record::Add { outcome, .. } | Record::Hit { outcome, .. } => refuse_one(outcome)?,
            Record::Reserve { outcome, .. } => refuse_one(outcome)?,
            Record::Step { outcome, .. } => refuse_one(outcome)?,
            Record::Resize { outcome, .. }
            | Record::Deny { outcome, .. }
            | Record::Register { outcome, .. }
            | Record::LogIn { outcome, .. } => refuse_one(outcome)?,
            Record::Read { .. } => {}
        }
    }
    Ok(records)
}

/// The same over HTTP/2, where answers are streams: what h2load counts as answered is what the counter says afterwards.
fn http_2_under_load(launch: &Launch, random: &mut Random) -> Result<u64> {
    if !H2LOAD.present() {
        return Ok(0);
    }
    let server = launch.start()?;
    let url = format!("http://{}/v1/counters/streams", server.public());
    let pause = random.span_ms(100, 400);
    let report = thread::scope(|scope| {
        // Far more requests than are answered before the stop, after which h2load gives up.
        let load = scope.spawn(|| H2LOAD.run(&["-n300000", "-c20", "-m10", "-H:method: POST", &url]));
        let begun = wait_for_additions(&server);
        thread::sleep(pause);
        let stopped = begun.and_then(|()| server.stop(Signal::TERM));
        let report = load.join().map_err(|_| anyhow!("h2load panicked"))??;
        stopped.map(|()| report)
    })?;
    let codes =
        report.lines().find_map(|line| line.strip_prefix("status codes: ")).context("no status codes")?;
    let answered: u64 =
        codes.split(' ').next().unwrap_or_default().parse().context("read h2load's report")?;
    ensure!(answered > 0, "nothing was answered: {codes}");
    let server = launch.start()?;
    let stored = value_of(&http::once(server.public(), &request("GET", "/v1/counters/streams"))?)?;
    ensure!(stored == answered, "{answered} additions were acknowledged, {stored} are stored");
    server.stop(Signal::TERM)?;
    Ok(answered)
}

/// Waits until the load of [`http_2_under_load`] has stored something: on a busy machine that takes h2load a while.
fn wait_for_additions(server: &Server) -> Result<()> {
    let asked = Instant::now();
    loop {
        let answer = http::once(server.public(), &request("GET", "/v1/counters/streams"))?;
        if answer.status == 200 && value_of(&answer)? > 0 {
            return Ok(());
        }
        ensure!(asked.elapsed() < LOAD_TIMEOUT, "h2load has added nothing for {LOAD_TIMEOUT:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A second process on the data directory ends by itself, says why, and does not disturb the first.
fn second_process(launch: &Launch) -> Result<()> {
    let mut second = launch.clone();
    second.output = launch.output.with_file_name("second.log");
    for (address, port) in [(&mut second.public, 1), (&mut second.operator, 2)] {
        // Port numbers of this launch plus an offset that no launch draws.
        address.set_port(1_000 + address.port() % 7_000 + port);
    }
    let status = wait_for(&mut second.spawn()?)?;
    ensure!(!status.success(), "a second process on the data directory ended with {status}");
    let said = second.output_tail();
    ensure!(said.contains("data"), "a second process ended with {status}, saying only {said:?}");
    Ok(())
}

/// A request whose head has arrived when the stop is asked for is still answered, while new connections are not.
fn in_flight_is_answered(mut server: Server) -> Result<()> {
    let mut slow = Connection::open(server.public())?;
    let body = r#"{"customer":"last","lines":[{"stock":"unit","quantity":1}]}"#;
    let head = format!(
        "POST /v1/sales/wide/reservations HTTP/1.1\r\nHost: onrush\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let (first, rest) = body.split_at(20);
    slow.send(head.as_bytes())?;
    slow.send(first.as_bytes())?;
    // One answered request on another connection shows that the server has had time to read what was sent before.
    let mut other = Connection::open(server.public())?;
    for _ in 0..50 {
        let ready = other.call(&request("GET", "/readyz"))?;
        ensure!(ready.status == 200, "readyz answered {}", ready.status);
    }
    server.signal(Signal::TERM)?;
    let asked = Instant::now();
    while Connection::open(server.public()).is_ok() {
        ensure!(asked.elapsed() < CLOSE_TIMEOUT, "the listener is still open long after SIGTERM");
        thread::sleep(Duration::from_millis(5));
    }
    if let Ok(ready) = other.call(&request("GET", "/readyz")) {
        ensure!(ready.status == 503, "while draining, readyz answered {}", ready.status);
    }
    slow.send(rest.as_bytes())?;
    let answer = slow.receive(false).context("the request in flight")?;
    ensure!(answer.status == 201, "the request in flight was answered {}: {}", answer.status, answer.text());
    let status = server.wait()?;
    ensure!(status.success(), "the server ended with {status}");
    Ok(())
}

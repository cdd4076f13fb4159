//! An older copy of the data directory is put back and goes on. Ids from before the copy stay good, ids of the future that was
//! lost are unknown, and no id of a reservation, no validator and no id of an event is given a second time.

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::Bench;
use crate::activity::{self, SALE};
use crate::api::Reservation;
use crate::disk::copy_directory;
use crate::http::{self, Connection, request};
use crate::operator::{await_caught_up, await_sink};
use crate::problem::check_problem;
use crate::server::{Launch, Server};
use crate::targets::received::Received;
use crate::targets::{Targets, with_targets};

/// How often the copy is put back.
const ROUNDS: usize = 3;
/// The sinks of this scenario: one that can see that its target has more than the log, and one that cannot.
const SINKS: [&str; 2] = ["postgres", "rabbitmq"];
/// How long the queue may give nothing before it is taken to have given all.
const QUIET: Duration = Duration::from_secs(2);

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    let reservations = check_reservations(bench).context("ids of reservations")?;
    let events = with_targets(&mut bench.random.fork(2), |targets| {
        check_events(bench, targets).context("ids of events")
    })?;
    Ok(format!("{reservations}; {events}"))
}

/// What a client was given in one history: its reservations, and the validators of the sale.
#[derive(Default)]
struct Given {
    reservations: Vec<Reservation>,
    etags: BTreeSet<String>,
}

impl Given {
    /// Goes on a little, many times, and notes what is given.
    fn go_on(&mut self, server: &Server) -> Result<()> {
        for _ in 0..4 {
            self.reservations.extend(activity::go_on(server.public(), 6)?);
            let answer = http::once(server.public(), &request("GET", &format!("/v1/sales/{SALE}")))?;
            self.etags.insert(answer.header("etag").context("a sale without an ETag")?.to_owned());
        }
        Ok(())
    }
}

/// The same copy is put back again and again, and each time a future is lost.
fn check_reservations(bench: &mut Bench) -> Result<String> {
    let launch = bench.launch()?;
    let mut kept = Given::default();
    let server = launch.start()?;
    activity::set_up(server.operator())?;
    kept.go_on(&server)?;
    server.stop(Signal::TERM)?;
    let copy = Copy::of(&launch)?;
    let mut server = launch.start()?;
    let mut lost = Given::default();
    lost.go_on(&server)?;
    for round in 0..ROUNDS {
        server.stop(Signal::TERM)?;
        copy.put_back(&launch)?;
        server = launch.start()?;
        let mut new = Given::default();
        let place = || format!("round {round}");
        check_known(&server, &kept).with_context(place)?;
        check_lost(&server, &lost).with_context(place)?;
        new.go_on(&server)?;
        let earlier = kept.reservations.iter().chain(&lost.reservations).map(|one| &one.reservation);
        let earlier = earlier.collect::<BTreeSet<_>>();
        let again = new.reservations.iter().find(|one| earlier.contains(&one.reservation));
        ensure!(again.is_none(), "round {round}: an id is given a second time: {again:?}");
        let etag = new.etags.intersection(&lost.etags).next();
        ensure!(etag.is_none(), "round {round}: a validator is given a second time: {etag:?}");
        server.kill()?;
        launch.verify_log()?;
        server = launch.start()?;
        check_known(&server, &kept).with_context(place)?;
        check_known(&server, &new).with_context(place)?;
        check_lost(&server, &lost).with_context(place)?;
        lost.reservations.append(&mut new.reservations);
        lost.etags.append(&mut new.etags);
    }
    Ok(format!("{ROUNDS} times put back, {} reservations were lost", lost.reservations.len()))
}

/// Each reservation is the one that its id was given for.
fn check_known(server: &Server, given: &Given) -> Result<()> {
    let mut connection = Connection::open(server.public())?;
    for one in &given.reservations {
        let shown: Reservation = connection.call(&request("GET", &path(one, "")))?.expect(200)?;
        ensure!(shown.customer == one.customer && shown.lines == one.lines, "{one:?} is now {shown:?}");
    }
    Ok(())
}

/// No id leads anywhere, for reading or for changing.
fn check_lost(server: &Server, given: &Given) -> Result<()> {
    let mut connection = Connection::open(server.public())?;
    for one in &given.reservations {
        for (method, step) in [("GET", ""), ("POST", "/confirm"), ("POST", "/release")] {
            let answer = connection.call(&request(method, &path(one, step)))?;
            let code = check_problem(&answer)?;
            ensure!(code == "reservation_not_found", "{method} {step} of a lost reservation is {code}");
        }
    }
    Ok(())
}

fn path(reservation: &Reservation, step: &str) -> String {
    format!("/v1/sales/{SALE}/reservations/{}{step}", reservation.reservation)
}

/// What a reader of a queue gets, by the id of the event.
#[derive(Default)]
struct Messages(BTreeMap<String, Received>);

impl Messages {
    /// Takes what came since the last time; returns how many came under new ids. A repeat has the content that it had.
    fn take(&mut self, targets: &mut Targets) -> Result<usize> {
        let before = self.0.len();
        for message in targets.rabbitmq.read(QUIET)? {
            let first = self.0.entry(message.id.clone()).or_insert_with(|| message.clone());
            ensure!(*first == message, "{message:?} came under the id of {first:?}");
        }
        Ok(self.0.len() - before)
    }
}

/// The queue gets the events of both histories under different ids. The sink of PostgreSQL stops, because its tables have more
/// than the log.
fn check_events(bench: &mut Bench, targets: &mut Targets) -> Result<String> {
    let mut launch = bench.launch()?;
    launch.data = bench.directory.join("data-events");
    launch.environment.extend(targets.settings_of(&SINKS)?);
    let server = launch.start()?;
    activity::set_up(server.operator())?;
    activity::go_on(server.public(), 20)?;
    await_caught_up(server.operator(), &SINKS)?;
    server.stop(Signal::TERM)?;
    let copy = Copy::of(&launch)?;
    let mut messages = Messages::default();
    messages.take(targets)?;

    let server = launch.start()?;
    activity::go_on(server.public(), 30)?;
    await_caught_up(server.operator(), &SINKS)?;
    server.stop(Signal::TERM)?;
    let lost_count = messages.take(targets)?;
    ensure!(lost_count >= 30, "only {lost_count} events came before the copy was put back");

    copy.put_back(&launch)?;
    let server = launch.start()?;
    let stopped = await_sink(server.operator(), "postgres", "a stop", |sink| sink.state == "stopped")?;
    let reason = stopped.reason.unwrap_or_default();
    ensure!(reason.contains("older copy"), "the sink of PostgreSQL stopped because {reason:?}");
    activity::go_on(server.public(), 30)?;
    await_caught_up(server.operator(), &["rabbitmq"])?;
    let new_count = messages.take(targets)?;
    ensure!(new_count >= lost_count, "{new_count} events came under new ids, {lost_count} were lost");
    let offsets = messages.0.values().map(|message| Ok(message.stored()?.offset));
    let distinct = offsets.collect::<Result<BTreeSet<_>>>()?.len();
    ensure!(distinct < messages.0.len(), "the two histories have no offset in common, so this shows nothing");
    Ok(format!("{lost_count} and {new_count} events of two histories came under different ids"))
}

/// A copy of a data directory that no server has open.
struct Copy(PathBuf);

impl Copy {
    fn of(launch: &Launch) -> Result<Self> {
        let copy = launch.data.with_extension("copy");
        copy_directory(&launch.data, &copy)?;
        Ok(Self(copy))
    }

    fn put_back(&self, launch: &Launch) -> Result<()> {
        fs::remove_dir_all(&launch.data).context("remove the data directory")?;
        copy_directory(&self.0, &launch.data)
    }
}

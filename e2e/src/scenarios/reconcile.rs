//! Targets changed behind the server's back: `onrush reconcile` names what was done to them, and nothing when nothing was.

use anyhow::{Context as _, Result, ensure};
use std::time::Duration;

use crate::Bench;
use crate::activity;
use crate::operator::{AGREES, DIFFERS, NOT_COMPARED, await_caught_up, await_sink, reconcile};
use crate::server::{Launch, Server};
use crate::targets::{KINDS, Stored, Targets, with_targets};

/// What is done to the tables, and how it is undone. `EVENT` stands for an offset, `RESERVATION` for a row's id.
const TAMPERED: &[(&str, &str, &str)] = &[
    (
        "a deleted event",
        "CREATE TABLE kept AS SELECT * FROM events WHERE event_offset = EVENT;
         DELETE FROM events WHERE event_offset = EVENT",
        "INSERT INTO events SELECT * FROM kept; DROP TABLE kept",
    ),
    (
        "a changed body",
        "CREATE TABLE kept AS SELECT * FROM events WHERE event_offset = EVENT;
         UPDATE events SET body = body || '{\"sale\":\"other\"}' WHERE event_offset = EVENT",
        "DELETE FROM events WHERE event_offset = EVENT; INSERT INTO events SELECT * FROM kept; DROP TABLE kept",
    ),
    (
        "an invented event",
        // The first record of a log, which founds it, is no event.
        "INSERT INTO events SELECT 0, at, kind, key, reservation, body FROM events WHERE event_offset = EVENT",
        "DELETE FROM events WHERE event_offset = 0",
    ),
    (
        "a changed status",
        "UPDATE reservations SET status = 'expired' WHERE reservation = 'RESERVATION'",
        "UPDATE reservations SET status = 'held' WHERE reservation = 'RESERVATION'",
    ),
    (
        "a deleted reservation",
        "CREATE TABLE kept AS SELECT * FROM reservations WHERE reservation = 'RESERVATION';
         DELETE FROM reservations WHERE reservation = 'RESERVATION'",
        "INSERT INTO reservations SELECT * FROM kept; DROP TABLE kept",
    ),
    (
        "a changed stock",
        "UPDATE stocks SET quantity_held = quantity_held + 1",
        "UPDATE stocks SET quantity_held = quantity_held - 1",
    ),
    (
        "a changed counter",
        "UPDATE counters SET value = value + 1 WHERE counter = 'home-1'",
        "UPDATE counters SET value = value - 1 WHERE counter = 'home-1'",
    ),
    (
        "a lost row of history",
        "CREATE TABLE kept AS SELECT * FROM counter_history ORDER BY id LIMIT 1;
         DELETE FROM counter_history h USING kept k WHERE h.counter = k.counter AND h.id = k.id",
        "INSERT INTO counter_history SELECT * FROM kept; DROP TABLE kept",
    ),
];

/// Silence after which a queue counts as read.
const QUIET: Duration = Duration::from_secs(1);

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    with_targets(&mut bench.random.fork(2), |targets| {
        let mut launch = bench.launch()?;
        launch.environment.extend(targets.settings_of(&KINDS)?);
        let server = launch.start()?;
        activity::set_up(server.operator())?;
        let reservations = activity::go_on(server.public(), 60)?;
        await_caught_up(server.operator(), &KINDS)?;
        for kind in KINDS {
            reconcile(&launch, kind, AGREES).with_context(|| format!("untouched {kind}"))?;
        }
        let events = targets.redis.events(0)?;
        // The third reservation of three is neither confirmed nor released.
        let id = &reservations[2].reservation;
        let reserved = events
            .iter()
            .find(|event| event.kind == "reservation.reserved" && event.body.contains(id))
            .context("no event of the reservation")?;
        tamper_tables(&launch, targets, reserved, id)?;
        check_unreachable(&launch, targets)?;
        tamper_streams(&launch, targets, reserved)?;
        check_foreign_entry(&server, targets)?;
        Ok(format!("{} changes of tables and {} of streams were named", TAMPERED.len(), 5))
    })
}

fn tamper_tables(launch: &Launch, targets: &Targets, event: &Stored, id: &str) -> Result<()> {
    for (what, change, undo) in TAMPERED {
        let filled = |statements: &str| {
            statements.replace("EVENT", &event.offset.to_string()).replace("RESERVATION", id)
        };
        targets.postgres.execute(&filled(change))?;
        let printed = reconcile(launch, "postgres", DIFFERS).with_context(|| what.to_string())?;
        let named = match change {
            change if change.contains("RESERVATION") => printed.contains(id),
            change if change.contains("SELECT 0") => printed.contains("unexpected"),
            change if change.contains("EVENT") => printed.contains(&event.offset.to_string()),
            change if change.contains("home-1") => printed.contains("home-1"),
            _ => true,
        };
        ensure!(named, "{what} is not named:\n{printed}");
        targets.check_text("reconcile", &printed)?;
        targets.postgres.execute(&filled(undo))?;
        reconcile(launch, "postgres", AGREES).with_context(|| format!("after {what} was undone"))?;
    }
    Ok(())
}

fn check_unreachable(launch: &Launch, targets: &Targets) -> Result<()> {
    for kind in KINDS {
        targets.services.kill(kind)?;
        let printed = reconcile(launch, kind, NOT_COMPARED);
        targets.services.start(kind)?;
        targets.check_text("reconcile", &printed.with_context(|| format!("without {kind}"))?)?;
    }
    reconcile(launch, "nothing", 2).map(drop)
}

/// Changes that cannot be undone, each of which adds to what is found.
fn tamper_streams(launch: &Launch, targets: &mut Targets, event: &Stored) -> Result<()> {
    let offset = event.offset.to_string();
    let id = format!("0-{offset}");
    let passwords = targets.services.passwords()?;
    let named = |kind: &str, what: &str| {
        let printed = reconcile(launch, kind, DIFFERS).with_context(|| format!("{what} in {kind}"))?;
        ensure!(printed.contains(&offset), "{what} in {kind} is not named:\n{printed}");
        ensure!(!passwords.iter().any(|password| printed.contains(password)), "reconcile shows a password");
        Ok(())
    };
    let stream = targets.redis.name.clone();
    targets.redis.execute(&["XDEL", &stream, &format!("{offset}-0")])?;
    named("redis", "a deleted entry")?;
    for payload in [&b"{}"[..], b"not JSON"] {
        let mut message = find(targets.kafka.read()?, |message| message.id == id)?;
        message.payload = payload.to_vec();
        targets.kafka.send(&message)?;
        named("kafka", "another content")?;
        let mut message = find(targets.rabbitmq.read(QUIET)?, |message| message.id == id)?;
        message.payload = payload.to_vec();
        targets.rabbitmq.send(&message)?;
        named("rabbitmq", "another content")?;
    }
    Ok(())
}

/// Behind an entry of somebody else a sink cannot keep its stream exact, and says so.
fn check_foreign_entry(server: &Server, targets: &Targets) -> Result<()> {
    targets.redis.execute(&["XADD", &targets.redis.name, "*", "id", "0-1", "data", "{}"])?;
    activity::go_on(server.public(), 1)?;
    let stopped = await_sink(server.operator(), "redis", "a stop", |sink| sink.state == "stopped")?;
    ensure!(stopped.skippable_offset.is_none() && stopped.reason.is_some(), "it stopped so: {stopped:?}");
    await_caught_up(server.operator(), &["postgres", "rabbitmq", "kafka"])
}

fn find<T>(messages: Vec<T>, wanted: impl Fn(&T) -> bool) -> Result<T> {
    messages.into_iter().find(wanted).context("the event is not among the messages")
}

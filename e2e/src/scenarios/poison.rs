//! An event that a target rejects for ever: its sink stops and says at what, everything else goes on, and an operator leaves
//! the event out. What hostile clients send does not stop any sink.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::Bench;
use crate::activity;
use crate::http::{self, request, request_json};
use crate::operator::{self, AGREES, await_caught_up, await_sink, reconcile, sinks_command};
use crate::problem::check_problem;
use crate::server::{Launch, Server};
use crate::targets::{Events, KINDS, Stored, Targets, compare, with_targets};

/// The sinks that are not poisoned.
const OTHERS: [&str; 3] = ["redis", "rabbitmq", "kafka"];

/// A constraint that takes everything but the counter `poison`.
const CONSTRAINT: &str = "ALTER TABLE events ADD CONSTRAINT poison CHECK (key <> 'poison')";

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    with_targets(&mut bench.random.fork(2), |targets| {
        let mut launch = bench.launch()?;
        launch.environment.extend(targets.settings_of(&KINDS)?);
        let mut server = launch.start()?;
        activity::set_up(server.operator())?;
        activity::go_on(server.public(), 50)?;
        await_caught_up(server.operator(), &KINDS)?;
        targets.postgres.execute(CONSTRAINT)?;
        let rounds = if bench.short { 2 } else { 5 };
        let mut skipped = Vec::new();
        for round in 0..rounds {
            let place = || format!("round {round}");
            let offset = stopped_at(&server, targets, skipped.len()).with_context(place)?;
            check_refusals(&server, offset).with_context(place)?;
            if round % 2 == 1 {
                server.kill()?;
                server = launch.start()?;
                await_sink(server.operator(), "postgres", "the same stop", |sink| {
                    sink.skippable_offset == Some(offset)
                })?;
            }
            leave_out(&launch, &server, offset, skipped.len() as u64).with_context(place)?;
            skipped.push(offset);
        }
        let sent = send_hostile(&server).context("hostile details")?;
        check_all(&launch, &server, targets, &skipped)?;
        targets.check_secrets(&launch)?;
        Ok(format!("{rounds} poisonous events left out; {sent} hostile documents went everywhere"))
    })
}

/// Poisons the database and returns where its sink stopped, while the server and the other sinks went on.
fn stopped_at(server: &Server, targets: &Targets, earlier: usize) -> Result<u64> {
    let poisoning = http::once(server.public(), &request("POST", "/v1/counters/poison"))?;
    ensure!(poisoning.status == 200, "the addition was answered {}", poisoning.status);
    activity::go_on(server.public(), 100).context("while the sink is stopped")?;
    let stopped = await_sink(server.operator(), "postgres", "a stop", |sink| sink.state == "stopped")?;
    await_caught_up(server.operator(), &OTHERS)?;
    let poison = targets.redis.events(0)?.into_iter().filter(|event| event.key == "poison");
    let offset = poison.map(|event| event.offset).nth(earlier).context("no such entry in Redis")?;
    ensure!(stopped.skippable_offset == Some(offset), "{offset} is poisonous: {stopped:?}");
    let reason = stopped.reason.clone().unwrap_or_default();
    ensure!(reason.contains(&offset.to_string()) && reason.contains("poison"), "the reason is {reason:?}");
    let rows = targets.postgres.events(0)?;
    let last = rows.last().map(|row| row.offset).context("no rows")?;
    ensure!(last < offset, "there is a row {last} behind the poisonous {offset}");
    Ok(offset)
}

/// What an operator may not do.
fn check_refusals(server: &Server, offset: u64) -> Result<()> {
    for (target, body, status, code) in [
        ("/v1/sinks/postgres/skip", format!("{{\"offset\":{}}}", offset + 1), 409, "sink_not_stopped"),
        ("/v1/sinks/redis/skip", format!("{{\"offset\":{offset}}}"), 409, "sink_not_stopped"),
        ("/v1/sinks/nothing/skip", format!("{{\"offset\":{offset}}}"), 404, "sink_not_found"),
        ("/v1/sinks/nothing/retry", String::new(), 404, "sink_not_found"),
        ("/v1/sinks/postgres/retry", "{}".to_owned(), 400, "invalid_request"),
    ] {
        let answer = http::once(server.operator(), &request_json("POST", target, &[], &body))?;
        ensure!(answer.status == status, "{target} was answered {}: {}", answer.status, answer.text());
        ensure!(check_problem(&answer)? == code, "{target} was answered {}", answer.text());
    }
    // Trying again without mending anything ends at the same event.
    let failures = operator::sink(server.operator(), "postgres")?.failure_count;
    operator::retry(server.operator(), "postgres")?;
    await_sink(server.operator(), "postgres", "the same stop", |sink| {
        sink.failure_count > failures && sink.skippable_offset == Some(offset)
    })?;
    Ok(())
}

/// Leaves the event out by the command, after which the sink goes on.
fn leave_out(launch: &Launch, server: &Server, offset: u64, earlier: u64) -> Result<()> {
    let shown = sinks_command(launch, &[])?;
    ensure!(
        shown.contains("stopped") && shown.contains(&offset.to_string()),
        "the table does not show what to do:\n{shown}"
    );
    let shown: Value = serde_json::from_str(&sinks_command(launch, &["--json"])?).context("read --json")?;
    ensure!(
        shown["sinks"].as_array().is_some_and(|sinks| sinks.len() == KINDS.len()),
        "--json shows {shown}"
    );
    sinks_command(launch, &["skip", "postgres", &offset.to_string()])?;
    await_caught_up(server.operator(), &KINDS)?;
    let sink = operator::sink(server.operator(), "postgres")?;
    ensure!(sink.skipped_count == earlier + 1, "{} are counted as left out", sink.skipped_count);
    reconcile(launch, "postgres", AGREES).map(drop)
}

/// Sends details that trouble databases; returns how many were taken.
fn send_hostile(server: &Server) -> Result<u64> {
    let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let mut documents = [
        r#"{"a":"\u0000"}"#,
        r#"{"\u0000":"key"}"#,
        r#"{"a":"x\u0000y","b":["\u0000"]}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a":"\udc00\ud800"}"#,
        r#"{"\udfff":1}"#,
        r#"{"a":"\\u0000"}"#,
        r#"{"a":1e400}"#,
        r#"{"a":-1e999999999}"#,
        r#"{"a":1e-999999}"#,
        r#"{"a":1e131072,"b":1e131071,"c":1e-16384}"#,
        r#"{"a":0.00000000000000000000000000000000000000000001,"b":-0,"c":-0.0,"d":1E+2}"#,
        r#"{"a":123456789012345678901234567890123456789012345678901234567890}"#,
        r#"{"a":1,"a":2,"a":{"a":1,"a":2}}"#,
        "{ \"a\" :\t[ 1 ,\r\n 2 ] }",
        r#"{"a":"\u2028\u007f\u0001\"\\\/"}"#,
        "{\"\u{10ffff}\":\"\u{1f3ab}\u{fffd}\"}",
        r#"{"":""}"#,
    ]
    .map(str::to_owned)
    .to_vec();
    documents
        .extend([10, 100, 126, 127, 128, 1_000, 1_900].map(|levels| format!("{{\"a\":{}}}", deep(levels))));
    documents.push(format!("{{\"a\":{}}}", "9".repeat(3_900)));
    documents.push(format!("{{\"a\":1e{}}}", "9".repeat(3_900)));
    documents.push(format!("{{\"a\":\"{}\"}}", "\\u0000".repeat(640)));
    let mut taken = 0;
    for (number, document) in documents.iter().enumerate() {
        let lines = r#"[{"stock":"front","quantity":1}]"#;
        let body = format!(r#"{{"customer":"hostile-{number}","lines":{lines},"details":{document}}}"#);
        let target = format!("/v1/sales/{}/reservations", activity::SALE);
        let answer = http::once(server.public(), &request_json("POST", &target, &[], &body))?;
        ensure!(
            matches!(answer.status, 201 | 400),
            "{document} was answered {}: {}",
            answer.status,
            answer.text()
        );
        taken += u64::from(answer.status == 201);
    }
    ensure!(taken >= 5, "only {taken} hostile documents were taken");
    Ok(taken)
}

fn check_all(launch: &Launch, server: &Server, targets: &Targets, skipped: &[u64]) -> Result<()> {
    await_caught_up(server.operator(), &KINDS).context("after hostile details")?;
    for kind in KINDS {
        reconcile(launch, kind, AGREES)?;
    }
    // Numbers that a JSON parser cannot hold are compared by reconcile; here it is about which events there are.
    let place = |event: &Stored| (event.offset, event.kept_without_body());
    let rows = targets.postgres.events(0)?.iter().map(place).collect();
    let mut entries = targets.redis.events(0)?.iter().map(place).collect::<Events>();
    for offset in skipped {
        ensure!(entries.remove(offset).is_some(), "{offset} is not in Redis");
    }
    compare(("PostgreSQL", &rows), ("Redis", &entries))
}

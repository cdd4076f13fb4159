//! The rush: three times as many customers as units, all logged in, through the whole gate, until the last order is a row in
//! PostgreSQL and a message in RabbitMQ. `cargo xtask e2e rush` holds the same against every answer.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::gated::{LIMITED, RATE, deny_others};
use crate::drain::wait_for_sink;
use crate::http::{expect_success, expect_success_with};
use crate::load::{Clients, fill_by};
use crate::members::Members;
use crate::report::{Better, Figure, Findings, Row, Target};
use crate::servers::{Onrush, SinkFigures, sale_body};
use crate::services::Services;
use crate::setting::{Bench, progress};
use crate::statistics::Spread;
use crate::targets::{Postgres, RabbitMq, SinkTarget, environment, with_place};

/// The answer of every picture.
const DIGITS: &str = "012345";
const UNITS: u64 = 10_000;
const CUSTOMERS: u64 = 30_000;
/// A request on each at a time.
const CLIENTS: Clients = Clients { connection_count: 100, pipelined_count: 1 };

/// Seconds from the first request of a rush.
struct Rush {
    answered_after: f64,
    stored_after: f64,
}

/// As many rushes as there are rounds, each with a server and places of its own.
pub(crate) fn rush(bench: &Bench) -> Result<Findings> {
    let services = Services::read(&bench.settings.services)?;
    let (postgres, rabbitmq) = (Postgres::connect(&services)?, RabbitMq::connect(&services)?);
    let mut rushes = Vec::new();
    for round in 0..=bench.settings.round_count {
        let one = with_place(&postgres, &format!("rush{round}"), |rows| {
            with_place(&rabbitmq, &format!("rush{round}"), |queue| {
                postgres.prepare(rows)?;
                rabbitmq.prepare(queue)?;
                one_rush(bench, [(&postgres, rows), (&rabbitmq, queue)])
            })
        })?;
        progress(&format!(
            "  round {round}: answered {:.2} s, stored {:.2} s",
            one.answered_after, one.stored_after
        ));
        // Round 0 warms up.
        if round > 0 {
            rushes.push(one);
        }
    }
    let stored: Vec<f64> = rushes.iter().map(|rush| rush.stored_after).collect();
    let answered = Spread::of(rushes.iter().map(|rush| rush.answered_after));
    let title = "rush: 30,000 customers, 10,000 units, all stored";
    let mut row = Row::new(title, Figure::new("onrush", "s", stored), None, Better::Lower)
        .targets(Target::ValueAtMost(2.0), Target::ValueAtMost(1.5))
        .note(format!(
            "everything on as in `gated`, and a challenge solved beforehand; {} connections; rows in PostgreSQL and confirmed messages in a quorum queue of RabbitMQ, \
             both on the same cores",
            CLIENTS.connection_count
        ));
    row.notes.extend(answered.map(|answered| {
        format!("everybody answered after {:.2} s [{:.2}-{:.2}]", answered.median, answered.min, answered.max)
    }));
    Ok(Findings { rows: vec![row], ..Findings::default() })
}

fn one_rush(bench: &Bench, targets: [(&dyn SinkTarget, &str); 2]) -> Result<Rush> {
    let members = Members::new(&bench.directory("rush-members")?)?;
    let mut variables = Vec::from(members.environment());
    variables.push(("ONRUSH_GATE__UNSAFE_CHALLENGE_ANSWER".to_owned(), DIGITS.to_owned()));
    variables.extend(LIMITED.map(|limited| (format!("ONRUSH_GATE__LIMIT_{limited}"), RATE.to_owned())));
    for (target, place) in targets {
        variables.extend(environment(target, place));
        variables
            .push((format!("ONRUSH_SINKS__{}__EVENTS", target.kind().to_uppercase()), "reservation".into()));
    }
    let onrush = Onrush::start_bare(&bench.settings.onrush, &bench.directory("rush")?, &variables)?;
    let mut body = sale_body(UNITS);
    body["gate"] = json!({"session": "required", "challenge": "image", "cooldown_ms": 10_000});
    expect_success(onrush.operator_address, "PUT", "/v1/sales/drop", Some(&body))?;
    deny_others(&onrush)?;
    let request = |number| request(&onrush, &members, &format!("customer-{number}"));
    let requests = (0..CUSTOMERS).map(request).collect::<Result<Vec<_>>>()?;
    let wait_until_level = || {
        targets.iter().try_for_each(|(target, _)| {
            let is_level = |sink: &SinkFigures| sink.state == "running" && sink.lag_events == 0;
            wait_for_sink(&onrush, target.kind(), is_level).map(drop)
        })
    };
    wait_until_level()?;
    let started = Instant::now();
    let filled = fill_by(CLIENTS, onrush.address, CUSTOMERS, |at| {
        requests[usize::try_from(at).unwrap_or_default()].clone()
    })?;
    wait_until_level()?;
    let stored_after = started.elapsed().as_secs_f64();
    let sold = onrush.sale_figures("drop")?.quantity_confirmed;
    ensure!(sold == UNITS, "{sold} of {UNITS} units were sold");
    ensure!(filled.other_count == CUSTOMERS - UNITS, "{} customers were refused", filled.other_count);
    for (target, place) in targets {
        let there_count = target.event_count(place)?;
        ensure!(there_count == UNITS, "{} has {there_count} of {UNITS} orders", target.kind());
    }
    onrush.stop()?;
    Ok(Rush { answered_after: filled.seconds, stored_after })
}

/// What a customer sends, with a challenge of their own.
fn request(onrush: &Onrush, members: &Members, customer: &str) -> Result<Vec<u8>> {
    let cookie = members.cookie(customer)?;
    let (path, field) = ("/v1/sales/drop/challenges", format!("Cookie: {cookie}\r\n"));
    let given = expect_success_with(onrush.address, "POST", path, &field, Some(&json!({})))?;
    let given: Value = serde_json::from_str(&given.body).context("read a challenge")?;
    let id = given["challenge"].as_str().context("no challenge")?;
    let lines = json!([{"stock": "units", "quantity": 1}]);
    let body = json!({"lines": lines, "challenge": format!("{id}:{DIGITS}")}).to_string();
    Ok(format!(
        "POST /v1/sales/drop/reservations HTTP/1.1\r\nHost: onrush\r\nContent-Type: application/json\r\nCookie: {cookie}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes())
}

//! What the gate costs a reservation: two servers, one with a session, a cool-down, all rate limits and a denylist, and one with
//! none of them. Both get the same requests, and nobody is refused.

use anyhow::Result;
use serde_json::json;

use super::hot_path::doubt_counts;
use super::reserve::ENDLESS;
use crate::http::expect_success;
use crate::members::Members;
use crate::meter::Meter;
use crate::report::{Better, Figure, Findings, Row, Target};
use crate::rounds::{Contender, Outcome, Rounds};
use crate::servers::{Onrush, sale_body};
use crate::setting::Bench;
use crate::wrk::{Traffic, Wrk};

const GATED: &str = "onrush with its gate";
const OPEN: &str = "onrush without";
/// More than either server takes; each has a cookie of its own.
const CUSTOMERS_PER_S: u64 = 200_000;
/// More than any client asks for.
pub(super) const RATE: &str = "1000000/s burst 1000000";
pub(super) const LIMITED: [&str; 5] =
    ["RESERVE_ADDRESS", "RESERVE_ROUTE", "RESERVE_CUSTOMER", "PAGES_ADDRESS", "PAGES_ROUTE"];
/// Of customers, and of networks.
const DENIAL_COUNT: u64 = 1_000;

/// Reservations through the gate, to reservations without it.
pub(crate) fn gated(bench: &Bench) -> Result<Findings> {
    let members = Members::new(&bench.directory("gated-members")?)?;
    let mut environment = Vec::from(members.environment());
    environment.extend(LIMITED.map(|limited| (format!("ONRUSH_GATE__LIMIT_{limited}"), RATE.to_owned())));
    let binary = &bench.settings.onrush;
    let gated = Onrush::start_bare(binary, &bench.directory("gated-on")?, &environment)?;
    let open = Onrush::start_bare(binary, &bench.directory("gated-off")?, &[])?;
    put_gated_sale(&gated)?;
    deny_others(&gated)?;
    open.put_sale("drop", ENDLESS)?;
    let scripts = bench.directory("gated-scripts")?;
    let mut findings = Findings::default();
    for connection_count in [100, 400] {
        let wrk = Wrk { directory: &scripts, connection_count, seconds: bench.settings.turn_seconds };
        let mut contenders =
            [contender(&wrk, &members, &open, OPEN), contender(&wrk, &members, &gated, GATED)];
        let rounds = Rounds::interleave(bench, &mut contenders)?;
        drop(contenders);
        let title = format!("reserve through the gate, {connection_count} connections");
        let mut part = Findings::of_rounds(&title, &rounds);
        let figure = |side| Figure::new(side, "/s", rounds.values(side, |turn| turn.outcome.success_rate()));
        let mut row = Row::new(title, figure(GATED), Some(figure(OPEN)), Better::Higher)
            .targets(Target::RatioAtLeast(0.85), Target::RatioAtLeast(0.95))
            .note(format!(
                "session required, cool-down of 10 s, {} limits, {DENIAL_COUNT} customers and networks denied; a new customer \
                 each time, with a session; both servers get the same requests",
                LIMITED.len()
            ));
        row.notes.extend(rounds.doubts());
        part.rows.push(row);
        findings.merge(part);
    }
    gated.stop()?;
    open.stop()?;
    Ok(findings)
}

fn put_gated_sale(onrush: &Onrush) -> Result<()> {
    let mut body = sale_body(ENDLESS);
    body["gate"] = json!({"session": "required", "cooldown_ms": 10_000});
    expect_success(onrush.operator_address, "PUT", "/v1/sales/drop", Some(&body))?;
    Ok(())
}

/// Puts customers and networks on the denylist that send nothing.
pub(super) fn deny_others(onrush: &Onrush) -> Result<()> {
    for number in 0..DENIAL_COUNT {
        let network = format!("10.{}.{}.0%2F24", number / 256, number % 256);
        for subject in [format!("customer/denied-{number}"), format!("address/{network}")] {
            let path = format!("/v1/denylist/{subject}");
            expect_success(onrush.operator_address, "PUT", &path, Some(&json!({})))?;
        }
    }
    Ok(())
}

/// Checks that the sale's own figure moved by what was acknowledged.
fn contender<'a>(wrk: &'a Wrk<'_>, members: &'a Members, onrush: &'a Onrush, name: &str) -> Contender<'a> {
    let pids = onrush.pids();
    let servers = pids.clone();
    let turn = move |run: &str| {
        let run = format!("{}-{run}", wrk.connection_count);
        let cookies = members.cookies(&run, CUSTOMERS_PER_S * wrk.seconds)?;
        let before = onrush.sale_figures("drop")?;
        let meter = Meter::start(&servers, &[]);
        let mut outcome =
            Outcome::of_wrk(wrk.run(onrush.address, &Traffic::Members { cookies }, &run)?, false);
        outcome.spent = Some(meter.stop());
        let sold = onrush.sale_figures("drop")?.quantity_confirmed - before.quantity_confirmed;
        outcome.doubts.extend(doubt_counts(outcome.success_count, sold, wrk.connection_count));
        Ok(outcome)
    };
    Contender { name: name.into(), pids, turn: Box::new(turn) }
}

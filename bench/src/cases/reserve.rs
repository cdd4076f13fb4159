//! Reservations and refusals over HTTP. Every reservation is of a customer never seen before, so each one writes.

use anyhow::{Result, bail};

use super::hot_path::doubt_counts;
use crate::report::{Better, Figure, Findings, Row, Target};
use crate::rounds::{Contender, Outcome, Rounds};
use crate::servers::{Nginx, Onrush, Redis};
use crate::setting::Bench;
use crate::wrk::{Traffic, Wrk};

/// More units than any run can sell.
pub(super) const ENDLESS: u64 = 1_000_000_000;
const CONNECTION_COUNT: u32 = 100;
/// Units of the sale that is sold out before refusals are measured.
const SOLD_OUT_UNITS: u64 = 1_000;

/// Successes: onrush next to nginx getting the same bodies, and next to Redis doing the same work as a script.
pub(crate) fn reserve(bench: &Bench) -> Result<Findings> {
    let onrush = Onrush::start(&bench.settings.onrush, &bench.directory("reserve-onrush")?, &[])?;
    onrush.put_sale("drop", ENDLESS)?;
    let nginx = Nginx::start(&bench.directory("reserve-nginx")?)?;
    let redis = Redis::start(&bench.directory("reserve-redis")?)?;
    let scripts = bench.directory("reserve-scripts")?;
    let wrk =
        Wrk { directory: &scripts, connection_count: CONNECTION_COUNT, seconds: bench.settings.turn_seconds };
    let mut contenders = vec![
        nginx_reserve(&wrk, &nginx),
        onrush_reserve(&wrk, &onrush, "onrush"),
        redis_reserve(&redis, bench.settings.turn_seconds, CONNECTION_COUNT, 1)?,
    ];
    let rounds = Rounds::interleave(bench, &mut contenders)?;
    drop(contenders);
    let mut findings = Findings::of_rounds("reserve", &rounds);
    let figure = |side| Figure::new(side, "/s", rounds.values(side, |turn| turn.outcome.success_rate()));
    let compare =
        |peer| Row::new(format!("reserve, to {peer}"), figure("onrush"), Some(figure(peer)), Better::Higher);
    let mut to_nginx = compare("nginx").targets(Target::RatioAtLeast(0.5), Target::RatioAtLeast(0.8));
    to_nginx.notes = rounds.doubts();
    findings.rows.push(to_nginx);
    findings.rows.push(compare("redis").targets(Target::RatioAtLeast(1.3), Target::RatioAtLeast(2.0)));
    onrush.stop()?;
    Ok(findings)
}

/// Refusals: the same requests on a sale that is sold out.
pub(crate) fn refuse(bench: &Bench) -> Result<Findings> {
    let onrush = Onrush::start(&bench.settings.onrush, &bench.directory("refuse-onrush")?, &[])?;
    let nginx = Nginx::start(&bench.directory("refuse-nginx")?)?;
    let scripts = bench.directory("refuse-scripts")?;
    let wrk =
        Wrk { directory: &scripts, connection_count: CONNECTION_COUNT, seconds: bench.settings.turn_seconds };
    onrush.put_sale("drop", SOLD_OUT_UNITS)?;
    Wrk { seconds: 1, ..wrk }.run(onrush.address, &new_customers("drop"), "first-")?;
    let figures = onrush.sale_figures("drop")?;
    if (figures.quantity_confirmed, figures.quantity_available) != (SOLD_OUT_UNITS, 0) {
        bail!("the sale of {SOLD_OUT_UNITS} units was not sold out after a second: {figures:?}");
    }
    let refusals_before = onrush.refusal_counts();
    let mut contenders = vec![nginx_reserve(&wrk, &nginx), onrush_refuse(&wrk, &onrush)];
    let rounds = Rounds::interleave(bench, &mut contenders)?;
    drop(contenders);
    let mut findings = Findings::of_rounds("refuse", &rounds);
    let subject = Figure::new("onrush", "/s", rounds.values("onrush", |turn| turn.outcome.refusal_rate()));
    let peer = Figure::new("nginx", "/s", rounds.values("nginx", |turn| turn.outcome.success_rate()));
    let mut row = Row::new("refuse (sold out), 100 connections", subject, Some(peer), Better::Higher)
        .targets(Target::RatioAtLeast(0.85), Target::RatioAtLeast(1.0))
        .note(refusals_by_code(&refusals_before, &onrush.refusal_counts()));
    row.notes.extend(rounds.doubts());
    findings.rows.push(row);
    onrush.stop()?;
    Ok(findings)
}

pub(super) fn new_customers(sale: &str) -> Traffic {
    Traffic::NewCustomers { sale_prefix: sale.into(), sale_count: 1 }
}

pub(super) fn nginx_reserve<'a>(wrk: &'a Wrk<'_>, nginx: &'a Nginx) -> Contender<'a> {
    let turn = |run: &str| Ok(Outcome::of_wrk(wrk.run(nginx.address, &new_customers("drop"), run)?, false));
    Contender { name: "nginx".into(), pids: nginx.pids(), turn: Box::new(turn) }
}

/// Checks that the sale's own figure moved by what was acknowledged.
pub(super) fn onrush_reserve<'a>(wrk: &'a Wrk<'_>, onrush: &'a Onrush, name: &str) -> Contender<'a> {
    let prefix = format!("{}-", wrk.connection_count);
    let turn = move |run: &str| {
        let before = onrush.sale_figures("drop")?;
        let run = wrk.run(onrush.address, &new_customers("drop"), &format!("{prefix}{run}"))?;
        let mut outcome = Outcome::of_wrk(run, false);
        let sold = onrush.sale_figures("drop")?.quantity_confirmed - before.quantity_confirmed;
        outcome.doubts.extend(doubt_counts(outcome.success_count, sold, wrk.connection_count));
        Ok(outcome)
    };
    Contender { name: name.into(), pids: onrush.pids(), turn: Box::new(turn) }
}

/// redis-benchmark takes a number of requests, not a time: a short run finds the number that fills a turn.
pub(super) fn redis_reserve(
    redis: &Redis,
    turn_seconds: u64,
    connection_count: u32,
    pipelined_count: u32,
) -> Result<Contender<'_>> {
    let trial = redis.reserve(30_000, connection_count, pipelined_count)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
    let request_count = (trial.request_count as f64 / trial.seconds * turn_seconds as f64) as u64;
    let turn = move |_: &str| {
        let run = redis.reserve(request_count, connection_count, pipelined_count)?;
        let mut outcome = Outcome::of_count(run.confirmed_count, run.seconds, None);
        outcome.refusal_count = run.request_count.saturating_sub(run.confirmed_count);
        Ok(outcome)
    };
    Ok(Contender { name: "redis".into(), pids: redis.pids(), turn: Box::new(turn) })
}

fn onrush_refuse<'a>(wrk: &'a Wrk<'_>, onrush: &'a Onrush) -> Contender<'a> {
    let turn = |run: &str| {
        let mut outcome = Outcome::of_wrk(wrk.run(onrush.address, &new_customers("drop"), run)?, true);
        let sold = onrush.sale_figures("drop")?.quantity_confirmed;
        if sold != SOLD_OUT_UNITS {
            outcome.doubts.push(format!("{sold} units of {SOLD_OUT_UNITS} sold"));
        }
        Ok(outcome)
    };
    Contender { name: "onrush".into(), pids: onrush.pids(), turn: Box::new(turn) }
}

fn refusals_by_code(before: &[(String, u64)], after: &[(String, u64)]) -> String {
    let differences = after.iter().filter_map(|(code, count)| {
        let earlier = before.iter().find(|(name, _)| name == code).map_or(0, |(_, count)| *count);
        (*count > earlier).then(|| format!("{} {code}", count - earlier))
    });
    let text = differences.collect::<Vec<_>>().join(", ");
    if text.is_empty() {
        "the server counts no refusals by code".into()
    } else {
        format!("by the server's metrics: {text}")
    }
}

#[cfg(test)]
mod tests {
    use super::refusals_by_code;

    #[test]
    fn refusals_are_told_apart_by_code() {
        let counts =
            |stock: u64| vec![("insufficient_stock".to_owned(), stock), ("overloaded".to_owned(), 1)];
        assert_eq!(refusals_by_code(&counts(2), &counts(9)), "by the server's metrics: 7 insufficient_stock");
        assert!(refusals_by_code(&[], &[]).contains("no refusals"));
    }
}

//! Reservations and refusals over HTTP. Every reservation is of a customer never seen before, so each one writes.

use std::path::Path;

use anyhow::{Result, bail};

use super::hot_path::doubt_counts;
use crate::report::{Better, Figure, Findings, Row, Target};
use crate::rounds::{Contender, Outcome, Rounds};
use crate::servers::{Nginx, Onrush, Redis};
use crate::setting::Bench;
use crate::wrk::{Traffic, Wrk};

/// More units than any run can sell.
pub(super) const ENDLESS: u64 = 1_000_000_000;
const CONNECTION_COUNTS: [u32; 2] = [100, 400];
/// Units of the sale that is sold out before refusals are measured.
pub(super) const SOLD_OUT_UNITS: u64 = 1_000;

/// Successes: onrush next to nginx getting the same bodies, and next to Redis doing the same work as a script.
pub(crate) fn reserve(bench: &Bench) -> Result<Findings> {
    let onrush = Onrush::start(&bench.settings.onrush, &bench.directory("reserve-onrush")?, &[])?;
    onrush.put_sale("drop", ENDLESS)?;
    let nginx = Nginx::start(&bench.directory("reserve-nginx")?)?;
    let redis = Redis::start(&bench.directory("reserve-redis")?)?;
    let scripts = bench.directory("reserve-scripts")?;
    let seconds = bench.settings.turn_seconds;
    let mut findings = Findings::default();
    for connection_count in CONNECTION_COUNTS {
        let wrk = Wrk { directory: &scripts, connection_count, seconds };
        let mut contenders = vec![
            nginx_reserve(&wrk, &nginx),
            onrush_reserve(&wrk, &onrush, "onrush"),
            redis_reserve(&redis, seconds, connection_count, 1)?,
        ];
        let rounds = Rounds::interleave(bench, &mut contenders)?;
        drop(contenders);
        let mut part = Findings::of_rounds(&format!("reserve, {connection_count} connections"), &rounds);
        let figure = |side| Figure::new(side, "/s", rounds.values(side, |turn| turn.outcome.success_rate()));
        let compare = |peer| {
            let benchmark = format!("reserve, {connection_count} connections, to {peer}");
            Row::new(benchmark, figure("onrush"), Some(figure(peer)), Better::Higher)
        };
        let (reach, aim) = if connection_count == 100 { (0.63, 0.72) } else { (0.79, 0.85) };
        let mut to_nginx = compare("nginx").targets(Target::RatioAtLeast(reach), Target::RatioAtLeast(aim));
        to_nginx.notes = rounds.doubts();
        part.rows.push(to_nginx);
        part.rows.push(compare("redis").targets(Target::RatioAtLeast(1.3), Target::RatioAtLeast(2.0)));
        findings.merge(part);
    }
    onrush.stop()?;
    Ok(findings)
}

/// Refusals: the same requests on a sale that is sold out.
pub(crate) fn refuse(bench: &Bench) -> Result<Findings> {
    let onrush = Onrush::start(&bench.settings.onrush, &bench.directory("refuse-onrush")?, &[])?;
    let nginx = Nginx::start(&bench.directory("refuse-nginx")?)?;
    let scripts = bench.directory("refuse-scripts")?;
    onrush.put_sale("drop", SOLD_OUT_UNITS)?;
    sell_out(&scripts, &onrush, "drop")?;
    let mut findings = Findings::default();
    for connection_count in CONNECTION_COUNTS {
        let wrk = Wrk { directory: &scripts, connection_count, seconds: bench.settings.turn_seconds };
        let refusals_before = onrush.refusal_counts();
        let mut contenders =
            vec![nginx_reserve(&wrk, &nginx), onrush_refuse(&wrk, &onrush, "onrush", "drop")];
        let rounds = Rounds::interleave(bench, &mut contenders)?;
        drop(contenders);
        let title = format!("refuse (sold out), {connection_count} connections");
        let mut part = Findings::of_rounds(&title, &rounds);
        let subject =
            Figure::new("onrush", "/s", rounds.values("onrush", |turn| turn.outcome.refusal_rate()));
        let peer = Figure::new("nginx", "/s", rounds.values("nginx", |turn| turn.outcome.success_rate()));
        let (reach, aim) = if connection_count == 100 { (0.82, 0.95) } else { (0.95, 1.05) };
        let mut row = Row::new(title, subject, Some(peer), Better::Higher)
            .targets(Target::RatioAtLeast(reach), Target::RatioAtLeast(aim))
            .note(refusals_by_code(&refusals_before, &onrush.refusal_counts()));
        row.notes.extend(rounds.doubts());
        part.rows.push(row);
        findings.merge(part);
    }
    onrush.stop()?;
    Ok(findings)
}

/// Sells the [`SOLD_OUT_UNITS`] of a sale.
pub(super) fn sell_out(scripts: &Path, onrush: &Onrush, sale: &str) -> Result<()> {
    let wrk = Wrk { directory: scripts, connection_count: 100, seconds: 1 };
    wrk.run(onrush.address, &new_customers(sale), "first-")?;
    let figures = onrush.sale_figures(sale)?;
    if (figures.quantity_confirmed, figures.quantity_available) != (SOLD_OUT_UNITS, 0) {
        bail!("the sale of {SOLD_OUT_UNITS} units was not sold out after a second: {figures:?}");
    }
    Ok(())
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

/// Checks that nothing more is sold.
pub(super) fn onrush_refuse<'a>(
    wrk: &'a Wrk<'_>,
    onrush: &'a Onrush,
    name: &str,
    sale: &'static str,
) -> Contender<'a> {
    let prefix = format!("{}-", wrk.connection_count);
    let turn = move |run: &str| {
        let run = wrk.run(onrush.address, &new_customers(sale), &format!("{prefix}{run}"))?;
        let mut outcome = Outcome::of_wrk(run, true);
        let sold = onrush.sale_figures(sale)?.quantity_confirmed;
        if sold != SOLD_OUT_UNITS {
            outcome.doubts.push(format!("{sold} units of {SOLD_OUT_UNITS} sold"));
        }
        Ok(outcome)
    };
    Contender { name: name.into(), pids: onrush.pids(), turn: Box::new(turn) }
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

//! How the cost of a reservation grows with what there is more of: connections, sales, reservations already taken.

use anyhow::{Result, bail};

use super::reserve::{ENDLESS, nginx_reserve, onrush_reserve};
use crate::engine::EngineOrder;
use crate::http::request_bytes;
use crate::load;
use crate::report::{Better, Figure, Findings, Row};
use crate::rounds::{Contender, Outcome, Rounds};
use crate::servers::{Nginx, Onrush, sale_body};
use crate::setting::{Bench, progress};
use crate::wrk::{Traffic, Wrk};

/// Bytes of log between two snapshots, the server's default.
const SNAPSHOT_BYTES: u64 = 256 << 20;

/// 1 to 10,000 connections, each next to nginx with as many.
pub(crate) fn connections(bench: &Bench) -> Result<Findings> {
    let onrush = Onrush::start(&bench.settings.onrush, &bench.directory("connections-onrush")?, &[])?;
    onrush.put_sale("drop", ENDLESS)?;
    let nginx = Nginx::start(&bench.directory("connections-nginx")?)?;
    let scripts = bench.directory("connections-scripts")?;
    let mut findings = Findings::default();
    for connection_count in [1, 10, 100, 1_000, 10_000] {
        // wrk counts the time in which it opens its connections: thousands of them need a turn that makes up for it.
        let opening_seconds = u64::from(connection_count) / 2_000;
        let wrk = Wrk {
            directory: &scripts,
            connection_count,
            seconds: bench.settings.turn_seconds + opening_seconds,
        };
        let mut contenders = vec![nginx_reserve(&wrk, &nginx), onrush_reserve(&wrk, &onrush, "onrush")];
        let rounds = Rounds::interleave(bench, &mut contenders)?;
        drop(contenders);
        let mut part = Findings::of_rounds(&format!("reserve, {connection_count} connections"), &rounds);
        let figure = |side| Figure::new(side, "/s", rounds.values(side, |turn| turn.outcome.success_rate()));
        let title = format!("reserve, {connection_count} connections");
        let mut row = Row::new(title, figure("onrush"), Some(figure("nginx")), Better::Higher);
        row.notes = rounds.doubts();
        part.rows.push(row);
        findings.merge(part);
    }
    onrush.stop()?;
    Ok(findings)
}

/// Reservations spread over 1, 1,000 and 100,000 sales, each amount on a server of its own.
pub(crate) fn sales(bench: &Bench) -> Result<Findings> {
    let largest = bench.settings.sale_count;
    let mut servers = Vec::new();
    for sale_count in [1, largest / 100, largest] {
        let directory = bench.directory(&format!("sales-{sale_count}"))?;
        let onrush = Onrush::start(&bench.settings.onrush, &directory, &[])?;
        let body = sale_body(ENDLESS).to_string();
        let filled = load::fill(onrush.operator_address, sale_count.into(), |index| {
            request_bytes("PUT", &format!("/v1/sales/drop{index}"), Some(&body))
        })?;
        if filled.other_count > 0 {
            bail!("{} of {sale_count} sales were not opened", filled.other_count);
        }
        progress(&format!("  opened {sale_count} sales in {:.1} s", filled.seconds));
        servers.push((format!("{sale_count} sales"), onrush, sale_count));
    }
    let scripts = bench.directory("sales-scripts")?;
    let wrk = Wrk { directory: &scripts, connection_count: 100, seconds: bench.settings.turn_seconds };
    let mut contenders: Vec<_> = servers
        .iter()
        .map(|(name, onrush, sale_count)| many_sales(&wrk, onrush, name, *sale_count))
        .collect();
    let rounds = Rounds::interleave(bench, &mut contenders)?;
    drop(contenders);
    let names: Vec<_> = servers.iter().map(|(name, ..)| name.as_str()).collect();
    Ok(compared_with_first(&rounds, &names))
}

/// Reservations on top of none, of a fifth, and of all of 5 million, each amount on a server of its own.
pub(crate) fn reservations(bench: &Bench) -> Result<Findings> {
    let largest = bench.settings.reservation_count;
    let mut servers = Vec::new();
    for reservation_count in [0, largest / 5, largest] {
        let directory = bench.directory(&format!("reservations-{reservation_count}"))?;
        let run = EngineOrder::fill(&Onrush::data_directory(&directory), reservation_count, SNAPSHOT_BYTES)?;
        progress(&format!("  took {reservation_count} reservations in {:.1} s", run.seconds));
        let onrush = Onrush::start(&bench.settings.onrush, &directory, &[])?;
        servers.push((format!("{reservation_count} reservations"), onrush));
    }
    let scripts = bench.directory("reservations-scripts")?;
    let wrk = Wrk { directory: &scripts, connection_count: 100, seconds: bench.settings.turn_seconds };
    let mut contenders: Vec<_> =
        servers.iter().map(|(name, onrush)| onrush_reserve(&wrk, onrush, name)).collect();
    let rounds = Rounds::interleave(bench, &mut contenders)?;
    drop(contenders);
    let names: Vec<_> = servers.iter().map(|(name, _)| name.as_str()).collect();
    Ok(compared_with_first(&rounds, &names))
}

fn many_sales<'a>(wrk: &'a Wrk<'_>, onrush: &'a Onrush, name: &str, sale_count: u32) -> Contender<'a> {
    let sale_prefix = if sale_count > 1 { "drop" } else { "drop0" };
    let traffic = Traffic::NewCustomers { sale_prefix: sale_prefix.into(), sale_count };
    let turn = move |run: &str| Ok(Outcome::of_wrk(wrk.run(onrush.address, &traffic, run)?, false));
    Contender { name: name.into(), pids: onrush.pids(), turn: Box::new(turn) }
}

fn compared_with_first(rounds: &Rounds, names: &[&str]) -> Findings {
    let mut findings = Findings::of_rounds("reserve", rounds);
    let figure =
        |name: &str| Figure::new(name, "/s", rounds.values(name, |turn| turn.outcome.success_rate()));
    for (index, name) in names.iter().enumerate() {
        let peer = (index > 0).then(|| figure(names[0]));
        let mut row = Row::new(format!("reserve, {name}"), figure(name), peer, Better::Higher);
        if index == 0 {
            row.notes = rounds.doubts();
        }
        findings.rows.push(row);
    }
    findings
}

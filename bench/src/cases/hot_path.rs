//! Counters and the request window: the smallest durable operations, next to nginx answering a constant.

use std::net::SocketAddr;

use anyhow::Result;

use crate::report::{Better, Figure, Findings, Row, Target};
use crate::rounds::{Contender, Outcome, Rounds};
use crate::servers::{Hyper, Nginx, Onrush};
use crate::setting::Bench;
use crate::wrk::{Traffic, Wrk};

const GET_COUNTER: Traffic = Traffic::Same { method: "GET", path: "/web-counter/increment" };
const POST_COUNTER: Traffic = Traffic::Same { method: "POST", path: "/v1/counters/x" };
pub(super) const READ_COUNTER: Traffic = Traffic::Same { method: "GET", path: "/v1/counters/x" };
pub(super) const ANY_WINDOW: Traffic = Traffic::Same { method: "GET", path: "/" };

/// `GET /web-counter/increment` and `POST /v1/counters/x`, each against nginx getting the same request.
pub(crate) fn counter(bench: &Bench) -> Result<Findings> {
    let onrush = Onrush::start(&bench.settings.onrush, &bench.directory("counter-onrush")?, &[])?;
    let nginx = Nginx::start(&bench.directory("counter-nginx")?)?;
    let scripts = bench.directory("counter-scripts")?;
    let mut findings = Findings::default();
    for (connection_count, reach, aim) in [(100, 0.76, 0.85), (400, 0.97, 1.0)] {
        let wrk = Wrk { directory: &scripts, connection_count, seconds: bench.settings.turn_seconds };
        let mut contenders = vec![
            contender(&wrk, "nginx GET", nginx.pids(), nginx.address, GET_COUNTER),
            contender(&wrk, "onrush GET", onrush.pids(), onrush.address, GET_COUNTER),
            contender(&wrk, "nginx POST", nginx.pids(), nginx.address, POST_COUNTER),
            counted_post(&wrk, &onrush, "onrush POST"),
        ];
        let rounds = Rounds::interleave(bench, &mut contenders)?;
        let mut part = Findings::of_rounds(&format!("counter, {connection_count} connections"), &rounds);
        for (method, request) in [("GET", "GET /web-counter/increment"), ("POST", "POST /v1/counters/x")] {
            let figure = |side: &str| {
                let contender = format!("{side} {method}");
                Figure::new(side, "/s", rounds.values(&contender, |turn| turn.outcome.success_rate()))
            };
            let mut row = Row::new(
                format!("{request}, {connection_count} connections"),
                figure("onrush"),
                Some(figure("nginx")),
                Better::Higher,
            )
            .targets(Target::RatioAtLeast(reach), Target::RatioAtLeast(aim));
            if method == "GET" {
                row.notes = rounds.doubts();
            }
            part.rows.push(row);
        }
        findings.merge(part);
    }
    onrush.stop()?;
    Ok(findings)
}

/// `GET /v1/counters/x` and hyper with a constant, each against nginx: what answering from memory costs, and what our own
/// HTTP/1.1 gains over the library.
pub(crate) fn read(bench: &Bench) -> Result<Findings> {
    let onrush = Onrush::start(&bench.settings.onrush, &bench.directory("read-onrush")?, &[])?;
    onrush.count("x")?;
    let nginx = Nginx::start(&bench.directory("read-nginx")?)?;
    let hyper = Hyper::start(&bench.directory("read-hyper")?)?;
    let scripts = bench.directory("read-scripts")?;
    let mut findings = Findings::default();
    for connection_count in [100, 400] {
        let wrk = Wrk { directory: &scripts, connection_count, seconds: bench.settings.turn_seconds };
        let mut contenders = vec![
            contender(&wrk, "nginx", nginx.pids(), nginx.address, READ_COUNTER),
            contender(&wrk, "onrush", onrush.pids(), onrush.address, READ_COUNTER),
            contender(&wrk, "hyper", hyper.pids(), hyper.address, READ_COUNTER),
        ];
        let rounds = Rounds::interleave(bench, &mut contenders)?;
        let mut part = Findings::of_rounds(&format!("read, {connection_count} connections"), &rounds);
        let figure = |side| Figure::new(side, "/s", rounds.values(side, |turn| turn.outcome.success_rate()));
        let compare = |request: &str, side| {
            let benchmark = format!("{request}, {connection_count} connections");
            Row::new(benchmark, figure(side), Some(figure("nginx")), Better::Higher)
        };
        let mut row = compare("GET /v1/counters/x", "onrush")
            .targets(Target::RatioAtLeast(0.95), Target::RatioAtLeast(1.0));
        row.notes = rounds.doubts();
        part.rows.push(row);
        part.rows.push(compare("hyper with a constant", "hyper"));
        findings.merge(part);
    }
    onrush.stop()?;
    Ok(findings)
}

/// `/` of the request window with 100 connections.
pub(crate) fn window(bench: &Bench) -> Result<Findings> {
    let onrush = Onrush::start(&bench.settings.onrush, &bench.directory("window-onrush")?, &[])?;
    let nginx = Nginx::start(&bench.directory("window-nginx")?)?;
    let scripts = bench.directory("window-scripts")?;
    let wrk = Wrk { directory: &scripts, connection_count: 100, seconds: bench.settings.turn_seconds };
    let mut contenders = vec![
        contender(&wrk, "nginx", nginx.pids(), nginx.address, ANY_WINDOW),
        contender(&wrk, "onrush", onrush.pids(), onrush.address, ANY_WINDOW),
    ];
    let rounds = Rounds::interleave(bench, &mut contenders)?;
    drop(contenders);
    let mut findings = Findings::of_rounds("window", &rounds);
    let figure = |side| Figure::new(side, "/s", rounds.values(side, |turn| turn.outcome.success_rate()));
    let mut row =
        Row::new("GET / (window), 100 connections", figure("onrush"), Some(figure("nginx")), Better::Higher)
            .targets(Target::RatioAtLeast(0.75), Target::RatioAtLeast(1.0));
    row.notes = rounds.doubts();
    findings.rows.push(row);
    onrush.stop()?;
    Ok(findings)
}

pub(super) fn contender<'a>(
    wrk: &'a Wrk<'_>,
    name: &str,
    pids: Vec<u32>,
    address: SocketAddr,
    traffic: Traffic,
) -> Contender<'a> {
    let turn = move |run: &str| Ok(Outcome::of_wrk(wrk.run(address, &traffic, run)?, false));
    Contender { name: name.into(), pids, turn: Box::new(turn) }
}

/// Checks that the counter itself moved by what was acknowledged: no less, and no more than was also in flight.
pub(super) fn counted_post<'a>(wrk: &'a Wrk<'_>, onrush: &'a Onrush, name: &str) -> Contender<'a> {
    let turn = move |run: &str| {
        let before = onrush.counter("x")?;
        let mut outcome = Outcome::of_wrk(wrk.run(onrush.address, &POST_COUNTER, run)?, false);
        let moved = onrush.counter("x")? - before;
        outcome.doubts.extend(doubt_counts(outcome.success_count, moved, wrk.connection_count));
        Ok(outcome)
    };
    Contender { name: name.into(), pids: onrush.pids(), turn: Box::new(turn) }
}

/// wrk drops what is in flight when its time is up, so the server may have up to one more per connection.
pub(super) fn doubt_counts(acknowledged: u64, stored: u64, connection_count: u32) -> Option<String> {
    let allowed = acknowledged..=acknowledged + u64::from(connection_count);
    (!allowed.contains(&stored)).then(|| format!("{acknowledged} acknowledged, but {stored} stored"))
}

#[cfg(test)]
mod tests {
    use super::doubt_counts;

    #[test]
    fn counts_must_agree_up_to_what_was_in_flight() {
        assert_eq!(doubt_counts(10, 10, 2), None);
        assert_eq!(doubt_counts(10, 12, 2), None);
        assert!(doubt_counts(10, 13, 2).is_some());
        assert!(doubt_counts(10, 9, 2).is_some());
    }
}

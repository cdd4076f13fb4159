//! This build against the binary of an earlier release: every hot route, both servers up at the same time, their turns
//! interleaved. A ratio below 1 is something that became slower.

use anyhow::{Context, Result};

use super::hot_path::{ANY_WINDOW, READ_COUNTER, contender, counted_post};
use super::reserve::{ENDLESS, SOLD_OUT_UNITS, onrush_refuse, onrush_reserve, sell_out};
use crate::report::{Better, Figure, Findings, Row, Target};
use crate::rounds::{Contender, Rounds, Turn};
use crate::servers::Onrush;
use crate::setting::Bench;
use crate::wrk::{Traffic, Wrk};

const NOW: &str = "onrush";
const EARLIER: &str = "earlier";

/// A route and how its answers are counted.
struct Question {
    title: &'static str,
    turns: for<'a> fn(&'a Wrk<'_>, &'a Onrush, &str) -> Contender<'a>,
    rate: fn(&Turn) -> f64,
}

const QUESTIONS: [Question; 5] = [
    Question { title: "read of a counter", turns: read, rate: success_rate },
    Question { title: "durable count", turns: counted_post, rate: success_rate },
    Question { title: "window", turns: window, rate: success_rate },
    Question { title: "durable reservation", turns: reserve, rate: success_rate },
    Question { title: "refusal (sold out)", turns: refuse, rate: refusal_rate },
];

/// Every question with 100 and 400 connections.
pub(crate) fn earlier(bench: &Bench) -> Result<Findings> {
    let binary = bench.settings.earlier.as_ref();
    let binary = binary.context("name the binary of the release to compare with: --earlier PATH")?;
    let now = Onrush::start(&bench.settings.onrush, &bench.directory("earlier-now")?, &[])?;
    let earlier = Onrush::start(binary, &bench.directory("earlier-before")?, &[])?;
    let scripts = bench.directory("earlier-scripts")?;
    for server in [&now, &earlier] {
        server.count("x")?;
        server.put_sale("drop", ENDLESS)?;
        server.put_sale("gone", SOLD_OUT_UNITS)?;
        sell_out(&scripts, server, "gone")?;
    }
    let mut findings = Findings::default();
    for connection_count in [100, 400] {
        let wrk = Wrk { directory: &scripts, connection_count, seconds: bench.settings.turn_seconds };
        for question in &QUESTIONS {
            let mut contenders =
                [(question.turns)(&wrk, &now, NOW), (question.turns)(&wrk, &earlier, EARLIER)];
            let rounds = Rounds::interleave(bench, &mut contenders)?;
            findings.merge(compare(question, connection_count, &rounds));
        }
    }
    now.stop()?;
    earlier.stop()?;
    Ok(findings)
}

fn compare(question: &Question, connection_count: u32, rounds: &Rounds) -> Findings {
    let title = format!("{}, {connection_count} connections", question.title);
    let mut findings = Findings::of_rounds(&title, rounds);
    let figure = |side| Figure::new(side, "/s", rounds.values(side, question.rate));
    let mut row = Row::new(title, figure(NOW), Some(figure(EARLIER)), Better::Higher)
        .targets(Target::RatioAtLeast(0.95), Target::RatioAtLeast(1.0));
    row.notes = rounds.doubts();
    findings.rows.push(row);
    findings
}

fn read<'a>(wrk: &'a Wrk<'_>, onrush: &'a Onrush, name: &str) -> Contender<'a> {
    same(wrk, onrush, name, READ_COUNTER)
}

fn window<'a>(wrk: &'a Wrk<'_>, onrush: &'a Onrush, name: &str) -> Contender<'a> {
    same(wrk, onrush, name, ANY_WINDOW)
}

fn same<'a>(wrk: &'a Wrk<'_>, onrush: &'a Onrush, name: &str, traffic: Traffic) -> Contender<'a> {
    contender(wrk, name, onrush.pids(), onrush.address, traffic)
}

fn reserve<'a>(wrk: &'a Wrk<'_>, onrush: &'a Onrush, name: &str) -> Contender<'a> {
    onrush_reserve(wrk, onrush, name)
}

fn refuse<'a>(wrk: &'a Wrk<'_>, onrush: &'a Onrush, name: &str) -> Contender<'a> {
    onrush_refuse(wrk, onrush, name, "gone")
}

fn success_rate(turn: &Turn) -> f64 {
    turn.outcome.success_rate()
}

fn refusal_rate(turn: &Turn) -> f64 {
    turn.outcome.refusal_rate()
}

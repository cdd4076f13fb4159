//! Hot routes of two servers side by side, both up at the same time, their turns interleaved.

use std::path::Path;

use anyhow::Result;

use super::hot_path::{ANY_WINDOW, READ_COUNTER, contender, counted_post};
use super::reserve::{ENDLESS, SOLD_OUT_UNITS, onrush_refuse, onrush_reserve, sell_out};
use crate::report::{Better, Figure, Findings, Row, Target};
use crate::rounds::{Contender, Rounds, Turn};
use crate::servers::Onrush;
use crate::setting::Bench;
use crate::wrk::{Traffic, Wrk};

/// A route and how its answers are counted.
pub(super) struct Question {
    pub(super) title: &'static str,
    turns: for<'a> fn(&'a Wrk<'_>, &'a Onrush, &str) -> Contender<'a>,
    rate: fn(&Turn) -> f64,
}

pub(super) const READ: Question = Question { title: "read of a counter", turns: read, rate: success_rate };
pub(super) const COUNT: Question =
    Question { title: "durable count", turns: counted_post, rate: success_rate };
pub(super) const WINDOW: Question = Question { title: "window", turns: window, rate: success_rate };
pub(super) const RESERVE: Question =
    Question { title: "durable reservation", turns: reserve, rate: success_rate };
pub(super) const REFUSE: Question =
    Question { title: "refusal (sold out)", turns: refuse, rate: refusal_rate };

/// The servers, each with the name that it has in the table.
pub(super) struct Sides<'a> {
    pub(super) one: (&'static str, &'a Onrush),
    pub(super) other: (&'static str, &'a Onrush),
    /// Where scripts of wrk are.
    pub(super) scripts: &'a Path,
}

impl Sides<'_> {
    /// Makes what the questions ask about.
    pub(super) fn prepare(&self) -> Result<()> {
        for server in [self.one.1, self.other.1] {
            server.count("x")?;
            server.put_sale("drop", ENDLESS)?;
            server.put_sale("gone", SOLD_OUT_UNITS)?;
            sell_out(self.scripts, server, "gone")?;
        }
        Ok(())
    }

    /// Asks one question with so many connections. The targets are for the ratio: what it should be, and what is aimed at.
    pub(super) fn ask(
        &self,
        bench: &Bench,
        question: &Question,
        connection_count: u32,
        targets: [f64; 2],
    ) -> Result<Findings> {
        let wrk = Wrk { directory: self.scripts, connection_count, seconds: bench.settings.turn_seconds };
        let mut contenders =
            [self.one, self.other].map(|(name, server)| (question.turns)(&wrk, server, name));
        let rounds = Rounds::interleave(bench, &mut contenders)?;
        drop(contenders);
        let title = format!("{}, {connection_count} connections", question.title);
        let mut findings = Findings::of_rounds(&title, &rounds);
        let figure = |side| Figure::new(side, "/s", rounds.values(side, question.rate));
        let [reach, aim] = targets.map(Target::RatioAtLeast);
        let mut row = Row::new(title, figure(self.one.0), Some(figure(self.other.0)), Better::Higher)
            .targets(reach, aim);
        row.notes = rounds.doubts();
        findings.rows.push(row);
        Ok(findings)
    }
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

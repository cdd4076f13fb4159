//! What a benchmark found: the rows of the table, the costs behind them, and all of it as JSON.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use crate::rounds::{Cost, Rounds};
use crate::statistics::Spread;

/// One line of the table.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) benchmark: String,
    pub(crate) subject: Figure,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) peer: Option<Figure>,
    /// Per round, then summarised; above 1 means that onrush is better.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ratio: Option<Spread>,
    /// What is to be reached now, and what is aimed at.
    pub(crate) reach: Option<Target>,
    pub(crate) aim: Option<Target>,
    pub(crate) notes: Vec<String>,
}

/// A measured quantity of one contender.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    pub(crate) contender: String,
    pub(crate) unit: &'static str,
    pub(crate) values: Vec<f64>,
}

/// A bound that the median has to keep.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) enum Target {
    RatioAtLeast(f64),
    ValueAtMost(f64),
}

/// Everything that one benchmark hands back.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Findings {
    pub(crate) rows: Vec<Row>,
    pub(crate) costs: Vec<Cost>,
    /// Every round's raw figures.
    pub(crate) raw: Vec<Value>,
}

impl Figure {
    pub(crate) fn new(contender: impl Into<String>, unit: &'static str, values: Vec<f64>) -> Self {
        Self { contender: contender.into(), unit, values }
    }

    fn text(&self) -> String {
        Spread::of(self.values.iter().copied())
            .map_or("-".into(), |spread| format!("{} {}", number(spread.median), self.unit))
    }
}

impl Row {
    /// `better` tells which direction is good; the ratio is turned so that above 1 is good for onrush.
    pub(crate) fn new(
        benchmark: impl Into<String>,
        subject: Figure,
        peer: Option<Figure>,
        better: Better,
    ) -> Self {
        let ratio = peer.as_ref().and_then(|peer| match better {
            Better::Higher => Spread::of_ratios(&subject.values, &peer.values),
            Better::Lower => Spread::of_ratios(&peer.values, &subject.values),
        });
        Self { benchmark: benchmark.into(), subject, peer, ratio, reach: None, aim: None, notes: Vec::new() }
    }

    pub(crate) fn targets(mut self, reach: Target, aim: Target) -> Self {
        (self.reach, self.aim) = (Some(reach), Some(aim));
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    fn verdict(&self) -> &'static str {
        let keeps = |target: Option<Target>| target.is_some_and(|target| self.keeps(target));
        match self.reach {
            None => "",
            Some(_) if keeps(self.aim) => "aim",
            Some(_) if keeps(self.reach) => "reach",
            Some(_) => "below",
        }
    }

    fn keeps(&self, target: Target) -> bool {
        let ratio = self.ratio.map_or(0.0, |ratio| ratio.median);
        let value = Spread::of(self.subject.values.iter().copied()).map(|spread| spread.median);
        match target {
            Target::RatioAtLeast(bound) => ratio >= bound,
            Target::ValueAtMost(bound) => value.is_some_and(|value| value <= bound),
        }
    }
}

/// Which direction of a figure is good.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Better {
    Higher,
    Lower,
}

impl Findings {
    /// The costs and raw figures of `rounds`; `title` tells what its answers were.
    pub(crate) fn of_rounds(title: &str, rounds: &Rounds) -> Self {
        let mut contenders: Vec<&str> = Vec::new();
        for turn in &rounds.turns {
            if !contenders.contains(&turn.contender.as_str()) {
                contenders.push(&turn.contender);
            }
        }
        let costs = contenders.iter().filter_map(|contender| rounds.cost(title, contender)).collect();
        let raw = rounds.turns.iter().filter_map(|turn| serde_json::to_value(turn).ok()).collect();
        Self { rows: Vec::new(), costs, raw }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.rows.extend(other.rows);
        self.costs.extend(other.costs);
        self.raw.extend(other.raw);
    }
}

/// The table of all rows, then the table of costs, then the notes.
pub(crate) fn text(findings: &[(&'static str, Findings)]) -> String {
    let mut rows = vec![
        ["benchmark", "onrush", "peer", "ratio [min-max]", "reach", "aim", ""].map(String::from).to_vec(),
    ];
    let mut costs = vec![
        ["per answer", "by", "server µs", "switches", "client µs", "client busy", "p50 µs", "p99 µs"]
            .map(String::from)
            .to_vec(),
    ];
    let mut notes = String::new();
    for (_, findings) in findings {
        for row in &findings.rows {
            rows.push(row_cells(row));
            for note in &row.notes {
                let _ = writeln!(notes, "  {}: {note}", row.benchmark);
            }
        }
        for cost in &findings.costs {
            costs.push(cost_cells(cost));
        }
    }
    let mut text = aligned(&rows);
    if costs.len() > 1 {
        let _ = write!(text, "\n{}", aligned(&costs));
    }
    if !notes.is_empty() {
        let _ = write!(text, "\nnotes\n{notes}");
    }
    text
}

fn row_cells(row: &Row) -> Vec<String> {
    let peer = row.peer.as_ref().map_or("-".into(), |peer| format!("{} ({})", peer.text(), peer.contender));
    let ratio = row.ratio.map_or("-".into(), |ratio| {
        format!("{} [{}-{}]", number(ratio.median), number(ratio.min), number(ratio.max))
    });
    vec![
        row.benchmark.clone(),
        row.subject.text(),
        peer,
        ratio,
        row.reach.map_or(String::new(), target_text),
        row.aim.map_or(String::new(), target_text),
        row.verdict().into(),
    ]
}

fn cost_cells(cost: &Cost) -> Vec<String> {
    vec![
        cost.title.clone(),
        cost.contender.clone(),
        number(cost.server_cpu_us),
        number(cost.context_switches),
        number(cost.client_cpu_us),
        format!("{:.0} %", cost.client_share * 100.0),
        cost.p50_us.map_or("-".into(), number),
        cost.p99_us.map_or("-".into(), number),
    ]
}

fn target_text(target: Target) -> String {
    match target {
        Target::RatioAtLeast(bound) => format!("{bound}x"),
        Target::ValueAtMost(bound) => format!("<= {bound}"),
    }
}

/// Three significant digits, thousands apart.
fn number(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude >= 1000.0 {
        let digits = format!("{magnitude:.0}");
        let mut text = String::new();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index) % 3 == 0 {
                text.push(',');
            }
            text.push(digit);
        }
        return if value < 0.0 { format!("-{text}") } else { text };
    }
    let decimals = match magnitude {
        100.0.. => 0,
        10.0..100.0 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

fn aligned(rows: &[Vec<String>]) -> String {
    let column_count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..column_count).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(subject: &[f64], peer: &[f64], better: Better) -> Row {
        let figure = |values: &[f64]| Figure::new("x", "/s", values.to_vec());
        let peer = (!peer.is_empty()).then(|| figure(peer));
        Row::new("b", figure(subject), peer, better)
    }

    #[track_caller]
    fn check(row: Row, reach: Target, aim: Target, verdict: &str) {
        assert_eq!(row.targets(reach, aim).verdict(), verdict);
    }

    #[test]
    fn verdicts() {
        let (reach, aim) = (Target::RatioAtLeast(0.5), Target::RatioAtLeast(0.8));
        check(row(&[9.0], &[10.0], Better::Higher), reach, aim, "aim");
        check(row(&[6.0], &[10.0], Better::Higher), reach, aim, "reach");
        check(row(&[4.0], &[10.0], Better::Higher), reach, aim, "below");
        check(row(&[10.0], &[6.0], Better::Lower), reach, aim, "reach");
        check(row(&[64.0], &[], Better::Lower), Target::ValueAtMost(100.0), Target::ValueAtMost(64.0), "aim");
    }

    #[test]
    fn numbers() {
        let texts = [0.753, 12.34, 456.7, 1234.0, 1_234_567.0].map(number);
        assert_eq!(texts, ["0.75", "12.3", "457", "1,234", "1,234,567"]);
    }

    #[test]
    fn columns_line_up() {
        let rows = [vec!["a".to_owned(), "µs".into()], vec!["long".into(), "b".into()]];
        assert_eq!(aligned(&rows), "a     µs\nlong  b\n");
    }
}

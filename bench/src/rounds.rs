//! Interleaved rounds: A B C, A B C, … on servers that stay up, so that a slow minute of the machine hits all of them,
//! with what each turn cost in processor time and context switches.

use anyhow::{Context, Result};
use serde::Serialize;

use crate::meter::{Meter, Spent};
use crate::setting::{Bench, progress};
use crate::statistics::Spread;
use crate::wrk::WrkRun;

/// Above this share of the machine's time, something else was running and the turn is marked.
const FOREIGN_SHARE_MAX: f64 = 0.08;

/// Above this ratio of the slowest to the fastest sync of the idle disk, durable figures say more about the disk.
const SYNC_VARIATION_MAX: f64 = 2.0;

/// One side of a comparison.
pub(crate) struct Contender<'a> {
    pub(crate) name: String,
    /// The server's processes.
    pub(crate) pids: Vec<u32>,
    /// Measures one turn; it is given a name that differs in every turn.
    pub(crate) turn: MeasureTurn<'a>,
}

pub(crate) type MeasureTurn<'a> = Box<dyn FnMut(&str) -> Result<Outcome> + 'a>;

/// What one turn achieved, successes and refusals apart.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Outcome {
    pub(crate) success_count: u64,
    pub(crate) refusal_count: u64,
    pub(crate) error_count: u64,
    pub(crate) seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wrk: Option<WrkRun>,
    /// What was used, where that is something else than what was used during the whole turn.
    #[serde(skip)]
    pub(crate) spent: Option<Spent>,
    /// Anything that makes the turn doubtful, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) doubts: Vec<String>,
}

/// One turn of one contender.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Turn {
    pub(crate) round: u32,
    /// Median fdatasync of the idle disk just before the round.
    pub(crate) sync_us: f64,
    pub(crate) contender: String,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
    #[serde(flatten)]
    pub(crate) spent: Spent,
}

/// All turns of one comparison.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Rounds {
    pub(crate) turns: Vec<Turn>,
}

impl Rounds {
    /// Runs every contender once per round, in order, after one short warm-up each.
    pub(crate) fn interleave(bench: &Bench, contenders: &mut [Contender<'_>]) -> Result<Self> {
        let mut rounds = Self::default();
        for round in 0..=bench.settings.round_count {
            let sync_us = bench.sync_time()?.as_secs_f64() * 1e6;
            for (index, contender) in contenders.iter_mut().enumerate() {
                let turn = measure(round, index, sync_us, contender)
                    .with_context(|| format!("measure {}", contender.name))?;
                // Round 0 warms up: caches, allocators and processor clocks.
                if round > 0 {
                    progress(&format!(
                        "  round {round} {}: {:.0}/s",
                        turn.contender,
                        turn.outcome.answer_rate()
                    ));
                    rounds.turns.push(turn);
                }
            }
        }
        Ok(rounds)
    }

    /// The values of `contender`, one per round.
    pub(crate) fn values(&self, contender: &str, value: impl Fn(&Turn) -> f64) -> Vec<f64> {
        self.turns.iter().filter(|turn| turn.contender == contender).map(value).collect()
    }

    /// The doubts of all turns, without repeats.
    pub(crate) fn doubts(&self) -> Vec<String> {
        let mut doubts: Vec<String> = Vec::new();
        for turn in &self.turns {
            for doubt in &turn.outcome.doubts {
                let doubt = format!("{}: {doubt}", turn.contender);
                if !doubts.contains(&doubt) {
                    doubts.push(doubt);
                }
            }
        }
        let disturbed_count = self.turns.iter().filter(|turn| turn.is_disturbed()).count();
        if disturbed_count > 0 {
            doubts.push(format!(
                "{disturbed_count} of {} turns shared the machine with something else",
                self.turns.len()
            ));
        }
        if let Some(sync) = Spread::of(self.turns.iter().map(|turn| turn.sync_us))
            && sync.max > SYNC_VARIATION_MAX * sync.min
        {
            doubts.push(format!("the disk's sync took {:.0} to {:.0} µs", sync.min, sync.max));
        }
        doubts
    }

    /// What one answer of `contender` costs, in words.
    pub(crate) fn cost(&self, title: &str, contender: &str) -> Option<Cost> {
        let per_answer = |value: fn(&Turn) -> f64| {
            Spread::of(self.values(contender, |turn| value(turn) / turn.outcome.answer_count() as f64))
        };
        Some(Cost {
            title: title.to_owned(),
            contender: contender.to_owned(),
            server_cpu_us: per_answer(|turn| turn.spent.server.cpu_seconds * 1e6)?.median,
            client_cpu_us: per_answer(|turn| turn.spent.client_cpu_seconds * 1e6)?.median,
            context_switches: per_answer(|turn| turn.spent.server.context_switch_count as f64)?.median,
            client_share: Spread::of(
                self.values(contender, |turn| turn.spent.client_cpu_seconds / turn.outcome.seconds),
            )?
            .median,
            p50_us: self.wrk_spread(contender, |run| run.p50_us),
            p99_us: self.wrk_spread(contender, |run| run.p99_us),
        })
    }

    fn wrk_spread(&self, contender: &str, value: fn(&WrkRun) -> f64) -> Option<f64> {
        let values = self.values(contender, |turn| turn.outcome.wrk.as_ref().map_or(f64::NAN, value));
        Some(Spread::of(values)?.median)
    }
}

/// Medians per answer; latencies are a closed loop's and only comparable within their row.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Cost {
    pub(crate) title: String,
    pub(crate) contender: String,
    pub(crate) server_cpu_us: f64,
    pub(crate) client_cpu_us: f64,
    pub(crate) context_switches: f64,
    /// Of one core; near 1 the single-threaded client is what limits the rate.
    pub(crate) client_share: f64,
    pub(crate) p50_us: Option<f64>,
    pub(crate) p99_us: Option<f64>,
}

impl Outcome {
    /// Of work without refusals that was measured by itself.
    pub(crate) fn of_count(success_count: u64, seconds: f64, spent: Option<Spent>) -> Self {
        let (refusal_count, error_count, wrk, doubts) = (0, 0, None, Vec::new());
        Self { success_count, refusal_count, error_count, seconds, wrk, spent, doubts }
    }

    /// Of a run of wrk in which every answer should be a success, or, with `refused`, a refusal.
    pub(crate) fn of_wrk(run: WrkRun, refused: bool) -> Self {
        let success_count = run.answer_count - run.refusal_count;
        let error_count = run.socket_error_count + run.timeout_count;
        let mut doubts = Vec::new();
        if error_count > 0 {
            doubts.push("socket errors or time-outs".to_owned());
        }
        if refused && success_count > 0 {
            doubts.push(format!("{success_count} successes among the refusals"));
        }
        if !refused && run.refusal_count > 0 {
            doubts.push(format!("{} answers were not 2xx", run.refusal_count));
        }
        Self {
            success_count,
            refusal_count: run.refusal_count,
            error_count,
            seconds: run.seconds,
            wrk: Some(run),
            spent: None,
            doubts,
        }
    }

    pub(crate) fn success_rate(&self) -> f64 {
        self.success_count as f64 / self.seconds
    }

    pub(crate) fn refusal_rate(&self) -> f64 {
        self.refusal_count as f64 / self.seconds
    }

    fn answer_count(&self) -> u64 {
        self.success_count + self.refusal_count
    }

    fn answer_rate(&self) -> f64 {
        self.answer_count() as f64 / self.seconds
    }
}

impl Turn {
    pub(crate) fn is_disturbed(&self) -> bool {
        let capacity = self.outcome.seconds * crate::machine::core_count() as f64;
        self.spent.foreign_cpu_seconds > FOREIGN_SHARE_MAX * capacity
    }
}

fn measure(round: u32, index: usize, sync_us: f64, contender: &mut Contender<'_>) -> Result<Turn> {
    let meter = Meter::start(&contender.pids, &[]);
    let mut outcome = (contender.turn)(&format!("r{round}c{index}-"))?;
    let spent = outcome.spent.take().unwrap_or_else(|| meter.stop());
    Ok(Turn { round, sync_us, contender: contender.name.clone(), outcome, spent })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(answer_count: u64, refusal_count: u64) -> WrkRun {
        let (socket_error_count, timeout_count) = (0, 0);
        let (p50_us, p99_us, max_us) = (1.0, 2.0, 3.0);
        WrkRun {
            answer_count,
            seconds: 2.0,
            refusal_count,
            socket_error_count,
            timeout_count,
            p50_us,
            p99_us,
            max_us,
        }
    }

    #[track_caller]
    fn check(run: WrkRun, refused: bool, success_rate: f64, refusal_rate: f64, doubt_count: usize) {
        let outcome = Outcome::of_wrk(run, refused);
        assert!((outcome.success_rate() - success_rate).abs() < 1e-9);
        assert!((outcome.refusal_rate() - refusal_rate).abs() < 1e-9);
        assert_eq!(outcome.doubts.len(), doubt_count, "{:?}", outcome.doubts);
    }

    #[test]
    fn successes_and_refusals_are_counted_apart() {
        check(run(100, 0), false, 50.0, 0.0, 0);
        check(run(100, 10), false, 45.0, 5.0, 1);
        check(run(100, 100), true, 0.0, 50.0, 0);
        check(run(100, 90), true, 5.0, 45.0, 1);
    }
}

//! How long it took until somebody sold again.

use std::collections::BTreeMap;
use std::fmt;

use super::harm::Harm;
use crate::cluster_checker::Answer;

const NS_PER_MS: u64 = 1_000_000;

/// Times of a run, milliseconds, by what went wrong.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// From a harm that deposes the leader to the first question that another node decided.
    failovers: BTreeMap<&'static str, Vec<u64>>,
    /// The longest time without an answer after any other harm.
    silences: BTreeMap<&'static str, Vec<u64>>,
}

impl Figures {
    /// Takes the answers of a cycle.
    pub(super) fn take(&mut self, harm: Harm, leader: usize, harmed_ns: u64, answers: &[Answer]) {
        let decided = answers.iter().filter(|answer| answer.told.is_decided());
        let name = harm.name(leader);
        if harm.deposes() && harm.node() == Some(leader) {
            let others = decided.filter(|answer| answer.node != leader && answer.times.sent_ns > harmed_ns);
            let first = others.map(|answer| answer.times.ended_ns).min();
            let times = self.failovers.entry(name).or_default();
            times.extend(first.map(|first| (first - harmed_ns) / NS_PER_MS));
            return;
        }
        let mut ended: Vec<u64> = decided.map(|answer| answer.times.ended_ns).collect();
        ended.push(harmed_ns);
        ended.sort_unstable();
        ended.retain(|ended| *ended >= harmed_ns);
        let longest = ended.windows(2).map(|pair| pair[1] - pair[0]).max();
        self.silences.entry(name).or_default().extend(longest.map(|longest| longest / NS_PER_MS));
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("until another node sold:")?;
        for (name, times) in &self.failovers {
            write!(formatter, " {name} {};", spread(times))?;
        }
        formatter.write_str(" longest time without an answer:")?;
        for (name, times) in &self.silences {
            write!(formatter, " {name} {};", spread(times))?;
        }
        Ok(())
    }
}

fn spread(times_ms: &[u64]) -> String {
    let mut sorted = times_ms.to_vec();
    sorted.sort_unstable();
    let Some(max) = sorted.last() else { return "never measured".into() };
    let at = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100).saturating_sub(1)];
    format!("{} times, median {} ms, p99 {} ms, most {max} ms", sorted.len(), at(50), at(99))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster_checker::Told;
    use crate::ledger::Times;

    fn answer(node: usize, sent_ms: u64, ended_ms: u64) -> Answer {
        let times = Times { sent_ns: sent_ms * NS_PER_MS, ended_ns: ended_ms * NS_PER_MS };
        Answer { node, times, told: Told::NumberRead { number: String::new(), value: 0 } }
    }

    #[test]
    fn a_failover_ends_with_an_answer_of_another_node_to_a_later_question() {
        let mut figures = Figures::default();
        let answers = [answer(0, 90, 95), answer(0, 101, 300), answer(1, 99, 200), answer(1, 150, 400)];
        figures.take(Harm::KillNode(0), 0, 100 * NS_PER_MS, &answers);
        let failovers = BTreeMap::from([("leader killed", vec![300])]);
        assert_eq!((figures.failovers, figures.silences), (failovers, BTreeMap::new()));
    }

    #[test]
    fn other_harm_is_measured_by_its_longest_silence() {
        let mut figures = Figures::default();
        let answers = [answer(0, 10, 60), answer(0, 90, 120), answer(1, 150, 400), answer(1, 150, 420)];
        figures.take(Harm::KillBroker(0), 0, 100 * NS_PER_MS, &answers);
        figures.take(Harm::KillNode(1), 0, 410 * NS_PER_MS, &answers);
        let silences = BTreeMap::from([("broker killed", vec![280]), ("follower killed", vec![10])]);
        assert_eq!((figures.failovers, figures.silences), (BTreeMap::new(), silences));
    }

    #[test]
    fn figures_of_a_list_are_told() {
        assert_eq!(spread(&[]), "never measured");
        assert_eq!(spread(&[3, 1, 2]), "3 times, median 2 ms, p99 3 ms, most 3 ms");
    }
}

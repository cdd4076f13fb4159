//! Numbers that only grow: every acknowledged addition owns the interval `(value - by, value]`, no two intervals overlap,
//! and what lies between them must be explained by additions whose outcome is unknown.

use anyhow::{Result, ensure};

use super::{Outcome, Times};

/// One addition.
#[derive(Debug, Clone)]
pub(crate) struct Add {
    /// How much.
    pub by: u64,
    /// When.
    pub times: Times,
    /// The new value.
    pub outcome: Outcome<u64>,
}

/// One reading.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Read {
    /// When.
    pub times: Times,
    /// The value seen.
    pub value: u64,
}

/// What happened to one number between two observations of it at rest.
#[derive(Debug, Clone, Default)]
pub(crate) struct Period {
    /// All additions sent.
    pub adds: Vec<Add>,
    /// All answered readings.
    pub reads: Vec<Read>,
}

/// An acknowledged addition.
#[derive(Debug, Clone, Copy)]
struct Taken {
    value: u64,
    by: u64,
    times: Times,
}

impl Period {
    /// Checks that a number which stood at `before` may stand at `after`, given what clients were told in between.
    pub(crate) fn check(&self, before: u64, after: u64) -> Result<()> {
        let mut taken = Vec::new();
        let mut unknown = Vec::new();
        for add in &self.adds {
            match &add.outcome {
                Outcome::Acknowledged(value) => {
                    taken.push(Taken { value: *value, by: add.by, times: add.times });
                }
                Outcome::Unknown(_) => unknown.push(add.by),
                Outcome::Refused { .. } => {}
            }
        }
        taken.sort_by_key(|add| add.value);
        check_intervals(&taken, before, after, &sums(&unknown))?;
        check_order(&taken)?;
        self.reads.iter().try_for_each(|read| check_read(*read, &taken, before, after))
    }
}

/// Nothing doubled, nothing lost, nothing invented.
fn check_intervals(taken: &[Taken], before: u64, after: u64, sums: &[bool]) -> Result<()> {
    let mut reached = before;
    let mut unexplained = 0;
    let explained =
        |gap: u64| usize::try_from(gap).is_ok_and(|gap| sums.get(gap).copied().unwrap_or_default());
    for add in taken {
        let start = add.value.checked_sub(add.by);
        let Some(start) = start.filter(|start| *start >= reached) else {
            anyhow::bail!(
                "an addition of {} was answered {}, but everything up to {reached} was issued before",
                add.by,
                add.value
            );
        };
        let gap = start - reached;
        ensure!(explained(gap), "{reached} to {start} was issued to nobody who asked");
        unexplained += gap;
        reached = add.value;
    }
    ensure!(after >= reached, "{reached} was acknowledged, but the number stands at {after}");
    ensure!(explained(after - reached), "{reached} to {after} was issued to nobody who asked");
    unexplained += after - reached;
    ensure!(
        explained(unexplained),
        "{unexplained} more than acknowledged, which no choice of the unknown additions explains"
    );
    Ok(())
}

/// Of two additions, one of which was answered before the other was sent, the first has the smaller value.
fn check_order(taken: &[Taken]) -> Result<()> {
    let mut latest = None::<Taken>;
    for add in taken {
        if let Some(earlier) = latest {
            ensure!(
                add.times.ended_ns >= earlier.times.sent_ns,
                "{} was answered before {} was asked for",
                add.value,
                earlier.value
            );
        }
        if latest.is_none_or(|earlier| add.times.sent_ns > earlier.times.sent_ns) {
            latest = Some(*add);
        }
    }
    Ok(())
}

fn check_read(read: Read, taken: &[Taken], before: u64, after: u64) -> Result<()> {
    let Read { times, value } = read;
    ensure!(value >= before, "{value} was read after {before} had been seen");
    ensure!(value <= after, "{value} was read, but the number stands at {after}");
    for add in taken {
        ensure!(
            value >= add.value || add.times.ended_ns >= times.sent_ns,
            "{value} was read after {} had been answered",
            add.value
        );
        ensure!(
            value < add.value || add.times.sent_ns <= times.ended_ns,
            "{value} was read before {} was asked for",
            add.value
        );
        ensure!(
            value <= add.value - add.by || value >= add.value,
            "{value} was read, inside an addition of {} answered {}",
            add.by,
            add.value
        );
    }
    Ok(())
}

/// `sums[n]` says whether some choice of the parts adds up to `n`.
fn sums(parts: &[u64]) -> Vec<bool> {
    let mut sums = vec![true];
    for part in parts {
        let part = usize::try_from(*part).expect("an addition fits usize");
        let mut longer = sums.clone();
        longer.resize(sums.len() + part, false);
        for (sum, reachable) in sums.iter().enumerate() {
            longer[sum + part] |= *reachable;
        }
        sums = longer;
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Lost;

    /// Runs a history: the first line is the number before, the last the number after, each line between is
    /// `add BY -> VALUE|?|no [SENT ENDED]` or `read VALUE [SENT ENDED]`. `expected` is a part of the violation, or empty.
    fn check(history: &str, expected: &str) {
        let lines = history.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>();
        let mut period = Period::default();
        for line in &lines[1..lines.len() - 1] {
            let words = line.split_whitespace().collect::<Vec<_>>();
            let number = |at: usize| words[at].parse::<u64>().expect("a number");
            let times = |at: usize| {
                let timed = words.len() > at;
                let (sent_ns, ended_ns) = if timed { (number(at), number(at + 1)) } else { (0, u64::MAX) };
                Times { sent_ns, ended_ns }
            };
            if words[0] == "read" {
                period.reads.push(Read { times: times(2), value: number(1) });
                continue;
            }
            let outcome = match words[3] {
                "?" => Outcome::Unknown(Lost::Closed),
                "no" => Outcome::Refused { status: 503, code: "overloaded".into() },
                _ => Outcome::Acknowledged(number(3)),
            };
            period.adds.push(Add { by: number(1), times: times(4), outcome });
        }
        let bound = |line: &str| line.parse::<u64>().expect("a number");
        let got = period.check(bound(lines[0]), bound(lines[lines.len() - 1]));
        match got {
            Ok(()) => assert_eq!(expected, "", "not noticed:\n{history}"),
            Err(error) => {
                assert!(!expected.is_empty() && error.to_string().contains(expected), "{error}\n{history}");
            }
        }
    }

    #[test]
    fn true_histories_pass() {
        check("0 \n 0", "");
        check("0 \n add 1 -> 1 \n add 1 -> 2 \n 2", "");
        check("5 \n add 1 -> 7 \n add 1 -> 6 \n 7", "");
        check("5 \n add 10 -> 15 \n add 3 -> ? \n 15", "");
        check("5 \n add 10 -> 15 \n add 3 -> ? \n 18", "");
        check("5 \n add 3 -> ? \n add 10 -> 18 \n 18", "");
        check("5 \n add 3 -> no \n add 10 -> 15 \n 15", "");
        check("0 \n add 1 -> 1 0 10 \n add 1 -> 2 5 9 \n read 1 6 12 \n 2", "");
    }

    #[test]
    fn lost_effects_are_noticed() {
        check("0 \n add 1 -> 1 \n 0", "1 was acknowledged, but the number stands at 0");
        check("9 \n 8", "9 was acknowledged");
        check("0 \n add 1 -> 1 \n add 1 -> 2 \n add 1 -> 3 \n 2", "but the number stands at 2");
        check("0 \n add 1 -> ? \n read 1 \n 0", "1 was read, but the number stands at 0");
    }

    #[test]
    fn doubled_effects_are_noticed() {
        check("0 \n add 1 -> 1 \n add 1 -> 1 \n 1", "issued before");
        check("0 \n add 1 -> 1 \n add 1 -> 1 \n 2", "issued before");
        check("4 \n add 1 -> 4 \n 4", "issued before");
        check("0 \n add 5 -> 5 \n add 3 -> 7 \n 8", "issued before");
        check("0 \n add 1 -> 1 \n add 1 -> ? \n 3", "issued to nobody");
    }

    #[test]
    fn invented_effects_are_noticed() {
        check("0 \n 1", "issued to nobody");
        check("0 \n add 1 -> 2 \n 2", "0 to 1 was issued to nobody");
        check("0 \n add 3 -> no \n 3", "issued to nobody");
        check("0 \n add 3 -> ? \n 2", "issued to nobody");
        check("0 \n add 3 -> ? \n add 1 -> 4 \n 7", "6 more than acknowledged");
    }

    #[test]
    fn numbers_that_run_backwards_are_noticed() {
        check("0 \n add 1 -> 2 0 10 \n add 1 -> 1 20 30 \n 2", "1 was asked for");
        check("0 \n add 1 -> 1 0 10 \n read 0 20 30 \n 1", "0 was read after 1 had been answered");
        check("0 \n read 1 0 10 \n add 1 -> 1 20 30 \n 1", "1 was read before 1 was asked for");
        check("0 \n add 5 -> 5 \n read 3 \n 5", "inside an addition");
        check("6 \n read 5 \n 6", "after 6 had been seen");
    }
}

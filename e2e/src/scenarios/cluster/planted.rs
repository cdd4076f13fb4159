//! Who watches the watcher: something false is put into what a run has really seen, as a node with a fault would have done it, and the
//! checker must object. A checker that lets any of this pass proves nothing when it passes.

use anyhow::{Context as _, Result, ensure};

use crate::cluster_checker::{Answer, Checker, Told, is_batch};
use crate::ledger::{Outcome, Times};

/// What was read and heard since the checker has judged last.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// Records from the next one of the checker on.
    pub(super) records: Vec<Vec<u8>>,
    pub(super) answers: Vec<Answer>,
}

/// What it is, and how it is put there; nothing if the run has no place for it.
type Plant = (&'static str, fn(&mut Seen, &Checker) -> Option<()>);

/// Each of them must be noticed.
const PLANTS: &[Plant] = &[
    ("a batch that its leader wrote twice", write_twice),
    ("a record that was acknowledged and is gone", lose),
    ("an answer before anything was in force", tell_too_much),
    ("a value that was told to two", tell_twice),
    ("a reservation that nobody asked for", forget_a_request),
    ("a read of a state that was over", read_what_is_over),
    ("a refusal without a reason", refuse),
];

/// Takes what was really seen, and then objects to it with each false thing in it. Returns how many these were.
pub(super) fn check(checker: &Checker, seen: &Seen) -> Result<usize> {
    seen.clone().judge(&mut checker.clone()).context("before anything was planted")?;
    let mut planted_count = 0;
    for (what, plant) in PLANTS {
        let mut false_one = seen.clone();
        if plant(&mut false_one, checker).is_none() {
            println!("    SKIPPED: the last cycle has no place for {what}");
            continue;
        }
        ensure!(false_one.judge(&mut checker.clone()).is_err(), "nobody noticed {what}");
        planted_count += 1;
    }
    Ok(planted_count)
}

impl Seen {
    /// Shows it to the checker.
    pub(super) fn judge(self, checker: &mut Checker) -> Result<()> {
        self.read(checker)?;
        checker.judge(self.answers)
    }

    fn read(&self, checker: &mut Checker) -> Result<()> {
        (checker.next_no()..).zip(&self.records).try_for_each(|(no, bytes)| checker.read(no, bytes))
    }
}

fn write_twice(seen: &mut Seen, checker: &Checker) -> Option<()> {
    let mut checker = checker.clone();
    seen.read(&mut checker).ok()?;
    let batch = seen.records.iter().rev().find(|bytes| is_batch(bytes))?;
    let forged = checker.forged(batch).ok()??;
    seen.records.push(forged);
    Some(())
}

fn lose(seen: &mut Seen, _: &Checker) -> Option<()> {
    let batch = seen.records.iter_mut().find(|bytes| is_batch(bytes))?;
    b"gone".as_slice().clone_into(batch);
    Some(())
}

fn tell_too_much(seen: &mut Seen, _: &Checker) -> Option<()> {
    let value = seen.answers.iter_mut().rev().find_map(added)?;
    *value += 1_000_000;
    Some(())
}

fn tell_twice(seen: &mut Seen, _: &Checker) -> Option<()> {
    let mut again = seen.answers.iter().rev().find(|answer| added(&mut (*answer).clone()).is_some())?.clone();
    again.times = behind(seen)?;
    seen.answers.push(again);
    Some(())
}

fn forget_a_request(seen: &mut Seen, _: &Checker) -> Option<()> {
    let known = seen.answers.iter().rev().find_map(|answer| match &answer.told {
        Told::Reserved { ask, outcome: Outcome::Acknowledged(reserved) } if !reserved.replayed => {
            Some(ask.key.clone())
        }
        _ => None,
    })?;
    seen.answers.retain(|answer| !matches!(&answer.told, Told::Reserved { ask, .. } if ask.key == known));
    Some(())
}

fn read_what_is_over(seen: &mut Seen, _: &Checker) -> Option<()> {
    let (number, value) = seen.answers.iter().find_map(|answer| match &answer.told {
        Told::Added { number, by, outcome: Outcome::Acknowledged(value) }
            if number.starts_with("counters/") =>
        {
            Some((number.clone(), value - by))
        }
        _ => None,
    })?;
    let (times, node) = (behind(seen)?, seen.answers.first()?.node);
    seen.answers.push(Answer { node, times, told: Told::NumberRead { number, value } });
    Some(())
}

fn refuse(seen: &mut Seen, _: &Checker) -> Option<()> {
    let mut refused = seen.answers.iter().rev().find(|answer| {
        // There is always something left of this one.
        matches!(&answer.told, Told::Reserved { ask, outcome: Outcome::Acknowledged(_) } if ask.sale.starts_with("wide"))
    })?.clone();
    let Told::Reserved { ask, .. } = &refused.told else { return None };
    let mut ask = (**ask).clone();
    ask.key = Some("refused without a reason".into());
    let outcome = Outcome::Refused { status: 409, code: "insufficient_stock".into() };
    refused.told = Told::Reserved { ask: ask.into(), outcome };
    seen.answers.push(refused);
    Some(())
}

/// After everything that was heard.
fn behind(seen: &Seen) -> Option<Times> {
    let end = seen.answers.iter().map(|answer| answer.times.ended_ns).max()?;
    Some(Times { sent_ns: end + 1, ended_ns: end + 2 })
}

/// The value that an addition was told.
fn added(answer: &mut Answer) -> Option<&mut u64> {
    match &mut answer.told {
        Told::Added { outcome: Outcome::Acknowledged(value), .. } => Some(value),
        _ => None,
    }
}

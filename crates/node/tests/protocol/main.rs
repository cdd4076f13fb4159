//! The protocol between those who decide and the one who writes, as a small model that loom runs through all interleavings
//! (up to the bound of preemptions that the test names). The model has the locks, the looks and the wake-ups of `Partition`
//! and `Writer`, and nothing else: deciding is adding a number, a batch is a list of numbers.
//!
//! ```text
//!   caller                          cell (one lock)                       log writer                        log
//!   ──────                          ───────────────                       ──────────                        ───
//!   push into the mailbox
//!   try the cell ── taken? go ──────────────────────────────────────────▶ whoever has it looks at the
//!     │ got it                                                            mailbox again after giving it back
//!     ▼
//!   take the mailbox, decide,
//!   put answers behind the open batch
//!   does the writer sleep? ── yes: note that it is awake, wake it ──────▶ parked ◀── wakes it ──────────┐
//!   give the cell back                                                      │                           │
//!   mailbox not empty? again                                                ▼                           │
//!                                                                         ask what is in force ◀────── batch n
//!                                                                         publish the view of batch n   │
//!                                   answers of batch n are released ◀──── without the cell              │
//!                                                                           │                           │
//!                                                                           ▼                           │
//!                                                                         decide what is in the mailbox │
//!                                                                         as many outstanding as the    │
//!                                                                           │ log takes? park           │
//!                                                                         close the batch ── none? note │
//!                                                                           │ that it sleeps, give the  │
//!                                                                           │ cell back, mailbox empty? │
//!                                                                           ▼ park                      │
//!                                                                         hand over batch n+m, again ──▶ write and sync,
//!                                                                                                        in order
//! ```
//!
//! A log that waits has one batch outstanding, and is in the same thread. If batch n fails, all behind it is void, and every answer
//! that waits becomes "unknown".
//!
//! What has to hold in every interleaving: each call is answered once, never before the batch that it rests on and all before
//! it are in force, whoever is answered finds his call in the view, the view is what the log has, and nobody sleeps while there is
//! something to do. Who calls while the partition drains is answered as well: his call is done, or refused once the writer has
//! finished. No wait has a time limit here, so nothing may rest on one.

mod model;

use loom::sync::Arc;
use loom::thread;

use model::{Answers, Caller, Partition, reads};

/// One thing left out or done wrong, which the model must find.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Whoever had the cell does not look at the mailbox again.
    NoSecondLook,
    /// The writer goes to sleep without a look at the mailbox.
    SleepsOnMail,
    /// The writer is not woken for a batch.
    NoWakeUp,
    /// Answers leave before their batch is in force.
    EarlyAnswer,
    /// The view is published after the answers have left.
    LateView,
    /// The writer finishes without a last look at the mailbox.
    FinishesOnMail,
    /// The writer finishes while something is outstanding.
    FinishesEarly,
    /// A batch in force releases the answers of those behind it.
    ReleasesAll,
    /// The log does not wake the writer.
    LogWakesNobody,
    /// Answers that wait for what the log lost are forgotten.
    ForgetsWhatFailed,
    /// What the log lost is in the view.
    ShowsWhatFailed,
}

/// What a run of the model has.
#[derive(Clone, Copy)]
struct Setup {
    /// The calls of each thread, which makes all of them before it waits for an answer. Those of the first are made by the
    /// thread of the test: loom has few.
    calls: &'static [&'static [Caller]],
    besides: Besides,
    outstanding_max: usize,
    /// The log fails once when so many batches are in force.
    fails_after: Option<u64>,
    /// Switches that nobody asked for.
    preemptions: usize,
    fault: Fault,
}

const TWO_CALLERS: Setup = Setup {
    calls: &[&[0], &[1]],
    besides: Besides::Nothing,
    outstanding_max: 1,
    fails_after: None,
    preemptions: 3,
    fault: Fault::None,
};

/// A log that takes two batches at once.
const TWO_OUTSTANDING: Setup =
    Setup { calls: &[&[0, 2], &[1]], outstanding_max: 2, preemptions: 2, ..TWO_CALLERS };

/// A log that takes three.
const THREE_OUTSTANDING: Setup = Setup { calls: &[&[0, 2, 4]], outstanding_max: 3, ..TWO_OUTSTANDING };

/// What this thread does besides calling.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Besides {
    Nothing,
    /// Looks, before it calls.
    Reads,
    /// Drains, before it calls.
    Drains,
}

/// Runs the callers, a writer and a log through every interleaving with at most so many preemptions.
fn check(setup: Setup) {
    let Setup { calls, besides, outstanding_max, fails_after, preemptions, fault } = setup;
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(move || {
        let partition = Partition::new(setup);
        let writing = Arc::clone(&partition);
        let mut threads = vec![thread::spawn(move || writing.write(setup))];
        if outstanding_max > 1 {
            let syncing = Arc::clone(&partition);
            threads.push(thread::spawn(move || syncing.sync(fault)));
        }
        let callers: Vec<_> = calls[1..]
            .iter()
            .map(|calls| {
                let partition = Arc::clone(&partition);
                thread::spawn(move || partition.call(calls, fault))
            })
            .collect();
        match besides {
            Besides::Nothing => {}
            Besides::Reads => drop(partition.read(fault)),
            Besides::Drains => partition.drain(),
        }
        partition.call(calls[0], fault);
        for caller in callers {
            caller.join().unwrap();
        }
        partition.drain();
        for thread in threads {
            thread.join().unwrap();
        }
        let Answers { counts, refused, unknown } = &*partition.answers.lock().unwrap();
        assert_eq!(counts.len(), calls.concat().len(), "a call was not answered");
        assert!(counts.values().all(|count| *count == 1), "a call was answered twice");
        assert!(refused.is_empty() || besides == Besides::Drains, "a call was refused");
        assert!(unknown.is_empty() || fails_after.is_some(), "nothing failed");
        let view = partition.view.lock().unwrap();
        assert_eq!(*view, partition.log.lock().unwrap().in_force, "the view is what the log has");
        let mut done: Vec<_> = counts.keys().copied().filter(|caller| !reads(*caller)).collect();
        done.retain(|caller| !refused.contains(caller) && !unknown.contains(caller));
        assert!(done.iter().all(|caller| view.contains(caller)), "what was told to be done was done");
        assert_eq!(view.len(), done.len(), "and once, and nothing else was");
    });
}

#[test]
fn every_call_is_answered_once_and_only_when_its_batch_is_in_force() {
    check(TWO_CALLERS);
}

#[test]
fn the_same_while_somebody_looks() {
    check(Setup { besides: Besides::Reads, preemptions: 2, ..TWO_CALLERS });
}

#[test]
fn the_same_while_the_partition_drains() {
    check(Setup { besides: Besides::Drains, ..TWO_CALLERS });
}

#[test]
fn the_same_with_three_callers() {
    check(Setup { calls: &[&[0], &[1], &[2]], preemptions: 2, ..TWO_CALLERS });
}

#[test]
fn the_same_with_two_batches_outstanding() {
    check(TWO_OUTSTANDING);
}

#[test]
fn the_same_with_three_batches_outstanding() {
    check(THREE_OUTSTANDING);
}

#[test]
fn the_same_with_two_batches_outstanding_while_the_partition_drains() {
    check(Setup { besides: Besides::Drains, ..TWO_OUTSTANDING });
}

#[test]
fn the_same_when_the_log_fails_with_batches_outstanding() {
    for fails_after in [0, 1] {
        check(Setup { fails_after: Some(fails_after), ..TWO_OUTSTANDING });
        check(Setup { fails_after: Some(fails_after), ..THREE_OUTSTANDING });
    }
}

/// Names the fault that a process of this test is to plant.
const PLANTED: &str = "ONRUSH_TEST_PLANTED_FAULT";

/// Each fault with a run that it spoils.
const FAULTS: [(&str, Setup); 11] = [
    ("no-second-look", Setup { fault: Fault::NoSecondLook, ..TWO_CALLERS }),
    ("sleeps-on-mail", Setup { fault: Fault::SleepsOnMail, ..TWO_CALLERS }),
    ("no-wake-up", Setup { fault: Fault::NoWakeUp, ..TWO_CALLERS }),
    ("early-answer", Setup { fault: Fault::EarlyAnswer, ..TWO_CALLERS }),
    ("late-view", Setup { fault: Fault::LateView, ..TWO_CALLERS }),
    ("finishes-on-mail", Setup { fault: Fault::FinishesOnMail, besides: Besides::Drains, ..TWO_CALLERS }),
    ("finishes-early", Setup { fault: Fault::FinishesEarly, besides: Besides::Drains, ..TWO_OUTSTANDING }),
    ("releases-all", Setup { fault: Fault::ReleasesAll, ..TWO_OUTSTANDING }),
    ("log-wakes-nobody", Setup { fault: Fault::LogWakesNobody, ..TWO_OUTSTANDING }),
    (
        "forgets-what-failed",
        Setup { fault: Fault::ForgetsWhatFailed, fails_after: Some(0), ..TWO_OUTSTANDING },
    ),
    ("shows-what-failed", Setup { fault: Fault::ShowsWhatFailed, fails_after: Some(0), ..TWO_OUTSTANDING }),
];

#[test]
fn the_same_with_the_fault_that_is_planted() {
    let planted = std::env::var(PLANTED).unwrap_or_default();
    check(FAULTS.iter().find(|(name, _)| *name == planted).map_or(TWO_CALLERS, |(_, setup)| *setup));
}

/// A model that finds nothing proves nothing: each fault that is planted is found. In a process of its own, because loom
/// ends the process when it finds that everybody sleeps.
#[test]
fn every_planted_fault_is_found() {
    for (name, _) in FAULTS {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_same_with_the_fault_that_is_planted"])
            .env(PLANTED, name)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains("running 1 test"), "{name} was not found:\n{text}");
    }
}

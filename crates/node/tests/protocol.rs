//! The protocol between those who decide and the one who writes, as a small model that loom runs through all interleavings
//! (up to the bound of preemptions that the test names). The model has the locks, the looks and the wake-ups of `Partition`
//! and `Writer`, and nothing else: deciding is adding a number, a batch is a list of numbers.
//!
//! ```text
//!   caller                          cell (one lock)                       log writer
//!   ──────                          ───────────────                       ──────────
//!   push into the mailbox
//!   try the cell ── taken? go ──────────────────────────────────────────▶ whoever has it looks at the
//!     │ got it                                                            mailbox again after giving it back
//!     ▼
//!   take the mailbox, decide,
//!   put answers behind the open batch
//!   does the writer sleep? ── yes: note that it is awake, wake it ──────▶ parked
//!   give the cell back                                                      │
//!   mailbox not empty? again                                                ▼
//!                                                                         decide what is in the mailbox
//!                                                                         close the batch ── none? note that it sleeps,
//!                                                                           │                give the cell back,
//!                                                                           ▼                mailbox empty? park
//!                                                                         write and sync, publish the view,
//!                                                                           │                without the cell
//!                                                                           ▼
//!                                   answers of the batch are released ◀── batch n is in force
//! ```
//!
//! What has to hold in every interleaving: each call is answered once, never before the batch that it rests on is in force,
//! whoever is answered finds his call in the view, and nobody sleeps while there is something to do. Who calls while the
//! partition drains is answered as well: his call is done, or refused once the writer has finished. No wait has a time limit here, so nothing may rest on one.

use std::collections::BTreeMap;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// A caller's number. Those with odd numbers only read.
type Caller = usize;

fn reads(caller: Caller) -> bool {
    caller % 2 == 1
}

/// A thread's own wake-up: as parking, one that comes first is not lost. (loom's own parking wakes a thread that waits for
/// something else as well.)
#[derive(Default)]
struct WakeUp {
    came: Mutex<bool>,
    changed: Condvar,
}

impl WakeUp {
    fn send(&self) {
        *self.came.lock().unwrap() = true;
        self.changed.notify_one();
    }

    fn wait(&self) {
        let mut came = self.came.lock().unwrap();
        while !*came {
            came = self.changed.wait(came).unwrap();
        }
        *came = false;
    }
}

/// What only the thread that decides may touch.
#[derive(Default)]
struct Cell {
    open_batch: Vec<Caller>,
    closed_count: u64,
    in_force_count: u64,
    /// Answers that wait, with the batch that they rest on.
    waiting: Vec<(u64, Caller)>,
    writer_sleeps: bool,
    stops: bool,
    is_finished: bool,
}

struct Partition {
    mailbox: Mutex<Vec<Caller>>,
    cell: Mutex<Cell>,
    meetings: AtomicUsize,
    writer: WakeUp,
    /// By the caller's number.
    callers: Vec<WakeUp>,
    /// How often each caller was answered.
    answers: Mutex<BTreeMap<Caller, u32>>,
    /// What readers see.
    view: Mutex<Vec<Caller>>,
    /// Calls that came too late.
    refused: Mutex<Vec<Caller>>,
}

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
}

impl Partition {
    fn new(caller_count: usize) -> Arc<Self> {
        Arc::new(Self {
            mailbox: Mutex::new(Vec::new()),
            cell: Mutex::new(Cell::default()),
            meetings: AtomicUsize::new(0),
            writer: WakeUp::default(),
            callers: std::iter::repeat_with(WakeUp::default).take(caller_count).collect(),
            answers: Mutex::new(BTreeMap::new()),
            view: Mutex::new(Vec::new()),
            refused: Mutex::new(Vec::new()),
        })
    }

    /// Calls, and waits for the answer as an edge thread does.
    fn call(&self, caller: Caller, fault: Fault) {
        self.mailbox.lock().unwrap().push(caller);
        self.run_as_leader(fault);
        self.callers[caller].wait();
    }

    fn run_as_leader(&self, fault: Fault) {
        let (mut wakes_writer, mut outbox) = (false, Vec::new());
        loop {
            self.meet();
            let Ok(mut cell) = self.cell.try_lock() else { break };
            let calls = std::mem::take(&mut *self.mailbox.lock().unwrap());
            for caller in calls {
                if cell.is_finished {
                    self.refused.lock().unwrap().push(caller);
                    outbox.push(caller);
                    continue;
                }
                if !reads(caller) {
                    cell.open_batch.push(caller);
                }
                let rests_on = cell.closed_count + u64::from(!cell.open_batch.is_empty());
                if rests_on <= cell.in_force_count || fault == Fault::EarlyAnswer {
                    outbox.push(caller);
                } else {
                    cell.waiting.push((rests_on, caller));
                }
            }
            if cell.writer_sleeps && !cell.open_batch.is_empty() {
                cell.writer_sleeps = false;
                wakes_writer = true;
            }
            self.meet();
            drop(cell);
            if fault == Fault::NoSecondLook || self.mailbox.lock().unwrap().is_empty() {
                break;
            }
        }
        if wakes_writer && fault != Fault::NoWakeUp {
            self.writer.send();
        }
        for caller in outbox {
            self.answer(caller);
        }
    }

    fn answer(&self, caller: Caller) {
        let is_in_view = reads(caller) || self.view.lock().unwrap().contains(&caller);
        let is_refused = self.refused.lock().unwrap().contains(&caller);
        assert!(is_in_view || is_refused, "answered before it was in force and in the view");
        *self.answers.lock().unwrap().entry(caller).or_default() += 1;
        self.callers[caller].send();
    }

    /// Both those who hold the cell and those who are about to try it come here, so that loom also tries the cell while it
    /// is taken: it switches only between accesses of the same thing, and giving a lock back is none to it.
    fn meet(&self) {
        self.meetings.fetch_add(1, Ordering::Relaxed);
    }

    /// Runs until the partition drains and everything is written.
    fn write(&self, fault: Fault) {
        loop {
            self.run_as_leader(fault);
            let mut cell = self.cell.lock().unwrap();
            cell.writer_sleeps = false;
            if !cell.open_batch.is_empty() {
                let batch = std::mem::take(&mut cell.open_batch);
                cell.closed_count += 1;
                let number = cell.closed_count;
                drop(cell);
                if fault == Fault::LateView {
                    self.release(number);
                    self.view.lock().unwrap().extend(batch);
                } else {
                    self.view.lock().unwrap().extend(batch);
                    self.release(number);
                }
                continue;
            }
            cell.is_finished = cell.stops && self.mailbox.lock().unwrap().is_empty();
            let is_finished = cell.is_finished;
            cell.writer_sleeps = !is_finished;
            self.meet();
            drop(cell);
            // Whoever came while the cell was taken left the mail for this thread.
            let forgets = fault == if is_finished { Fault::FinishesOnMail } else { Fault::SleepsOnMail };
            if !forgets && !self.mailbox.lock().unwrap().is_empty() {
                self.run_as_leader(fault);
            }
            if is_finished {
                return;
            }
            self.writer.wait();
        }
    }

    fn release(&self, number: u64) {
        let mut cell = self.cell.lock().unwrap();
        cell.in_force_count = number;
        let (released, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut cell.waiting).into_iter().partition(|(batch, _)| *batch <= number);
        cell.waiting = waiting;
        drop(cell);
        for (_, caller) in released {
            self.answer(caller);
        }
    }

    fn drain(&self) {
        self.cell.lock().unwrap().stops = true;
        self.writer.send();
    }

    /// Looks at the state as metrics do, and decides afterwards for those who found the cell taken.
    fn look(&self, fault: Fault) -> u64 {
        let in_force_count = self.cell.lock().unwrap().in_force_count;
        if !self.mailbox.lock().unwrap().is_empty() {
            self.run_as_leader(fault);
        }
        in_force_count
    }
}

/// What this thread does besides calling.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Besides {
    Nothing,
    /// Looks, before it calls.
    Looks,
    /// Drains, before it calls.
    Drains,
}

/// Runs so many callers and a writer through every interleaving with at most `preemptions` switches that nobody asked for.
fn check(caller_count: usize, besides: Besides, preemptions: usize, fault: Fault) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(move || {
        let partition = Partition::new(caller_count);
        let writing = Arc::clone(&partition);
        let writer = thread::spawn(move || writing.write(fault));
        // The last of them is this thread: loom has few.
        let callers: Vec<_> = (1..caller_count)
            .map(|caller| {
                let partition = Arc::clone(&partition);
                thread::spawn(move || partition.call(caller, fault))
            })
            .collect();
        match besides {
            Besides::Nothing => {}
            Besides::Looks => drop(partition.look(fault)),
            Besides::Drains => partition.drain(),
        }
        partition.call(0, fault);
        for caller in callers {
            caller.join().unwrap();
        }
        partition.drain();
        writer.join().unwrap();
        let answers = partition.answers.lock().unwrap();
        assert_eq!(answers.len(), caller_count, "a call was not answered");
        assert!(answers.values().all(|count| *count == 1), "a call was answered twice");
        let view = partition.view.lock().unwrap();
        let refused = partition.refused.lock().unwrap();
        assert!(refused.is_empty() || besides == Besides::Drains, "a call was refused");
        let written_count = (0..caller_count).filter(|caller| !reads(*caller) && !refused.contains(caller));
        assert_eq!(view.len(), written_count.count(), "what was not refused was done, once");
    });
}

#[test]
fn every_call_is_answered_once_and_only_when_its_batch_is_in_force() {
    check(2, Besides::Nothing, 3, Fault::None);
}

#[test]
fn the_same_while_somebody_looks() {
    check(2, Besides::Looks, 2, Fault::None);
}

#[test]
fn the_same_while_the_partition_drains() {
    check(2, Besides::Drains, 3, Fault::None);
}

#[test]
fn the_same_with_three_callers() {
    check(3, Besides::Nothing, 2, Fault::None);
}

/// Names the fault that a process of this test is to plant.
const PLANTED: &str = "ONRUSH_TEST_PLANTED_FAULT";

const FAULTS: [(&str, Fault); 6] = [
    ("no-second-look", Fault::NoSecondLook),
    ("sleeps-on-mail", Fault::SleepsOnMail),
    ("no-wake-up", Fault::NoWakeUp),
    ("early-answer", Fault::EarlyAnswer),
    ("late-view", Fault::LateView),
    ("finishes-on-mail", Fault::FinishesOnMail),
];

#[test]
fn the_same_with_the_fault_that_is_planted() {
    let planted = std::env::var(PLANTED).unwrap_or_default();
    let fault = FAULTS.iter().find(|(name, _)| *name == planted).map_or(Fault::None, |(_, fault)| *fault);
    let besides = if fault == Fault::FinishesOnMail { Besides::Drains } else { Besides::Nothing };
    check(2, besides, 3, fault);
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

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
//!                                                                         write and sync, without the cell
//!                                                                           ▼
//!                                   answers of the batch are released ◀── batch n is in force
//! ```
//!
//! What has to hold in every interleaving: each call is answered once, never before the batch that it rests on is in force,
//! and nobody sleeps while there is something to do. No wait has a time limit here, so nothing may rest on one.

use std::collections::BTreeMap;

use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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
}

struct Partition {
    mailbox: Mutex<Vec<Caller>>,
    cell: Mutex<Cell>,
    draining: AtomicBool,
    meetings: AtomicUsize,
    writer: WakeUp,
    /// By the caller's number.
    callers: Vec<WakeUp>,
    /// How often each caller was answered.
    answers: Mutex<BTreeMap<Caller, u32>>,
    /// What the log has.
    written: Mutex<Vec<Caller>>,
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
}

impl Partition {
    fn new(caller_count: usize) -> Arc<Self> {
        Arc::new(Self {
            mailbox: Mutex::new(Vec::new()),
            cell: Mutex::new(Cell::default()),
            draining: AtomicBool::new(false),
            meetings: AtomicUsize::new(0),
            writer: WakeUp::default(),
            callers: std::iter::repeat_with(WakeUp::default).take(caller_count).collect(),
            answers: Mutex::new(BTreeMap::new()),
            written: Mutex::new(Vec::new()),
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
        let is_written = reads(caller) || self.written.lock().unwrap().contains(&caller);
        assert!(is_written, "answered before the log had it");
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
                self.written.lock().unwrap().extend(batch);
                self.release(number);
                continue;
            }
            // In this order: what came before the drain began is seen.
            let is_draining = self.draining.load(Ordering::Acquire);
            if is_draining && self.mailbox.lock().unwrap().is_empty() {
                return;
            }
            cell.writer_sleeps = true;
            self.meet();
            drop(cell);
            // Whoever came while the cell was taken left the mail for this thread.
            if fault == Fault::SleepsOnMail || self.mailbox.lock().unwrap().is_empty() {
                self.writer.wait();
            }
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

    /// Looks at the state as metrics do, and decides afterwards for those who found the cell taken.
    fn look(&self, fault: Fault) -> u64 {
        let in_force_count = self.cell.lock().unwrap().in_force_count;
        if !self.mailbox.lock().unwrap().is_empty() {
            self.run_as_leader(fault);
        }
        in_force_count
    }
}

/// Runs so many callers, one who looks if asked for, and a writer, through every interleaving with at most `preemptions`
/// switches that nobody asked for.
fn check(caller_count: usize, someone_looks: bool, preemptions: usize, fault: Fault) {
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
        if someone_looks {
            partition.look(fault);
        }
        partition.call(0, fault);
        for caller in callers {
            caller.join().unwrap();
        }
        partition.draining.store(true, Ordering::Release);
        partition.writer.send();
        writer.join().unwrap();
        let answers = partition.answers.lock().unwrap();
        assert_eq!(answers.len(), caller_count, "a call was not answered");
        assert!(answers.values().all(|count| *count == 1), "a call was answered twice");
        assert_eq!(partition.written.lock().unwrap().len(), caller_count.div_ceil(2));
    });
}

#[test]
fn every_call_is_answered_once_and_only_when_its_batch_is_in_force() {
    check(2, false, 3, Fault::None);
}

#[test]
fn the_same_while_somebody_looks() {
    check(2, true, 2, Fault::None);
}

#[test]
fn the_same_with_three_callers() {
    check(3, false, 2, Fault::None);
}

/// Names the fault that a process of this test is to plant.
const PLANTED: &str = "ONRUSH_TEST_PLANTED_FAULT";

const FAULTS: [(&str, Fault); 4] = [
    ("no-second-look", Fault::NoSecondLook),
    ("sleeps-on-mail", Fault::SleepsOnMail),
    ("no-wake-up", Fault::NoWakeUp),
    ("early-answer", Fault::EarlyAnswer),
];

#[test]
fn the_same_with_the_fault_that_is_planted() {
    let planted = std::env::var(PLANTED).unwrap_or_default();
    let fault = FAULTS.iter().find(|(name, _)| *name == planted).map_or(Fault::None, |(_, fault)| *fault);
    check(2, false, 3, fault);
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

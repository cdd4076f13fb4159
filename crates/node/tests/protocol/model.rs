//! The model: what `Partition` and `Writer` do with their locks, and a log that brings batches into force one after the other.

use std::collections::{BTreeMap, VecDeque};

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};

use crate::{Fault, Setup};

/// The number of a call, and of whoever waits for its answer. Those with odd numbers only read.
pub(crate) type Caller = usize;

const CALLER_COUNT: usize = 6;

pub(crate) fn reads(caller: Caller) -> bool {
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

pub(crate) struct Partition {
    mailbox: Mutex<Vec<Caller>>,
    cell: Mutex<Cell>,
    meetings: AtomicUsize,
    writer: WakeUp,
    pub(crate) log: Mutex<Log>,
    disk: WakeUp,
    /// By the caller's number.
    callers: Vec<WakeUp>,
    pub(crate) answers: Mutex<Answers>,
    /// What readers see.
    pub(crate) view: Mutex<Vec<Caller>>,
}

/// A log that does not wait.
#[derive(Default)]
pub(crate) struct Log {
    outstanding: VecDeque<Vec<Caller>>,
    pub(crate) in_force: Vec<Caller>,
    in_force_count: u64,
    /// Fails when so many batches are in force, once.
    fails_after: Option<u64>,
    has_failed: bool,
    is_closed: bool,
}

/// Which answers each caller got.
#[derive(Default)]
pub(crate) struct Answers {
    /// How often each caller was answered.
    pub(crate) counts: BTreeMap<Caller, u32>,
    /// Calls that came too late.
    pub(crate) refused: Vec<Caller>,
    /// Calls of which nobody knows.
    pub(crate) unknown: Vec<Caller>,
}

/// What the writer knows of the log.
#[derive(Default)]
struct LogEnd {
    released_count: u64,
    outstanding: VecDeque<(u64, Vec<Caller>)>,
}

impl Partition {
    pub(crate) fn new(setup: Setup) -> Arc<Self> {
        Arc::new(Self {
            mailbox: Mutex::new(Vec::new()),
            cell: Mutex::new(Cell::default()),
            meetings: AtomicUsize::new(0),
            writer: WakeUp::default(),
            log: Mutex::new(Log { fails_after: setup.fails_after, ..Log::default() }),
            disk: WakeUp::default(),
            callers: std::iter::repeat_with(WakeUp::default).take(CALLER_COUNT).collect(),
            answers: Mutex::default(),
            view: Mutex::new(Vec::new()),
        })
    }

    /// Calls, and waits for the answers as an edge thread does.
    pub(crate) fn call(&self, callers: &[Caller], fault: Fault) {
        for caller in callers {
            self.mailbox.lock().unwrap().push(*caller);
            self.run_as_leader(fault);
        }
        for caller in callers {
            self.callers[*caller].wait();
        }
    }

    fn run_as_leader(&self, fault: Fault) {
        let (mut wakes_writer, mut outbox) = (false, Vec::new());
        loop {
            self.meet();
            let Ok(mut cell) = self.cell.try_lock() else { break };
            let calls = std::mem::take(&mut *self.mailbox.lock().unwrap());
            for caller in calls {
                if cell.is_finished {
                    self.answers.lock().unwrap().refused.push(caller);
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
        let mut answers = self.answers.lock().unwrap();
        let is_done = !answers.refused.contains(&caller) && !answers.unknown.contains(&caller);
        assert!(is_in_view || !is_done, "answered before it was in force and in the view");
        *answers.counts.entry(caller).or_default() += 1;
        drop(answers);
        self.callers[caller].send();
    }

    /// Both those who hold the cell and those who are about to try it come here, so that loom also tries the cell while it
    /// is taken: it switches only between accesses of the same thing, and giving a lock back is none to it.
    fn meet(&self) {
        self.meetings.fetch_add(1, Ordering::Relaxed);
    }

    /// Runs until the partition drains and everything is in force.
    pub(crate) fn write(&self, setup: Setup) {
        let Setup { outstanding_max, fault, .. } = setup;
        let mut log_end = LogEnd::default();
        loop {
            self.release_in_force(&mut log_end, fault);
            self.run_as_leader(fault);
            let mut cell = self.cell.lock().unwrap();
            cell.writer_sleeps = false;
            let takes_more = log_end.outstanding.len() < outstanding_max;
            if takes_more && !cell.open_batch.is_empty() {
                let batch = std::mem::take(&mut cell.open_batch);
                cell.closed_count += 1;
                let number = cell.closed_count;
                drop(cell);
                self.hand_over(&mut log_end, number, batch, outstanding_max);
                continue;
            }
            let may_finish = log_end.outstanding.is_empty() || fault == Fault::FinishesEarly;
            cell.is_finished = cell.stops && may_finish && self.mailbox.lock().unwrap().is_empty();
            let is_finished = cell.is_finished;
            cell.writer_sleeps = !is_finished && takes_more;
            self.meet();
            drop(cell);
            // Whoever came while the cell was taken left the mail for this thread.
            let forgets = fault == if is_finished { Fault::FinishesOnMail } else { Fault::SleepsOnMail };
            if !forgets && !self.mailbox.lock().unwrap().is_empty() {
                self.run_as_leader(fault);
            }
            if is_finished {
                self.log.lock().unwrap().is_closed = true;
                return self.disk.send();
            }
            self.writer.wait();
        }
    }

    fn hand_over(&self, log_end: &mut LogEnd, number: u64, batch: Vec<Caller>, outstanding_max: usize) {
        let mut log = self.log.lock().unwrap();
        if outstanding_max == 1 {
            log.in_force.extend(&batch);
            log.in_force_count += 1;
        } else if !log.has_failed {
            // Otherwise it is lost with what is before it.
            log.outstanding.push_back(batch.clone());
            self.disk.send();
        }
        log_end.outstanding.push_back((number, batch));
    }

    /// Tells those who wait for what is in force, and gives up what was lost.
    fn release_in_force(&self, log_end: &mut LogEnd, fault: Fault) {
        let (in_force_count, has_failed) = {
            let mut log = self.log.lock().unwrap();
            (log.in_force_count, std::mem::take(&mut log.has_failed))
        };
        while log_end.released_count < in_force_count {
            log_end.released_count += 1;
            let (number, batch) = log_end.outstanding.pop_front().expect("only what was handed over");
            if fault == Fault::LateView {
                self.release(number);
            }
            self.view.lock().unwrap().extend(batch);
            self.release(if fault == Fault::ReleasesAll { u64::MAX } else { number });
        }
        if !has_failed {
            return;
        }
        let lost = std::mem::take(&mut log_end.outstanding);
        if fault == Fault::ShowsWhatFailed {
            self.view.lock().unwrap().extend(lost.into_iter().flat_map(|(_, batch)| batch));
        }
        let mut cell = self.cell.lock().unwrap();
        // The state is that of the log again.
        cell.open_batch.clear();
        cell.closed_count = cell.in_force_count;
        let waiting = std::mem::take(&mut cell.waiting);
        drop(cell);
        for (_, caller) in waiting {
            if fault != Fault::ForgetsWhatFailed {
                self.answers.lock().unwrap().unknown.push(caller);
                self.answer(caller);
            }
        }
    }

    /// Brings what is outstanding into force, one batch after the other, until the log is closed.
    pub(crate) fn sync(&self, fault: Fault) {
        loop {
            self.disk.wait();
            loop {
                let mut log = self.log.lock().unwrap();
                let Some(batch) = log.outstanding.pop_front() else {
                    if log.is_closed {
                        return;
                    }
                    break;
                };
                if log.fails_after == Some(log.in_force_count) {
                    (log.fails_after, log.has_failed) = (None, true);
                    log.outstanding.clear();
                } else {
                    log.in_force.extend(batch);
                    log.in_force_count += 1;
                }
                drop(log);
                if fault != Fault::LogWakesNobody {
                    self.writer.send();
                }
            }
        }
    }

    fn release(&self, number: u64) {
        let mut cell = self.cell.lock().unwrap();
        cell.in_force_count = number.min(cell.closed_count);
        let (released, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut cell.waiting).into_iter().partition(|(batch, _)| *batch <= number);
        cell.waiting = waiting;
        drop(cell);
        for (_, caller) in released {
            self.answer(caller);
        }
    }

    pub(crate) fn drain(&self) {
        self.cell.lock().unwrap().stops = true;
        self.writer.send();
    }

    /// Looks at the state as metrics do, and decides afterwards for those who found the cell taken.
    pub(crate) fn read(&self, fault: Fault) -> u64 {
        let in_force_count = self.cell.lock().unwrap().in_force_count;
        if !self.mailbox.lock().unwrap().is_empty() {
            self.run_as_leader(fault);
        }
        in_force_count
    }
}

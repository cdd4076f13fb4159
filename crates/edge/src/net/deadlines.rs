//! How long a connection may take for what it does, and how many bytes of answers clients may leave untaken.
//!
//! All connections of a thread are looked at once a tick. Bytes that a client does not take are counted for the whole
//! server: at the bound those connections make room that have taken nothing for longest.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use slab::Slab;
use tokio::task::AbortHandle;

use crate::limits::{STALLED_MS_MIN, TAKEN_BYTES_MIN};
use crate::net::counters::{CutOff, EdgeCounters};
use crate::settings::Settings;

/// How often clocks are read and slow connections are looked for.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// What a connection is doing, for which it has a limited time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    /// Nothing was sent yet.
    New,
    /// Between requests.
    Idle,
    /// Sending header fields.
    Head,
    /// Sending a body.
    Body,
    /// Waiting for us; no limit but the partition's and that of answers that are not taken.
    Busy,
    /// HTTP/2, and no stream is open. When the server stops, the connection ends by itself.
    IdleHttp2,
}

/// The deadlines of the connections of one thread.
pub(crate) struct Deadlines {
    settings: Arc<Settings>,
    counters: Arc<EdgeCounters>,
    now_ms: Cell<u64>,
    connections: RefCell<Slab<Rc<Timed>>>,
}

/// One connection as its thread sees it.
#[derive(Debug)]
struct Timed {
    activity: Cell<Activity>,
    since_ms: Cell<u64>,
    /// Bytes of answers that the client has not taken, of which its socket's buffer has room for none.
    unsent_bytes: Cell<usize>,
    /// Bytes that it took since [`Timed::taken_since_ms`].
    taken_bytes: Cell<usize>,
    taken_since_ms: Cell<u64>,
    task: AbortHandle,
}

impl Deadlines {
    pub(crate) fn new(settings: Arc<Settings>, counters: Arc<EdgeCounters>) -> Rc<Self> {
        Rc::new(Self { settings, counters, now_ms: Cell::new(0), connections: RefCell::default() })
    }

    /// Takes a connection up, which its task serves. It may be cut off until the returned value is dropped.
    pub(crate) fn watch(self: &Rc<Self>, task: AbortHandle) -> Deadline {
        let timed = Rc::new(Timed {
            activity: Cell::new(Activity::New),
            since_ms: Cell::new(self.now_ms.get()),
            unsent_bytes: Cell::new(0),
            taken_bytes: Cell::new(0),
            taken_since_ms: Cell::new(0),
            task,
        });
        let key = self.connections.borrow_mut().insert(Rc::clone(&timed));
        Deadline { deadlines: Rc::clone(self), timed, key }
    }

    /// Connections of this thread that are open.
    pub(crate) fn open_count(&self) -> usize {
        self.connections.borrow().len()
    }

    /// Cuts off the connections that have used up their time. `now_ms` are milliseconds of a clock that never goes back.
    pub(crate) fn tick(&self, now_ms: u64, is_draining: bool) {
        self.now_ms.set(now_ms);
        for (_, timed) in &*self.connections.borrow() {
            let is_stalled = timed.unsent_bytes.get() > 0
                && timed.stalled_ms(now_ms) >= millis(self.settings.write_timeout);
            let cut_off = if is_stalled { Some(CutOff::Write) } else { self.overdue(timed, is_draining) };
            if let Some(reason) = cut_off {
                timed.cut_off(&self.counters, reason);
            }
        }
    }

    fn overdue(&self, timed: &Timed, is_draining: bool) -> Option<CutOff> {
        let settings = &self.settings;
        let (limit, reason) = match timed.activity.get() {
            Activity::New if is_draining => (TICK * 2, CutOff::Headers),
            // What had arrived when the drain began has been read by then.
            Activity::Idle if is_draining => (TICK * 2, CutOff::Request),
            Activity::Idle | Activity::IdleHttp2 => (settings.idle_timeout, CutOff::Request),
            Activity::New | Activity::Head => (settings.header_timeout, CutOff::Headers),
            Activity::Body => (settings.body_timeout, CutOff::Body),
            Activity::Busy => return None,
        };
        (self.now_ms.get().saturating_sub(timed.since_ms.get()) >= millis(limit)).then_some(reason)
    }

    /// Whether an answer of `bytes` may be begun. If too much of others is unsent, connections of this thread that have
    /// taken nothing for a while are cut off to make room, the slowest first.
    pub(crate) fn make_room(&self, bytes: usize) -> bool {
        let wanted = self.counters.unsent_bytes().saturating_add(bytes);
        let mut missing = wanted.saturating_sub(self.settings.unsent_bytes_max);
        while missing > 0 {
            let Some(slowest) = self.slowest() else {
                self.counters.no_room_count.add(1);
                return false;
            };
            missing = missing.saturating_sub(slowest.unsent_bytes.replace(0));
            slowest.cut_off(&self.counters, CutOff::Room);
        }
        true
    }

    fn slowest(&self) -> Option<Rc<Timed>> {
        let now_ms = self.now_ms.get();
        let connections = self.connections.borrow();
        let stalled = connections
            .iter()
            .map(|(_, timed)| timed)
            .filter(|timed| timed.unsent_bytes.get() > 0 && timed.stalled_ms(now_ms) >= STALLED_MS_MIN);
        stalled.max_by_key(|timed| timed.stalled_ms(now_ms)).map(Rc::clone)
    }
}

impl Timed {
    fn stalled_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.taken_since_ms.get())
    }

    fn cut_off(&self, counters: &EdgeCounters, reason: CutOff) {
        counters.cut_off(reason).add(1);
        self.task.abort();
    }
}

/// One connection's own end of its deadline.
pub(crate) struct Deadline {
    deadlines: Rc<Deadlines>,
    timed: Rc<Timed>,
    key: usize,
}

impl Deadline {
    /// The connection now does something else; its time starts anew.
    pub(crate) fn enter(&self, activity: Activity) {
        self.timed.activity.set(activity);
        self.timed.since_ms.set(self.deadlines.now_ms.get());
    }

    /// As [`Deadline::enter`], but the time goes on if it does the same as before.
    pub(crate) fn stay_or_enter(&self, activity: Activity) {
        if self.timed.activity.get() != activity {
            self.enter(activity);
        }
    }

    /// Counts the bytes of an answer until it is dropped.
    pub(crate) fn hold(&self, bytes: usize) -> Unsent {
        let timed = &self.timed;
        if timed.unsent_bytes.get() == 0 {
            timed.taken_bytes.set(0);
            timed.taken_since_ms.set(self.deadlines.now_ms.get());
        }
        timed.unsent_bytes.set(timed.unsent_bytes.get() + bytes);
        self.deadlines.counters.hold_unsent(bytes);
        Unsent { deadlines: Rc::clone(&self.deadlines), timed: Rc::clone(timed), bytes }
    }

    /// As [`Deadlines::make_room`].
    pub(crate) fn make_room(&self, bytes: usize) -> bool {
        self.deadlines.make_room(bytes)
    }

    /// Bytes of this connection's answers that wait to be taken.
    pub(crate) fn unsent_bytes(&self) -> usize {
        self.timed.unsent_bytes.get()
    }

    /// Ends the connection, which did too much without asking for anything.
    pub(crate) fn cut_off(&self, reason: CutOff) {
        self.timed.cut_off(&self.deadlines.counters, reason);
    }

    /// Milliseconds of a clock that never goes back, as of the last tick.
    pub(crate) fn now_ms(&self) -> u64 {
        self.deadlines.now_ms.get()
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.deadlines.connections.borrow_mut().remove(self.key);
    }
}

/// The memory of one answer that is on its way to a client.
pub(crate) struct Unsent {
    deadlines: Rc<Deadlines>,
    timed: Rc<Timed>,
    bytes: usize,
}

impl Unsent {
    /// The client's system has taken some of it. Only [`TAKEN_BYTES_MIN`] at once count, or else a byte now and then would
    /// keep an answer here for ever.
    pub(crate) fn take(&self, bytes: usize) {
        let taken_bytes = self.timed.taken_bytes.get() + bytes;
        if taken_bytes >= TAKEN_BYTES_MIN {
            self.timed.taken_bytes.set(0);
            self.timed.taken_since_ms.set(self.deadlines.now_ms.get());
        } else {
            self.timed.taken_bytes.set(taken_bytes);
        }
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        self.deadlines.counters.release_unsent(self.bytes);
        // A connection that was cut off to make room counts as empty already.
        self.timed.unsent_bytes.set(self.timed.unsent_bytes.get().saturating_sub(self.bytes));
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "deadlines_tests.rs"]
mod tests;

//! What the connections of one edge thread share. Nothing here is locked: a thread's connections are its own.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use compact_str::CompactString;
use onrush_core::TimeMs;
use slab::Slab;
use tokio::task::AbortHandle;

use crate::limits::{
    BODY_BYTES_MAX, OPERATOR_BODY_BYTES_MAX, OPERATOR_CONNECTIONS_MAX, READ_BYTES, REQUEST_ID_BYTES_MAX,
};
use crate::pump::Pump;
use crate::settings::Settings;

/// How often clocks are read and slow connections are looked for.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// Figures that the threads of a server add to and the operator reads.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) open_count: AtomicUsize,
    pub(crate) operator_open_count: AtomicUsize,
    pub(crate) accepted_count: AtomicU64,
    pub(crate) over_capacity_count: AtomicU64,
    /// By [`Phase`].
    pub(crate) cut_off_counts: [AtomicU64; 7],
    pub(crate) rejected_count: AtomicU64,
    pub(crate) hot_count: AtomicU64,
    pub(crate) cold_count: AtomicU64,
    pub(crate) h2_count: AtomicU64,
}

impl Figures {
    /// Adds to a figure that several threads add to, seldom enough for that not to matter.
    pub(crate) fn add(figure: &AtomicU64, by: u64) {
        figure.fetch_add(by, Ordering::Relaxed);
    }
}

/// What a connection is doing, for which it has a limited time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Between requests.
    Idle = 0,
    /// Sending header fields, or about to for the first time.
    Head = 1,
    /// Sending a body.
    Body = 2,
    /// Waiting for us; no limit but the partition's.
    Busy = 3,
    /// Taking an answer.
    Writing = 4,
    /// HTTP/2, and no stream is open. When the server stops, it says so by itself.
    IdleHttp2 = 5,
    /// Nothing was sent yet.
    New = 6,
}

/// A connection as the thread's watch sees it.
#[derive(Debug)]
pub(crate) struct Watched {
    phase: Cell<Phase>,
    since_ms: Cell<u64>,
    task: AbortHandle,
}

/// Shared by the connections of one thread.
pub(crate) struct EdgeThread {
    pub(crate) settings: Arc<Settings>,
    pub(crate) figures: Arc<Figures>,
    /// Absent on the operator's thread, which has no hot routes.
    pub(crate) pump: Option<Rc<Pump>>,
    pub(crate) router: Router,
    /// Largest body of a request on this thread's listener.
    pub(crate) body_bytes_max: usize,
    pub(crate) draining: Cell<bool>,
    /// Bytes just read, while they are being parsed.
    pub(crate) inbound: RefCell<Box<[u8]>>,
    /// Answers just written down, while they are being sent.
    pub(crate) outbound: RefCell<Vec<u8>>,
    /// One body, while its length is not known.
    pub(crate) body: RefCell<Vec<u8>>,
    date: RefCell<CompactString>,
    date_s: Cell<u64>,
    now_ms: Cell<TimeMs>,
    started: Instant,
    uptime_ms: Cell<u64>,
    request_ids: Cell<u64>,
    request_id_prefix: u32,
    watched: RefCell<Slab<Rc<Watched>>>,
}

impl EdgeThread {
    #[allow(
        clippy::disallowed_methods,
        reason = "an edge thread reads the clocks once a tick, here and in `tick`"
    )]
    pub(crate) fn new(
        settings: Arc<Settings>,
        figures: Arc<Figures>,
        pump: Option<Rc<Pump>>,
        router: Router,
        request_id_prefix: u32,
    ) -> Rc<Self> {
        let is_public = pump.is_some();
        let thread = Self {
            settings,
            figures,
            pump,
            router,
            body_bytes_max: if is_public { BODY_BYTES_MAX } else { OPERATOR_BODY_BYTES_MAX },
            draining: Cell::new(false),
            inbound: RefCell::new(vec![0; READ_BYTES * 4].into_boxed_slice()),
            outbound: RefCell::default(),
            body: RefCell::default(),
            date: RefCell::default(),
            date_s: Cell::new(0),
            now_ms: Cell::new(0),
            started: Instant::now(),
            uptime_ms: Cell::new(0),
            request_ids: Cell::new(0),
            request_id_prefix,
            watched: RefCell::default(),
        };
        thread.tick();
        Rc::new(thread)
    }

    /// Reads the clocks, and cuts off connections that used up their time.
    #[allow(clippy::disallowed_methods, reason = "see `new`")]
    pub(crate) fn tick(&self) {
        let now = SystemTime::now();
        let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.now_ms.set(millis(since_epoch));
        self.uptime_ms.set(millis(self.started.elapsed()));
        if self.date_s.replace(since_epoch.as_secs()) != since_epoch.as_secs() {
            *self.date.borrow_mut() = CompactString::from(httpdate::fmt_http_date(now));
        }
        self.cut_off_slow();
    }

    fn cut_off_slow(&self) {
        let uptime_ms = self.uptime_ms.get();
        for (_, watched) in &*self.watched.borrow() {
            let phase = watched.phase.get();
            let time_limit = match phase {
                // What had arrived when the drain began has been read by then.
                Phase::Idle | Phase::New if self.draining.get() => TICK * 2,
                Phase::Idle | Phase::IdleHttp2 => self.settings.idle_timeout,
                Phase::New | Phase::Head => self.settings.header_timeout,
                Phase::Body => self.settings.body_timeout,
                Phase::Writing => self.settings.write_timeout,
                Phase::Busy => continue,
            };
            if uptime_ms.saturating_sub(watched.since_ms.get()) >= millis(time_limit) {
                Figures::add(&self.figures.cut_off_counts[phase as usize], 1);
                watched.task.abort();
            }
        }
    }

    /// Wall-clock time as of the last tick.
    pub(crate) fn now_ms(&self) -> TimeMs {
        self.now_ms.get()
    }

    /// The value of `Date` as of the last tick.
    pub(crate) fn write_date(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.date.borrow().as_bytes());
    }

    /// Tells the watch about a connection. It may be cut off until the returned value is dropped.
    pub(crate) fn watch(self: &Rc<Self>, task: AbortHandle) -> Watch {
        let watched = Rc::new(Watched {
            phase: Cell::new(Phase::New),
            since_ms: Cell::new(self.uptime_ms.get()),
            task,
        });
        let key = self.watched.borrow_mut().insert(Rc::clone(&watched));
        Watch { thread: Rc::clone(self), watched, key }
    }

    /// Where the open connections of this thread's listener are counted.
    pub(crate) fn open_count_of_listener(&self) -> &AtomicUsize {
        if self.pump.is_some() { &self.figures.open_count } else { &self.figures.operator_open_count }
    }

    /// How many those may be.
    pub(crate) fn connections_max(&self) -> usize {
        if self.pump.is_some() { self.settings.connections_max } else { OPERATOR_CONNECTIONS_MAX }
    }

    /// Connections of this thread that are open.
    pub(crate) fn open_count(&self) -> usize {
        self.watched.borrow().len()
    }

    /// The client's request id if it is a sensible one, else a new one: the thread's random prefix and a count.
    pub(crate) fn request_id(&self, given: Option<&[u8]>) -> CompactString {
        let sensible = given
            .filter(|id| {
                (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
            })
            .and_then(|id| CompactString::from_utf8(id).ok());
        sensible.unwrap_or_else(|| {
            let count = self.request_ids.get() + 1;
            self.request_ids.set(count);
            new_request_id(self.request_id_prefix, count)
        })
    }
}

/// Eight digits of prefix, a dash, and as many digits of the count as it has; hexadecimal.
fn new_request_id(prefix: u32, count: u64) -> CompactString {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u64, place: u32| DIGITS[(value >> (place * 4) & 15) as usize];
    let mut id = [b'-'; 25];
    for place in 0..8 {
        id[place as usize] = digit(prefix.into(), 7 - place);
    }
    let count_digits = (u64::BITS - count.leading_zeros()).div_ceil(4).max(1);
    for place in 0..count_digits {
        id[9 + place as usize] = digit(count, count_digits - 1 - place);
    }
    CompactString::from_utf8(&id[..9 + count_digits as usize]).unwrap_or_default()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// One connection's own end of the watch.
pub(crate) struct Watch {
    thread: Rc<EdgeThread>,
    watched: Rc<Watched>,
    key: usize,
}

impl Watch {
    /// The connection now does something else; its time starts anew.
    pub(crate) fn enter(&self, phase: Phase) {
        self.watched.phase.set(phase);
        self.watched.since_ms.set(self.thread.uptime_ms.get());
    }

    /// As [`Watch::enter`], but the time goes on if it does the same as before.
    pub(crate) fn stay_or_enter(&self, phase: Phase) {
        if self.watched.phase.get() != phase {
            self.enter(phase);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.thread.watched.borrow_mut().remove(self.key);
        self.thread.open_count_of_listener().fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::new_request_id;

    #[test]
    fn request_ids_are_hexadecimal_and_as_long_as_their_count() {
        assert_eq!(new_request_id(0x1a, 1), "0000001a-1");
        assert_eq!(new_request_id(0xffff_ffff, 0x10), "ffffffff-10");
        assert_eq!(new_request_id(0, u64::MAX), "00000000-ffffffffffffffff");
    }
}

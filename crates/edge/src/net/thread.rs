//! What the connections of one edge thread share. Nothing here is locked: a thread's connections are its own.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use onrush_core::TimeMs;
use onrush_node::Partitions;
use tokio::sync::{Mutex, watch};

use crate::catalog::Catalog;
use crate::gate::Gate;
use crate::hot::HotTable;
use crate::limits::{BODY_BYTES_MAX, OPERATOR_BODY_BYTES_MAX, OPERATOR_CONNECTIONS_MAX, READ_BYTES};
use crate::net::call_batcher::CallBatcher;
use crate::net::counters::EdgeCounters;
use crate::net::deadlines::Deadlines;
use crate::net::request_id::{Prefix, RequestId, prefix_of};
use crate::net::turn_clock::TurnClock;
use crate::preflights::Preflights;
use crate::settings::Settings;

/// What a listener answers.
pub(crate) struct Routes {
    pub(crate) gate: Gate,
    /// Empty on the operator's listener.
    pub(crate) hot: HotTable,
    /// Absent there.
    pub(crate) preflights: Option<Preflights>,
    pub(crate) router: Router,
    pub(crate) catalog: Arc<Catalog>,
    /// Whoever decides; absent in tests without partitions.
    pub(crate) partitions: Option<Arc<Partitions>>,
}

/// Shared by the connections of one thread.
pub(crate) struct EdgeThread {
    pub(crate) settings: Arc<Settings>,
    pub(crate) counters: Arc<EdgeCounters>,
    pub(crate) deadlines: Rc<Deadlines>,
    /// Absent on the operator's thread, which has no hot routes.
    pub(crate) batcher: Option<Rc<CallBatcher>>,
    pub(crate) routes: Routes,
    /// Largest body of a request on this thread's listener.
    pub(crate) body_bytes_max: usize,
    pub(crate) draining: Cell<bool>,
    /// The same for those who have to be woken by it.
    pub(crate) stopping: watch::Sender<bool>,
    /// Whoever has it looks whether it is known who leads.
    pub(crate) between_leaders: Mutex<()>,
    /// Bytes just read, while they are being parsed.
    pub(crate) inbound: RefCell<Box<[u8]>>,
    /// Answers just written down, while they are being sent.
    pub(crate) outbound: RefCell<Vec<u8>>,
    /// One body, while its length is not known.
    pub(crate) body: RefCell<Vec<u8>>,
    /// The field of `Date` and the end of a head.
    date_end: RefCell<Vec<u8>>,
    date_s: Cell<u64>,
    now_ms: Cell<TimeMs>,
    started: Instant,
    pub(crate) turn_clock: Rc<TurnClock>,
    request_ids: Cell<u64>,
    pub(crate) request_id_prefix: Prefix,
}

impl EdgeThread {
    #[allow(
        clippy::disallowed_methods,
        reason = "an edge thread reads the clocks once a tick, here and in `tick`"
    )]
    pub(crate) fn new(
        settings: Arc<Settings>,
        counters: Arc<EdgeCounters>,
        batcher: Option<Rc<CallBatcher>>,
        routes: Routes,
        request_id_prefix: u32,
    ) -> Rc<Self> {
        let is_public = batcher.is_some();
        let thread = Self {
            deadlines: Deadlines::new(Arc::clone(&settings), Arc::clone(&counters)),
            settings,
            counters,
            batcher,
            routes,
            body_bytes_max: if is_public { BODY_BYTES_MAX } else { OPERATOR_BODY_BYTES_MAX },
            draining: Cell::new(false),
            stopping: watch::Sender::new(false),
            between_leaders: Mutex::default(),
            inbound: RefCell::new(vec![0; READ_BYTES * 4].into_boxed_slice()),
            outbound: RefCell::default(),
            body: RefCell::default(),
            date_end: RefCell::default(),
            date_s: Cell::new(0),
            now_ms: Cell::new(0),
            started: Instant::now(),
            turn_clock: Rc::default(),
            request_ids: Cell::new(0),
            request_id_prefix: prefix_of(request_id_prefix),
        };
        thread.tick();
        Rc::new(thread)
    }

    /// Reads the clocks, cuts off connections that used up their time, and lets the gate forget.
    #[allow(clippy::disallowed_methods, reason = "see `new`")]
    pub(crate) fn tick(&self) {
        let now = SystemTime::now();
        let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.now_ms.set(millis(since_epoch));
        if self.date_s.replace(since_epoch.as_secs()) != since_epoch.as_secs() {
            *self.date_end.borrow_mut() =
                format!("\r\ndate: {}\r\n\r\n", httpdate::fmt_http_date(now)).into_bytes();
        }
        self.deadlines.tick(millis(self.started.elapsed()), self.draining.get());
        self.routes.gate.sweep(self.turn_clock.now());
    }

    /// From now on connections end as soon as they have answered.
    pub(crate) fn begin_to_drain(&self) {
        self.draining.set(true);
        self.stopping.send_replace(true);
    }

    /// Wall-clock time as of the last tick.
    pub(crate) fn now_ms(&self) -> TimeMs {
        self.now_ms.get()
    }

    /// Appends `Date` as of the last tick, on a line of its own, and ends the head with it.
    pub(crate) fn write_date_and_end(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.date_end.borrow());
    }

    /// A place for one more connection; nothing if as many are open as may be.
    pub(crate) fn take_place(&self) -> Option<Place> {
        let (is_public, counters) = (self.batcher.is_some(), Arc::clone(&self.counters));
        let connections_max =
            if is_public { self.settings.connections_max } else { OPERATOR_CONNECTIONS_MAX };
        let place = Place { is_public, counters };
        (place.open_count().fetch_add(1, Ordering::Relaxed) < connections_max).then_some(place)
    }

    /// The client's request id if it is a sensible one, else a new one: the thread's random prefix and a count.
    pub(crate) fn request_id(&self, given: Option<&[u8]>) -> RequestId {
        given.and_then(RequestId::given).unwrap_or_else(|| {
            let count = self.request_ids.get() + 1;
            self.request_ids.set(count);
            RequestId::New(count)
        })
    }
}

/// Counts a connection as open until it is dropped.
pub(crate) struct Place {
    is_public: bool,
    counters: Arc<EdgeCounters>,
}

impl Place {
    fn open_count(&self) -> &AtomicUsize {
        if self.is_public { &self.counters.open_count } else { &self.counters.operator_open_count }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open_count().fetch_sub(1, Ordering::Relaxed);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

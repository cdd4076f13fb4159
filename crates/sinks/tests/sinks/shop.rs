//! A partition on a real directory with sinks, and something going on in it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use onrush_core::{GateTerms, Precondition, SaleTerms, StockTerms};
use onrush_log::file::{FileLog, LogSettings, SyncMethod};
use onrush_log::{
    BrokenOff, Log, LogReader, OpenError, Opened, Opening, SnapshotError, SnapshotReader, SnapshotWriter,
    StorageError, Visit, VisitError,
};
use onrush_node::{
    Asker, Call, ChallengeCall, Clock, KeyCall, LineCall, ManualClock, Name, Outcome, Partition, Reply,
    ReserveCall, Retention, Settings,
};
use onrush_sinks::{IdsWhileLeading, SinkSettings, SinkState, SinkStatus, Sinks, Stop, Target};

pub(crate) const START_MS: u64 = 1_700_000_000_000;
/// How long a test waits for what has to come.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) struct Shop {
    pub(crate) partition: Arc<Partition>,
    pub(crate) sinks: Arc<Sinks>,
    /// Another node leads.
    pub(crate) is_deposed: Arc<AtomicBool>,
    /// From here on that one's sink needs the log.
    pub(crate) needed_by_leader: Arc<AtomicU64>,
    pub(crate) log: Arc<dyn Log>,
    clock: Arc<ManualClock>,
}

/// A sink called `one` with the defaults.
pub(crate) fn one() -> SinkSettings {
    SinkSettings::new("one")
}

impl Shop {
    pub(crate) fn open(directory: &Path, sinks: Vec<(SinkSettings, Box<dyn Target>)>) -> Self {
        Self::open_with(directory, sinks, u64::MAX, 64 << 10)
    }

    pub(crate) fn open_with(
        directory: &Path,
        sinks: Vec<(SinkSettings, Box<dyn Target>)>,
        snapshot_bytes: u64,
        segment_bytes: u64,
    ) -> Self {
        let (sink_settings, targets) = sinks.into_iter().unzip();
        let settings = Settings { snapshot_bytes, ..Settings::default() };
        let retention = Retention::default();
        let clock = Arc::new(ManualClock::new(START_MS));
        let shared_clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let log_settings = LogSettings::for_tests(segment_bytes);
        let files = FileLog::lock(directory, SyncMethod::UnsafeNone, 0, log_settings).unwrap();
        let needed_by_leader = Arc::default();
        let log: Arc<dyn Log> = Arc::new(Shared { files, needed_by_leader: Arc::clone(&needed_by_leader) });
        let sinks = Sinks::prepare(sink_settings, directory, &retention).unwrap();
        let (partition, _) =
            Partition::open(Arc::clone(&log), settings, Arc::clone(&shared_clock), retention).unwrap();
        let (leading, is_deposed) = (Arc::clone(&partition), Arc::new(AtomicBool::new(false)));
        let deposed = Arc::clone(&is_deposed);
        let leads: IdsWhileLeading =
            Arc::new(move || leading.ids_while_leading().filter(|_| !deposed.load(Ordering::Relaxed)));
        let sinks = sinks.start(&log, &leads, &shared_clock, targets).unwrap();
        Self { partition, sinks, is_deposed, needed_by_leader, log, clock }
    }

    /// Stops in good order, as the server does.
    pub(crate) fn close(self) {
        self.partition.close();
        self.sinks.stop(Duration::from_secs(10));
    }

    pub(crate) fn call(&self, call: Call) -> Reply {
        let (tell, told) = sync_channel(1);
        self.partition.call(call, move |reply| tell.send(reply).unwrap());
        told.recv_timeout(ANSWER_TIMEOUT).expect("every call is answered")
    }

    pub(crate) fn add(&self, counter: &str) {
        self.call(Call::AddToCounter { counter: Name::from(counter), by: 1 }).unwrap();
    }

    pub(crate) fn put_sale(&self, sale: &str, stocks: &[&str], hold_ttl_ms: u32) {
        let stock = |stock: &&str| StockTerms {
            stock: (*stock).to_owned(),
            title: String::new(),
            starts_at: None,
            ends_at: None,
            closes_at: None,
            quantity_total: 1_000_000_000,
        };
        let terms = SaleTerms {
            title: "A sale".to_owned(),
            opens_at: None,
            closes_at: None,
            per_customer_max: None,
            hold_ttl_ms,
            gate: GateTerms::default(),
            stocks: stocks.iter().map(stock).collect(),
        };
        let (left_out, only_if) = (Vec::new(), Precondition::None);
        self.call(Call::PutSale { sale: Name::from(sale), terms: Box::new(terms), left_out, only_if })
            .unwrap();
    }

    pub(crate) fn reserve(&self, sale: &str, stock: &str, customer: &str) -> String {
        let call = ReserveCall {
            sale: Name::from(sale),
            asker: Asker::Anyone,
            customer: Name::from(customer),
            lines: [LineCall { stock: Name::from(stock), quantity: 2 }].into_iter().collect(),
            details: Box::from(&br#"{"gift":true}"#[..]),
            challenge: ChallengeCall::Missing,
            key: Some(KeyCall { key: Name::from(format!("key-{customer}")), fingerprint: 7 }),
        };
        match self.call(Call::Reserve(Box::new(call))).unwrap() {
            Outcome::Reserved { reservation, .. } => {
                let ids = self.partition.reservation_ids();
                String::from_utf8(ids.write(reservation).to_vec()).unwrap()
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn confirm(&self, sale: &str, id: &str) {
        let reservation = self.partition.reservation_ids().read(id).unwrap();
        self.call(Call::Confirm { sale: Name::from(sale), reservation, asker: Asker::Anyone }).unwrap();
    }

    pub(crate) fn release(&self, sale: &str, id: &str) {
        let reservation = self.partition.reservation_ids().read(id).unwrap();
        self.call(Call::Release { sale: Name::from(sale), reservation, asker: Asker::Anyone }).unwrap();
    }

    /// Lets the partition's time pass.
    pub(crate) fn advance(&self, now_ms: u64) {
        self.clock.pass_until(START_MS + now_ms);
        self.add("tick");
    }

    /// A little of everything; `round` makes the customers new.
    pub(crate) fn trade(&self, round: usize) {
        let sale = if round.is_multiple_of(3) { "held" } else { "quick" };
        let id = self.reserve(sale, "b", &format!("c{round}"));
        match round % 4 {
            0 => self.confirm(sale, &id),
            1 => self.release(sale, &id),
            _ => {}
        }
        self.add("home");
        self.call(Call::HitWindow { window: Name::from("w") }).unwrap();
    }

    pub(crate) fn open_sales(&self) {
        self.put_sale("held", &["b", "a"], 3_600_000);
        self.put_sale("quick", &["b"], 0);
    }

    pub(crate) fn status(&self) -> SinkStatus {
        self.sinks.status("one").unwrap()
    }

    /// Waits until the sink has everything.
    pub(crate) fn wait_caught_up(&self) -> SinkStatus {
        self.wait("caught up", |status| status.lag_events == 0 && status.state == SinkState::Running)
    }

    /// Waits until the sink stops, and says why.
    pub(crate) fn wait_stopped(&self) -> Stop {
        let status = self.wait("stopped", |status| matches!(status.state, SinkState::Stopped(_)));
        match status.state {
            SinkState::Stopped(stop) => stop,
            state => panic!("{state:?}"),
        }
    }

    pub(crate) fn wait(&self, what: &str, is_so: impl Fn(&SinkStatus) -> bool) -> SinkStatus {
        wait_for(what, || Some(self.status()).filter(&is_so))
            .unwrap_or_else(|| panic!("not {what}: {:?}", self.status()))
    }
}

/// A log in files, of which another node says what its sink `one` needs.
struct Shared {
    files: FileLog,
    needed_by_leader: Arc<AtomicU64>,
}

impl Log for Shared {
    fn open_visiting(
        &self,
        opening: Opening,
        visit: &mut Visit<'_>,
    ) -> Result<Opened, VisitError<OpenError, BrokenOff>> {
        self.files.open_visiting(opening, visit)
    }

    fn noted(&self, name: &str) -> Option<Vec<u8>> {
        let needed_from = self.needed_by_leader.load(Ordering::Relaxed);
        (name == "kept one").then(|| needed_from.to_le_bytes().to_vec())
    }

    fn reader(&self) -> Box<dyn LogReader> {
        self.files.reader()
    }

    fn snapshots(&self) -> Result<Vec<u64>, StorageError> {
        self.files.snapshots()
    }

    fn read_snapshot(&self, offset: u64) -> Result<Box<dyn SnapshotReader>, SnapshotError> {
        self.files.read_snapshot(offset)
    }

    fn write_snapshot(&self, offset: u64, time_ms: u64) -> Result<Box<dyn SnapshotWriter>, SnapshotError> {
        self.files.write_snapshot(offset, time_ms)
    }

    fn trim(&self, before: u64) -> Result<u64, StorageError> {
        self.files.trim(before)
    }
}

/// Looks until there is something; `None` after a long time.
pub(crate) fn wait_for<T>(_what: &str, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let interval = Duration::from_millis(2);
    let mut waited = Duration::ZERO;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if waited > ANSWER_TIMEOUT {
            return None;
        }
        std::thread::sleep(interval);
        waited += interval;
    }
}

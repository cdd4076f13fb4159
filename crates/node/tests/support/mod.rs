//! A partition on a disk that fails on demand, and blocking calls to it.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use onrush_core::{Digest, GateTerms, Precondition, SaleTerms, StockTerms};
use onrush_log::file::faulty::FaultyStorage;
use onrush_log::file::{FileLog, LogDirectory, LogSettings, SpareMaking};
use onrush_node::{
    Asker, Call, ChallengeCall, Failure, KeyCall, LineCall, ManualClock, Name, Outcome, Partition, Recovered,
    Reply, ReserveCall, Retention, Settings,
};

/// Where the manual clock starts.
pub(crate) const START_MS: u64 = 1_700_000_000_000;

/// A partition, the disk it is on and the clock it reads.
pub(crate) struct Rig {
    pub(crate) disk: FaultyStorage,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) partition: Arc<Partition>,
    pub(crate) recovered: Recovered,
}

pub(crate) fn settings() -> Settings {
    Settings { snapshot_bytes: u64::MAX, ..Settings::default() }
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::on(FaultyStorage::new(), settings())
    }

    pub(crate) fn on(disk: FaultyStorage, settings: Settings) -> Self {
        Self::open(disk, settings, START_MS)
    }

    /// On clocks of which the wall clock shows `wall_ms`.
    pub(crate) fn at(disk: FaultyStorage, wall_ms: u64) -> Self {
        Self::open(disk, settings(), wall_ms)
    }

    /// With spare segments made by a thread, as in a server.
    fn open(disk: FaultyStorage, settings: Settings, wall_ms: u64) -> Self {
        let clock = Arc::new(ManualClock::new(wall_ms));
        let directory = LogDirectory::lock(Arc::new(disk.clone()), 0).unwrap();
        let mut log_settings = LogSettings::for_tests(64 << 10);
        log_settings.spare_making = SpareMaking::Background;
        let log = Arc::new(FileLog::new(directory, log_settings));
        let (partition, recovered) =
            Partition::open(log, settings, Arc::<ManualClock>::clone(&clock), Retention::default()).unwrap();
        Self { disk, clock, partition, recovered }
    }

    pub(crate) fn call(&self, call: Call) -> Reply {
        let (sender, receiver) = sync_channel(1);
        self.partition.call(call, move |reply| sender.send(reply).unwrap());
        receiver.recv_timeout(Duration::from_secs(20)).expect("every call is answered")
    }

    pub(crate) fn add(&self, counter: &str) -> Result<u64, Failure> {
        match self.call(Call::AddToCounter { counter: Name::from(counter), by: 1 })? {
            Outcome::Counter { value } => Ok(value),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn counter(&self, counter: &str) -> Result<u64, Failure> {
        match self.call(Call::ReadCounter { counter: Name::from(counter) })? {
            Outcome::Counter { value } => Ok(value),
            other => panic!("{other:?}"),
        }
    }

    /// Waits until everything that was decided before is in force: a counter is read behind it.
    pub(crate) fn await_decided(&self) {
        assert_eq!(
            code(&self.call(Call::ReadCounter { counter: Name::from("nobody") })),
            "counter_not_found"
        );
    }

    pub(crate) fn put_sale(&self, sale: &str, quantity_total: u32, hold_ttl_ms: u32) {
        self.put_sale_between(sale, quantity_total, hold_ttl_ms, None, None);
    }

    /// A sale that opens and closes.
    pub(crate) fn put_sale_between(
        &self,
        sale: &str,
        quantity_total: u32,
        hold_ttl_ms: u32,
        opens_at: Option<u64>,
        closes_at: Option<u64>,
    ) {
        let terms = SaleTerms {
            title: String::new(),
            opens_at,
            closes_at,
            per_customer_max: Some(1),
            hold_ttl_ms,
            gate: GateTerms::default(),
            stocks: vec![StockTerms {
                stock: "a".into(),
                title: String::new(),
                starts_at: None,
                ends_at: None,
                closes_at: None,
                quantity_total,
            }],
        };
        let (left_out, only_if) = (Vec::new(), Precondition::None);
        self.call(Call::PutSale { sale: Name::from(sale), terms: Box::new(terms), left_out, only_if })
            .unwrap();
    }

    pub(crate) fn reserve(&self, sale: &str, customer: &str) -> Reply {
        self.call(Call::Reserve(reserve(sale, customer, None)))
    }

    /// Held and confirmed units of the only stock of a sale.
    pub(crate) fn figures(&self, sale: &str) -> (u32, u32) {
        match self.call(Call::ReadSale { sale: Name::from(sale) }) {
            Ok(Outcome::Sale(view)) => (view.stocks[0].quantity_held, view.stocks[0].quantity_confirmed),
            other => panic!("{other:?}"),
        }
    }

    /// Stops in good order.
    pub(crate) fn close(self) -> (FaultyStorage, Digest) {
        let digest = self.partition.close().unwrap();
        (self.disk, digest)
    }
}

pub(crate) fn reserve(sale: &str, customer: &str, key: Option<&str>) -> Box<ReserveCall> {
    Box::new(ReserveCall {
        sale: Name::from(sale),
        asker: Asker::Anyone,
        customer: Name::from(customer),
        lines: [LineCall { stock: Name::from("a"), quantity: 1 }].into_iter().collect(),
        details: Box::from(&b""[..]),
        challenge: ChallengeCall::Missing,
        key: key.map(|key| KeyCall { key: Name::from(key), fingerprint: 7 }),
    })
}

/// The code of a refusal.
pub(crate) fn code(reply: &Reply) -> &'static str {
    match reply {
        Err(Failure::Refused { refusal, .. }) => refusal.code().as_str(),
        Err(Failure::Overloaded) => "overloaded",
        Err(Failure::LogUnavailable) => "log_unavailable",
        Err(Failure::Draining) => "draining",
        Err(Failure::NotLeader) => "not_leader",
        Ok(_) => "done",
    }
}

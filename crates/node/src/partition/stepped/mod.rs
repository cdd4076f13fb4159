//! A whole partition, stepped by hand: its writer and its snapshotter take their turns when the test says so, on clocks that
//! stand still. So every run is the same, and nothing is waited for.

mod clock;
mod crash;
mod denials;
mod incarnations;
mod outstanding;
mod outstanding_crash;
mod rivals;
mod snapshots;
mod trouble;

use std::sync::{Arc, Mutex, PoisonError};

use onrush_core::{Digest, GateTerms, Precondition, SaleTerms, StockTerms};
use onrush_log::Log;
use onrush_log::memory::MemoryLog;

use super::handle::{Partition, Parts};
use super::loading::{LoadError, Recovered};
use super::retention::Retention;
use super::writer::Turn;
use crate::{
    Asker, Call, ChallengeCall, Failure, KeyCall, LineCall, ManualClock, MetricsSnapshot, Name, Outcome,
    Reply, ReserveCall, Settings,
};

/// Where the clock starts.
const START_MS: u64 = 1_700_000_000_000;
/// Batches that a log takes at once: one that waits, and two that do not.
const OUTSTANDING: [usize; 3] = [1, 2, 4];
/// After so many turns the writer should have come to rest.
const TURNS_MAX: usize = 1_000;

struct Rig {
    partition: Arc<Partition>,
    parts: Parts,
    clock: Arc<ManualClock>,
    recovered: Recovered,
    retention: Retention,
    /// A log that does not wait; what is outstanding there comes into force when the writer has come to rest.
    brought_into_force: Option<MemoryLog>,
}

/// Where the answer to a call arrives.
#[derive(Clone, Default)]
struct LateReply(Arc<Mutex<Option<Reply>>>);

impl LateReply {
    fn take(&self) -> Option<Reply> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn settings() -> Settings {
    Settings { snapshot_bytes: u64::MAX, ..Settings::default() }
}

/// An empty log that takes so many batches at once.
fn log_of(outstanding_max: usize) -> MemoryLog {
    match outstanding_max {
        1 => MemoryLog::new(0),
        _ => MemoryLog::with_outstanding(0, outstanding_max),
    }
}

/// Runs a test on a log of each sort.
fn on_every_log(test: impl Fn(&MemoryLog)) {
    for outstanding_max in OUTSTANDING {
        test(&log_of(outstanding_max));
    }
}

impl Rig {
    fn on(log: &MemoryLog) -> Self {
        Self::at(log, START_MS)
    }

    /// On clocks of which the wall clock shows `wall_ms`.
    fn at(log: &MemoryLog, wall_ms: u64) -> Self {
        let rig = Self::open_at(Arc::new(log.clone()), settings(), wall_ms).unwrap();
        rig.bringing_into_force(log)
    }

    /// From now on what is outstanding there comes into force.
    fn bringing_into_force(mut self, log: &MemoryLog) -> Self {
        self.brought_into_force = Some(log.clone());
        self.write();
        self
    }

    fn open(log: Arc<dyn Log>, settings: Settings) -> Result<Self, LoadError> {
        Self::open_at(log, settings, START_MS)
    }

    fn open_at(log: Arc<dyn Log>, settings: Settings, wall_ms: u64) -> Result<Self, LoadError> {
        let clock = Arc::new(ManualClock::new(wall_ms));
        let retention = Retention::default();
        let shared_clock = Arc::<ManualClock>::clone(&clock);
        let (partition, parts, recovered) =
            Partition::assemble(log, settings, shared_clock, retention.clone())?;
        let mut rig = Self { partition, parts, clock, recovered, retention, brought_into_force: None };
        rig.write();
        Ok(rig)
    }

    /// Lets the writer do what it can, one batch at a time if the log is one that does not wait.
    fn write(&mut self) {
        self.rest();
        while let Some(log) = self.brought_into_force.as_ref().filter(|log| log.outstanding_count() > 0) {
            log.bring_into_force(1);
            self.rest();
        }
    }

    /// Lets the writer do what it can without waiting.
    fn rest(&mut self) {
        let mut waits_in_a_row = 0;
        for _ in 0..TURNS_MAX {
            match self.parts.writer.turn() {
                Turn::Again => waits_in_a_row = 0,
                // The first may be one for more calls to come.
                Turn::Wait { .. } if waits_in_a_row == 0 => waits_in_a_row = 1,
                Turn::Wait { .. } | Turn::Finished => return,
            }
        }
        panic!("the writer never comes to rest");
    }

    /// Submits a call; the answer arrives when the writer has had its turns.
    fn submit(&self, call: Call) -> LateReply {
        let late = LateReply::default();
        let filled = late.clone();
        self.partition.call(call, move |reply| {
            let before = filled.0.lock().unwrap_or_else(PoisonError::into_inner).replace(reply);
            assert!(before.is_none(), "a call is answered once");
        });
        late
    }

    fn call(&mut self, call: Call) -> Reply {
        let late = self.submit(call);
        self.write();
        late.take().expect("every call is answered")
    }

    fn add(&mut self, counter: &str) -> Result<u64, Failure> {
        match self.call(add(counter))? {
            Outcome::Counter { value } => Ok(value),
            other => panic!("{other:?}"),
        }
    }

    fn counter(&mut self, counter: &str) -> Result<u64, Failure> {
        match self.call(Call::ReadCounter { counter: Name::from(counter) })? {
            Outcome::Counter { value } => Ok(value),
            other => panic!("{other:?}"),
        }
    }

    fn put_sale(&mut self, sale: &str, quantity_total: u32, hold_ttl_ms: u32) {
        self.put_sale_between(sale, quantity_total, hold_ttl_ms, None, None);
    }

    /// A sale that opens and closes.
    fn put_sale_between(
        &mut self,
        sale: &str,
        quantity_total: u32,
        hold_ttl_ms: u32,
        opens_at: Option<u64>,
        closes_at: Option<u64>,
    ) {
        let stock = StockTerms {
            stock: "a".into(),
            title: String::new(),
            starts_at: None,
            ends_at: None,
            closes_at: None,
            quantity_total,
        };
        let terms = SaleTerms {
            title: String::new(),
            opens_at,
            closes_at,
            per_customer_max: Some(1),
            hold_ttl_ms,
            gate: GateTerms::default(),
            stocks: vec![stock],
        };
        self.call(Call::PutSale {
            sale: Name::from(sale),
            terms: Box::new(terms),
            left_out: Vec::new(),
            only_if: Precondition::None,
        })
        .unwrap();
    }

    fn reserve(&mut self, sale: &str, customer: &str) -> Reply {
        self.call(reserve(sale, customer))
    }

    /// Held and confirmed units of the only stock of a sale.
    fn figures(&mut self, sale: &str) -> (u32, u32) {
        match self.call(Call::ReadSale { sale: Name::from(sale) }) {
            Ok(Outcome::Sale(view)) => (view.stocks[0].quantity_held, view.stocks[0].quantity_confirmed),
            other => panic!("{other:?}"),
        }
    }

    fn metrics(&self) -> MetricsSnapshot {
        self.partition.metrics()
    }

    /// Stops in good order.
    fn close(mut self) -> Digest {
        self.partition.close();
        self.write();
        self.partition.close().unwrap()
    }
}

/// The code of a refusal.
fn code(reply: &Reply) -> &'static str {
    match reply {
        Err(Failure::Refused { refusal, .. }) => refusal.code().as_str(),
        Err(Failure::Overloaded) => "overloaded",
        Err(Failure::LogUnavailable) => "log_unavailable",
        Err(Failure::Draining) => "draining",
        Err(Failure::NotLeader) => "not_leader",
        Ok(_) => "done",
    }
}

fn add(counter: &str) -> Call {
    Call::AddToCounter { counter: Name::from(counter), by: 1 }
}

fn reserve(sale: &str, customer: &str) -> Call {
    reserve_with(sale, customer, None, b"")
}

/// With a key and with details.
fn reserve_with(sale: &str, customer: &str, key: Option<&str>, details: &[u8]) -> Call {
    Call::Reserve(Box::new(ReserveCall {
        sale: Name::from(sale),
        asker: Asker::Anyone,
        customer: Name::from(customer),
        lines: [LineCall { stock: Name::from("a"), quantity: 1 }].into_iter().collect(),
        details: Box::from(details),
        challenge: ChallengeCall::Missing,
        key: key.map(|key| KeyCall { key: Name::from(key), fingerprint: 7 }),
    }))
}

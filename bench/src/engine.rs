//! The engine without HTTP: a partition of onrush-node on a real directory, fed by one thread in submissions as an edge
//! makes them. It runs in a process of its own, so that its memory and processor time can be told from the benchmark's.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use onrush_core::{GateTerms, Precondition, SaleTerms, StockTerms};
use onrush_log::file::{FileLog, LogSettings, SyncMethod};
use onrush_node::{
    Asker, Call, Calls, ChallengeCall, LineCall, MachineClock, MetricsSnapshot, Name, Outcome, Partition,
    PartitionPort, Reply, ReserveCall, Retention, Settings,
};
use serde::{Deserialize, Serialize};

use crate::process::{Usage, resident_bytes};

/// Reservations of one submission.
pub(crate) const SUBMISSION_CALL_COUNT: u32 = 256;
const SALE: &str = "drop";
const STOCK: &str = "units";

/// What the engine's process is to do: open the sale `drop` and reserve one unit each for customers from 0 on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct EngineOrder {
    pub(crate) directory: PathBuf,
    /// It stops at whichever comes first.
    pub(crate) seconds: f64,
    pub(crate) reservation_count: u64,
    /// Submissions that are on their way at once.
    pub(crate) in_flight_count: u64,
    pub(crate) snapshot_bytes: u64,
}

/// What it did.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct EngineRun {
    pub(crate) confirmed_count: u64,
    pub(crate) other_count: u64,
    pub(crate) seconds: f64,
    pub(crate) batch_count: u64,
    /// Payload of the batches, frame headers aside.
    pub(crate) batch_bytes: u64,
    /// Growth of the resident memory while reservations were taken.
    pub(crate) resident_bytes: u64,
    /// Heap of the state, as it computes it itself.
    pub(crate) state_bytes: u64,
    /// Events in the newest snapshot; 0 when none was taken.
    pub(crate) snapshot_offset: u64,
    pub(crate) usage: Usage,
}

impl EngineOrder {
    /// Takes exactly `reservation_count` reservations into `directory` and leaves it as a crash would.
    pub(crate) fn fill(directory: &Path, reservation_count: u64, snapshot_bytes: u64) -> Result<EngineRun> {
        let order = Self {
            directory: directory.to_owned(),
            seconds: 600.0,
            reservation_count,
            in_flight_count: 4,
            snapshot_bytes,
        };
        let run = order.send()?;
        ensure!(
            run.confirmed_count == reservation_count,
            "{} of {reservation_count} reservations were confirmed",
            run.confirmed_count
        );
        Ok(run)
    }

    /// Only whole segments are taken into snapshots, so at least one must have been filled for certain.
    fn expects_snapshot(&self, batch_bytes: u64) -> bool {
        let segment_bytes = LogSettings::default().segment_bytes;
        self.snapshot_bytes < segment_bytes && batch_bytes > segment_bytes
    }

    /// Carries the order out in a child process of this program.
    pub(crate) fn send(&self) -> Result<EngineRun> {
        let output = Command::new(std::env::current_exe()?)
            .arg("--engine-order")
            .arg(serde_json::to_string(self)?)
            .output()
            .context("start the engine's process")?;
        if !output.status.success() {
            bail!("the engine's process failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        serde_json::from_slice(&output.stdout).context("parse the engine's result")
    }
}

/// Carries the order out in this process and prints the result as JSON.
pub(crate) fn carry_out(order: &str) -> Result<()> {
    let order: EngineOrder = serde_json::from_str(order).context("parse an order")?;
    let partition = open(&order.directory, order.snapshot_bytes)?;
    put_sale(&partition)?;
    let own = [std::process::id()];
    let (resident_before, usage_before) = (resident_bytes(&own), Usage::of(&own));
    let before = partition.metrics();
    let feeder = thread::current();
    let port = partition.port(move || feeder.unpark());
    let started = Instant::now();
    let fed = feed(&port, &order, started);
    let seconds = started.elapsed().as_secs_f64();
    let mut after = partition.metrics();
    if order.expects_snapshot(after.batch_bytes) {
        after = wait_for_snapshot(&partition)?;
    }
    let run = EngineRun {
        confirmed_count: fed.confirmed_count,
        other_count: fed.other_count,
        seconds,
        batch_count: after.batch_count - before.batch_count,
        batch_bytes: after.batch_bytes - before.batch_bytes,
        resident_bytes: resident_bytes(&own).saturating_sub(resident_before),
        snapshot_offset: after.snapshot_offset.unwrap_or(0),
        state_bytes: after.state_bytes - before.state_bytes,
        usage: Usage::of(&own).since(usage_before),
    };
    println!("{}", serde_json::to_string(&run)?);
    Ok(())
}

#[derive(Default)]
#[allow(clippy::struct_field_names, reason = "counts end in _count")]
struct Fed {
    submitted_count: u64,
    confirmed_count: u64,
    other_count: u64,
}

impl Fed {
    fn note(&mut self, reply: &Reply) {
        match reply {
            Ok(Outcome::Reserved { replayed: false, .. }) => self.confirmed_count += 1,
            _ => self.other_count += 1,
        }
    }

    fn waiting_count(&self) -> u64 {
        self.submitted_count - self.confirmed_count - self.other_count
    }
}

fn feed(port: &PartitionPort, order: &EngineOrder, started: Instant) -> Fed {
    let mut fed = Fed::default();
    let limit = Duration::from_secs_f64(order.seconds);
    loop {
        let left_count = order.reservation_count - fed.submitted_count;
        let done = left_count == 0 || started.elapsed() >= limit;
        if done && fed.waiting_count() == 0 {
            return fed;
        }
        let in_flight_max = order.in_flight_count * u64::from(SUBMISSION_CALL_COUNT);
        let replies = if !done && fed.waiting_count() < in_flight_max {
            let calls = submission(fed.submitted_count, left_count.min(SUBMISSION_CALL_COUNT.into()));
            fed.submitted_count += calls.len() as u64;
            port.submit(calls)
        } else {
            let replies = port.take();
            if replies.is_empty() {
                thread::park();
            }
            replies
        };
        for (_, reply) in &replies {
            fed.note(reply);
        }
    }
}

fn submission(first_customer: u64, count: u64) -> Calls {
    let calls = (first_customer..first_customer + count).zip(0..);
    calls.map(|(customer, token)| (token, Call::Reserve(Box::new(reserve_call(customer))))).collect()
}

/// Ten digits behind a letter: a name that is stored in place.
fn reserve_call(customer: u64) -> ReserveCall {
    let mut name = *b"c0000000000";
    let mut rest = customer;
    for digit in name[1..].iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
    }
    ReserveCall {
        sale: Name::const_new(SALE),
        asker: Asker::Anyone,
        customer: Name::from_utf8(name).unwrap_or_default(),
        lines: std::iter::once(LineCall { stock: Name::const_new(STOCK), quantity: 1 }).collect(),
        details: Box::default(),
        challenge: ChallengeCall::Missing,
        key: None,
    }
}

fn open(directory: &Path, snapshot_bytes: u64) -> Result<Arc<Partition>> {
    let settings = Settings { snapshot_bytes, ..Settings::default() };
    let log =
        FileLog::lock(directory, SyncMethod::Fdatasync, settings.partition.into(), LogSettings::default())
            .context("open the log")?;
    let (partition, _) =
        Partition::open(Arc::new(log), settings, Arc::new(MachineClock), Retention::default())
            .context("open a partition")?;
    Ok(partition)
}

fn put_sale(partition: &Partition) -> Result<()> {
    let stock = StockTerms {
        stock: STOCK.into(),
        title: String::new(),
        starts_at: None,
        ends_at: None,
        closes_at: None,
        quantity_total: onrush_core::QUANTITY_TOTAL_MAX,
    };
    let terms = SaleTerms {
        title: "benchmark".into(),
        opens_at: None,
        closes_at: None,
        per_customer_max: Some(1),
        hold_ttl_ms: 0,
        gate: GateTerms::default(),
        stocks: vec![stock],
    };
    let (sender, receiver) = sync_channel(1);
    partition.call(
        Call::PutSale {
            sale: SALE.into(),
            terms: Box::new(terms),
            left_out: Vec::new(),
            only_if: Precondition::None,
        },
        move |reply| {
            let _ = sender.send(reply.is_ok());
        },
    );
    if !receiver.recv().context("wait for the sale")? {
        bail!("the sale was refused");
    }
    Ok(())
}

/// The snapshot is taken behind the reservations and may still be on its way when the last of them is durable.
fn wait_for_snapshot(partition: &Partition) -> Result<MetricsSnapshot> {
    let limit = Instant::now() + Duration::from_mins(1);
    loop {
        let metrics = partition.metrics();
        if metrics.snapshot_offset.is_some() {
            return Ok(metrics);
        }
        ensure!(Instant::now() < limit, "no snapshot was taken");
        thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn customers_are_numbered() {
        assert_eq!(reserve_call(42).customer, "c0000000042");
        let calls = submission(10, 3);
        assert_eq!(calls.iter().map(|(token, _)| *token).collect::<Vec<_>>(), [0, 1, 2]);
    }
}

//! A shared log in memory that several nodes reach by lines of their own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use onrush_cluster::SharedLogs;
use onrush_log::shared::memory::{AckForm, MemorySharedLog};
use onrush_log::shared::{
    Acked, Acks, Extent, Finding, Progress, RecordNo, SharedAppender, SharedBounds, SharedError, SharedLog,
    SharedReader, VisitRecord,
};
use onrush_node::{Clock as _, MachineClock};

const BOUNDS: SharedBounds =
    SharedBounds { record_bytes_max: 1 << 20, outstanding_max: 5, numbers_are_dense: true };
/// Small, so that a snapshot has many pieces.
const SNAPSHOT_BOUNDS: SharedBounds =
    SharedBounds { record_bytes_max: 5_000, outstanding_max: 2, numbers_are_dense: true };

/// A shared log in which everything happens by itself, unless it is cut.
pub(crate) struct World {
    pub(crate) log: MemorySharedLog,
    /// Snapshots of it.
    pub(crate) snapshots: MemorySharedLog,
    is_over: Arc<AtomicBool>,
    /// Nodes whose lines to the log are cut: neither records nor reads pass.
    cut: Arc<Mutex<Vec<u32>>>,
    /// Nodes whose clocks are five seconds ahead of that of the log.
    pub(crate) ahead: Arc<Mutex<Vec<u32>>>,
    pump: Option<JoinHandle<()>>,
}

impl World {
    pub(crate) fn new() -> Self {
        let log = MemorySharedLog::new(BOUNDS, false);
        let snapshots = MemorySharedLog::new(SNAPSHOT_BOUNDS, false);
        let is_over = Arc::new(AtomicBool::new(false));
        let (pumped, ends) = ([log.clone(), snapshots.clone()], Arc::clone(&is_over));
        let pump = std::thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                for log in &pumped {
                    for _ in 0..log.counts().on_the_way {
                        log.store(0, false);
                    }
                    log.show(usize::MAX);
                    for _ in 0..log.counts().due_acks {
                        log.acknowledge(0, AckForm::Whole);
                    }
                }
                std::thread::park_timeout(Duration::from_micros(200));
            }
        });
        Self { log, snapshots, is_over, cut: Arc::default(), ahead: Arc::default(), pump: Some(pump) }
    }

    pub(crate) fn seen_by(&self, node: u32) -> Arc<dyn SharedLog> {
        Arc::new(Line {
            node,
            log: self.log.clone(),
            cut: Arc::clone(&self.cut),
            ahead: Arc::clone(&self.ahead),
        })
    }

    /// The log as one node sees it, with the snapshots.
    pub(crate) fn logs_seen_by(&self, node: u32) -> SharedLogs {
        SharedLogs { records: self.seen_by(node), snapshots: Arc::new(self.snapshots.clone()) }
    }

    pub(crate) fn cut(&self, node: u32) {
        self.cut.lock().unwrap().push(node);
    }

    pub(crate) fn mend(&self) {
        self.cut.lock().unwrap().clear();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.pump.take().unwrap().join().unwrap();
    }
}

/// The log as one node sees it.
pub(crate) struct Line {
    node: u32,
    log: MemorySharedLog,
    cut: Arc<Mutex<Vec<u32>>>,
    ahead: Arc<Mutex<Vec<u32>>>,
}

/// Acknowledgements with the time of the log, by a clock that agrees with that of this process or not.
pub(crate) struct DatedAcks {
    node: u32,
    inner: Arc<dyn Acks>,
    ahead: Arc<Mutex<Vec<u32>>>,
}

impl Acks for DatedAcks {
    fn ack(&self, ticket: u64, acked: Result<Acked, SharedError>) {
        let behind_ms = if self.ahead.lock().unwrap().contains(&self.node) { 5_000 } else { 0 };
        let appended_at_ms = Some(MachineClock.wall_ms() - behind_ms);
        self.inner.ack(ticket, acked.map(|acked| Acked { appended_at_ms, ..acked }));
    }
}

pub(crate) struct LineEnd<T> {
    node: u32,
    inner: T,
    cut: Arc<Mutex<Vec<u32>>>,
}

impl<T> LineEnd<T> {
    fn is_cut(&self) -> bool {
        self.cut.lock().unwrap().contains(&self.node)
    }
}

impl SharedLog for Line {
    fn inspect(&self) -> Result<Vec<Finding>, SharedError> {
        self.log.inspect()
    }

    fn bounds(&self) -> SharedBounds {
        self.log.bounds()
    }

    fn appender(&self, partition: u32, acks: Arc<dyn Acks>) -> Result<Box<dyn SharedAppender>, SharedError> {
        let acks = DatedAcks { node: self.node, inner: acks, ahead: Arc::clone(&self.ahead) };
        let inner = self.log.appender(partition, Arc::new(acks))?;
        Ok(Box::new(LineEnd { node: self.node, inner, cut: Arc::clone(&self.cut) }))
    }

    fn reader(&self, partition: u32, from: RecordNo) -> Result<Box<dyn SharedReader>, SharedError> {
        let inner = self.log.reader(partition, from)?;
        Ok(Box::new(LineEnd { node: self.node, inner, cut: Arc::clone(&self.cut) }))
    }

    fn extent(&self, partition: u32) -> Result<Extent, SharedError> {
        self.log.extent(partition)
    }

    fn trim(&self, partition: u32, before: RecordNo) -> Result<(), SharedError> {
        self.log.trim(partition, before)
    }
}

impl SharedAppender for LineEnd<Box<dyn SharedAppender>> {
    fn append(&mut self, ticket: u64, expected: RecordNo, record: &[u8]) -> Result<(), SharedError> {
        // What is handed over is on its way for ever.
        if self.is_cut() { Ok(()) } else { self.inner.append(ticket, expected, record) }
    }
}

impl SharedReader for LineEnd<Box<dyn SharedReader>> {
    fn read(&mut self, patience: Duration, visit: &mut VisitRecord<'_>) -> Result<Progress, SharedError> {
        let mut count = 0;
        if !self.is_cut() {
            let progress = self.inner.read(Duration::ZERO, &mut |no, bytes| {
                count += 1;
                visit(no, bytes)
            })?;
            if count > 0 {
                return Ok(progress);
            }
            std::thread::park_timeout(patience.min(Duration::from_millis(1)));
            return Ok(progress);
        }
        std::thread::park_timeout(patience);
        Err(SharedError::Unknown("the line is cut".into()))
    }
}

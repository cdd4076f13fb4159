//! Several nodes over one shared log in memory, with their real threads and files: one leads, the others take over, and nobody is
//! told what does not last.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use onrush_cluster::{ClusterLog, NodeSettings};
use onrush_log::Format;
use onrush_log::shared::memory::{AckForm, MemorySharedLog};
use onrush_log::shared::{
    Acked, Acks, Finding, LogId, NodeId, Progress, RecordKind, RecordNo, SharedAppender, SharedBounds,
    SharedError, SharedLog, SharedReader, SharedRecord, VisitRecord,
};
use onrush_node::{
    Call, Clock as _, Failure, MachineClock, Name, Outcome, Partition, Readiness, Reply, Retention, Settings,
    Stopwatch,
};
use tempfile::TempDir;

const BOUNDS: SharedBounds =
    SharedBounds { record_bytes_max: 1 << 20, outstanding_max: 5, numbers_are_dense: true };
const SEGMENT_BYTES: u64 = 1 << 20;
/// Anything takes less.
const PATIENCE: Duration = Duration::from_secs(30);

/// A shared log in which everything happens by itself, unless it is cut.
struct World {
    log: MemorySharedLog,
    is_over: Arc<AtomicBool>,
    /// Nodes whose lines to the log are cut: neither records nor reads pass.
    cut: Arc<Mutex<Vec<u32>>>,
    /// Nodes whose clocks are five seconds ahead of that of the log.
    ahead: Arc<Mutex<Vec<u32>>>,
    pump: Option<JoinHandle<()>>,
}

impl World {
    fn new() -> Self {
        let log = MemorySharedLog::new(BOUNDS, false);
        let is_over = Arc::new(AtomicBool::new(false));
        let (pumped, ends) = (log.clone(), Arc::clone(&is_over));
        let pump = std::thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                for _ in 0..pumped.counts().on_the_way {
                    pumped.store(0, false);
                }
                pumped.show(usize::MAX);
                for _ in 0..pumped.counts().due_acks {
                    pumped.acknowledge(0, AckForm::Whole);
                }
                std::thread::park_timeout(Duration::from_micros(200));
            }
        });
        Self { log, is_over, cut: Arc::default(), ahead: Arc::default(), pump: Some(pump) }
    }

    fn seen_by(&self, node: u32) -> Arc<dyn SharedLog> {
        Arc::new(Line {
            node,
            log: self.log.clone(),
            cut: Arc::clone(&self.cut),
            ahead: Arc::clone(&self.ahead),
        })
    }

    fn cut(&self, node: u32) {
        self.cut.lock().unwrap().push(node);
    }

    fn mend(&self) {
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
struct Line {
    node: u32,
    log: MemorySharedLog,
    cut: Arc<Mutex<Vec<u32>>>,
    ahead: Arc<Mutex<Vec<u32>>>,
}

/// Acknowledgements with the time of the log, by a clock that agrees with that of this process or not.
struct DatedAcks {
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

struct LineEnd<T> {
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

struct Node {
    log: ClusterLog,
    partition: Arc<Partition>,
}

/// Who is there, for pings.
type Living = Arc<Mutex<HashMap<String, Arc<Partition>>>>;

struct Cluster {
    world: World,
    living: Living,
    directories: Vec<TempDir>,
    nodes: Vec<Option<Node>>,
}

impl Cluster {
    fn of(count: u32) -> Self {
        let directories = (0..count).map(|_| TempDir::new().unwrap()).collect();
        let nodes = (0..count).map(|_| None).collect();
        let mut cluster = Self { world: World::new(), living: Arc::default(), directories, nodes };
        for node in 0..count {
            cluster.start(node);
        }
        cluster
    }

    fn directory(&self, node: u32) -> PathBuf {
        self.directories[node as usize].path().to_owned()
    }

    fn start(&mut self, node: u32) {
        self.start_as(node, node + 1);
    }

    fn start_as(&mut self, node: u32, number: u32) {
        let living = Arc::clone(&self.living);
        let settings = NodeSettings {
            node: NodeId(number),
            url: format!("node {node}"),
            silence: Duration::from_millis(1_200 + 300 * u64::from(node)),
            silence_of_living: Duration::from_millis(3_000 + 300 * u64::from(node)),
            may_lead_unsafely: false,
            directory: self.directory(node),
            ping: Arc::new(move |url| {
                living
                    .lock()
                    .unwrap()
                    .get(url)
                    .is_some_and(|partition| partition.readiness() == Readiness::Ready)
            }),
        };
        let log =
            ClusterLog::start(self.world.seen_by(node), 0, settings, SEGMENT_BYTES, Arc::new(MachineClock))
                .unwrap();
        let shared = Arc::new(log.clone());
        let partition =
            Partition::follow(shared, Settings::default(), Arc::new(MachineClock), Retention::default())
                .unwrap();
        self.living.lock().unwrap().insert(format!("node {node}"), Arc::clone(&partition));
        self.nodes[node as usize] = Some(Node { log, partition });
    }

    /// Stops in good order.
    fn stop(&mut self, node: u32) {
        let Node { log, partition } = self.nodes[node as usize].take().expect("it runs");
        self.living.lock().unwrap().remove(&format!("node {node}"));
        log.stand_down();
        partition.close();
        log.leave();
    }

    fn node(&self, node: u32) -> &Node {
        self.nodes[node as usize].as_ref().expect("it runs")
    }

    /// Waits until a node leads, other than these.
    fn leader_but(&self, others: &[u32]) -> u32 {
        let since = Stopwatch::start();
        loop {
            let leader = (0..u32::try_from(self.nodes.len()).unwrap()).find(|node| {
                !others.contains(node)
                    && self.nodes[*node as usize]
                        .as_ref()
                        .is_some_and(|node| node.partition.readiness() == Readiness::Ready)
            });
            if let Some(leader) = leader {
                return leader;
            }
            assert!(since.elapsed() < PATIENCE, "somebody leads");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    fn call(&self, node: u32, call: Call) -> Reply {
        let (done, reply) = sync_channel(1);
        self.node(node).partition.call(call, move |reply| done.send(reply).unwrap());
        reply.recv_timeout(PATIENCE).expect("every call is answered")
    }

    fn add(&self, node: u32) -> Result<u64, Failure> {
        match self.call(node, Call::AddToCounter { counter: Name::from("c"), by: 1 })? {
            Outcome::Counter { value } => Ok(value),
            other => panic!("{other:?}"),
        }
    }

    fn read(&self, node: u32) -> Result<u64, Failure> {
        match self.call(node, Call::ReadCounter { counter: Name::from("c") })? {
            Outcome::Counter { value } => Ok(value),
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.world.mend();
        for node in 0..u32::try_from(self.nodes.len()).unwrap() {
            if self.nodes[node as usize].is_some() {
                self.stop(node);
            }
        }
    }
}

#[test]
fn one_leads_and_the_next_goes_on_where_it_ended() {
    let mut cluster = Cluster::of(2);
    let leader = cluster.leader_but(&[]);
    for expected in 1..=100 {
        assert_eq!(cluster.add(leader).unwrap(), expected);
    }
    assert_eq!(cluster.read(leader).unwrap(), 100);
    let other = 1 - leader;
    assert!(matches!(cluster.add(other), Err(Failure::NotLeader)));
    assert_eq!(cluster.node(other).partition.readiness(), Readiness::Following);
    cluster.stop(leader);
    assert_eq!(cluster.leader_but(&[]), other);
    let place = cluster.node(other).log.status();
    assert_eq!(place.dropped.iter().map(|(_, count)| count).sum::<u64>(), 0, "nobody claimed in vain");
    assert_eq!(cluster.read(other).unwrap(), 100);
    assert_eq!(cluster.add(other).unwrap(), 101);
    // Who comes back follows, from its own copy.
    cluster.start(leader);
    cluster.stop(other);
    assert_eq!(cluster.leader_but(&[]), leader);
    assert_eq!(cluster.add(leader).unwrap(), 102);
}

/// Each would have founded another log. The one whose claim came second follows the other.
#[test]
fn of_two_nodes_that_found_a_log_together_one_leads() {
    struct Nobody;
    impl Acks for Nobody {
        fn ack(&self, _: u64, _: Result<Acked, SharedError>) {}
    }
    let mut cluster = Cluster::of(2);
    let leader = cluster.leader_but(&[]);
    assert_eq!(cluster.add(leader).unwrap(), 1);
    let late = SharedRecord {
        kind: RecordKind::Claim,
        format: Format::V1,
        log_id: LogId(1),
        partition: 0,
        node: NodeId(3),
        epoch: None,
        sequence: 1,
        base_offset: 0,
        time_ms: 0,
        told_ms: 0,
        event_count: 0,
        payload: b"",
    };
    let mut bytes = Vec::new();
    late.encode(&mut bytes);
    let mut claims = cluster.world.seen_by(9).appender(0, Arc::new(Nobody)).unwrap();
    claims.append(1, RecordNo(0), &bytes).unwrap();
    let since = Stopwatch::start();
    while since.elapsed() < Duration::from_millis(200) {
        std::thread::park_timeout(Duration::from_millis(5));
    }
    assert_eq!(cluster.add(leader).unwrap(), 2);
    cluster.stop(leader);
    assert_eq!(cluster.leader_but(&[]), 1 - leader);
    assert_eq!(cluster.add(1 - leader).unwrap(), 3);
}

#[test]
fn who_is_cut_off_says_nothing_that_is_over() {
    let cluster = Cluster::of(2);
    let leader = cluster.leader_but(&[]);
    assert_eq!(cluster.add(leader).unwrap(), 1);
    cluster.world.cut(leader);
    let (done, late) = sync_channel(1);
    let call = Call::ReadCounter { counter: Name::from("c") };
    cluster.node(leader).partition.call(call, move |reply| done.send(reply).unwrap());
    // It is there, so it is given the longer time.
    let next = cluster.leader_but(&[leader]);
    assert_eq!(cluster.add(next).unwrap(), 2);
    assert!(late.try_recv().is_err(), "what was read rests on nothing that is in force");
    cluster.world.mend();
    let reply = late.recv_timeout(PATIENCE).expect("it is answered when it is known that another leads");
    assert!(matches!(reply, Err(Failure::LogUnavailable)), "{reply:?}");
    assert_eq!(cluster.add(next).unwrap(), 3);
    assert!(matches!(cluster.read(leader), Err(Failure::NotLeader)));
}

#[test]
fn who_has_the_wrong_time_lets_another_lead() {
    let cluster = Cluster::of(2);
    let leader = cluster.leader_but(&[]);
    assert_eq!(cluster.add(leader).unwrap(), 1);
    cluster.world.ahead.lock().unwrap().push(leader);
    let next = cluster.leader_but(&[leader]);
    assert_eq!(cluster.add(next).unwrap(), 2);
    // With all clocks wrong somebody leads all the same.
    cluster.world.ahead.lock().unwrap().push(next);
    let since = Stopwatch::start();
    while since.elapsed() < Duration::from_secs(1) {
        let leader = cluster.leader_but(&[]);
        if let Ok(value) = cluster.add(leader) {
            assert!(value > 2);
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

#[test]
fn of_two_with_one_number_the_second_does_not_lead() {
    let mut cluster = Cluster::of(2);
    let leader = cluster.leader_but(&[]);
    let other = 1 - leader;
    cluster.stop(other);
    cluster.start_as(other, leader + 1);
    let since = Stopwatch::start();
    // The twin has to have read the log to its end before the other one leads anew.
    while cluster.node(other).log.status().epoch.is_none() && since.elapsed() < PATIENCE {
        std::thread::park_timeout(Duration::from_millis(5));
    }
    std::thread::park_timeout(Duration::from_millis(500));
    cluster.stop(leader);
    assert_eq!(cluster.leader_but(&[]), other, "alone it leads");
    cluster.start(leader);
    std::thread::park_timeout(Duration::from_secs(1));
    cluster.world.cut(other);
    assert_eq!(cluster.leader_but(&[other]), leader);
    cluster.world.mend();
    let since = Stopwatch::start();
    while cluster.node(other).log.status().problem.is_none() {
        assert!(since.elapsed() < PATIENCE, "it has read the claim of the other");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let problem = cluster.node(other).log.status().problem.unwrap();
    assert!(problem.contains("cluster.node"), "{problem}");
    assert_eq!(cluster.add(leader).unwrap(), 1);
}

#[test]
fn copies_agree_and_one_that_lacks_something_is_made_anew() {
    let mut cluster = Cluster::of(2);
    let leader = cluster.leader_but(&[]);
    let other = 1 - leader;
    for _ in 0..50 {
        cluster.add(leader).unwrap();
    }
    cluster.stop(other);
    cluster.add(leader).unwrap();
    let copy = cluster.directory(other).join("copy");
    for file in std::fs::read_dir(&copy).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "seg") {
            std::fs::remove_file(path).unwrap();
        }
    }
    cluster.start(other);
    cluster.stop(leader);
    assert_eq!(cluster.leader_but(&[]), other);
    assert_eq!(cluster.read(other).unwrap(), 51);
}

#[test]
fn a_directory_of_a_single_server_is_refused() {
    let mut cluster = Cluster::of(1);
    cluster.leader_but(&[]);
    cluster.stop(0);
    let copy = cluster.directory(0).join("copy");
    for file in std::fs::read_dir(&copy).unwrap() {
        let path = file.unwrap().path();
        std::fs::copy(&path, cluster.directory(0).join(path.file_name().unwrap())).unwrap();
    }
    let settings = NodeSettings {
        node: NodeId(1),
        url: String::new(),
        silence: Duration::from_secs(1),
        silence_of_living: Duration::from_secs(1),
        may_lead_unsafely: false,
        directory: cluster.directory(0),
        ping: Arc::new(|_| false),
    };
    let started =
        ClusterLog::start(cluster.world.seen_by(0), 0, settings, SEGMENT_BYTES, Arc::new(MachineClock));
    let problem = started.err().expect("it is refused").to_string();
    assert!(problem.contains("single server"), "{problem}");
}

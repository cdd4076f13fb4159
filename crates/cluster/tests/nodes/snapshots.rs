//! Snapshots in a log of their own: nodes that come late begin with them, both logs are trimmed, and a single server's log becomes the
//! beginning of a shared one.

use std::fs;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use onrush_cluster::{ClusterLog, FoundError, NodeRole, NodeSettings, found};
use onrush_log::Log;
use onrush_log::file::{FileLog, LogSettings, SyncMethod};
use onrush_log::shared::{Extent, NodeId, RecordNo, SharedLog as _};
use onrush_node::{Call, MachineClock, Name, Outcome, Partition, Retention, RowCall, Settings, Stopwatch};
use tempfile::TempDir;

use crate::cluster::{Cluster, PATIENCE, SEGMENT_BYTES};

/// After so many bytes there is a snapshot, in the files of a node and for new nodes.
const SNAPSHOT_BYTES: u64 = 4 << 10;

impl Cluster {
    /// Adds until the log of snapshots has a snapshot that ends behind everything that was there at first.
    fn add_until_sent(&self, leader: u32, value: &mut u64) {
        let (before, since) = (self.world.snapshots.counts().records, Stopwatch::start());
        while self.world.snapshots.counts().records == before {
            self.add_much(leader, value);
            assert!(since.elapsed() < PATIENCE, "a snapshot is sent");
        }
    }

    /// Adds until the shared log begins with a later record.
    fn add_until_trimmed(&self, leader: u32, value: &mut u64) {
        let (before, since) = (self.oldest(), Stopwatch::start());
        while self.oldest() == before {
            self.add_much(leader, value);
            assert!(since.elapsed() < PATIENCE, "the log is trimmed");
        }
    }

    /// Adds one, and what makes the log longer.
    fn add_much(&self, leader: u32, value: &mut u64) {
        *value += 1;
        assert_eq!(self.add(leader).unwrap(), *value);
        assert!(matches!(self.call(leader, filler(*value)), Ok(Outcome::RowsPut { .. })));
    }

    fn oldest(&self) -> RecordNo {
        self.world.log.extent(0).unwrap().oldest
    }

    fn forget(&self, node: u32) {
        for entry in fs::read_dir(self.directory(node)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
        }
    }

    fn wait_until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let since = Stopwatch::start();
        while !is_so(self) {
            assert!(since.elapsed() < PATIENCE, "{what}");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

#[test]
fn a_new_node_begins_with_the_newest_snapshot_and_the_logs_are_trimmed() {
    let mut cluster = Cluster::with(2, SNAPSHOT_BYTES);
    let leader = cluster.leader_but(&[]);
    let (other, mut value) = (1 - leader, 0);
    for _ in 0..3 {
        cluster.add_until_trimmed(leader, &mut value);
    }
    assert!(cluster.world.snapshots.extent(0).unwrap().oldest > RecordNo(0), "of snapshots two are kept");
    cluster.stop(other);
    cluster.forget(other);
    value += 1;
    assert_eq!(cluster.add(leader).unwrap(), value);
    let oldest = cluster.oldest();
    cluster.start(other);
    cluster.wait_until("it is level", |cluster| {
        cluster.node(other).log.status().offset >= cluster.node(leader).log.status().offset
    });
    assert!(cluster.node(other).log.status().next_no > oldest);
    cluster.stop(leader);
    assert_eq!(cluster.leader_but(&[]), other);
    assert_eq!(cluster.read(other).unwrap(), value);
    value += 1;
    assert_eq!(cluster.add(other).unwrap(), value);
    // And this one is as good for the next.
    cluster.forget(leader);
    cluster.start(leader);
    cluster.stop(other);
    assert_eq!(cluster.leader_but(&[]), leader);
    assert_eq!(cluster.read(leader).unwrap(), value);
}

#[test]
fn a_node_that_was_away_while_the_log_was_trimmed_begins_anew() {
    let mut cluster = Cluster::with(2, SNAPSHOT_BYTES);
    let leader = cluster.leader_but(&[]);
    let (other, mut value) = (1 - leader, 0);
    cluster.add_until_sent(leader, &mut value);
    let place = cluster.node(other).log.status().next_no;
    cluster.stop(other);
    while cluster.oldest() <= place {
        cluster.add_until_trimmed(leader, &mut value);
    }
    cluster.start(other);
    cluster.stop(leader);
    assert_eq!(cluster.leader_but(&[]), other);
    assert_eq!(cluster.read(other).unwrap(), value);
}

#[test]
fn the_log_is_kept_for_a_sink_that_is_behind() {
    let cluster = Cluster::with(2, SNAPSHOT_BYTES);
    let leader = cluster.leader_but(&[]);
    let mut value = 0;
    let oldest_kept = |cluster: &Cluster, node: u32| cluster.node(node).log.reader().oldest_offset();
    while [0, 1].iter().any(|node| oldest_kept(&cluster, *node) == 0) {
        cluster.add_until_trimmed(leader, &mut value);
    }
    let needed_from = cluster.node(leader).log.status().offset;
    let hold = cluster.node(leader).retention.hold(needed_from);
    let is_said = |cluster: &Cluster| {
        let problems = [0, 1].map(|node| cluster.node(node).log.status().problem);
        let said = format!("offset {needed_from} on");
        problems.into_iter().all(|problem| problem.is_some_and(|problem| problem.contains(&said)))
    };
    let since = Stopwatch::start();
    while !is_said(&cluster) {
        cluster.add_much(leader, &mut value);
        assert!(since.elapsed() < PATIENCE, "both nodes say it");
    }
    let records = |cluster: &Cluster| cluster.world.snapshots.counts().records;
    let before = records(&cluster);
    for _ in 0..50 {
        cluster.add_much(leader, &mut value);
    }
    assert_eq!(records(&cluster), before, "what a sink lacks would be missing on a new node");
    hold.let_go();
    cluster.add_until_trimmed(leader, &mut value);
    cluster.wait_until("nothing is wrong any more", |cluster| {
        [0, 1].iter().all(|node| cluster.node(*node).log.status().problem.is_none())
    });
}

#[test]
fn without_a_snapshot_that_is_whole_a_trimmed_log_is_not_begun() {
    let mut cluster = Cluster::with(2, SNAPSHOT_BYTES);
    let leader = cluster.leader_but(&[]);
    let (other, mut value) = (1 - leader, 0);
    cluster.add_until_trimmed(leader, &mut value);
    cluster.stop(other);
    cluster.forget(other);
    let Extent { end, .. } = cluster.world.snapshots.extent(0).unwrap();
    cluster.world.snapshots.trim(0, end).unwrap();
    let settings = NodeSettings {
        node: NodeId(9),
        url: String::new(),
        silence: PATIENCE,
        silence_of_living: PATIENCE,
        may_lead_unsafely: false,
        directory: cluster.directory(other),
        ping: Arc::new(|_| false),
        snapshot_bytes: SNAPSHOT_BYTES,
        snapshot_interval: PATIENCE,
        retention: Retention::default(),
    };
    let logs = cluster.world.logs_seen_by(other);
    let started = ClusterLog::start(logs, 0, settings, SEGMENT_BYTES, Arc::new(MachineClock));
    let problem = started.err().expect("there is nothing to begin with").to_string();
    assert!(problem.contains("begins at record") && problem.contains("`copy` and `place`"), "{problem}");
}

/// The log of a single server with so many events, whose directory comes back.
fn single_server(count: u64, snapshot_bytes: u64) -> TempDir {
    let directory = TempDir::new().unwrap();
    let log = Arc::new(lock(&directory));
    let settings = Settings { snapshot_bytes, ..Settings::default() };
    let opened = Partition::open(
        Arc::clone(&log) as Arc<dyn Log>,
        settings,
        Arc::new(MachineClock),
        Retention::default(),
    );
    let (partition, _) = opened.unwrap();
    let call = |call: Call| {
        let (done, reply) = sync_channel(1);
        partition.call(call, move |reply| done.send(reply).unwrap());
        reply.recv_timeout(PATIENCE).unwrap().unwrap()
    };
    for expected in 1..=count {
        let added = call(Call::AddToCounter { counter: Name::from("c"), by: 1 });
        assert!(matches!(added, Outcome::Counter { value } if value == expected));
        call(filler(expected));
    }
    // They are taken once a second.
    let (log, since) = (FileLog::clone(&log), Stopwatch::start());
    while snapshot_bytes < u64::MAX && log.snapshots().unwrap().is_empty() {
        assert!(since.elapsed() < PATIENCE, "a snapshot is taken");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    partition.close();
    directory
}

/// A row of the catalogue in the place of the one before.
fn filler(number: u64) -> Call {
    let json = format!("{{\"number\":{number},\"text\":\"{}\"}}", "x".repeat(16_000));
    let rows = vec![RowCall { key: "k".into(), json: json.into_bytes().into() }];
    Call::PutRows { collection: Name::from("fill"), rows }
}

fn lock(directory: &TempDir) -> FileLog {
    FileLog::lock(directory.path(), SyncMethod::UnsafeNone, 0, LogSettings::new(SEGMENT_BYTES)).unwrap()
}

#[test]
fn a_single_server_moves_into_a_cluster() {
    for (count, snapshot_bytes) in [(5, u64::MAX), (100, SNAPSHOT_BYTES)] {
        let directory = single_server(count, snapshot_bytes);
        let mut cluster = Cluster::stopped(2, u64::MAX);
        let logs = cluster.world.logs_seen_by(9);
        let log = lock(&directory);
        let has_snapshots = !log.snapshots().unwrap().is_empty();
        assert_eq!(has_snapshots, snapshot_bytes == SNAPSHOT_BYTES, "both ways are tried");
        let places = [("orders".to_owned(), vec![7, 8])];
        let founded = found(&logs, 0, &log, u64::MAX, &places).unwrap();
        assert!(founded.offset >= count && founded.snapshot_bytes > 0);
        assert!(matches!(found(&logs, 0, &log, u64::MAX, &[]), Err(FoundError::NotEmpty(2))));
        cluster.start(0);
        cluster.start(1);
        let leader = cluster.leader_but(&[]);
        assert_eq!(cluster.read(leader).unwrap(), count);
        assert_eq!(cluster.add(leader).unwrap(), count + 1);
        assert_eq!(cluster.node(leader).log.noted("orders"), Some(vec![7, 8]));
        cluster.stop(leader);
        let next = cluster.leader_but(&[]);
        assert_eq!(cluster.add(next).unwrap(), count + 2);
        assert_eq!(cluster.node(next).log.status().role, NodeRole::Leading);
    }
}

#[test]
fn a_sink_that_is_behind_keeps_a_single_server_from_moving() {
    let directory = single_server(100, SNAPSHOT_BYTES);
    let cluster = Cluster::stopped(1, u64::MAX);
    let refused = found(&cluster.world.logs_seen_by(9), 0, &lock(&directory), 1, &[]);
    assert!(matches!(refused, Err(FoundError::Sink(1))));
    assert_eq!(cluster.world.log.counts().records, 0);
    assert_eq!(cluster.world.snapshots.counts().records, 0);
}

//! Nodes over a shared log in memory, with their real threads and files.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use onrush_cluster::{ClusterLog, NodeSettings};
use onrush_log::shared::NodeId;
use onrush_node::{
    Call, Failure, MachineClock, Name, Outcome, Partition, Readiness, Reply, Retention, Settings, Stopwatch,
};
use tempfile::TempDir;

use crate::world::World;

pub(crate) const SEGMENT_BYTES: u64 = 1 << 20;
/// Anything takes less.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Node {
    pub(crate) log: ClusterLog,
    pub(crate) partition: Arc<Partition>,
    pub(crate) retention: Retention,
}

/// Who is there, for pings.
pub(crate) type Living = Arc<Mutex<HashMap<String, Arc<Partition>>>>;

pub(crate) struct Cluster {
    pub(crate) world: World,
    living: Living,
    pub(crate) directories: Vec<TempDir>,
    pub(crate) nodes: Vec<Option<Node>>,
    /// The logs grow by so many bytes between two snapshots.
    pub(crate) snapshot_bytes: u64,
}

impl Cluster {
    pub(crate) fn of(count: u32) -> Self {
        Self::with(count, u64::MAX)
    }

    /// The same with snapshots.
    pub(crate) fn with(count: u32, snapshot_bytes: u64) -> Self {
        let mut cluster = Self::stopped(count, snapshot_bytes);
        for node in 0..count {
            cluster.start(node);
        }
        cluster
    }

    /// None of them runs.
    pub(crate) fn stopped(count: u32, snapshot_bytes: u64) -> Self {
        let directories = (0..count).map(|_| TempDir::new().unwrap()).collect();
        let nodes = (0..count).map(|_| None).collect();
        Self { world: World::new(), living: Arc::default(), directories, nodes, snapshot_bytes }
    }

    pub(crate) fn directory(&self, node: u32) -> PathBuf {
        self.directories[node as usize].path().to_owned()
    }

    pub(crate) fn start(&mut self, node: u32) {
        self.start_as(node, node + 1);
    }

    pub(crate) fn start_as(&mut self, node: u32, number: u32) {
        let (living, retention) = (Arc::clone(&self.living), Retention::default());
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
            snapshot_bytes: self.snapshot_bytes,
            snapshot_interval: Duration::from_millis(30),
            retention: retention.clone(),
        };
        let logs = self.world.logs_seen_by(node);
        let log = ClusterLog::start(logs, 0, settings, SEGMENT_BYTES, Arc::new(MachineClock)).unwrap();
        let shared = Arc::new(log.clone());
        let settings_of_partition = Settings { snapshot_bytes: self.snapshot_bytes, ..Settings::default() };
        let partition =
            Partition::follow(shared, settings_of_partition, Arc::new(MachineClock), retention.clone())
                .unwrap();
        self.living.lock().unwrap().insert(format!("node {node}"), Arc::clone(&partition));
        self.nodes[node as usize] = Some(Node { log, partition, retention });
    }

    /// Stops in good order.
    pub(crate) fn stop(&mut self, node: u32) {
        let Node { log, partition, .. } = self.nodes[node as usize].take().expect("it runs");
        self.living.lock().unwrap().remove(&format!("node {node}"));
        log.stand_down();
        partition.close();
        log.leave();
    }

    pub(crate) fn node(&self, node: u32) -> &Node {
        self.nodes[node as usize].as_ref().expect("it runs")
    }

    /// Waits until a node leads, other than these.
    pub(crate) fn leader_but(&self, others: &[u32]) -> u32 {
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

    pub(crate) fn call(&self, node: u32, call: Call) -> Reply {
        let (done, reply) = sync_channel(1);
        self.node(node).partition.call(call, move |reply| done.send(reply).unwrap());
        reply.recv_timeout(PATIENCE).expect("every call is answered")
    }

    pub(crate) fn add(&self, node: u32) -> Result<u64, Failure> {
        match self.call(node, Call::AddToCounter { counter: Name::from("c"), by: 1 })? {
            Outcome::Counter { value } => Ok(value),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn read(&self, node: u32) -> Result<u64, Failure> {
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

//! The log that this node shares with others, if the settings name one.

use std::sync::Arc;
use std::time::Duration;

use onrush_cluster::{ClusterLog, NodeSettings, Ping, SharedLogs};
use onrush_edge::{NodeOperations, NodeReport};
use onrush_node::{Clock as _, MachineClock, Retention};
use ureq::Agent;

use crate::failure::Failure;
use crate::settings::{Cluster, Settings};

/// How long another node may take to say that it leads.
const PING_TIMEOUT: Duration = Duration::from_millis(500);
/// Nodes whose turn comes one after the other wait for so much longer, so that one of them is first.
const SILENCE_STEP: Duration = Duration::from_millis(200);
/// So many different waits there are.
const SILENCE_STEPS: u32 = 8;
/// A leader that answers, and of which the log tells nothing, is given so many times as long.
const SILENCE_OF_LIVING: u32 = 5;
const OK: u16 = 200;
/// How often it is looked whether there is to be a snapshot for new nodes.
const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(1);

/// How this node takes part.
pub(crate) fn node_settings(settings: &Settings, cluster: &Cluster, retention: Retention) -> NodeSettings {
    let step = SILENCE_STEP * (cluster.node.0.saturating_sub(1) % SILENCE_STEPS);
    NodeSettings {
        node: cluster.node,
        url: cluster.url.clone(),
        silence: cluster.silence + step,
        silence_of_living: cluster.silence * SILENCE_OF_LIVING + step,
        may_lead_unsafely: cluster.unsafe_topic,
        directory: settings.log.directory.clone(),
        ping: ping(),
        snapshot_bytes: settings.node.snapshot_bytes,
        snapshot_interval: SNAPSHOT_INTERVAL,
        retention,
    }
}

/// The log itself, and that of its snapshots.
#[cfg(feature = "kafka")]
pub(crate) fn open(cluster: &Cluster) -> Result<SharedLogs, Failure> {
    use anyhow::Context as _;
    use onrush_connect::kafka_log::KafkaLog;

    let records = KafkaLog::open(cluster.log.clone()).context("open the shared log")?;
    let snapshots =
        KafkaLog::open(cluster.log.snapshots()).context("open the snapshots of the shared log")?;
    Ok(SharedLogs { records: Arc::new(records), snapshots: Arc::new(snapshots) })
}

/// There is none in this build.
#[cfg(not(feature = "kafka"))]
pub(crate) fn open(cluster: &Cluster) -> Result<SharedLogs, Failure> {
    match cluster.log {}
}

/// Where the log is, for people.
#[cfg(feature = "kafka")]
pub(crate) fn describe(cluster: &Cluster) -> String {
    format!("topic {} of {}", cluster.log.topic, cluster.log.cluster.brokers)
}

/// There is none in this build.
#[cfg(not(feature = "kafka"))]
pub(crate) fn describe(cluster: &Cluster) -> String {
    match cluster.log {}
}

/// The node, as the edge tells of it.
pub(crate) struct ReportedNode(pub(crate) ClusterLog);

impl NodeOperations for ReportedNode {
    fn report(&self) -> NodeReport {
        let status = self.0.status();
        NodeReport {
            node: status.node.0,
            url: status.url,
            role: status.role.name(),
            since: status.since_ms,
            leader: status.leader.map(|leader| (leader.0, status.leader_url)),
            epoch: status.epoch.map(|epoch| epoch.0),
            record_no: status.next_no.0,
            offset: status.offset,
            lag_ms: (status.told_ms > 0).then(|| MachineClock.wall_ms().saturating_sub(status.told_ms)),
            term_count: status.term_count,
            dropped: status.dropped.iter().collect(),
            snapshot_offset: status.snapshot_offset,
            problem: status.problem,
        }
    }
}

/// A node that leads says that it is ready.
fn ping() -> Ping {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .timeout_global(Some(PING_TIMEOUT));
    let agent: Agent = config.build().into();
    Arc::new(move |url| {
        let answer = agent.get(format!("{url}/readyz")).call();
        answer.is_ok_and(|answer| answer.status().as_u16() == OK)
    })
}

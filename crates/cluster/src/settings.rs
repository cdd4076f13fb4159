//! What a node is told about itself.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use onrush_log::shared::{NodeId, SharedLog};
use onrush_node::Retention;

/// Asks the node at this address whether it is there and leads. It may take a second at most.
pub type Ping = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// How one node takes part.
#[derive(Clone)]
pub struct NodeSettings {
    /// Its number, which no other node of the log has.
    pub node: NodeId,
    /// Where other nodes ask whether it is there: at most 4,096 bytes.
    pub url: String,
    /// After so long without a record in force a node tries to lead, if the leader does not answer.
    pub silence: Duration,
    /// The same if the leader does answer: then it does not reach the log.
    pub silence_of_living: Duration,
    /// It leads even if settings of the shared log can lose records.
    pub may_lead_unsafely: bool,
    /// Where the copy is, in a directory of its own below this one.
    pub directory: PathBuf,
    /// Asks other nodes.
    pub ping: Ping,
    /// The shared log grows by so many bytes until there is another snapshot for new nodes, and by as many as the newest one has.
    pub snapshot_bytes: u64,
    /// How often it is looked whether there is to be one.
    pub snapshot_interval: Duration,
    /// From where on this node's sinks need the log.
    pub retention: Retention,
}

/// What all nodes share.
#[derive(Clone)]
pub struct SharedLogs {
    /// The log.
    pub records: Arc<dyn SharedLog>,
    /// Snapshots of it, for nodes that begin later than it.
    pub snapshots: Arc<dyn SharedLog>,
}

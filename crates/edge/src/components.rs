//! Parts of the server beside the partition; each may be absent.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use onrush_core::TimeMs;
use onrush_sinks::{Replica, SinkRefusal, SinkStatus, Sinks};

use crate::gate::{PasswordPool, Sessions};

/// What an operator can ask of the sinks: all of them, or a stand-in for them.
pub trait SinkOperations: Send + Sync {
    /// Every sink as of now, in the order of the settings.
    fn statuses(&self) -> Vec<SinkStatus>;
    /// One sink as of now.
    fn status(&self, sink: &str) -> Option<SinkStatus>;
    /// Wakes a sink that stopped or waits. May block for as long as a lock is held.
    fn retry(&self, sink: &str) -> Result<SinkStatus, SinkRefusal>;
    /// Leaves the event out at which the sink stopped. May block for as long as the disk takes.
    fn skip(&self, sink: &str, offset: u64) -> Result<SinkStatus, SinkRefusal>;
}

/// One node of several, as others ask about it.
pub trait NodeOperations: Send + Sync {
    /// The node as of now.
    fn report(&self) -> NodeReport;
}

/// What a node tells about itself and the log that it shares. Counts are since the process started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeReport {
    /// Its number.
    pub node: u32,
    /// Where others reach it.
    pub url: String,
    /// `leading`, `following` or `stopped`.
    pub role: &'static str,
    /// Since when that and the epoch are so.
    pub since: TimeMs,
    /// The number of whoever leads, and where that is reached; both as far as is known.
    pub leader: Option<(u32, String)>,
    /// The newest that it has read.
    pub epoch: Option<u64>,
    /// Number of the record that it reads next.
    pub record_no: u64,
    /// Events that it has read.
    pub offset: u64,
    /// How old the newest sign of a leader is that it has read, milliseconds; nothing before it has read any. While somebody leads, that is half a second or less on a node
    /// that keeps up.
    pub lag_ms: Option<u64>,
    /// Times that it has begun to lead.
    pub term_count: u64,
    /// Records that count for nobody, by reason.
    pub dropped: Vec<(&'static str, u64)>,
    /// Events that a new node would have from the newest snapshot for new nodes, as far as this one has looked.
    pub snapshot_offset: Option<u64>,
    /// Why it does not follow any more, must not lead, or sends no snapshot for new nodes.
    pub problem: Option<String>,
}

/// What [`crate::Server::start`] is given beside the partition.
#[derive(Clone, Default)]
pub struct Components {
    /// Without them there are no sinks to list.
    pub sinks: Option<Arc<dyn SinkOperations>>,
    /// Without it the server is the only one of its log.
    pub node: Option<Arc<dyn NodeOperations>>,
    /// Lines of the server's own messages that could not be written, as whoever writes them counts. Without it no figure
    /// tells them.
    pub lost_line_count: Option<Arc<AtomicU64>>,
    /// Without it `/web-counter/db/` answers 404.
    pub replica: Option<Arc<dyn Replica>>,
    /// Without them nobody can say who they are.
    pub sessions: Option<Arc<Sessions>>,
    /// Without it customers have no accounts. It needs sessions.
    pub passwords: Option<Arc<PasswordPool>>,
}

impl SinkOperations for Sinks {
    fn statuses(&self) -> Vec<SinkStatus> {
        self.statuses()
    }

    fn status(&self, sink: &str) -> Option<SinkStatus> {
        self.status(sink)
    }

    fn retry(&self, sink: &str) -> Result<SinkStatus, SinkRefusal> {
        self.retry(sink)
    }

    fn skip(&self, sink: &str, offset: u64) -> Result<SinkStatus, SinkRefusal> {
        self.skip(sink, offset)
    }
}

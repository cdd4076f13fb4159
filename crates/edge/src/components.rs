//! Parts of the server beside the partition; each may be absent.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

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

/// What [`crate::Server::start`] is given beside the partition.
#[derive(Clone, Default)]
pub struct Components {
    /// Without them there are no sinks to list.
    pub sinks: Option<Arc<dyn SinkOperations>>,
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

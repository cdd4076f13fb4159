//! What a node tells about itself and the log.

use onrush_log::shared::{DropReason, NodeId, RecordNo};

/// A node as of now. Counts are since the process started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    /// Which one it is.
    pub node: NodeId,
    /// Where others reach it.
    pub url: String,
    /// What it does.
    pub role: NodeRole,
    /// By the wall clock of this node, Unix milliseconds: since when the role and the epoch are these.
    pub since_ms: u64,
    /// Who leads, as far as this node has read.
    pub leader: Option<NodeId>,
    /// Where that one is reached; empty if it is not known.
    pub leader_url: String,
    /// The newest epoch that was read.
    pub epoch: Option<RecordNo>,
    /// Number of the record to be read next.
    pub next_no: RecordNo,
    /// Events in force up to there.
    pub offset: u64,
    /// The latest time that was told by whoever led, as far as was read, Unix milliseconds by the clock of that one. Whoever leads tells
    /// one at least twice a second.
    pub told_ms: u64,
    /// Times that this node has begun to lead.
    pub term_count: u64,
    /// Records that are not in force, by reason.
    pub dropped: Dropped,
    /// Events that a new node would have from the newest snapshot for new nodes, as far as this node has looked.
    pub snapshot_offset: Option<u64>,
    /// Why it does not follow any more, must not lead, or sends no snapshot for new nodes.
    pub problem: Option<String>,
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeRole {
    /// It decides.
    Leading,
    /// It applies what is in force, and waits.
    Following,
    /// It follows no more, until a person has done something.
    Stopped,
}

impl NodeRole {
    /// Its stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Leading => "leading",
            Self::Following => "following",
            Self::Stopped => "stopped",
        }
    }
}

/// Counts of records by the reason for which they are not in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dropped([u64; 6]);

impl Dropped {
    /// Each reason by its stable name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        ["junk", "foreign", "late_claim", "other_epoch", "repeated", "gap"].into_iter().zip(self.0)
    }

    pub(crate) fn add(&mut self, reason: DropReason) {
        let at = match reason {
            DropReason::Junk => 0,
            DropReason::Foreign => 1,
            DropReason::LateClaim => 2,
            DropReason::OtherEpoch => 3,
            DropReason::Repeated => 4,
            DropReason::Gap => 5,
        };
        self.0[at] += 1;
    }
}

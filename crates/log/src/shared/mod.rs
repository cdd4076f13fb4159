//! A log that several nodes read and append to, and what makes one history of it: which records count, what is in force, and
//! who leads.
//!
//! ```text
//!   a node that leads                                         every node, the one that leads among them
//!   ┌──────────────────────────────────────────┐              ┌───────────────────────────────────────────┐
//!   │ batch ──▶ SharedAppender    Acks ──▶ InForce ◀──────── SharedReader ──▶ Fence ──▶ Leadership        │
//!   └──────────────┼───────────────▲───────────┘              └────▲──────────────────────────────────────┘
//!                  ▼               │                               │
//!      … │claim, epoch 7│batch 0+3│mark│batch 3+1│claim, saw 7│batch 4+1 of epoch 7: dropped│batch 4+2│ …
//! ```
//!
//! A record is here what the log keeps under one number: a claim, a batch, a mark, a resignation or a note. The log takes them
//! from anybody, and may lose, repeat, reorder and delay what is on its way. So each reader decides which records are in force,
//! by the records alone: see [`Fence`]. All readers come to the same. Nothing else here rests on a clock, on who may append, or
//! on what an acknowledgement does not say. There is no thread, client, clock or chance in it.

mod contract;
mod fence;
mod in_force;
mod leadership;
#[cfg(feature = "testing")]
pub mod memory;
mod record;

pub use contract::{
    Acked, Acks, Extent, Finding, Progress, SharedAppender, SharedBounds, SharedError, SharedLog,
    SharedReader, VisitRecord,
};
pub use fence::{Admission, DropReason, Fence, Place, Verdict};
pub use in_force::InForce;
pub use leadership::{ClaimStep, ClaimTimes, Leadership, Role};
pub use record::{
    LogId, NodeId, RECORD_HEADER_BYTES, RecordKind, RecordNo, RecordProblem, SHORT_PAYLOAD_BYTES_MAX,
    SharedRecord,
};

//! One node of several over a shared log. It follows the log, keeps a copy of what is in force in files of its own, and leads if
//! nobody else does.
//!
//! ```text
//!   shared log ──▶ Follower: fence, who leads ──▶ LocalCopy ──▶ snapshots, sinks, `onrush log verify`
//!        ▲              │ told of everything        │ visited as it grows
//!        │              ▼                           ▼
//!        │            Board ◀──────────── ClusterLog::open: the partition's state, warm
//!        │              ▲                           │ this node's claim is in force
//!        └── records ── ClusterWriter ◀── batches ──┘
//! ```
//!
//! To the partition all of this is a log with rivals ([`onrush_log::Log::has_rivals`]): to open it is to follow until this node
//! leads, and its writer is at an end when another one does. What counts in the shared log, and who leads, is decided by the pure
//! parts of [`onrush_log::shared`]; here are the thread, the clock, the files and the pings around them.

mod board;
mod clock_check;
mod cluster_log;
mod copy;
mod follower;
mod founding;
mod inspector;
mod known;
mod notes;
mod opening;
mod place_file;
mod settings;
mod snapshots;
mod status;
mod writer;

pub use cluster_log::{ClusterLog, copy_in};
pub use founding::{FoundError, Founded, found, noted_in};
pub use settings::{NodeSettings, Ping, SharedLogs};
pub use status::{Dropped, NodeRole, NodeStatus};

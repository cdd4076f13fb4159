//! One partition: a leader that decides, a log that remembers, and the threads between them.
//!
//! ```text
//!   handle ──▶ cell ──▶ machine ──▶ leader ──▶ core: decide, apply
//!     │          ▲         │           └─────▶ batch
//!     │          │         └─────▶ partition_clock, port, views
//!     ├──▶ writer ──▶ the log, recovery
//!     └──▶ snapshots ──▶ the log, recovery, retention
//! ```
//!
//! The [`machine`] is stepped: it has no thread, clock or file. The [`cell`] lets one thread at a time step it, the
//! [`writer`] makes durable what it closes, and [`snapshots`] shortens the log. The [`handle`] is what others have of it.

mod batch;
mod cell;
mod handle;
mod identity;
mod leader;
mod machine;
mod partition_clock;
mod port;
mod recovery;
mod retention;
mod snapshots;
mod views;
mod writer;

pub use handle::{Partition, PartitionPort, Readiness};
pub use port::{Calls, Replies, Token};
pub use recovery::{OpenError, Recovered, lock_directory};
pub use retention::{Retention, RetentionHold};

//! One partition: a leader that decides, a log that remembers, and the threads between them.
//!
//! ```text
//!   handle ──▶ cell ──▶ machine ──▶ leader ──▶ core: decide, apply
//!     │          ▲         │           └─────▶ batch
//!     │          │         └─────▶ partition_clock, port, views
//!     ├──▶ writer ──▶ the log, loading
//!     └──▶ snapshots ──▶ the log, loading, retention
//! ```
//!
//! The [`machine`] is stepped: it has no thread, clock or file. The [`cell`] lets one thread at a time step it, the
//! [`writer`] makes durable what it closes, and [`snapshots`] shortens the log. These two are taken turn by turn, by threads or by a
//! test. The [`handle`] is what others have of it.

mod batch;
mod cell;
mod handle;
mod identity;
mod leader;
mod loading;
mod machine;
mod partition_clock;
mod port;
mod retention;
mod shown_denylist;
mod snapshots;
#[cfg(test)]
mod stepped;
mod used_challenges;
mod views;
mod writer;

pub use handle::{Partition, PartitionPort, Readiness};
pub use loading::{LoadError, Recovered};
pub use port::{Calls, Replies, Token};
pub use retention::{Retention, RetentionHold};

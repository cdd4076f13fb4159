//! Collections of the catalogue whose rows are in another database, kept in memory. [`SourceRows`] are read again when a feed tells of a
//! change; of [`ToldRows`] the feed tells the rows themselves.

mod absent;
mod binlog;
mod gtid;
mod late_changes;
mod read_marks;
mod row_cache;
mod shown_rows;
mod snapshot;
mod source_rows;
mod told_rows;
mod told_table;

pub use binlog::binlog_position;
pub use gtid::{GtidSet, TransactionNumber};
pub use row_cache::{CacheBounds, Fetch};
pub use shown_rows::{Freshness, ShownRows};
pub use snapshot::Snapshot;
pub use source_rows::{FetchFailure, LoadedRows, SourceRows, SourceSettings, SourceState, Waiter};
pub use told_rows::{ToldRows, ToldSettings};
pub use told_table::{ChangePlace, Taken};

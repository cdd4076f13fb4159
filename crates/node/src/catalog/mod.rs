//! Collections of the catalogue whose rows are in another database: kept in memory, and read again when a feed tells of a change.

mod absent;
mod late_changes;
mod read_marks;
mod row_cache;
mod snapshot;
mod source_rows;

pub use row_cache::{CacheBounds, Fetch};
pub use snapshot::Snapshot;
pub use source_rows::{
    FetchFailure, Freshness, LoadedRows, ShownRows, SourceRows, SourceSettings, SourceState, Waiter,
};

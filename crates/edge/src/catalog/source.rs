//! Where the rows of a collection are from that a feed keeps as they are elsewhere.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::Guard;
use compact_str::CompactString;
use onrush_node::catalog::{ShownRows, SourceRows, SourceState, ToldRows, Waiter};

/// Rows of a source, which their feed has as well.
#[derive(Clone, Debug)]
pub enum Source {
    /// A PostgreSQL database: a feed tells which rows changed, and they are read again.
    Postgres(Arc<SourceRows>),
    /// Topics of Kafka that Debezium writes: the feed tells the rows.
    Debezium(Arc<ToldRows>),
}

impl Source {
    /// As the settings call it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "postgres",
            Self::Debezium(_) => "debezium",
        }
    }

    /// What may be read without waiting.
    pub(super) fn shown(&self) -> Guard<Arc<ShownRows>> {
        match self {
            Self::Postgres(rows) => rows.shown(),
            Self::Debezium(rows) => rows.shown(),
        }
    }

    /// Notes that a row was read, so that it stays.
    pub(super) fn mark_read(&self, shown: &ShownRows, key: &str) {
        match self {
            Self::Postgres(rows) => rows.mark_read(shown, key),
            // Rows go only when the source removes them.
            Self::Debezium(_) => {}
        }
    }

    /// Asks for rows that are not among those shown. Each waiter is called once.
    pub(super) fn want(&self, wanted: impl IntoIterator<Item = (CompactString, Waiter)>, now: Instant) {
        match self {
            Self::Postgres(rows) => rows.want(wanted, now),
            Self::Debezium(rows) => rows.want(wanted, now),
        }
    }

    /// How the collection stands.
    pub(super) fn state(&self, now: Instant) -> SourceState {
        match self {
            Self::Postgres(rows) => rows.state(now),
            Self::Debezium(rows) => rows.state(now),
        }
    }
}

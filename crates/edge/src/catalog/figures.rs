//! How collections stand, for operators.

use std::sync::atomic::Ordering;
use std::time::Duration;

use onrush_node::catalog::{Freshness, SourceState};

use super::{Catalog, Collection, sourced};

/// One collection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CollectionFigures<'a> {
    pub(crate) name: &'a str,
    pub(crate) rows_at: RowsAt,
    pub(crate) version: u64,
    pub(crate) row_count: usize,
    pub(crate) json_bytes: u64,
    /// Rows that were asked for and found.
    pub(crate) found_count: u64,
    /// Those of them that were in memory.
    pub(crate) in_memory_count: u64,
    pub(crate) missing_count: u64,
}

/// Where the rows of a collection are from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RowsAt {
    Embedded,
    /// As the settings call it, and how it stands.
    Source(&'static str, SourceState),
}

/// Whether the rows of a collection are as they are where they are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CollectionState {
    /// They are, or were this long ago.
    Coherent(Duration),
    /// So many have been read since loading began.
    Loading(u64),
    /// Nobody knows.
    Incoherent,
}

impl Catalog {
    /// All collections, by name.
    pub(crate) fn figures(&self) -> impl Iterator<Item = CollectionFigures<'_>> {
        let now = sourced::now();
        self.collections.iter().map(move |(name, Collection { source, reads })| {
            let (rows_at, (version, row_count, json_bytes)) = match source {
                Some(source) => {
                    let rows = &source.shown().rows;
                    let state = source.state(now);
                    (
                        RowsAt::Source(source.kind(), state),
                        (rows.version(), rows.row_count(), rows.json_bytes()),
                    )
                }
                None => self.read_embedded(name, |rows| {
                    (RowsAt::Embedded, (rows.version(), rows.row_count(), rows.json_bytes()))
                }),
            };
            let in_memory_count = reads.in_memory.load(Ordering::Relaxed);
            CollectionFigures {
                name,
                rows_at,
                version,
                row_count,
                json_bytes,
                found_count: in_memory_count + reads.in_source.load(Ordering::Relaxed),
                in_memory_count,
                missing_count: reads.missing.load(Ordering::Relaxed),
            }
        })
    }
}

impl RowsAt {
    /// As the settings call it.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Source(kind, _) => kind,
        }
    }

    /// How a source is, if there is one.
    pub(crate) fn source(&self) -> Option<&SourceState> {
        match self {
            Self::Embedded => None,
            Self::Source(_, state) => Some(state),
        }
    }

    pub(crate) fn state(&self) -> CollectionState {
        match self {
            Self::Embedded => CollectionState::Coherent(Duration::ZERO),
            Self::Source(_, SourceState { freshness: Freshness::Coherent(lag), .. }) => {
                CollectionState::Coherent(*lag)
            }
            Self::Source(_, SourceState { loading_count: Some(count), .. }) => {
                CollectionState::Loading(*count)
            }
            Self::Source(..) => CollectionState::Incoherent,
        }
    }
}

impl CollectionState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Coherent(_) => "coherent",
            Self::Loading(_) => "loading",
            Self::Incoherent => "incoherent",
        }
    }

    /// How far the rows can be behind, if that is known.
    pub(crate) fn lag(self) -> Option<Duration> {
        match self {
            Self::Coherent(lag) => Some(lag),
            Self::Loading(_) | Self::Incoherent => None,
        }
    }
}

//! The collections of the catalogue that the settings name. Rows are read where they are: in the partition, or in memory as they were read
//! from a source. A read of memory takes no lock and waits for nobody; what is not there is asked of the source.

mod figures;
mod source;
mod sourced;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use onrush_core::{Row, RowCollection};
use onrush_node::catalog::{Freshness, GtidSet};
use onrush_node::{Name, Partitions};
use smallvec::SmallVec;

use crate::problem::Problem;
#[cfg(test)]
pub(crate) use figures::RowsAt;
pub(crate) use figures::{CollectionFigures, CollectionState};
pub use source::Source;

/// Between two looks whether the version that a read waits for is there.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Rows that one look finds without memory of its own. More cost an allocation.
const ROWS_INLINE: usize = 32;

/// What a user may set about the catalogue.
#[derive(Clone, Debug)]
pub struct CatalogSettings {
    /// How long a read waits for the version that it asks for, and for rows that are not in memory.
    pub wait_max: Duration,
    /// Whether the server is only ready once the rows of every source are known to be coherent.
    pub ready_when_coherent: bool,
    /// Collections whose rows are put through the operator listener.
    pub embedded: Vec<Name>,
    /// Collections whose rows a feed keeps as they are in a source.
    pub sources: Vec<(Name, Source)>,
}

impl Default for CatalogSettings {
    /// No collections.
    fn default() -> Self {
        let (embedded, sources) = (Vec::new(), Vec::new());
        Self { wait_max: Duration::from_secs(1), ready_when_coherent: false, embedded, sources }
    }
}

/// Where rows are read that the partition keeps.
pub trait RowSource: Send + Sync {
    /// Gives a collection as it is now to `read`, once; nothing if it never had a row.
    fn read_collection(&self, collection: &str, read: &mut dyn FnMut(Option<&RowCollection>));
}

impl RowSource for Partitions {
    fn read_collection(&self, collection: &str, read: &mut dyn FnMut(Option<&RowCollection>)) {
        Self::read_collection(self, collection, read);
    }
}

/// Reads rows of the collections that there are.
pub(crate) struct Catalog {
    wait_max: Duration,
    ready_when_coherent: bool,
    partition: Arc<dyn RowSource>,
    collections: BTreeMap<Name, Collection>,
    /// What a collection is that never had a row.
    empty: RowCollection,
}

struct Collection {
    /// Nothing if the partition keeps the rows.
    source: Option<Source>,
    reads: Reads,
}

/// What a read waits for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum MinVersion {
    /// A version, as the server gives it out.
    Number(u64),
    /// Transactions of the source of the rows.
    Transactions(GtidSet),
}

/// Rows that were asked for.
#[derive(Default)]
struct Reads {
    /// Found, without asking the source.
    in_memory: AtomicU64,
    /// Found, by asking the source.
    in_source: AtomicU64,
    missing: AtomicU64,
}

/// How old an answer can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Age {
    /// Every change up to this version is in it. Nothing if it was read from the source because nothing is known of the rows in memory.
    pub(crate) version: Option<u64>,
    /// How far it can be behind the source.
    pub(crate) lag: Duration,
}

/// Rows that were asked for.
pub(crate) struct Rows {
    pub(crate) age: Age,
    /// For each key, in order.
    pub(crate) rows: Vec<Option<Row>>,
}

/// What one look at the memory says of rows.
pub(crate) enum Look<R> {
    /// How each row is, or that there is none.
    Told(R),
    /// Their source has to be asked.
    Unknown,
    NoCollection,
}

impl Catalog {
    pub(crate) fn new(settings: CatalogSettings, partition: Arc<dyn RowSource>) -> Self {
        let CatalogSettings { wait_max, ready_when_coherent, embedded, sources } = settings;
        let embedded = embedded.into_iter().map(|name| (name, None));
        let sources = sources.into_iter().map(|(name, source)| (name, Some(source)));
        let collections = embedded
            .chain(sources)
            .map(|(name, source)| (name, Collection { source, reads: Reads::default() }))
            .collect();
        let empty = RowCollection::of(0, []);
        Self { wait_max, ready_when_coherent, partition, collections, empty }
    }

    pub(crate) fn has(&self, collection: &str) -> bool {
        self.collections.contains_key(collection)
    }

    /// Whether the rows of a collection are from a source, where they are changed.
    pub(crate) fn has_source(&self, collection: &str) -> bool {
        self.source(collection).is_some()
    }

    /// Gives the row of a key, as it is in memory, to `read`. The clock is read only if the answer depends on it.
    pub(crate) fn look<R>(
        &self,
        collection: &str,
        key: &str,
        clock: &dyn Fn() -> Instant,
        read: impl FnOnce(Age, Option<&Row>) -> R,
    ) -> Look<R> {
        self.look_all(collection, &[key], clock, |age, rows| read(age, rows[0]))
    }

    /// Gives the rows of these keys, in their order and of one moment, to `read`, if the memory says of all of them how they are.
    pub(crate) fn look_all<R>(
        &self,
        collection: &str,
        keys: &[&str],
        clock: &dyn Fn() -> Instant,
        read: impl FnOnce(Age, &[Option<&Row>]) -> R,
    ) -> Look<R> {
        let Some(Collection { source, reads }) = self.collections.get(collection) else {
            return Look::NoCollection;
        };
        let read = |age, rows: &[Option<&Row>]| {
            let found_count = rows.iter().flatten().count();
            reads.count([found_count, 0, rows.len() - found_count]);
            read(age, rows)
        };
        match source {
            None => Look::Told(self.read_embedded(collection, |found| {
                let mut rows = SmallVec::<[_; ROWS_INLINE]>::new();
                found.rows(keys, |row| rows.push(row));
                read(Age::of_embedded(found), &rows)
            })),
            Some(source) => sourced::look(source, keys, clock(), read).map_or(Look::Unknown, Look::Told),
        }
    }

    /// The rows of these keys, with every change up to the version. Those that are not in memory are asked of the source, together, and waited for as
    /// long as a read may.
    pub(crate) async fn rows(&self, collection: &str, keys: &[String]) -> Result<Rows, Problem> {
        let Some(Collection { source, reads }) = self.collections.get(collection) else {
            return Err(Problem::collection_not_found());
        };
        let (rows, from_source_count) = match source {
            None => {
                let rows = self.read_embedded(collection, |found| {
                    let mut rows = Vec::with_capacity(keys.len());
                    found.rows(keys, |row| rows.push(row.cloned()));
                    Rows { age: Age::of_embedded(found), rows }
                });
                (rows, 0)
            }
            Some(source) => sourced::rows(source, keys, self.wait_max).await?,
        };
        let found_count = rows.rows.iter().flatten().count();
        let missing_count = rows.rows.len() - found_count;
        reads.count([found_count - from_source_count, from_source_count, missing_count]);
        Ok(rows)
    }

    /// Waits until the rows of a collection are coherent and of this version or a later one, as long as a read may. Whether they are; a
    /// collection that is not there keeps nobody waiting.
    pub(crate) async fn await_version(&self, collection: &str, min_version: MinVersion) -> bool {
        let has_embedded = |number| self.read_embedded(collection, RowCollection::version) >= number;
        let is_there = || match (self.source(collection), &min_version) {
            (Some(source), _) => sourced::has_version(source, &min_version),
            (None, MinVersion::Number(number)) => !self.has(collection) || has_embedded(*number),
            (None, MinVersion::Transactions(_)) => !self.has(collection),
        };
        let waited = tokio::time::timeout(self.wait_max, async {
            while !is_there() {
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
        });
        waited.await.is_ok()
    }

    /// A collection that keeps the server from being ready.
    pub(crate) fn awaited(&self) -> Option<&Name> {
        let is_incoherent =
            |source: &Source| source.shown().freshness(sourced::now()) == Freshness::Incoherent;
        let mut sources =
            self.collections.iter().filter_map(|(name, found)| Some((name, found.source.as_ref()?)));
        let awaited = sources.find(|(_, source)| self.ready_when_coherent && is_incoherent(source));
        awaited.map(|(name, _)| name)
    }

    fn source(&self, collection: &str) -> Option<&Source> {
        self.collections.get(collection)?.source.as_ref()
    }

    fn read_embedded<R>(&self, collection: &str, read: impl FnOnce(&RowCollection) -> R) -> R {
        let (mut read, mut result) = (Some(read), None);
        self.partition.read_collection(collection, &mut |found| {
            let found = found.unwrap_or(&self.empty);
            result = read.take().map(|read| read(found));
        });
        result.expect("a source gives the collection once")
    }
}

impl Reads {
    /// Counts rows that were found in memory, found by asking the source, and missing.
    fn count(&self, [in_memory, in_source, missing]: [usize; 3]) {
        let counts = [(&self.in_memory, in_memory), (&self.in_source, in_source), (&self.missing, missing)];
        for (count, more) in counts.into_iter().filter(|(_, more)| *more > 0) {
            count.fetch_add(more as u64, Ordering::Relaxed);
        }
    }
}

impl Age {
    /// The lag in whole milliseconds, rather more than less.
    pub(crate) fn lag_ms(self) -> u64 {
        u64::try_from(self.lag.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX)
    }

    /// What the partition keeps itself is as new as its newest change that is in force.
    fn of_embedded(found: &RowCollection) -> Self {
        Self { version: Some(found.version()), lag: Duration::ZERO }
    }
}

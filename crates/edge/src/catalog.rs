//! The collections of the catalogue that the settings name, and their rows as the partition keeps them. A read takes no lock and waits
//! for nobody.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use onrush_core::{Row, RowCollection};
use onrush_node::{Name, Partitions};

/// Between two looks whether the version that a read waits for is there.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// What a user may set about the catalogue.
#[derive(Clone, Debug)]
pub struct CatalogSettings {
    /// How long a read waits for the version that it asks for.
    pub wait_max: Duration,
    /// Collections whose rows are put through the operator listener.
    pub embedded: Vec<Name>,
}

impl Default for CatalogSettings {
    /// No collections.
    fn default() -> Self {
        Self { wait_max: Duration::from_secs(1), embedded: Vec::new() }
    }
}

/// Where rows are read.
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
    pub(crate) wait_max: Duration,
    source: Arc<dyn RowSource>,
    collections: BTreeMap<Name, Reads>,
    /// What a collection is that never had a row.
    empty: RowCollection,
}

/// Rows that were asked for.
#[derive(Default)]
struct Reads {
    found_count: AtomicU64,
    missing_count: AtomicU64,
}

/// One collection, for operators.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CollectionFigures<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: u64,
    pub(crate) row_count: usize,
    pub(crate) json_bytes: u64,
    pub(crate) found_count: u64,
    pub(crate) missing_count: u64,
}

impl Catalog {
    pub(crate) fn new(settings: CatalogSettings, source: Arc<dyn RowSource>) -> Self {
        let CatalogSettings { wait_max, embedded } = settings;
        let collections = embedded.into_iter().map(|name| (name, Reads::default())).collect();
        Self { wait_max, source, collections, empty: RowCollection::of(0, []) }
    }

    pub(crate) fn has(&self, collection: &str) -> bool {
        self.collections.contains_key(collection)
    }

    /// Gives a collection, as it is now, to `read`; nothing if there is no such collection. All that `read` sees is of one version.
    pub(crate) fn read<R>(&self, collection: &str, read: impl FnOnce(&RowCollection) -> R) -> Option<R> {
        self.collections.contains_key(collection).then(|| self.read_one(collection, read))
    }

    /// As [`Catalog::read`], with the row of one key, which counts as asked for.
    pub(crate) fn read_row<R>(
        &self,
        collection: &str,
        key: &str,
        read: impl FnOnce(&RowCollection, Option<&Row>) -> R,
    ) -> Option<R> {
        let reads = self.collections.get(collection)?;
        Some(self.read_one(collection, |found| {
            let row = found.row(key);
            reads.count(row.is_some());
            read(found, row)
        }))
    }

    /// Waits until a collection has this version or a later one, as long as a read may. Whether it has; one that is not there keeps
    /// nobody waiting.
    pub(crate) async fn await_version(&self, collection: &str, min_version: u64) -> bool {
        let is_there = || {
            let version = self.read(collection, RowCollection::version);
            version.is_none_or(|version| version >= min_version)
        };
        let waited = tokio::time::timeout(self.wait_max, async {
            while !is_there() {
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
        });
        waited.await.is_ok()
    }

    /// Counts a row of this collection as asked for.
    pub(crate) fn count(&self, collection: &str, is_found: bool) {
        if let Some(reads) = self.collections.get(collection) {
            reads.count(is_found);
        }
    }

    /// All collections, by name.
    pub(crate) fn figures(&self) -> impl Iterator<Item = CollectionFigures<'_>> {
        self.collections.iter().map(|(name, reads)| {
            self.read_one(name, |found| CollectionFigures {
                name,
                version: found.version(),
                row_count: found.row_count(),
                json_bytes: found.json_bytes(),
                found_count: reads.found_count.load(Ordering::Relaxed),
                missing_count: reads.missing_count.load(Ordering::Relaxed),
            })
        })
    }

    fn read_one<R>(&self, collection: &str, read: impl FnOnce(&RowCollection) -> R) -> R {
        let (mut read, mut result) = (Some(read), None);
        self.source.read_collection(collection, &mut |found| {
            let found = found.unwrap_or(&self.empty);
            result = read.take().map(|read| read(found));
        });
        result.expect("a source gives the collection once")
    }
}

impl Reads {
    fn count(&self, is_found: bool) {
        let count = if is_found { &self.found_count } else { &self.missing_count };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

//! The rows of the catalogue that the partition itself keeps, by collection and key.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{Row, RowLine, is_name, is_row_key, row::is_row_json};

/// All collections of a partition that ever had a row. None is ever taken out, so that its version goes on.
pub(crate) struct Rows {
    collections: BTreeMap<Arc<str>, Collection>,
    row_count: u64,
    bytes: usize,
}

/// One collection.
#[derive(Default)]
pub(crate) struct Collection {
    /// How often it changed.
    pub(crate) version: u64,
    rows: BTreeSet<Row>,
}

impl Rows {
    pub(crate) const fn new() -> Self {
        Self { collections: BTreeMap::new(), row_count: 0, bytes: 0 }
    }

    pub(crate) fn row_count(&self) -> u64 {
        self.row_count
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.collections.is_empty()
    }

    pub(crate) fn collection(&self, collection: &str) -> Option<&Collection> {
        self.collections.get(collection)
    }

    /// Takes the rows of one change, each in place of the one with its key.
    pub(crate) fn put(&mut self, collection: &str, rows: &[RowLine<'_>]) {
        let version = self.change(collection).version;
        for row in rows {
            self.insert(collection, Row::new(*row, version));
        }
    }

    /// Takes a row out that is there.
    pub(crate) fn delete(&mut self, collection: &str, key: &str) {
        let row = self.change(collection).rows.take(key).expect("what is deleted is there");
        self.row_count -= 1;
        self.bytes -= bytes_of_row(&row);
    }

    /// Takes a collection back from a stored state, its rows to follow: in the order of names, or not at all.
    pub(crate) fn restore(&mut self, collection: &str, version: u64) -> Result<(), &'static str> {
        if self.collections.last_key_value().is_some_and(|(last, _)| **last >= *collection) {
            return Err("collections are not in the order of their names");
        }
        if !is_name(collection) || version == 0 {
            return Err("a collection is out of bounds");
        }
        self.add(collection).version = version;
        Ok(())
    }

    /// Takes a row of the last collection back: in the order of keys, or not at all.
    pub(crate) fn restore_row(&mut self, line: RowLine<'_>, version: u64) -> Result<(), &'static str> {
        let Some((name, found)) = self.collections.last_key_value() else {
            return Err("a row has no collection");
        };
        if found.rows.last().is_some_and(|last| last.key() >= line.key) {
            return Err("rows are not in the order of their keys");
        }
        if !(1..=found.version).contains(&version) || !is_row_key(line.key) || !is_row_json(line.json) {
            return Err("a row is out of bounds");
        }
        let name = Arc::clone(name);
        self.insert(&name, Row::new(line, version));
        Ok(())
    }

    /// All collections, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Collection)> {
        self.collections.iter()
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn check_bytes(&self) {
        let collections = self.collections.keys().map(|name| bytes_of_collection(name)).sum::<usize>();
        let rows = || self.collections.values().flat_map(Collection::iter);
        assert_eq!(self.bytes, collections + rows().map(bytes_of_row).sum::<usize>(), "bytes of rows");
        assert_eq!(self.row_count, rows().count() as u64, "rows");
    }

    /// The collection, which changes once more.
    fn change(&mut self, collection: &str) -> &mut Collection {
        if !self.collections.contains_key(collection) {
            self.add(collection);
        }
        let found = self.collections.get_mut(collection).expect("it is there by now");
        found.version += 1;
        found
    }

    fn add(&mut self, collection: &str) -> &mut Collection {
        self.bytes += bytes_of_collection(collection);
        self.collections.entry(collection.into()).or_default()
    }

    fn insert(&mut self, collection: &str, row: Row) {
        let rows = &mut self.collections.get_mut(collection).expect("a row has a collection").rows;
        self.bytes += bytes_of_row(&row);
        match rows.replace(row) {
            Some(before) => self.bytes -= bytes_of_row(&before),
            None => self.row_count += 1,
        }
    }
}

impl Collection {
    pub(crate) fn row(&self, key: &str) -> Option<&Row> {
        self.rows.get(key)
    }

    /// All rows, by key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter()
    }
}

/// Of one row, with the two counts of its block. Rows that come in order leave the tree's leaves half full.
fn bytes_of_row(row: &Row) -> usize {
    2 * size_of::<Row>() + 2 * size_of::<usize>() + row.block_bytes()
}

/// Of one collection without its rows.
fn bytes_of_collection(name: &str) -> usize {
    2 * size_of::<(Arc<str>, Collection)>() + 2 * size_of::<usize>() + name.len()
}

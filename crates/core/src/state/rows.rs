//! The rows of the catalogue that the partition itself keeps, by collection.

use std::{collections::BTreeMap, sync::Arc};

use super::index::KeyedHash;
use crate::{Row, RowCollection, RowLine, is_name, is_row_key, row::is_row_json};

/// All collections of a partition that ever had a row. None is ever taken out, so that its version goes on.
pub(crate) struct Rows {
    collections: BTreeMap<Arc<str>, RowCollection>,
    /// Of the last one while collections are taken back: the greatest key so far.
    last_restored: Option<Box<str>>,
    row_count: u64,
    bytes: usize,
}

impl Rows {
    pub(crate) const fn new() -> Self {
        Self { collections: BTreeMap::new(), last_restored: None, row_count: 0, bytes: 0 }
    }

    pub(crate) fn row_count(&self) -> u64 {
        self.row_count
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.collections.is_empty()
    }

    pub(crate) fn collection(&self, collection: &str) -> Option<&RowCollection> {
        self.collections.get(collection)
    }

    /// Takes the rows of one change, each in place of the one with its key.
    pub(crate) fn put(&mut self, hash: &KeyedHash, collection: &str, rows: &[RowLine<'_>]) {
        self.change(hash, collection);
        for row in rows {
            self.insert(collection, Row::new(*row));
        }
    }

    /// Takes a row out that is there.
    pub(crate) fn delete(&mut self, hash: &KeyedHash, collection: &str, key: &str) {
        let row = self.change(hash, collection).remove(key).expect("what is deleted is there");
        self.row_count -= 1;
        self.bytes -= bytes_of_row(&row);
    }

    /// Takes a collection back from a stored state, its rows to follow: in the order of names, or not at all.
    pub(crate) fn restore(
        &mut self,
        hash: &KeyedHash,
        collection: &str,
        version: u64,
    ) -> Result<(), &'static str> {
        if self.collections.last_key_value().is_some_and(|(last, _)| **last >= *collection) {
            return Err("collections are not in the order of their names");
        }
        if !is_name(collection) || version == 0 {
            return Err("a collection is out of bounds");
        }
        self.find_or_add(hash, collection).set_version(version);
        self.last_restored = None;
        Ok(())
    }

    /// Takes a row of the last collection back: in the order of keys, or not at all.
    pub(crate) fn restore_row(&mut self, line: RowLine<'_>) -> Result<(), &'static str> {
        let Some((name, _)) = self.collections.last_key_value() else {
            return Err("a row has no collection");
        };
        if self.last_restored.as_ref().is_some_and(|last| **last >= *line.key) {
            return Err("rows are not in the order of their keys");
        }
        if !is_row_key(line.key) || !is_row_json(line.json) {
            return Err("a row is out of bounds");
        }
        let name = Arc::clone(name);
        self.last_restored = Some(line.key.into());
        self.insert(&name, Row::new(line));
        Ok(())
    }

    /// All collections, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &RowCollection)> {
        self.collections.iter()
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn check_bytes(&self) {
        let collections = self.collections.keys().map(|name| bytes_of_collection(name)).sum::<usize>();
        let rows = || self.collections.values().flat_map(RowCollection::iter);
        assert_eq!(self.bytes, collections + rows().map(bytes_of_row).sum::<usize>(), "bytes of rows");
        assert_eq!(self.row_count, rows().count() as u64, "rows");
    }

    /// The collection, which changes once more.
    fn change(&mut self, hash: &KeyedHash, collection: &str) -> &mut RowCollection {
        let found = self.find_or_add(hash, collection);
        found.set_version(found.version() + 1);
        found
    }

    fn find_or_add(&mut self, hash: &KeyedHash, collection: &str) -> &mut RowCollection {
        if !self.collections.contains_key(collection) {
            self.bytes += bytes_of_collection(collection);
            self.collections.insert(collection.into(), RowCollection::new(hash.clone()));
        }
        self.collections.get_mut(collection).expect("it is there by now")
    }

    fn insert(&mut self, collection: &str, row: Row) {
        let found = self.collections.get_mut(collection).expect("a row has a collection");
        self.bytes += bytes_of_row(&row);
        match found.insert(row) {
            Some(before) => self.bytes -= bytes_of_row(&before),
            None => self.row_count += 1,
        }
    }
}

/// Of one row: its block with the count of its copies, and its place in a leaf with its share of what is above.
fn bytes_of_row(row: &Row) -> usize {
    const PLACE: usize = 32;
    PLACE + size_of::<usize>() + row.block_bytes()
}

/// Of one collection without its rows.
fn bytes_of_collection(name: &str) -> usize {
    2 * size_of::<(Arc<str>, RowCollection)>() + 2 * size_of::<usize>() + name.len()
}

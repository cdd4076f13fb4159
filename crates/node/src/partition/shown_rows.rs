//! Rows of the catalogue as readers see them, found without waiting for whoever decides. A copy shares what did not change, so a batch
//! costs as much as it has changed rows.

use std::sync::Arc;

use foldhash::fast::RandomState;
use onrush_core::{Row, State};
use rpds::{HashTrieSetSync, RedBlackTreeMapSync};

/// Every collection that ever had a row.
#[derive(Clone)]
pub(crate) struct ShownRows {
    collections: RedBlackTreeMapSync<Arc<str>, ShownCollection>,
}

/// One collection, as it is with every batch that is in force.
#[derive(Clone)]
pub struct ShownCollection {
    version: u64,
    json_bytes: u64,
    rows: HashTrieSetSync<Row, RandomState>,
}

/// What became of the rows of a collection.
pub(crate) struct RowsChange {
    pub(crate) collection: Arc<str>,
    /// That of the collection now.
    pub(crate) version: u64,
    /// Rows as they are now.
    pub(crate) put: Vec<Row>,
    /// Keys of rows that are no more.
    pub(crate) gone: Vec<Box<str>>,
}

impl ShownRows {
    pub(crate) fn of(state: &State) -> Self {
        let mut shown = Self { collections: RedBlackTreeMapSync::new_sync() };
        for (name, version, rows) in state.collections() {
            let (collection, put) = (Arc::clone(name), rows.cloned().collect());
            shown.apply(RowsChange { collection, version, put, gone: Vec::new() });
        }
        shown
    }

    pub(crate) fn apply(&mut self, change: RowsChange) {
        let RowsChange { collection, version, put, gone } = change;
        let mut shown = self.collections.get(&collection).cloned().unwrap_or_default();
        // The one copy that is changed, so that what it alone has is changed in place.
        self.collections.remove_mut(&collection);
        shown.version = version;
        for row in put {
            shown.put(row);
        }
        for key in gone {
            shown.forget(&key);
        }
        self.collections.insert_mut(collection, shown);
    }

    pub(crate) fn collection(&self, collection: &str) -> Option<&ShownCollection> {
        self.collections.get(collection)
    }
}

impl ShownCollection {
    /// Of these rows, for whoever stands in for a partition.
    pub fn of(version: u64, rows: impl IntoIterator<Item = Row>) -> Self {
        let mut shown = Self { version, ..Self::default() };
        for row in rows {
            shown.put(row);
        }
        shown
    }

    /// How often the collection changed.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The row of this key.
    pub fn row(&self, key: &str) -> Option<&Row> {
        self.rows.get(key)
    }

    /// How many rows there are.
    pub fn row_count(&self) -> usize {
        self.rows.size()
    }

    /// Bytes of their JSON.
    pub fn json_bytes(&self) -> u64 {
        self.json_bytes
    }

    fn put(&mut self, row: Row) {
        self.forget(row.key());
        self.json_bytes += row.json().len() as u64;
        self.rows.insert_mut(row);
    }

    fn forget(&mut self, key: &str) {
        if let Some(row) = self.rows.get(key) {
            self.json_bytes -= row.json().len() as u64;
            self.rows.remove_mut(key);
        }
    }
}

impl Default for ShownCollection {
    fn default() -> Self {
        let rows = HashTrieSetSync::new_with_hasher_with_ptr_kind(RandomState::default());
        Self { version: 0, json_bytes: 0, rows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onrush_core::RowLine;

    fn change(version: u64, put: &[(&str, &str)], gone: &[&str]) -> RowsChange {
        let row = |&(key, json): &(&str, &str)| Row::new(RowLine { key, json: json.as_bytes() }, version);
        RowsChange {
            collection: "c".into(),
            version,
            put: put.iter().map(row).collect(),
            gone: gone.iter().map(|key| (*key).into()).collect(),
        }
    }

    #[test]
    fn rows_are_as_the_newest_change_left_them_and_an_older_copy_as_it_was() {
        let mut shown = ShownRows { collections: RedBlackTreeMapSync::new_sync() };
        assert!(shown.collection("c").is_none());
        shown.apply(change(1, &[("a", "{}"), ("b", "{1}")], &[]));
        let before = shown.clone();
        shown.apply(change(2, &[("b", "{22}"), ("d", "{}")], &["a", "never"]));
        let json = |shown: &ShownRows, key: &str| {
            let found = shown.collection("c").unwrap().row(key);
            found.map(|row| String::from_utf8(row.json().to_vec()).unwrap())
        };
        let figures = |shown: &ShownRows| {
            let found = shown.collection("c").unwrap();
            (found.version(), found.row_count(), found.json_bytes())
        };
        assert_eq!(figures(&shown), (2, 2, 6));
        assert_eq!((json(&shown, "a"), json(&shown, "b").as_deref()), (None, Some("{22}")));
        assert_eq!(figures(&before), (1, 2, 5));
        assert_eq!((json(&before, "d"), json(&before, "b").as_deref()), (None, Some("{1}")));
    }
}

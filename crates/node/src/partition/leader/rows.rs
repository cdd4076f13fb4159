//! Rows of the catalogue.

use std::sync::Arc;

use onrush_core::{Command, RowLine};

use super::Leader;
use crate::partition::shown_rows::RowsChange;
use crate::{Reply, RowCall};

impl Leader {
    pub(super) fn put_rows(&mut self, collection: &str, rows: &[RowCall]) -> Reply {
        let rows: Vec<RowLine<'_>> = rows.iter().map(RowCall::as_core).collect();
        self.answer(&Command::PutRows { collection, rows: &rows })
    }

    pub(super) fn delete_row(&mut self, collection: &str, key: &str) -> Reply {
        self.answer(&Command::DeleteRow { collection, key })
    }

    /// Remembers which rows an event changes.
    pub(super) fn note_rows<'k>(&mut self, collection: &str, keys: impl IntoIterator<Item = &'k str>) {
        let keys = keys.into_iter().map(Box::from);
        match self.changed_rows.get_mut(collection) {
            Some(changed) => changed.extend(keys),
            None => drop(self.changed_rows.insert(collection.into(), keys.collect())),
        }
    }

    /// Says what the batch that closes changed of them.
    pub(super) fn describe_rows(&mut self) -> Vec<RowsChange> {
        let changed = std::mem::take(&mut self.changed_rows);
        changed.into_iter().map(|(collection, keys)| self.rows_change(collection, keys)).collect()
    }

    fn rows_change(&self, collection: Arc<str>, mut keys: Vec<Box<str>>) -> RowsChange {
        keys.sort_unstable();
        keys.dedup();
        let version = self.state.collection_version(&collection);
        let (mut put, mut gone) = (Vec::new(), Vec::new());
        for key in keys {
            match self.state.row(&collection, &key) {
                Some(row) => put.push(row.clone()),
                None => gone.push(key),
            }
        }
        RowsChange { collection, version, put, gone }
    }
}

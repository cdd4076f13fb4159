//! Rows of the catalogue.

use std::sync::Arc;

use onrush_core::{Command, RowCollection, RowLine};

use super::Leader;
use crate::{Reply, RowCall};

impl Leader {
    pub(super) fn put_rows(&mut self, collection: &str, rows: &[RowCall]) -> Reply {
        let rows: Vec<RowLine<'_>> = rows.iter().map(RowCall::as_core).collect();
        self.answer(&Command::PutRows { collection, rows: &rows })
    }

    pub(super) fn delete_row(&mut self, collection: &str, key: &str) -> Reply {
        self.answer(&Command::DeleteRow { collection, key })
    }

    /// Remembers that an event changes a collection.
    pub(super) fn note_collection(&mut self, collection: &str) {
        if !self.changed_collections.contains(collection) {
            self.changed_collections.insert(collection.into());
        }
    }

    /// The collections that the batch which closes changed, as they are now. A copy costs nothing.
    pub(super) fn describe_collections(&mut self) -> Vec<(Arc<str>, RowCollection)> {
        let changed = std::mem::take(&mut self.changed_collections);
        let found = |name: Box<str>| self.state.collection(&name).cloned().map(|found| (name.into(), found));
        changed.into_iter().filter_map(found).collect()
    }
}

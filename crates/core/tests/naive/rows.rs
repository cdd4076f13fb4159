//! Rows of the catalogue: a map, and a count of changes.

use std::collections::BTreeMap;

use onrush_core::{Answer, Refusal};

use super::{Model, check_new_name, ensure};

/// A collection: how often it changed, and its rows by key.
#[derive(Default)]
pub(crate) struct Collection {
    pub(crate) version: u64,
    pub(crate) rows: BTreeMap<&'static str, &'static [u8]>,
}

impl Model {
    pub(crate) fn row_count(&self) -> u64 {
        self.collections.values().map(|found| found.rows.len() as u64).sum()
    }

    pub(super) fn put_rows(
        &mut self,
        collection: &'static str,
        rows: &[(&'static str, &'static [u8])],
    ) -> Result<(Answer, bool), Refusal> {
        check_new_name("collection", collection)?;
        let invalid = |field, rule| Err(Refusal::Invalid { field, rule });
        if rows.is_empty() {
            return invalid("rows", "must be 1 to 10000");
        }
        if rows.iter().any(|(key, _)| key.is_empty()) {
            return invalid("key", "must be 1 to 128 printable characters");
        }
        if rows.iter().any(|(_, json)| json.is_empty() || json.len() > 16_384) {
            return invalid("row", "must be a JSON object of at most 16384 bytes");
        }
        let is_there = |found: &Collection| {
            rows.iter().all(|(key, json)| found.rows.get(key).is_some_and(|before| before == json))
        };
        if let Some(found) = self.collections.get(collection).filter(|found| is_there(found)) {
            return Ok((Answer::RowsPut { version: found.version }, false));
        }
        let found = self.collections.entry(collection).or_default();
        found.version += 1;
        for (key, json) in rows {
            found.rows.insert(key, json);
        }
        Ok((Answer::RowsPut { version: found.version }, true))
    }

    pub(super) fn delete_row(
        &mut self,
        collection: &'static str,
        key: &'static str,
    ) -> Result<(Answer, bool), Refusal> {
        check_new_name("collection", collection)?;
        ensure(!key.is_empty(), || Refusal::Invalid {
            field: "key",
            rule: "must be 1 to 128 printable characters",
        })?;
        let found = self.collections.get_mut(collection).ok_or(Refusal::RowNotFound)?;
        found.rows.remove(key).ok_or(Refusal::RowNotFound)?;
        found.version += 1;
        Ok((Answer::RowDeleted { version: found.version }, true))
    }
}

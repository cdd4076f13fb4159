//! A collection of the catalogue as it is after some change: what the state keeps, and what readers have a copy of.

use crate::{Row, row_table::RowTable, state::KeyedHash};

/// Rows by key, and how often they changed. A copy costs nothing, and stays as it is.
#[derive(Clone)]
pub struct RowCollection {
    hash: KeyedHash,
    version: u64,
    json_bytes: u64,
    rows: RowTable,
}

impl RowCollection {
    pub(crate) fn new(hash: KeyedHash) -> Self {
        Self { hash, version: 0, json_bytes: 0, rows: RowTable::default() }
    }

    /// Without rows, for whoever keeps rows of a source. Nobody who chooses keys should know the seed.
    pub fn seeded(seed: u64) -> Self {
        Self::new(KeyedHash::new(seed))
    }

    /// Without rows, by the same seed.
    #[must_use]
    pub fn emptied(&self) -> Self {
        Self { hash: self.hash.clone(), ..Self::new(KeyedHash::new(0)) }
    }

    /// Of these rows, for whoever stands in for a partition.
    pub fn of(version: u64, rows: impl IntoIterator<Item = Row>) -> Self {
        let mut collection = Self { version, ..Self::new(KeyedHash::new(0)) };
        for row in rows {
            let _ = collection.insert(row);
        }
        collection
    }

    /// How often the collection changed, or how far its source was.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The row of this key.
    pub fn row(&self, key: &str) -> Option<&Row> {
        self.rows.get(self.hash.of_bytes(key.as_bytes()), key)
    }

    /// Gives the rows of these keys to `take`, in their order. That takes less time than to ask for one after the other.
    pub fn rows<'c>(&'c self, keys: &[impl AsRef<str>], take: impl FnMut(Option<&'c Row>)) {
        self.rows.get_each(keys, |key| self.hash.of_bytes(key.as_bytes()), take);
    }

    /// How many rows there are.
    pub fn row_count(&self) -> usize {
        self.rows.row_count()
    }

    /// Bytes of their JSON.
    pub fn json_bytes(&self) -> u64 {
        self.json_bytes
    }

    /// All rows, by key.
    pub fn sorted(&self) -> Vec<&Row> {
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_unstable_by(|one, other| one.key_bytes().cmp(other.key_bytes()));
        rows
    }

    /// Any row, which these bits choose; often nothing even if there are rows, so ask again with other bits.
    pub fn pick(&self, bits: u64) -> Option<&Row> {
        self.rows.pick(bits)
    }

    /// Says of which version the rows are.
    pub fn set_version(&mut self, version: u64) {
        self.version = version;
    }

    /// Adds a row. Returns the one with its key that it replaces.
    #[must_use]
    pub fn insert(&mut self, row: Row) -> Option<Row> {
        self.json_bytes += row.json().len() as u64;
        let before = self.rows.insert(self.hash.of_bytes(row.key_bytes()), row);
        self.json_bytes -= before.as_ref().map_or(0, |before| before.json().len() as u64);
        before
    }

    /// Takes out the row of this key.
    pub fn remove(&mut self, key: &str) -> Option<Row> {
        let removed = self.rows.remove(self.hash.of_bytes(key.as_bytes()), key)?;
        self.json_bytes -= removed.json().len() as u64;
        Some(removed)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter()
    }
}

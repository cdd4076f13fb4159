//! Totals for ever, by name.

use super::{
    chunked::{Address, Chunked},
    index::{Index, KeyedHash},
    names::Names,
};

/// All counters of a partition. None is ever taken out.
pub(crate) struct Counters {
    entries: Chunked<Counter, 10>,
    names: Names,
    by_name: Index,
}

struct Counter {
    name: Address,
    value: u64,
}

impl Counters {
    pub(crate) const fn new() -> Self {
        Self { entries: Chunked::new(), names: Names::new(), by_name: Index::new() }
    }

    pub(crate) fn count(&self) -> u32 {
        self.entries.len()
    }

    pub(crate) fn value(&self, hash: &KeyedHash, name: &str) -> Option<u64> {
        self.find(hash.of_bytes(name.as_bytes()), name).map(|entry| self.entries[entry].value)
    }

    /// Adds to a counter that is created if need be.
    pub(crate) fn add(&mut self, hash: &KeyedHash, name: &str, by: u64, value: u64) {
        let name_hash = hash.of_bytes(name.as_bytes());
        if let Some(entry) = self.find(name_hash, name) {
            let counter = &mut self.entries[entry];
            assert_eq!(
                counter.value.checked_add(by),
                Some(value),
                "a counter's value is the last one and what is added"
            );
            counter.value = value;
        } else {
            assert_eq!(by, value, "a new counter's value is what is added");
            self.insert(hash, name_hash, name, value);
        }
    }

    /// Takes a counter back from a stored state: in the order of names, or not at all.
    pub(crate) fn restore(&mut self, hash: &KeyedHash, name: &str, value: u64) -> Result<(), &'static str> {
        if self.entries.last().is_some_and(|last| self.names.get(last.name) >= name) {
            return Err("counters are not in the order of their names");
        }
        self.insert(hash, hash.of_bytes(name.as_bytes()), name, value);
        Ok(())
    }

    /// Names and values in the order of names.
    pub(crate) fn sorted(&self) -> Vec<(&str, u64)> {
        let mut all: Vec<_> =
            self.entries.iter().map(|entry| (self.names.get(entry.name), entry.value)).collect();
        all.sort_unstable();
        all
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.entries.heap_bytes() + self.names.heap_bytes() + self.by_name.heap_bytes()
    }

    pub(crate) fn check_bytes(&self) {
        self.entries.check_bytes();
        self.names.check_bytes();
        self.by_name.check_bytes();
    }

    fn find(&self, name_hash: u64, name: &str) -> Option<u32> {
        self.by_name.find(name_hash, |entry| self.names.bytes(self.entries[entry].name) == name.as_bytes())
    }

    fn insert(&mut self, hash: &KeyedHash, name_hash: u64, name: &str, value: u64) {
        let entry = self.entries.len();
        let name = self.names.add(name);
        self.entries.push(Counter { name, value });
        let (entries, names) = (&self.entries, &self.names);
        self.by_name
            .insert(name_hash, entry, |all| names.hashes(hash, all.iter().map(|&entry| entries[entry].name)));
    }
}

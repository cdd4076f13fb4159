//! Hash tables of entry numbers, keyed by bytes that the entries keep elsewhere.
//!
//! An index is split into shards of bounded size (extendible hashing: a directory of `2^depth` references to shards, by
//! bits of the hash), so that growing never rehashes more than one shard at a time. Nothing is read in table order.

use std::hash::Hasher;

use foldhash::{SharedSeed, quality::FoldHasher};
use hashbrown::HashTable;

/// Entries of a shard at which it is split: what a table of 1,024 places takes.
const SHARD_MAX: usize = 896;
/// Directory bits at most; a shard at this depth grows instead of splitting.
const DEPTH_MAX: u32 = 22;

/// Hashes that only this seed predicts.
#[derive(Clone)]
pub(crate) struct KeyedHash {
    seed: u64,
    shared: SharedSeed,
}

impl KeyedHash {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed, shared: SharedSeed::from_u64(seed.rotate_left(32)) }
    }

    pub(crate) fn of_bytes(&self, bytes: &[u8]) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.shared);
        hasher.write(bytes);
        hasher.finish()
    }

    pub(crate) fn of_number(&self, number: u32) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.shared);
        hasher.write_u32(number);
        hasher.finish()
    }
}

/// A set of entry numbers.
pub(crate) struct Index {
    /// By the low bits of the hash's upper half; each shard is named `2^(directory depth - its depth)` times.
    directory: Vec<u32>,
    shards: Vec<Shard>,
    heap_bytes: usize,
}

struct Shard {
    table: HashTable<u32>,
    depth: u32,
}

impl Index {
    pub(crate) const fn new() -> Self {
        Self { directory: Vec::new(), shards: Vec::new(), heap_bytes: 0 }
    }

    /// The entry with this hash for which `is_it` holds.
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        if self.directory.is_empty() {
            return None;
        }
        self.shards[self.shard_at(hash)].table.find(hash, |&entry| is_it(entry)).copied()
    }

    /// Adds an entry that is not there. `hash_of` gives the hash of any entry that is.
    pub(crate) fn insert(&mut self, hash: u64, entry: u32, hash_of: impl Fn(u32) -> u64) {
        if self.directory.is_empty() {
            self.begin();
        }
        loop {
            let at = self.shard_at(hash);
            let shard = &mut self.shards[at];
            if shard.table.len() < SHARD_MAX || shard.depth == DEPTH_MAX {
                if shard.table.len() == shard.table.capacity() {
                    let before = shard.table.allocation_size();
                    shard.table.reserve(1, |&entry| hash_of(entry));
                    self.heap_bytes = self.heap_bytes - before + shard.table.allocation_size();
                }
                shard.table.insert_unique(hash, entry, |&entry| hash_of(entry));
                return;
            }
            self.split(at, &hash_of);
        }
    }

    /// Takes an entry out that is there.
    pub(crate) fn remove(&mut self, hash: u64, entry: u32) {
        let at = self.shard_at(hash);
        let found = self.shards[at].table.find_entry(hash, |&other| other == entry);
        found.expect("the entry is in the index").remove();
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.heap_bytes
    }

    /// Whether the bytes that are kept are those that there are.
    pub(crate) fn check_bytes(&self) {
        let tables: usize = self.shards.iter().map(|shard| shard.table.allocation_size()).sum();
        assert_eq!(self.heap_bytes, tables + self.list_bytes(), "bytes of an index");
    }

    fn list_bytes(&self) -> usize {
        self.directory.capacity() * size_of::<u32>() + self.shards.capacity() * size_of::<Shard>()
    }

    #[cold]
    fn begin(&mut self) {
        self.directory.reserve_exact(1);
        self.directory.push(0);
        self.shards.reserve_exact(1);
        self.shards.push(Shard { table: HashTable::new(), depth: 0 });
        self.heap_bytes = self.list_bytes();
    }

    fn shard_at(&self, hash: u64) -> usize {
        self.directory[directory_bits(hash) & (self.directory.len() - 1)] as usize
    }

    fn split(&mut self, at: usize, hash_of: &impl Fn(u32) -> u64) {
        let before = self.list_bytes() + self.shards[at].table.allocation_size();
        let shard = &mut self.shards[at];
        if 1 << shard.depth == self.directory.len() {
            self.directory.extend_from_within(..);
        }
        let bit = 1 << shard.depth;
        shard.depth += 1;
        // All hashes first: nothing else in the loop, so that the reads behind them overlap.
        let hashed: Vec<(u64, u32)> = shard.table.iter().map(|&entry| (hash_of(entry), entry)).collect();
        let mut low = HashTable::with_capacity(SHARD_MAX);
        let mut high = HashTable::with_capacity(SHARD_MAX);
        for (hash, entry) in hashed {
            let side = if directory_bits(hash) & bit == 0 { &mut low } else { &mut high };
            side.insert_unique(hash, entry, |&entry| hash_of(entry));
        }
        shard.table = low;
        let depth = shard.depth;
        let new = u32::try_from(self.shards.len()).expect("fewer than 2^32 shards");
        self.shards.push(Shard { table: high, depth });
        for (position, reference) in self.directory.iter_mut().enumerate() {
            if *reference as usize == at && position & bit != 0 {
                *reference = new;
            }
        }
        let tables = [at, new as usize].map(|shard| self.shards[shard].table.allocation_size());
        self.heap_bytes = self.heap_bytes - before + self.list_bytes() + tables.iter().sum::<usize>();
    }
}

/// Bits that the tables use neither for places (the lowest) nor for tags (the highest seven).
fn directory_bits(hash: u64) -> usize {
    (hash >> 32) as usize & ((1 << DEPTH_MAX) - 1)
}

#[cfg(test)]
mod tests {
    use super::{Index, KeyedHash};

    #[test]
    fn finds_what_is_in_and_nothing_else() {
        let hash = KeyedHash::new(7);
        let mut index = Index::new();
        let of = |entry: u32| hash.of_number(entry);
        for entry in 0..20_000 {
            assert_eq!(index.find(of(entry), |other| other == entry), None);
            index.insert(of(entry), entry, of);
        }
        for entry in (0..20_000).step_by(3) {
            index.remove(of(entry), entry);
        }
        for entry in 0..20_000 {
            let found = index.find(of(entry), |other| other == entry);
            assert_eq!(found, (entry % 3 != 0).then_some(entry));
        }
        assert!(index.shards.len() > 20);
        assert!(index.heap_bytes() < 20_000 * 12);
    }

    #[test]
    fn equal_hashes_do_not_split_for_ever() {
        let mut index = Index::new();
        for entry in 0..2_000 {
            index.insert(5, entry, |_| 5);
        }
        assert_eq!(index.find(5, |entry| entry == 1_999), Some(1_999));
    }
}

//! Hash tables of entry numbers, keyed by bytes that the entries keep elsewhere.
//!
//! An index is split into shards of bounded size (extendible hashing: a directory of `2^depth` references to shards, by
//! bits of the hash), so that growing never rehashes more than one shard at a time. Nothing is read in table order.

use std::hash::Hasher;

use foldhash::{SharedSeed, quality::FoldHasher};

use super::buckets::Buckets;

/// Buckets of a shard that is split when it is full.
const SHARD_BUCKETS: usize = 64;
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
    table: Buckets,
    depth: u32,
}

impl Shard {
    /// All entries with their hashes.
    fn hashed<F: Fn(&[u32]) -> Vec<u64>>(&self, hashes_of: &F) -> impl Iterator<Item = (u64, u32)> + use<F> {
        let entries: Vec<u32> = self.table.iter().collect();
        hashes_of(&entries).into_iter().zip(entries)
    }

    /// Takes twice as many buckets.
    fn grow(&mut self, hashes_of: &impl Fn(&[u32]) -> Vec<u64>) {
        let mut larger = Buckets::new(self.table.count() * 2);
        for (hash, entry) in self.hashed(hashes_of) {
            larger.add(hash, entry);
        }
        self.table = larger;
    }
}

impl Index {
    pub(crate) const fn new() -> Self {
        Self { directory: Vec::new(), shards: Vec::new(), heap_bytes: 0 }
    }

    /// The entry with this hash for which `is_it` holds.
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        self.candidates(hash).find(|&entry| is_it(entry))
    }

    /// The entries that may have this hash, as far as the table itself tells.
    pub(crate) fn candidates(&self, hash: u64) -> impl Iterator<Item = u32> {
        let shard = (!self.directory.is_empty()).then(|| &self.shards[self.shard_at(hash)]);
        shard.into_iter().flat_map(move |shard| shard.table.candidates(hash))
    }

    /// Reads where an entry with this hash would be, so that it comes into the processor's caches. What it returns says nothing.
    pub(crate) fn touch(&self, hash: u64) -> u8 {
        if self.directory.is_empty() { 0 } else { self.shards[self.shard_at(hash)].table.touch(hash) }
    }

    /// Adds an entry that is not there. `hashes_of` gives the hashes of entries that are, in their order; it is asked for many
    /// at once, so that the reads behind them can overlap.
    pub(crate) fn insert(&mut self, hash: u64, entry: u32, hashes_of: impl Fn(&[u32]) -> Vec<u64>) {
        if self.directory.is_empty() {
            self.begin();
        }
        loop {
            let at = self.shard_at(hash);
            let shard = &mut self.shards[at];
            if !shard.table.is_full() {
                return shard.table.add(hash, entry);
            }
            if shard.table.count() < SHARD_BUCKETS || shard.depth == DEPTH_MAX {
                let before = shard.table.heap_bytes();
                shard.grow(&hashes_of);
                self.heap_bytes = self.heap_bytes - before + shard.table.heap_bytes();
            } else {
                self.split(at, &hashes_of);
            }
        }
    }

    /// Takes an entry out that is there.
    pub(crate) fn remove(&mut self, hash: u64, entry: u32) {
        let at = self.shard_at(hash);
        self.shards[at].table.remove(hash, entry);
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.heap_bytes
    }

    /// Whether the bytes that are kept are those that there are.
    pub(crate) fn check_bytes(&self) {
        let tables: usize = self.shards.iter().map(|shard| shard.table.heap_bytes()).sum();
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
        self.shards.push(Shard { table: Buckets::new(1), depth: 0 });
        self.heap_bytes = self.list_bytes() + self.shards[0].table.heap_bytes();
    }

    fn shard_at(&self, hash: u64) -> usize {
        self.directory[directory_bits(hash) & (self.directory.len() - 1)] as usize
    }

    fn split(&mut self, at: usize, hashes_of: &impl Fn(&[u32]) -> Vec<u64>) {
        let before = self.list_bytes();
        let shard = &mut self.shards[at];
        if 1 << shard.depth == self.directory.len() {
            self.directory.extend_from_within(..);
        }
        let bit = 1 << shard.depth;
        shard.depth += 1;
        let hashed = shard.hashed(hashes_of);
        shard.table.clear();
        let mut high = Buckets::new(SHARD_BUCKETS);
        for (hash, entry) in hashed {
            let side = if directory_bits(hash) & bit == 0 { &mut shard.table } else { &mut high };
            side.add(hash, entry);
        }
        let depth = shard.depth;
        self.heap_bytes += high.heap_bytes();
        let new = u32::try_from(self.shards.len()).expect("fewer than 2^32 shards");
        self.shards.push(Shard { table: high, depth });
        for (position, reference) in self.directory.iter_mut().enumerate() {
            if *reference as usize == at && position & bit != 0 {
                *reference = new;
            }
        }
        self.heap_bytes = self.heap_bytes - before + self.list_bytes();
    }
}

/// Bits that the tables use neither for buckets (the lowest) nor for tags (the highest eight).
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
        let all_of = |entries: &[u32]| entries.iter().map(|&entry| of(entry)).collect();
        for entry in 0..20_000 {
            assert_eq!(index.find(of(entry), |other| other == entry), None);
            index.insert(of(entry), entry, all_of);
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
            index.insert(5, entry, |entries| vec![5; entries.len()]);
        }
        assert_eq!(index.find(5, |entry| entry == 1_999), Some(1_999));
    }
}

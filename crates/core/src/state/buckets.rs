//! A hash table of entry numbers in buckets of one cache line each: an entry's number stands beside the byte of its hash by which it
//! is told. To find an entry, or to add one, usually touches one line.

/// Entries of a bucket.
const PLACES: usize = 12;
/// Entries for each bucket at which the table is full: beyond that, too many would stand in a bucket that is not theirs.
const ENTRIES_PER_BUCKET_MAX: usize = 10;

/// A table of at most so many entries as its buckets take. It does not grow.
pub(crate) struct Buckets {
    /// A power of two of them.
    buckets: Box<[Bucket]>,
    len: usize,
}

#[derive(Clone)]
#[repr(align(64))]
struct Bucket {
    /// A byte of each entry's hash; zero where there is no entry.
    tags: [u8; PLACES],
    /// Entries of this bucket, and of those before it, that went on to the next because this one was full. At 255 it stays.
    passed_count: u8,
    entries: [u32; PLACES],
}

const _: () = assert!(size_of::<Bucket>() == 64);

impl Bucket {
    const EMPTY: Self = Self { tags: [0; PLACES], passed_count: 0, entries: [0; PLACES] };

    /// The places with this tag.
    fn places(&self, tag: u8) -> impl Iterator<Item = usize> {
        (0..PLACES).filter(move |&place| self.tags[place] == tag)
    }
}

impl Buckets {
    /// An empty table of `count` buckets, a power of two.
    pub(crate) fn new(count: usize) -> Self {
        assert!(count.is_power_of_two(), "a bucket is found by bits of the hash");
        Self { buckets: vec![Bucket::EMPTY; count].into(), len: 0 }
    }

    /// How many buckets there are.
    pub(crate) fn count(&self) -> usize {
        self.buckets.len()
    }

    /// Whether no more can be added.
    pub(crate) fn is_full(&self) -> bool {
        let most = if self.count() == 1 { PLACES } else { self.count() * ENTRIES_PER_BUCKET_MAX };
        self.len >= most
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        size_of_val(&*self.buckets)
    }

    /// All entries.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        self.buckets.iter().flat_map(|bucket| {
            (0..PLACES).filter(|&place| bucket.tags[place] != 0).map(|place| bucket.entries[place])
        })
    }

    /// The entries that may have this hash.
    pub(crate) fn candidates(&self, hash: u64) -> impl Iterator<Item = u32> {
        let tag = tag(hash);
        self.way(hash).flat_map(move |at| {
            let bucket = &self.buckets[at];
            bucket.places(tag).map(|place| bucket.entries[place])
        })
    }

    /// Reads the bucket of this hash.
    pub(crate) fn touch(&self, hash: u64) -> u8 {
        self.buckets[self.home(hash)].passed_count
    }

    /// Adds an entry that is not there to a table that is not full.
    pub(crate) fn add(&mut self, hash: u64, entry: u32) {
        assert!(!self.is_full(), "an entry is added where there is room");
        let mut at = self.home(hash);
        loop {
            let bucket = &mut self.buckets[at];
            let free = bucket.places(0).next();
            if let Some(place) = free {
                (bucket.tags[place], bucket.entries[place]) = (tag(hash), entry);
                self.len += 1;
                return;
            }
            bucket.passed_count = bucket.passed_count.saturating_add(1);
            at = self.next(at);
        }
    }

    /// Takes an entry out that is there.
    pub(crate) fn remove(&mut self, hash: u64, entry: u32) {
        let tag = tag(hash);
        let mut at = self.home(hash);
        for _ in 0..self.count() {
            let bucket = &mut self.buckets[at];
            let found = bucket.places(tag).find(|&place| bucket.entries[place] == entry);
            if let Some(place) = found {
                bucket.tags[place] = 0;
                self.len -= 1;
                return self.forget_passed(hash, at);
            }
            at = self.next(at);
        }
        unreachable!("an entry that is taken out is there");
    }

    /// Takes all entries out.
    pub(crate) fn clear(&mut self) {
        self.buckets.fill(Bucket::EMPTY);
        self.len = 0;
    }

    /// An entry with this hash that stood in bucket `end` is gone.
    fn forget_passed(&mut self, hash: u64, end: usize) {
        let mut at = self.home(hash);
        while at != end {
            let passed_count = &mut self.buckets[at].passed_count;
            // At the greatest number it may have stopped counting.
            if *passed_count < u8::MAX {
                *passed_count -= 1;
            }
            at = self.next(at);
        }
    }

    /// The buckets where an entry with this hash can stand.
    fn way(&self, hash: u64) -> impl Iterator<Item = usize> {
        let mut next = Some(self.home(hash));
        (0..self.count()).map_while(move |_| {
            let at = next?;
            next = (self.buckets[at].passed_count > 0).then(|| self.next(at));
            Some(at)
        })
    }

    /// The lowest bits of the hash are the bucket.
    #[expect(clippy::cast_possible_truncation, reason = "only the lowest bits count")]
    fn home(&self, hash: u64) -> usize {
        hash as usize & (self.count() - 1)
    }

    fn next(&self, at: usize) -> usize {
        (at + 1) & (self.count() - 1)
    }
}

/// The highest bits of the hash; never zero.
fn tag(hash: u64) -> u8 {
    u8::try_from(hash >> 56).expect("eight bits are left").max(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::Buckets;

    /// Hashes of which many share a bucket, a tag, or both.
    fn hash() -> impl Strategy<Value = u64> {
        (0u64..6, prop_oneof![Just(0u64), Just(1), Just(7)]).prop_map(|(home, tag)| home | tag << 56)
    }

    proptest! {
        #[test]
        fn it_is_a_set(buckets in 0u32..4, steps in prop::collection::vec((any::<bool>(), hash(), any::<prop::sample::Index>()), 0..400)) {
            let (mut table, mut naive) = (Buckets::new(1 << buckets), BTreeMap::new());
            for (number, (adds, hash, index)) in (0..).zip(steps) {
                if adds && !table.is_full() {
                    table.add(hash, number);
                    naive.insert(number, hash);
                } else if !adds && !naive.is_empty() {
                    let (entry, hash) = naive.iter().nth(index.index(naive.len())).map(|(e, h)| (*e, *h)).unwrap();
                    table.remove(hash, entry);
                    naive.remove(&entry);
                }
                for (&entry, &hash) in &naive {
                    prop_assert_eq!(table.candidates(hash).filter(|&other| other == entry).count(), 1);
                }
                let mut all: Vec<u32> = table.iter().collect();
                all.sort_unstable();
                prop_assert!(all.iter().eq(naive.keys()));
            }
        }
    }

    #[test]
    fn nothing_is_found_in_an_empty_table() {
        let mut table = Buckets::new(4);
        for entry in 0..40 {
            table.add(3, entry);
        }
        assert!(table.is_full());
        table.clear();
        assert_eq!((table.iter().count(), table.candidates(3).count()), (0, 0));
    }
}

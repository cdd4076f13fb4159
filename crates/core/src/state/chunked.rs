//! Growable sequences that never move more than one chunk: no doubling of what is large, little waste in what is small.
//!
//! The first chunk grows by doubling up to its full size; every later chunk is allocated whole. Nothing is ever removed.

use std::ops::{Index, IndexMut};

/// A vector in chunks of `2^BITS` entries.
pub(crate) struct Chunked<T, const BITS: u32> {
    chunks: Chunks<T>,
}

impl<T, const BITS: u32> Chunked<T, BITS> {
    const CHUNK: usize = 1 << BITS;

    pub(crate) const fn new() -> Self {
        Self { chunks: Chunks::new() }
    }

    pub(crate) fn len(&self) -> u32 {
        let chunks = &self.chunks.list;
        let len = chunks.last().map_or(0, |last| (chunks.len() - 1) * Self::CHUNK + last.len());
        u32::try_from(len).expect("fewer than 2^32 entries")
    }

    pub(crate) fn last(&self) -> Option<&T> {
        self.chunks.list.last().and_then(|chunk| chunk.last())
    }

    pub(crate) fn last_mut(&mut self) -> Option<&mut T> {
        self.chunks.list.last_mut().and_then(|chunk| chunk.last_mut())
    }

    pub(crate) fn get(&self, at: u32) -> Option<&T> {
        self.chunks.list.get(at as usize >> BITS)?.get(at as usize & (Self::CHUNK - 1))
    }

    pub(crate) fn push(&mut self, value: T) {
        self.chunks.room(1, Self::CHUNK).push(value);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.list.iter().flatten()
    }

    /// The number of leading entries for which `is_before` holds; it must hold for no entry after them.
    pub(crate) fn partition_point(&self, mut is_before: impl FnMut(&T) -> bool) -> u32 {
        let chunks = &self.chunks.list;
        let whole = chunks.partition_point(|chunk| chunk.last().is_some_and(&mut is_before));
        let Some(chunk) = chunks.get(whole) else { return self.len() };
        u32::try_from(whole * Self::CHUNK + chunk.partition_point(is_before))
            .expect("fewer than 2^32 entries")
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.chunks.heap_bytes
    }

    pub(crate) fn check_bytes(&self) {
        self.chunks.check_bytes();
    }
}

impl<T, const BITS: u32> Index<u32> for Chunked<T, BITS> {
    type Output = T;

    fn index(&self, at: u32) -> &T {
        &self.chunks.list[at as usize >> BITS][at as usize & (Self::CHUNK - 1)]
    }
}

impl<T, const BITS: u32> IndexMut<u32> for Chunked<T, BITS> {
    fn index_mut(&mut self, at: u32) -> &mut T {
        &mut self.chunks.list[at as usize >> BITS][at as usize & (Self::CHUNK - 1)]
    }
}

/// Runs of entries, each contiguous, in chunks of `2^BITS` entries. A run is found again by its address and length.
pub(crate) struct Arena<T, const BITS: u32> {
    chunks: Chunks<T>,
}

impl<T: Copy, const BITS: u32> Arena<T, BITS> {
    const CHUNK: usize = 1 << BITS;

    pub(crate) const fn new() -> Self {
        Self { chunks: Chunks::new() }
    }

    /// Appends a run of at most a chunk and returns its address.
    pub(crate) fn push(&mut self, run: &[T]) -> Address {
        let chunk = self.chunks.room(run.len(), Self::CHUNK);
        let offset = chunk.len();
        chunk.extend_from_slice(run);
        Address::new((self.chunks.list.len() - 1) * Self::CHUNK + offset)
    }

    /// What lies from `address` to the end of its chunk; the run comes first.
    pub(crate) fn tail(&self, address: Address) -> &[T] {
        let at = address.position();
        &self.chunks.list[at >> BITS][at & (Self::CHUNK - 1)..]
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.chunks.heap_bytes
    }

    pub(crate) fn check_bytes(&self) {
        self.chunks.check_bytes();
    }
}

/// A position in an [`Arena`], in 48 bits that need no alignment beyond two bytes.
#[derive(Clone, Copy)]
pub(crate) struct Address([u16; 3]);

impl Address {
    #[expect(clippy::cast_possible_truncation, reason = "the position is cut into its 16-bit parts")]
    fn new(position: usize) -> Self {
        assert!(position < 1 << 48, "an arena holds fewer than 2^48 entries");
        Self([position as u16, (position >> 16) as u16, (position >> 32) as u16])
    }

    fn position(self) -> usize {
        let [low, middle, high] = self.0.map(usize::from);
        low | middle << 16 | high << 32
    }
}

/// Chunks of one length, of which the first may still grow up to it.
struct Chunks<T> {
    list: Vec<Vec<T>>,
    /// Bytes of the list and of all chunks.
    heap_bytes: usize,
}

impl<T> Chunks<T> {
    const fn new() -> Self {
        Self { list: Vec::new(), heap_bytes: 0 }
    }

    /// The last chunk, with room for `count` more entries.
    fn room(&mut self, count: usize, chunk_len: usize) -> &mut Vec<T> {
        let has_room = |chunk: &Vec<T>| chunk.len() + count <= chunk.capacity().min(chunk_len);
        if !self.list.last().is_some_and(has_room) {
            self.grow(count, chunk_len);
        }
        self.list.last_mut().expect("a chunk was there or has been added")
    }

    #[cold]
    fn grow(&mut self, count: usize, chunk_len: usize) {
        assert!(count <= chunk_len, "a run fits a chunk");
        let list_before = self.list.capacity();
        let is_only = self.list.len() == 1;
        let added = match self.list.last_mut() {
            Some(last) if is_only && last.len() + count <= chunk_len => {
                let before = last.capacity();
                last.reserve_exact((before * 2).clamp(last.len() + count, chunk_len) - last.len());
                last.capacity() - before
            }
            last => {
                let chunk = Vec::with_capacity(if last.is_some() { chunk_len } else { count });
                let added = chunk.capacity();
                if self.list.is_empty() {
                    self.list.reserve_exact(1);
                }
                self.list.push(chunk);
                added
            }
        };
        let list_added = self.list.capacity() - list_before;
        self.heap_bytes += added * size_of::<T>() + list_added * size_of::<Vec<T>>();
    }

    /// Whether the bytes that are kept are those that there are.
    fn check_bytes(&self) {
        let entries: usize = self.list.iter().map(Vec::capacity).sum();
        let counted = self.list.capacity() * size_of::<Vec<T>>() + entries * size_of::<T>();
        assert_eq!(self.heap_bytes, counted, "bytes of chunks");
    }
}

#[cfg(test)]
mod tests {
    use super::{Arena, Chunked};

    #[test]
    fn chunked_entries_stay_where_they_are() {
        let mut chunked = Chunked::<u32, 4>::new();
        for value in 0..100 {
            assert_eq!(chunked.len(), value);
            chunked.push(value * 2);
        }
        assert!(chunked.iter().copied().eq((0..100).map(|value| value * 2)));
        assert_eq!((chunked[17], chunked.get(99), chunked.get(100)), (34, Some(&198), None));
        for bound in 0..=200 {
            assert_eq!(chunked.partition_point(|&value| value < bound), bound.div_ceil(2));
        }
    }

    #[test]
    fn runs_do_not_straddle_chunks() {
        let mut arena = Arena::<u8, 4>::new();
        let runs: Vec<Vec<u8>> =
            (0..=16u8).chain([16, 1, 15, 2, 14]).map(|len| vec![len; len.into()]).collect();
        let addresses: Vec<_> = runs.iter().map(|run| arena.push(run)).collect();
        for (run, address) in runs.iter().zip(addresses) {
            assert_eq!(&arena.tail(address)[..run.len()], run);
        }
    }
}

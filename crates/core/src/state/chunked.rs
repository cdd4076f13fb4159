//! Growable sequences that never move more than one chunk: no doubling of what is large, little waste in what is small.
//!
//! The first chunk grows by doubling up to its full size; every later chunk is allocated whole. Nothing is ever removed.

use std::ops::{Index, IndexMut};

/// A vector in chunks of `2^BITS` entries.
pub(crate) struct Chunked<T, const BITS: u32> {
    chunks: Vec<Vec<T>>,
}

impl<T, const BITS: u32> Chunked<T, BITS> {
    const CHUNK: usize = 1 << BITS;

    pub(crate) const fn new() -> Self {
        Self { chunks: Vec::new() }
    }

    pub(crate) fn len(&self) -> u32 {
        let len = self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * Self::CHUNK + last.len());
        u32::try_from(len).expect("fewer than 2^32 entries")
    }

    pub(crate) fn last(&self) -> Option<&T> {
        self.chunks.last().and_then(|chunk| chunk.last())
    }

    pub(crate) fn last_mut(&mut self) -> Option<&mut T> {
        self.chunks.last_mut().and_then(|chunk| chunk.last_mut())
    }

    pub(crate) fn get(&self, at: u32) -> Option<&T> {
        self.chunks.get(at as usize >> BITS)?.get(at as usize & (Self::CHUNK - 1))
    }

    pub(crate) fn push(&mut self, value: T) {
        room(&mut self.chunks, 1, Self::CHUNK).push(value);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten()
    }

    /// The number of leading entries for which `is_before` holds; it must hold for no entry after them.
    pub(crate) fn partition_point(&self, mut is_before: impl FnMut(&T) -> bool) -> u32 {
        let whole = self.chunks.partition_point(|chunk| chunk.last().is_some_and(&mut is_before));
        let Some(chunk) = self.chunks.get(whole) else { return self.len() };
        u32::try_from(whole * Self::CHUNK + chunk.partition_point(is_before))
            .expect("fewer than 2^32 entries")
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        chunk_bytes(&self.chunks)
    }
}

impl<T, const BITS: u32> Index<u32> for Chunked<T, BITS> {
    type Output = T;

    fn index(&self, at: u32) -> &T {
        &self.chunks[at as usize >> BITS][at as usize & (Self::CHUNK - 1)]
    }
}

impl<T, const BITS: u32> IndexMut<u32> for Chunked<T, BITS> {
    fn index_mut(&mut self, at: u32) -> &mut T {
        &mut self.chunks[at as usize >> BITS][at as usize & (Self::CHUNK - 1)]
    }
}

/// Runs of entries, each contiguous, in chunks of `2^BITS` entries. A run is found again by its address and length.
pub(crate) struct Arena<T, const BITS: u32> {
    chunks: Vec<Vec<T>>,
}

impl<T: Copy, const BITS: u32> Arena<T, BITS> {
    const CHUNK: usize = 1 << BITS;

    pub(crate) const fn new() -> Self {
        Self { chunks: Vec::new() }
    }

    /// Appends a run of at most a chunk and returns its address.
    pub(crate) fn push(&mut self, run: &[T]) -> Address {
        let chunk = room(&mut self.chunks, run.len(), Self::CHUNK);
        let offset = chunk.len();
        chunk.extend_from_slice(run);
        Address::new((self.chunks.len() - 1) * Self::CHUNK + offset)
    }

    /// What lies from `address` to the end of its chunk; the run comes first.
    pub(crate) fn tail(&self, address: Address) -> &[T] {
        let at = address.position();
        &self.chunks[at >> BITS][at & (Self::CHUNK - 1)..]
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        chunk_bytes(&self.chunks)
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

/// The last chunk, with room for `count` more entries.
fn room<T>(chunks: &mut Vec<Vec<T>>, count: usize, chunk_len: usize) -> &mut Vec<T> {
    assert!(count <= chunk_len, "a run fits a chunk");
    let only_chunk = chunks.len() == 1;
    match chunks.last_mut() {
        None => {
            chunks.reserve_exact(1);
            chunks.push(Vec::with_capacity(count));
        }
        Some(last) if last.len() + count > chunk_len => chunks.push(Vec::with_capacity(chunk_len)),
        Some(last) if only_chunk && last.len() + count > last.capacity() => {
            let wanted = (last.capacity() * 2).clamp(last.len() + count, chunk_len);
            last.reserve_exact(wanted - last.len());
        }
        Some(_) => {}
    }
    chunks.last_mut().expect("a chunk was there or has been added")
}

fn chunk_bytes<T>(chunks: &Vec<Vec<T>>) -> usize {
    // All chunks between the first and the last are whole, as the last one is unless it is the first.
    let first = chunks.first().map_or(0, Vec::capacity);
    let later = chunks.last().map_or(0, Vec::capacity) * chunks.len().saturating_sub(1);
    chunks.capacity() * size_of::<Vec<T>>() + (first + later) * size_of::<T>()
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

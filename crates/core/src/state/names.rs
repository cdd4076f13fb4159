//! Names, stored back to back: one byte of length, then the name.

use arrayvec::ArrayVec;

use super::chunked::{Address, Arena};
use super::index::KeyedHash;
use crate::NAME_BYTES_MAX;

/// The names of some kind of thing.
pub(crate) struct Names {
    bytes: Arena<u8, 16>,
}

impl Names {
    pub(crate) const fn new() -> Self {
        Self { bytes: Arena::new() }
    }

    pub(crate) fn add(&mut self, name: &str) -> Address {
        let mut run = ArrayVec::<u8, { NAME_BYTES_MAX + 1 }>::new();
        run.push(u8::try_from(name.len()).expect("a name has at most 64 bytes"));
        run.try_extend_from_slice(name.as_bytes()).expect("a name has at most 64 bytes");
        self.bytes.push(&run)
    }

    #[inline]
    pub(crate) fn bytes(&self, address: Address) -> &[u8] {
        let tail = self.bytes.tail(address);
        &tail[1..=usize::from(tail[0])]
    }

    /// The hashes of the names at these addresses, in their order.
    pub(crate) fn hashes(&self, hash: &KeyedHash, addresses: impl Iterator<Item = Address>) -> Vec<u64> {
        // A step for all of them before the next step for any: reads that miss the caches overlap, since none waits for another.
        let addresses: Vec<Address> = addresses.collect();
        let names: Vec<&[u8]> = addresses.into_iter().map(|address| self.bytes(address)).collect();
        names.into_iter().map(|name| hash.of_bytes(name)).collect()
    }

    pub(crate) fn get(&self, address: Address) -> &str {
        str::from_utf8(self.bytes(address)).expect("a name was added as a string")
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.bytes.heap_bytes()
    }

    pub(crate) fn check_bytes(&self) {
        self.bytes.check_bytes();
    }
}

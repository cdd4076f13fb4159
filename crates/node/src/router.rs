//! From a name to the partition that it is in. The rule holds for ever: what is in a partition's log was put there by it.
//!
//! A name's place is `xxh3_64(kind ‖ name)`, where the kind is one byte: `s` for a sale, `c` for a counter, `w` for a
//! window. The places, 64 bits, are cut into as many equal parts as there are partitions, and a name is in the partition
//! with the number of its part.

use std::num::NonZeroU16;

use onrush_core::NAME_BYTES_MAX;
use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64;

/// What a call is about, by which its partition is found. Everything of a sale is where the sale is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoutingKey<'a> {
    /// A sale, or a stock, reservation or customer in it.
    Sale(&'a str),
    /// A counter.
    Counter(&'a str),
    /// A window.
    Window(&'a str),
}

impl RoutingKey<'_> {
    /// Where it is among all names.
    fn place(self) -> u64 {
        let (kind, name) = match self {
            Self::Sale(name) => (b's', name),
            Self::Counter(name) => (b'c', name),
            Self::Window(name) => (b'w', name),
        };
        let mut bytes = SmallVec::<[u8; NAME_BYTES_MAX + 1]>::new();
        bytes.push(kind);
        bytes.extend_from_slice(name.as_bytes());
        xxh3_64(&bytes)
    }
}

/// Tells which of so many partitions a name is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Router {
    partition_count: NonZeroU16,
}

impl Router {
    /// Among so many partitions. The number is never changed: names would move.
    pub fn new(partition_count: NonZeroU16) -> Self {
        Self { partition_count }
    }

    /// The number of the partition; the first is 0.
    pub fn partition_of(self, key: RoutingKey<'_>) -> u16 {
        if self.partition_count == NonZeroU16::MIN {
            return 0;
        }
        let partition = (u128::from(key.place()) * u128::from(self.partition_count.get())) >> 64;
        #[allow(clippy::cast_possible_truncation, reason = "it is below the number of partitions")]
        let partition = partition as u16;
        partition
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn router(partition_count: u16) -> Router {
        Router::new(NonZeroU16::new(partition_count).unwrap())
    }

    /// Computed by another implementation of the hash, for 1, 2, 3, 24 and 65,535 partitions. They never change.
    #[test]
    fn names_are_where_they_always_were() {
        let longest = "x".repeat(NAME_BYTES_MAX);
        for (key, place, partitions) in [
            (RoutingKey::Sale("a"), 0xee81_f659_8ff0_6fdd, [0, 1, 2, 22, 61_057]),
            (RoutingKey::Sale("pwtc"), 0x035b_2ba4_89fa_517b, [0, 0, 0, 0, 859]),
            (RoutingKey::Sale("2021-05-16"), 0xa32d_067b_28d8_290f, [0, 1, 1, 15, 41_772]),
            (RoutingKey::Sale("concert"), 0x163a_63db_8079_30de, [0, 0, 0, 2, 5690]),
            (RoutingKey::Sale(&longest), 0xe368_5616_48c5_8d3d, [0, 1, 2, 21, 58_215]),
            (RoutingKey::Counter("a"), 0x9ace_2b64_31b7_f1be, [0, 1, 1, 14, 39_629]),
            (RoutingKey::Counter("visits"), 0x9e45_fe73_9b7f_17c5, [0, 1, 1, 14, 40_517]),
            (RoutingKey::Counter(&longest), 0x9c74_83fb_87e5_3fd6, [0, 1, 1, 14, 40_051]),
            (RoutingKey::Window("a"), 0x7b93_681d_3a8d_a7af, [0, 0, 1, 11, 31_634]),
            (RoutingKey::Window("requests"), 0x5454_4e99_3e93_90d8, [0, 0, 0, 7, 21_587]),
            (RoutingKey::Window(&longest), 0xfc05_41c8_d1dc_5e17, [0, 1, 2, 23, 64_516]),
        ] {
            assert_eq!(key.place(), place, "{key:?}");
            let found = [1, 2, 3, 24, u16::MAX].map(|count| router(count).partition_of(key));
            assert_eq!(found, partitions, "{key:?}");
        }
    }

    proptest! {
        #[test]
        fn every_name_has_a_partition_and_kinds_are_told_apart(name in "[a-z0-9-]{1,64}", count in 1_u16..) {
            let keys = [RoutingKey::Sale(&name), RoutingKey::Counter(&name), RoutingKey::Window(&name)];
            for key in keys {
                prop_assert!(router(count).partition_of(key) < count);
            }
            let places = keys.map(RoutingKey::place);
            prop_assert!(places[0] != places[1] && places[1] != places[2] && places[0] != places[2]);
        }
    }

    #[test]
    fn partitions_get_about_as_many_names_each() {
        let mut counts = [0_u32; 24];
        for number in 0..24_000 {
            let name = format!("sale-{number}");
            counts[usize::from(router(24).partition_of(RoutingKey::Sale(&name)))] += 1;
        }
        assert!(counts.iter().all(|count| (850..1_150).contains(count)), "{counts:?}");
    }
}

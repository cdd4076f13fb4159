//! What every collection with rows of a source has: how many of them are kept, and how far they may be behind.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::keys::Source;
use crate::settings::sections::SectionKeys;

/// Rows of one collection in memory: 4 KiB to 1 TiB.
const MEMORY_BYTES: RangeInclusive<u64> = 4_096..=1 << 40;
/// How far rows may be behind: up to a day.
const LAG_MS: RangeInclusive<u64> = 100..=86_400_000;

/// The keys of a collection.
pub(super) type CollectionKeys<'a> = SectionKeys<'a, Source>;

/// Bytes of rows in memory, and how far they may be behind.
pub(super) fn bounds(keys: &mut CollectionKeys<'_>) -> Option<(u64, Duration)> {
    let bytes_max = keys.number("memory_bytes_max", &MEMORY_BYTES);
    let lag_ms_max = keys.number("lag_ms_max", &LAG_MS);
    Some((bytes_max?, Duration::from_millis(lag_ms_max?)))
}

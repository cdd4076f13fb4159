//! The range of every setting that is a number; outside of it the server does not start.

use std::ops::RangeInclusive;

use onrush_log::{SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};

/// 0 takes one thread per core.
pub(super) const THREADS: RangeInclusive<i64> = 0..=1_024;
/// Connections of both listeners together.
pub(super) const CONNECTIONS: RangeInclusive<i64> = 1..=1_000_000;
/// Every timeout of a connection, in milliseconds: up to an hour.
pub(super) const TIMEOUT_MS: RangeInclusive<i64> = 1..=3_600_000;
/// How long a read may wait for a version, in milliseconds; 0 does not wait.
pub(super) const WAIT_MS: RangeInclusive<i64> = 0..=60_000;
/// 0 cuts off whatever is in flight.
pub(super) const DRAIN_TIMEOUT_MS: RangeInclusive<i64> = 0..=3_600_000;
/// One log file: 1 MiB to 4 GiB.
pub(super) const SEGMENT_BYTES: RangeInclusive<i64> =
    SEGMENT_BYTES_MIN.cast_signed()..=SEGMENT_BYTES_MAX.cast_signed();
/// Log between two snapshots: 1 MiB to 1 TiB.
pub(super) const SNAPSHOT_BYTES: RangeInclusive<i64> = 1 << 20..=1 << 40;
/// The number of a node among those that share a log.
pub(super) const NODE: RangeInclusive<i64> = 1..=u32::MAX as i64 - 1;
/// How long nobody is heard of until another node leads, in milliseconds.
pub(super) const SILENCE_MS: RangeInclusive<i64> = 1_500..=60_000;
/// Where a node is reached, in bytes: it stands in each of its claims.
pub(super) const NODE_URL_BYTES_MAX: usize = 256;
/// Counters, windows, sales, stocks and reservations: their numbers fit 32 bits with room to spare.
pub(super) const OBJECTS: RangeInclusive<i64> = 0..=2_000_000_000;
/// Details of all reservations together: up to 1 TiB.
pub(super) const DETAILS_BYTES: RangeInclusive<i64> = 0..=1 << 40;
/// The whole state: up to 16 TiB.
pub(super) const STATE_BYTES: RangeInclusive<i64> = 0..=1 << 44;
/// Keys of each rate limit: at most 1.3 GB of memory.
pub(super) const LIMIT_KEYS: RangeInclusive<i64> = 1..=100_000_000;
/// Attempts that a proof of work may take.
pub(super) const WORK: RangeInclusive<i64> = 1..=onrush_gate::challenge::WORK_MAX as i64;
/// Each request of a trusted proxy is compared with all of them.
pub(super) const TRUSTED_PROXIES_MAX: usize = 256;
/// A shop has a few addresses.
pub(super) const CORS_ORIGINS_MAX: usize = 64;
/// How long a session lasts, and the rule in words. Keys are kept for as long as the longest.
pub(super) const SESSION_TTL_MS: (RangeInclusive<u64>, &str) =
    (60_000..=onrush_core::SESSION_MS_MAX, "must be 1m to 720h");
/// How far the clock of the shop may be from ours, and the rule in words.
pub(super) const CLOCK_SKEW_MS: (RangeInclusive<u64>, &str) = (0..=600_000, "must be 0s to 10m");
/// An issuer, an audience, the name of a claim.
pub(super) const JWT_TEXT_BYTES: RangeInclusive<usize> = 1..=256;
/// The key of the operator listener, in bytes: long enough not to be guessed, short enough for a header.
pub(super) const OPERATOR_KEY_BYTES: RangeInclusive<usize> = 16..=256;

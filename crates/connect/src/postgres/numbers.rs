//! Numbers as PostgreSQL has them: none is unsigned.

/// A number as PostgreSQL has it.
pub(super) fn bigint(number: u64) -> i64 {
    i64::try_from(number).expect("offsets, totals and times are far below 2^63")
}

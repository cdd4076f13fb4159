//! Times as PostgreSQL has them: microseconds since 2000-01-01 ("Date/Time Types" in its manual), written by ourselves because the
//! types of the client library end before [`onrush_core::TIME_MS_MAX`].

use std::error::Error;

use bytes::{BufMut, BytesMut};
use onrush_core::TimeMs;
use tokio_postgres::types::{IsNull, ToSql, Type, accepts, to_sql_checked};

use super::numbers::bigint;

/// Milliseconds from the Unix epoch to 2000-01-01.
const EPOCH_MS: i64 = 946_684_800_000;

/// A `timestamptz`: microseconds since 2000-01-01, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timestamp(i64);

impl Timestamp {
    /// The time of an event, or one that terms name; at most [`onrush_core::TIME_MS_MAX`].
    pub(super) fn at(time: TimeMs) -> Self {
        Self((bigint(time) - EPOCH_MS) * 1_000)
    }

    pub(super) fn microseconds(self) -> i64 {
        self.0
    }
}

impl ToSql for Timestamp {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_i64(self.0);
        Ok(IsNull::No)
    }

    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}

//! Rows as readers have them, and how new they are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use onrush_core::RowCollection;

use super::gtid::GtidSet;

/// Rows, and how new they are.
pub struct ShownRows {
    /// With the version up to which they have every change.
    pub rows: RowCollection,
    /// Whether the source has no others.
    pub is_whole: bool,
    /// The transactions of which they have every change, if the source names them.
    pub(super) gtids: Option<Arc<GtidSet>>,
    /// They are as the source was at this moment or later. Nothing if nobody knows.
    pub(super) as_of: Option<Instant>,
    pub(super) lag_max: Duration,
}

/// Whether rows may be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// They are at most this much behind the source.
    Coherent(Duration),
    /// Nobody knows.
    Incoherent,
}

impl ShownRows {
    /// Whether the rows are known to have every change of these transactions.
    pub fn has_transactions(&self, wanted: &GtidSet) -> bool {
        self.gtids.as_ref().is_some_and(|gtids| gtids.has_all(wanted))
    }

    /// How new the rows are at this moment, in whole milliseconds: rather older than newer.
    pub fn freshness(&self, now: Instant) -> Freshness {
        match self.as_of.map(|as_of| now.saturating_duration_since(as_of)) {
            Some(lag) if lag <= self.lag_max => Freshness::Coherent(rounded_up(lag)),
            _ => Freshness::Incoherent,
        }
    }
}

fn rounded_up(lag: Duration) -> Duration {
    let ms = lag.as_micros().div_ceil(1_000);
    Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX))
}

//! What a user may set about every sink, whatever it writes to.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use crate::event::{EventKind, SinkEvent};

/// Plain values of one sink.
#[derive(Clone, Debug)]
pub struct SinkSettings {
    /// Unique among sinks; 1 to [`SINK_NAME_BYTES_MAX`] of `a-z 0-9 _ -`, beginning with a letter.
    pub name: String,
    /// What it gets.
    pub selection: Selection,
    /// Bytes of log that may be kept for it before something is done about it; default [`BACKLOG_BYTES_MAX_DEFAULT`].
    pub backlog_bytes_max: u64,
    /// What is done then.
    pub at_backlog_max: AtBacklogMax,
    /// Events that it may write in a second, so that one that catches up leaves its target to others; no ceiling by default.
    pub events_per_second_max: Option<NonZeroU32>,
}

/// Bytes of log that may be kept for a sink unless its settings say otherwise: 16 GiB.
pub const BACKLOG_BYTES_MAX_DEFAULT: u64 = 16 << 30;

/// Length of a sink's name, bytes.
pub const SINK_NAME_BYTES_MAX: usize = 32;

impl SinkSettings {
    /// The defaults for a sink of this name: every event, and the log is kept for as long as it takes.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            selection: Selection::default(),
            backlog_bytes_max: BACKLOG_BYTES_MAX_DEFAULT,
            at_backlog_max: AtBacklogMax::Keep,
            events_per_second_max: None,
        }
    }
}

/// What happens when a sink holds back more of the log than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtBacklogMax {
    /// The log is kept, with a loud warning every minute; when the disk is full, writes are answered 503.
    Keep,
    /// The sink is let go: it stops, and the log is trimmed without it. It says so, for ever, until an operator decides.
    LetGo,
}

/// Which events a sink gets; all by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only these kinds; all if absent.
    pub kinds: Option<BTreeSet<EventKind>>,
    /// Only events of these sales; events that belong to no sale are left to `kinds`. All if absent.
    pub sales: Option<BTreeSet<String>>,
}

impl Selection {
    /// Whether a sink gets this event.
    pub fn takes(&self, event: &SinkEvent<'_>) -> bool {
        let kind_fits = self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&event.kind()));
        let sale_fits = match (&self.sales, event.sale()) {
            (Some(sales), Some(sale)) => sales.contains(sale),
            _ => true,
        };
        kind_fits && sale_fits
    }
}

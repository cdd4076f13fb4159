//! What a user may set about a partition.

use onrush_core::{Limits, WindowShape};

/// Plain values; see each for its unit and default.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The partition's number in the ids of its reservations, which is that of its log; default 0.
    pub partition: u16,
    /// Bytes of sealed log after which the next snapshot is taken, default 256 MiB.
    pub snapshot_bytes: u64,
    /// Calls that may wait for an answer at once; more are refused with [`crate::Failure::Overloaded`]. Default 65,536.
    pub waiting_max: usize,
    /// Shape of a window that is created by its first request; default 60 s in panes of 100 ms.
    pub default_shape: WindowShape,
    /// Ceilings of the state.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            partition: 0,
            snapshot_bytes: 256 << 20,
            waiting_max: 65_536,
            default_shape: WindowShape { span_ms: 60_000, precision_ms: 100 },
            limits: Limits::default(),
        }
    }
}

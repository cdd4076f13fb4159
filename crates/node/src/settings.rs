//! What a user may set about a partition.

use std::path::PathBuf;

use onrush_core::{Limits, WindowShape};
use onrush_log::{LogSettings, SyncMethod};

/// Plain values; see each for its unit and default.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The partition's number, in its log and in the ids of its reservations; default 0.
    pub partition: u16,
    /// Where the log and the snapshots are. Made if it does not exist.
    pub directory: PathBuf,
    /// Bytes of one log file, default 64 MiB.
    pub segment_bytes: u64,
    /// How a batch is made durable.
    pub sync_method: SyncMethod,
    /// Bytes of sealed log after which the next snapshot is taken, default 256 MiB.
    pub snapshot_bytes: u64,
    /// Calls that may wait for an answer at once; more are refused with [`crate::Failure::Overloaded`]. Default 65,536.
    pub waiting_max: usize,
    /// Shape of a window that is created by its first request; default 60 s in panes of 100 ms.
    pub default_shape: WindowShape,
    /// Ceilings of the state.
    pub limits: Limits,
}

impl Settings {
    /// The defaults, for a data directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            partition: 0,
            directory: directory.into(),
            segment_bytes: onrush_log::SEGMENT_BYTES_DEFAULT,
            sync_method: SyncMethod::Fdatasync,
            snapshot_bytes: 256 << 20,
            waiting_max: 65_536,
            default_shape: WindowShape { span_ms: 60_000, precision_ms: 100 },
            limits: Limits::default(),
        }
    }

    /// What they say about the log.
    pub fn log_settings(&self) -> LogSettings {
        let mut log_settings = LogSettings::default();
        log_settings.segment_bytes = self.segment_bytes;
        log_settings
    }
}

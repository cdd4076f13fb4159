//! The log of one partition: batches of opaque bytes, each durable by one write, in segment files of one directory.
//!
//! [`LogDirectory`] locks the directory and opens everything in it: the [`Log`] that appends, the [`LogReader`] that
//! follows in another thread, trimming, and snapshots. All file access goes through [`Storage`]; nothing here
//! looks into a payload, reads a clock or draws a random number. `docs/log-format.md` has the byte tables.

mod block;
mod chain;
mod damage;
mod directory;
mod error;
#[cfg(feature = "testing")]
pub mod faulty;
mod files;
mod format;
mod frame;
mod limits;
mod live;
mod log;
mod reader;
mod recovery;
mod segment;
mod snapshot;
mod spare;
mod storage;
mod verify;
mod walk;

pub use chain::Gap;
pub use damage::Damage;
pub use directory::LogDirectory;
pub use error::{AppendError, OpenError, ReadError, SnapshotError, StorageError};
pub use files::{DirStorage, SyncMethod};
pub use format::Format;
pub use frame::{FrameHeader, FrameKind, FrameRef, FrameSeed, decode_frame};
pub use limits::{
    BATCH_BYTES_MAX, CHUNK_BYTES_MAX, SEGMENT_BYTES_DEFAULT, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN,
};
pub use log::{Log, LogCounters, LogSettings};
pub use reader::LogReader;
pub use recovery::{Opening, Recovered};
pub use segment::SegmentHeader;
pub use snapshot::{SnapshotReader, SnapshotWriter, list as list_snapshots};
pub use spare::SpareMaking;
pub use storage::{Identity, Storage, StorageFile, StorageLock};
pub use verify::{Report, SegmentReport, SnapshotReport, inspect, verify};

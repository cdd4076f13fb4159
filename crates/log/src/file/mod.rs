//! The log in files: batches, each durable by one write, in segment files of one directory.
//!
//! [`LogDirectory`] locks the directory and opens everything in it: the [`FileWriter`] that appends, the [`FileReader`] that
//! follows in another thread, trimming, and snapshots. [`FileLog`] is all of it behind the contract of every log,
//! [`StoredFileLog`] what is left of it for whoever only looks. All file access goes through [`Storage`].
//! `docs/log-format.md` has the byte tables.

mod chain;
mod damage;
mod dir_storage;
mod directory;
#[cfg(feature = "testing")]
pub mod faulty;
mod frame;
mod log;
mod reader;
mod recovery;
mod segment;
mod segment_list;
mod shared;
mod snapshot;
mod spare;
mod storage;
mod stored;
mod tail_buffer;
mod verify;
mod walk;
mod writer;

pub use chain::Gap;
pub use dir_storage::{DirStorage, SyncMethod};
pub use directory::LogDirectory;
pub use frame::{FrameHeader, FrameKind, FrameRef, FrameSeed, decode_frame};
pub use log::FileLog;
pub use reader::FileReader;
pub use recovery::Recovered;
pub use segment::SegmentHeader;
pub use snapshot::{FileSnapshotReader, FileSnapshotWriter, list as list_snapshots};
pub use spare::SpareMaking;
pub use storage::{Identity, Storage, StorageFile, StorageLock};
pub use stored::StoredFileLog;
pub use verify::{Report, SegmentReport, SnapshotReport, inspect, verify};
pub use writer::{FileWriter, LogCounters, LogSettings};

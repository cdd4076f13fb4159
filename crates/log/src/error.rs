//! What can go wrong, grouped by what the caller can do about it: try again, make room, re-open, or call a person.

use std::io;

use crate::damage::Damage;
use crate::storage::Storage;

/// A call to the storage failed.
#[derive(Debug, thiserror::Error)]
#[error("{doing} {path}: {source}")]
pub struct StorageError {
    /// What was tried, as a verb phrase.
    pub doing: &'static str,
    /// The file or directory.
    pub path: String,
    /// What the operating system said.
    pub source: io::Error,
}

impl StorageError {
    /// Whether the disk or the quota is full.
    pub fn is_full(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

/// Why a directory or its log did not open. Nothing in the directory was changed on account of `Locked`, `Damaged`,
/// `Refused` and `Settings`.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the directory.
    #[error(
        "{directory} is in use: another process holds its lock; stop that process or choose another directory"
    )]
    Locked {
        /// The directory.
        directory: String,
    },
    /// Bytes inside the log are not what was written; a person has to decide.
    #[error(transparent)]
    Damaged(Box<Damage>),
    /// The caller refused a frame that is whole.
    #[error("{path}, byte {position}, log offset {offset}: {reason}")]
    Refused {
        /// Path of the file that holds the frame.
        path: String,
        /// Where the frame begins in it, bytes.
        position: u64,
        /// Base offset of the frame.
        offset: u64,
        /// What the caller said.
        reason: String,
    },
    /// A call to the storage failed; trying again later may help.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The settings cannot work.
    #[error("log settings: {0}")]
    Settings(String),
    /// The log of this directory is open already in this process.
    #[error("the log of {directory} is already open in this process")]
    AlreadyOpen {
        /// The directory.
        directory: String,
    },
}

impl From<Damage> for OpenError {
    fn from(damage: Damage) -> Self {
        Self::Damaged(Box::new(damage))
    }
}

/// Why a batch was not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The disk is full. Nothing was written; the log stays open and accepts batches again when there is room.
    #[error("no room in the log: the disk is full")]
    NoRoom,
    /// The payload can never be accepted. Nothing was written; the log stays open.
    #[error("a payload of {payload_bytes} bytes is over the maximum of {batch_bytes_max}")]
    TooLarge {
        /// Size of the payload that was given.
        payload_bytes: u64,
        /// Largest payload of this log.
        batch_bytes_max: u64,
    },
    /// An earlier call failed with `Storage`; the log has to be opened again.
    #[error("the log is closed after a failed write")]
    Closed,
    /// A write or sync failed: whether the batch is on disk is unknown. The log is closed for ever; open it again with
    /// `Opening::resume_at` set to the durable offset.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why frames could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The offset is below the oldest kept one.
    #[error("log offset {from} was trimmed: the oldest kept is {oldest}")]
    Trimmed {
        /// What was asked for.
        from: u64,
        /// The oldest offset that can be read.
        oldest: u64,
    },
    /// Bytes inside the log are not what was written.
    #[error(transparent)]
    Damaged(Box<Damage>),
    /// The visitor refused a frame that is whole.
    #[error("{path}, byte {position}, log offset {offset}: {reason}")]
    Refused {
        /// Path of the file that holds the frame.
        path: String,
        /// Where the frame begins in it, bytes.
        position: u64,
        /// Base offset of the frame.
        offset: u64,
        /// What the visitor said.
        reason: String,
    },
    /// A call to the storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<ReadError> for OpenError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Damaged(damage) => Self::Damaged(damage),
            ReadError::Storage(error) => Self::Storage(error),
            ReadError::Refused { path, position, offset, reason } => {
                Self::Refused { path, position, offset, reason }
            }
            ReadError::Trimmed { .. } => Self::Settings(error.to_string()),
        }
    }
}

impl From<Damage> for ReadError {
    fn from(damage: Damage) -> Self {
        Self::Damaged(Box::new(damage))
    }
}

/// Why a snapshot was not written or not read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file is not what was written.
    #[error(transparent)]
    Damaged(Box<Damage>),
    /// The chunk is larger than a snapshot may hold.
    #[error("a snapshot chunk of {chunk_bytes} bytes is over the maximum of {chunk_bytes_max}")]
    TooLarge {
        /// Size of the chunk that was given.
        chunk_bytes: usize,
        /// Largest chunk.
        chunk_bytes_max: usize,
    },
    /// A call to the storage failed; an unfinished snapshot is worth nothing and can be written again.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<Damage> for SnapshotError {
    fn from(damage: Damage) -> Self {
        Self::Damaged(Box::new(damage))
    }
}

/// Names the file and the attempt in a storage failure.
pub(crate) fn while_doing<'a>(
    storage: &'a dyn Storage,
    doing: &'static str,
    name: &'a str,
) -> impl FnOnce(io::Error) -> StorageError + 'a {
    move |source| StorageError { doing, path: storage.path_of(name), source }
}

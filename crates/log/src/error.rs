//! What can go wrong, grouped by what the caller can do about it: try again, make room, open again, or call a person.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::ops::ControlFlow;

/// A call to what keeps the log failed.
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

/// Bytes that are not what was written there. Nothing is ever skipped or repaired on account of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Path of the damaged file.
    pub path: String,
    /// First byte, counted from the beginning of the file, that is not understood.
    pub position: u64,
    /// Log offset of the first event that is lost with it.
    pub offset: u64,
    /// What was expected and what was found.
    pub problem: String,
    /// What a person can do.
    pub remedy: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, position, offset, problem, remedy } = self;
        write!(f, "{path} is damaged at byte {position}, log offset {offset}: {problem}. {remedy}")
    }
}

impl std::error::Error for Damage {}

/// Why a log did not open. Nothing in it was changed on account of `Locked`, `Damaged`, `Between` and `Settings`.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the log.
    #[error(
        "{directory} is in use: another process holds its lock; stop that process or choose another directory"
    )]
    Locked {
        /// Where it is.
        directory: String,
    },
    /// Bytes inside the log are not what was written; a person has to decide.
    #[error(transparent)]
    Damaged(Box<Damage>),
    /// The offset to open from lies inside a batch, so the snapshot belongs to another log.
    #[error(
        "{place}, log offset {offset}: the batch holds offset {from_offset}, where the snapshot says that a batch begins"
    )]
    Between {
        /// Where the batch is.
        place: String,
        /// Its base offset.
        offset: u64,
        /// The offset to open from.
        from_offset: u64,
    },
    /// A call to what keeps the log failed; trying again later may help.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The settings cannot work.
    #[error("log settings: {0}")]
    Settings(String),
    /// The log is elsewhere, and cannot be followed now; trying again later may help.
    #[error("{0}")]
    Unavailable(String),
    /// The log has rivals, and this process no longer waits to write to it, because it stops.
    #[error("this node stops, and does not begin to lead")]
    StandingDown,
}

impl From<Damage> for OpenError {
    fn from(damage: Damage) -> Self {
        Self::Damaged(Box::new(damage))
    }
}

impl From<ReadError> for OpenError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Damaged(damage) => Self::Damaged(damage),
            ReadError::Storage(error) => Self::Storage(error),
            ReadError::Trimmed { .. } => Self::Settings(error.to_string()),
        }
    }
}

/// Why a batch was not appended, or is not known to be in force.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The log is full. Nothing was written; the log stays open and accepts batches again when there is room.
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
    /// The log was opened again, here or elsewhere: this writer is at an end, and nothing was written.
    #[error("another writer has taken over the log")]
    Fenced,
    /// An earlier call failed; the log has to be opened again.
    #[error("the log is closed after a failed write")]
    Closed,
    /// What is outstanding may be in the log or not: its place there is unknown, or the log does not answer. The writer is closed
    /// for ever.
    #[error("{0}")]
    Unknown(String),
    /// A write failed: whether what is outstanding is in the log is unknown. The writer is closed for ever; open the log
    /// again with `Opening::resume_at` set to the offset below which all is known to be in force.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why entries could not be read.
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
    /// A call to what keeps the log failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<Damage> for ReadError {
    fn from(damage: Damage) -> Self {
        Self::Damaged(Box::new(damage))
    }
}

/// Why a snapshot was not written or not read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The snapshot is not what was written.
    #[error(transparent)]
    Damaged(Box<Damage>),
    /// There is no snapshot at this offset.
    #[error("there is no snapshot at offset {offset}")]
    Missing {
        /// What was asked for.
        offset: u64,
    },
    /// The chunk is larger than a snapshot may hold.
    #[error("a snapshot chunk of {chunk_bytes} bytes is over the maximum of {chunk_bytes_max}")]
    TooLarge {
        /// Size of the chunk that was given.
        chunk_bytes: usize,
        /// Largest chunk.
        chunk_bytes_max: usize,
    },
    /// A call to what keeps it failed; an unfinished snapshot is worth nothing and can be written again.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<Damage> for SnapshotError {
    fn from(damage: Damage) -> Self {
        Self::Damaged(Box::new(damage))
    }
}

/// Why entries were not all visited: the log failed, or the visitor did, with an error of its own.
#[derive(Debug, thiserror::Error)]
pub enum VisitError<L, E> {
    /// The log.
    #[error(transparent)]
    Log(L),
    /// The visitor.
    #[error(transparent)]
    Refused(Refused<E>),
}

/// An entry that is whole and that its visitor refused.
#[derive(Debug, thiserror::Error)]
#[error("{place}, log offset {offset}: {error}")]
pub struct Refused<E> {
    /// Where the entry is, for people.
    pub place: String,
    /// Its base offset.
    pub offset: u64,
    /// What the visitor said.
    pub error: E,
}

/// Stands for the error of a visitor that broke off and kept its error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the visitor broke off")]
pub struct BrokenOff;

impl<L> VisitError<L, BrokenOff> {
    /// With the error that the visitor kept when it broke off.
    pub(crate) fn with<E>(self, kept: Option<E>) -> VisitError<L, E> {
        match self {
            Self::Log(error) => VisitError::Log(error),
            Self::Refused(Refused { place, offset, error: BrokenOff }) => {
                let error = kept.expect("a visitor breaks off with an error");
                VisitError::Refused(Refused { place, offset, error })
            }
        }
    }

    /// With the log's error as another.
    pub(crate) fn map_log<M>(self, map: impl FnOnce(L) -> M) -> VisitError<M, BrokenOff> {
        match self {
            Self::Log(error) => VisitError::Log(map(error)),
            Self::Refused(refused) => VisitError::Refused(refused),
        }
    }
}

impl<L> VisitError<L, Infallible> {
    /// The error of the log, where the visitor cannot fail.
    pub fn of_log(self) -> L {
        match self {
            Self::Log(error) => error,
            Self::Refused(refused) => match refused.error {},
        }
    }
}

impl<L, E> From<L> for VisitError<L, E> {
    fn from(error: L) -> Self {
        Self::Log(error)
    }
}

/// Breaks off if the visitor failed, and keeps its error.
pub(crate) fn break_off<E>(visited: Result<(), E>, kept: &mut Option<E>) -> ControlFlow<()> {
    match visited {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            *kept = Some(error);
            ControlFlow::Break(())
        }
    }
}

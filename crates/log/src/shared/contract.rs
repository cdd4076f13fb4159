//! What a shared log has to promise. It is little, because brokers promise little: it need not refuse a writer that no longer
//! leads, nor keep the order of what is handed over, and it may lose and repeat all of that.
//!
//! 1. *One history.* Every reader gets the same records under the same numbers, in the order of the numbers, without a gap. A record
//!    that has a number keeps it, and is never changed or lost.
//! 2. *An acknowledgement is a place.* One with a number says that the record stands there. One without a number says only that
//!    it stands somewhere. An error says nothing, unless it is one of those after which nothing has happened: the record may have
//!    a number, or get one later.
//!
//! Nothing else is assumed: not who appends, nor what becomes of records and acknowledgements on their way.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use crate::shared::record::RecordNo;

/// A log that several nodes read and append to: one sequence of records for each partition.
pub trait SharedLog: Send + Sync {
    /// What the log takes.
    fn bounds(&self) -> SharedBounds;

    /// A way into the log. What it takes is acknowledged to `acks`.
    ///
    /// # Errors
    /// There is none at present.
    fn appender(&self, partition: u32, acks: Arc<dyn Acks>) -> Result<Box<dyn SharedAppender>, SharedError>;

    /// A reader of the records from number `from` on.
    ///
    /// # Errors
    /// There is none at present.
    fn reader(&self, partition: u32, from: RecordNo) -> Result<Box<dyn SharedReader>, SharedError>;
}

/// What a shared log takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedBounds {
    /// Largest record, bytes.
    pub record_bytes_max: usize,
    /// Records of one appender that may be without acknowledgement; at least 1.
    pub outstanding_max: usize,
    /// Whether each number is one more than the one before. Only then acknowledgements alone can say that a record is in force.
    pub numbers_are_dense: bool,
}

/// A way into a shared log. Dropping it leaves what it took on its way.
pub trait SharedAppender: Send {
    /// Hands a record over and returns. Tickets count 1, 2, 3, … for each appender. `expected` is the number that the record gets
    /// if nobody else appends and nothing goes wrong: a log that can refuses to give it another.
    ///
    /// # Errors
    /// [`SharedError::TooLarge`] if that is so: nothing has happened. Any other says what an acknowledgement with it would. In both
    /// cases the ticket is not acknowledged any more.
    fn append(&mut self, ticket: u64, expected: RecordNo, record: &[u8]) -> Result<(), SharedError>;
}

/// Who is told what became of records.
pub trait Acks: Send + Sync {
    /// Called once for each ticket, in any order, on any thread. It must not block.
    fn ack(&self, ticket: u64, acked: Result<Acked, SharedError>);
}

/// A record is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acked {
    /// Where, if the log says so. If it is there more than once, this is any of its places.
    pub no: Option<RecordNo>,
}

/// A reader of a shared log. It remembers its place.
pub trait SharedReader: Send {
    /// Visits records in the order of their numbers; waits up to `patience` for the first. If `visit` breaks off, the record that
    /// it was given has been read.
    ///
    /// # Errors
    /// The log could not be read, or its records are not those that it had.
    fn read(&mut self, patience: Duration, visit: &mut VisitRecord<'_>) -> Result<Progress, SharedError>;
}

/// Called with each record and its number; breaks off to end the reading there.
pub type VisitRecord<'a> = dyn FnMut(RecordNo, &[u8]) -> ControlFlow<()> + 'a;

/// How far a reader has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Number of the record to be read next.
    pub next: RecordNo,
    /// The log was asked, and had nothing more to read. It can have had more that it did not show yet.
    pub is_level: bool,
}

/// What can go wrong with a shared log, by what the caller can do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SharedError {
    /// The record is larger than [`SharedBounds::record_bytes_max`]; nothing has happened.
    #[error("a record of {bytes} bytes is more than the {bytes_max} that the log takes")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The largest that is taken.
        bytes_max: usize,
    },
    /// The record did not get the number that it was to have, and will never be in the log.
    #[error("record number {} was to be written, the log is at {}", expected.0, next.0)]
    Misplaced {
        /// The number that it was to have.
        expected: RecordNo,
        /// The one that it would have had.
        next: RecordNo,
    },
    /// Nobody knows what became of the record, or the log cannot be read now.
    #[error("the log does not answer: {0}")]
    Unknown(&'static str),
}

//! What a shared log has to promise. It is little, because brokers promise little: it need not refuse a writer that no longer
//! leads, nor keep the order of what is handed over, and it may lose and repeat all of that.
//!
//! 1. *One history.* Every reader gets the same records under the same numbers, in the order of the numbers, without a gap. A record
//!    that has a number keeps it, and is never changed or lost, until all records before some number are dropped by
//!    [`SharedLog::trim`].
//! 2. *An acknowledgement is a place.* One with a number says that the record stands there. One without a number says only that
//!    it stands somewhere. An error says nothing, unless it is one of those after which nothing has happened: the record may have
//!    a number, or get one later.
//!
//! Nothing else is assumed: not who appends, nor what becomes of records and acknowledgements on their way.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use crate::shared::record::RecordNo;

/// A log that several nodes read and append to: one sequence of records for each partition.
pub trait SharedLog: Send + Sync {
    /// What the log takes.
    fn bounds(&self) -> SharedBounds;

    /// Looks for settings by which the log cannot keep what it promises here. They may change at any time.
    ///
    /// # Errors
    /// The log could not be asked.
    fn inspect(&self) -> Result<Vec<Finding>, SharedError>;

    /// A way into the log. What it takes is acknowledged to `acks`.
    ///
    /// # Errors
    /// It cannot be begun now. That the log can be reached is not said.
    fn appender(&self, partition: u32, acks: Arc<dyn Acks>) -> Result<Box<dyn SharedAppender>, SharedError>;

    /// A reader of the records from number `from` on.
    ///
    /// # Errors
    /// It cannot be begun now. That the log can be reached, and has such a record, is not said.
    fn reader(&self, partition: u32, from: RecordNo) -> Result<Box<dyn SharedReader>, SharedError>;

    /// Which records there are. Those at the end may be more by now, or not be shown yet.
    ///
    /// # Errors
    /// The log could not be asked.
    fn extent(&self, partition: u32) -> Result<Extent, SharedError>;

    /// Drops the records before a number, for every reader and for ever. Numbers stay what they are.
    ///
    /// # Errors
    /// They are all there, or some of them; it may be tried again.
    fn trim(&self, partition: u32, before: RecordNo) -> Result<(), SharedError>;
}

/// Which records a shared log has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The first one that was not dropped, or the next one to come.
    pub oldest: RecordNo,
    /// The next one to come.
    pub end: RecordNo,
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

/// A setting of a log by which it cannot keep a promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is called there.
    pub setting: Cow<'static, str>,
    /// Its value.
    pub found: String,
    /// Which values would do.
    pub wanted: Cow<'static, str>,
    /// What can be done, as a sentence.
    pub cure: String,
}

/// A way into a shared log. Dropping it does not wait, and leaves what it took on its way.
pub trait SharedAppender: Send {
    /// Hands a record over and returns; never waits for the log. Tickets count 1, 2, 3, … for each appender. `expected` is the number that the record gets
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
    /// When it came there by the log's own clock, milliseconds of Unix time, if the log has one and says so.
    pub appended_at_ms: Option<u64>,
}

/// A reader of a shared log. It remembers its place.
pub trait SharedReader: Send {
    /// Visits records in the order of their numbers; waits up to `patience` for the first, and a second more if the log has to be
    /// asked whether there is any. If `visit` breaks off, the record that it was given has been read. A log that does not answer for a
    /// while is no error: nothing is visited, and it is not level.
    ///
    /// # Errors
    /// The log is not the one that was read so far, or cannot be read without somebody doing something about it. Another reader may
    /// be tried later.
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
    /// Nobody knows what became of the record, or the log cannot be read now. The text is the client's.
    #[error("the log does not answer: {0}")]
    Unknown(Cow<'static, str>),
    /// Records that were to be read are not there, though later ones are: they were removed, or the log leaves numbers out.
    #[error("record {} was to be read, and the first one that the log has from there on is {}: records are missing", next.0, found.0)]
    Missing {
        /// The one that was to be read.
        next: RecordNo,
        /// The one that was found, or the number of the next one to come.
        found: RecordNo,
    },
    /// Records that were in the log are not there any more: it lost its end, or was made anew.
    #[error("all records before {} were in the log, and it was truncated or made anew: its next one is {}", next.0, end.0)]
    Truncated {
        /// The one that was to be read.
        next: RecordNo,
        /// The number of the next one to come.
        end: RecordNo,
    },
    /// There is no such log. The text says what it is called, and what can be done.
    #[error("there is no log: {0}")]
    Absent(String),
    /// The log cannot be reached, or not with these credentials, and trying again does not help by itself. The text says what can be
    /// done.
    #[error("the log cannot be reached: {0}")]
    Unreachable(String),
}

//! The log of one partition: an ordered sequence of batches of opaque bytes.
//!
//! [`Log`] says what every log promises, [`mod@file`] keeps that promise in files, `memory` in a test. [`shared`] says what makes one
//! history of a log to which several nodes append.
//! Nothing here looks into a payload, reads a clock or draws a random number.

#[cfg(feature = "testing")]
pub mod conformance;
mod contract;
mod error;
pub mod file;
mod format;
mod limits;
#[cfg(feature = "testing")]
pub mod memory;
mod numbers;
pub mod shared;

pub use contract::{
    Batch, Capacity, Entry, Log, LogReader, LogWriter, Opened, Opening, SnapshotReader, SnapshotWriter,
    StoredLog, Visit, Wake,
};
pub use error::{
    AppendError, BrokenOff, Damage, OpenError, ReadError, Refused, SnapshotError, StorageError, VisitError,
};
pub use format::Format;
pub use limits::{
    BATCH_BYTES_MAX, CHUNK_BYTES_MAX, SEGMENT_BYTES_DEFAULT, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN,
};

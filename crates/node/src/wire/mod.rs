//! The bytes of the log's payloads and of snapshots. The numbers here are append-only: what they mean on a disk
//! somewhere can never change. The formats are drawn in `docs/record-format.md`.

mod fact;
#[cfg(test)]
mod golden_tests;
mod primitives;
mod record;

pub use record::{Record, decode_records};

pub use fact::{FactDecoder, encode_fact};
pub(crate) use record::{encode_event, encode_time};

/// Why bytes that passed their checksum still make no sense. It means that another, usually newer, version wrote them,
/// or that there is a bug; never that a disk lied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("undecodable record at byte {position} of its payload: {reason}")]
pub struct DecodeError {
    /// Byte in the payload.
    pub position: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

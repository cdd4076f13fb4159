//! The bytes of the log's payloads and of snapshots. The numbers here are append-only: what they mean on a disk
//! somewhere can never change. The formats are drawn in `docs/record-format.md`.

mod denial;
mod error;
mod event;
mod fact;
mod fields;
#[cfg(test)]
mod golden_tests;
mod primitives;
mod terms;

pub use error::{DecodeError, DecodeReason};
pub use event::{Record, decode_records, encode_event, encode_time};
pub use fact::{FactDecoder, encode_fact};

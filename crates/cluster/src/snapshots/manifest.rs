//! What a manifest says: which pieces make the snapshot, and at which place of the shared log a reader of it goes on.
//!
//! | position | bytes | field |
//! |---:|---:|---|
//! | 0 | 8 | number of a record of this log before which none of its pieces stands |
//! | 8 | 8 | bytes of all pieces together |
//! | 16 | 4 | CRC32C of these |
//! | 20 | 8 | offset as of which the state in it is; 0 if there is none |
//! | 28 | 1 | 1 if the next field is there: the place has a record before it |
//! | 29 | 4 | CRC32C of the last record of the shared log before the place |
//! | 33 | | the place, as the file `place` of a node has it |

use onrush_log::shared::{LogId, RecordNo};

use super::piece::{Piece, PieceKind};
use crate::place_file::Reached;

const FIXED_BYTES: usize = 33;

/// A snapshot that is whole in its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) log_id: LogId,
    pub(crate) partition: u32,
    /// Which one it is.
    pub(crate) snapshot: u64,
    pub(crate) piece_count: u32,
    /// No piece of it stands before this number.
    pub(crate) from_no: RecordNo,
    /// All pieces together.
    pub(crate) bytes: u64,
    /// CRC32C of all pieces in a row.
    pub(crate) checksum: u32,
    /// As of here is the state in it.
    pub(crate) state_offset: u64,
    /// CRC32C of the record before the place, by which a reader knows that the log is still the same.
    pub(crate) last_checksum: Option<u32>,
    /// Where a reader goes on.
    pub(crate) reached: Reached,
}

impl Manifest {
    /// Replaces `out` by the bytes of its record.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut payload = Vec::with_capacity(FIXED_BYTES + 100);
        payload.extend_from_slice(&self.from_no.0.to_le_bytes());
        payload.extend_from_slice(&self.bytes.to_le_bytes());
        payload.extend_from_slice(&self.checksum.to_le_bytes());
        payload.extend_from_slice(&self.state_offset.to_le_bytes());
        payload.push(self.last_checksum.is_some().into());
        payload.extend_from_slice(&self.last_checksum.unwrap_or(0).to_le_bytes());
        payload.extend_from_slice(&self.reached.encode());
        let record = Piece {
            kind: PieceKind::Manifest,
            log_id: self.log_id,
            partition: self.partition,
            snapshot: self.snapshot,
            number: self.piece_count,
            payload: &payload,
        };
        record.encode(out);
    }

    /// `None` if it makes no sense to this program.
    pub(super) fn of(record: &Piece<'_>) -> Option<Self> {
        let (fixed, place) = record.payload.split_first_chunk::<FIXED_BYTES>()?;
        let u64_at = |at: usize| u64::from_le_bytes(fixed[at..at + 8].try_into().expect("eight bytes"));
        let u32_at = |at: usize| u32::from_le_bytes(fixed[at..at + 4].try_into().expect("four bytes"));
        let reached = Reached::decode(place)?;
        let is_of_log = reached.place.log_id == Some(record.log_id);
        (record.kind == PieceKind::Manifest && is_of_log).then(|| Self {
            log_id: record.log_id,
            partition: record.partition,
            snapshot: record.snapshot,
            piece_count: record.number,
            from_no: RecordNo(u64_at(0)),
            bytes: u64_at(8),
            checksum: u32_at(16),
            state_offset: u64_at(20),
            last_checksum: (fixed[28] == 1).then(|| u32_at(29)),
            reached,
        })
    }
}

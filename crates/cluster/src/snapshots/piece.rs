//! Records of the log of snapshots as bytes: a snapshot is pieces in a row, and a manifest behind the last one.
//!
//! | position | bytes | field |
//! |---:|---:|---|
//! | 0 | 4 | magic `oSNP` |
//! | 4 | 2 | format version of the record, 1 |
//! | 6 | 1 | kind: 1 piece, 2 manifest |
//! | 7 | 1 | 0 |
//! | 8 | 16 | id of the shared log |
//! | 24 | 4 | partition |
//! | 28 | 8 | the snapshot, a random number |
//! | 36 | 4 | number of the piece, from 0; in a manifest how many there are |
//! | 40 | 4 | payload bytes |
//! | 44 | 4 | CRC32C of bytes 0 to 43 and of the payload |
//! | 48 | | payload: bytes of the content, or what a manifest says |
//!
//! Numbers are little-endian.

use crc32c::{crc32c, crc32c_append};
use onrush_log::shared::LogId;

pub(super) const PIECE_HEADER_BYTES: usize = 48;

const MAGIC: [u8; 4] = *b"oSNP";
const VERSION: u16 = 1;
/// Where the checksum stands, and how much of the header it covers.
const CHECKSUM_AT: usize = PIECE_HEADER_BYTES - 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum PieceKind {
    Piece = 1,
    Manifest = 2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    pub(super) kind: PieceKind,
    pub(super) log_id: LogId,
    pub(super) partition: u32,
    pub(super) snapshot: u64,
    /// Its number, or in a manifest how many pieces there are.
    pub(super) number: u32,
    pub(super) payload: &'a [u8],
}

impl<'a> Piece<'a> {
    /// Replaces `out` by its bytes.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let payload_bytes = u32::try_from(self.payload.len()).expect("a record is some megabytes");
        let mut header = [0; PIECE_HEADER_BYTES];
        header[0..4].copy_from_slice(&MAGIC);
        header[4..6].copy_from_slice(&VERSION.to_le_bytes());
        header[6] = self.kind as u8;
        header[8..24].copy_from_slice(&self.log_id.0.to_le_bytes());
        header[24..28].copy_from_slice(&self.partition.to_le_bytes());
        header[28..36].copy_from_slice(&self.snapshot.to_le_bytes());
        header[36..40].copy_from_slice(&self.number.to_le_bytes());
        header[40..44].copy_from_slice(&payload_bytes.to_le_bytes());
        let checksum = crc32c_append(crc32c(&header[..CHECKSUM_AT]), self.payload);
        header[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        out.clear();
        out.extend_from_slice(&header);
        out.extend_from_slice(self.payload);
    }

    /// `None` if it is nothing that this program wrote. A snapshot of a later version is none to this one: an older one may serve.
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (header, payload) = bytes.split_first_chunk::<PIECE_HEADER_BYTES>()?;
        let checksum = crc32c_append(crc32c(&header[..CHECKSUM_AT]), payload);
        let is_whole = header[0..4] == MAGIC
            && header[4..6] == VERSION.to_le_bytes()
            && header[CHECKSUM_AT..] == checksum.to_le_bytes()
            && u32_at(header, 40) as usize == payload.len();
        let kind = match header[6] {
            1 => PieceKind::Piece,
            2 => PieceKind::Manifest,
            _ => return None,
        };
        is_whole.then(|| Self {
            kind,
            log_id: LogId(u128::from_le_bytes(header[8..24].try_into().expect("sixteen bytes"))),
            partition: u32_at(header, 24),
            snapshot: u64::from_le_bytes(header[28..36].try_into().expect("eight bytes")),
            number: u32_at(header, 36),
            payload,
        })
    }
}

fn u32_at(header: &[u8; PIECE_HEADER_BYTES], at: usize) -> u32 {
    u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_read_whole_or_not_at_all() {
        let piece = Piece {
            kind: PieceKind::Manifest,
            log_id: LogId(u128::MAX - 7),
            partition: 3,
            snapshot: u64::MAX - 1,
            number: 9,
            payload: b"what it says",
        };
        let mut bytes = vec![1; 7];
        piece.encode(&mut bytes);
        assert_eq!(Piece::decode(&bytes), Some(piece));
        for at in 0..bytes.len() {
            assert_eq!(Piece::decode(&bytes[..at]), None, "{at} bytes");
            let mut changed = bytes.clone();
            changed[at] ^= 8;
            assert_eq!(Piece::decode(&changed), None, "byte {at}");
        }
    }
}

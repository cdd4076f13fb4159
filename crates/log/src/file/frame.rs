//! Frames: one batch, mark or close, with the checksums that tie it to one place in one segment.
//!
//! Byte layout: `docs/log-format.md`, section "Frame". CRC32C is the Castagnoli polynomial of RFC 3720.

use crc32c::{crc32c, crc32c_append};

use crate::contract::Entry;
use crate::format::Format;
use crate::limits::{BATCH_BYTES_MAX, FRAME_ALIGN_BYTES};
use crate::numbers::{u32_at, u64_at};

/// Size of the header before every payload, bytes.
pub(crate) const HEADER_BYTES: usize = 48;
/// The same as a distance in a file.
pub(crate) const FRAME_HEADER_BYTES: u64 = HEADER_BYTES as u64;
/// What the header checksum covers.
const HEADER_CHECKED_BYTES: usize = HEADER_BYTES - 4;

const MAGIC: [u8; 4] = *b"oFRM";

/// What a frame is for. The numbers are part of the format and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// Events.
    Batch = 1,
    /// No events: proves that the frame before it was complete, and carries time.
    Mark = 2,
    /// No events: the writer stopped in good order.
    Close = 3,
}

/// The fixed part of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// What the frame is for.
    pub kind: FrameKind,
    /// How the payload is written. Frames without one say [`Format::V1`], so that a log that was only opened and closed
    /// stays readable for programs of that version.
    pub format: Format,
    /// Partition of the log.
    pub partition: u32,
    /// Term of the writer; never falls within a log.
    pub epoch: u32,
    /// Number of events in the log before this frame.
    pub base_offset: u64,
    /// Partition time of the batch, milliseconds; its origin is the caller's.
    pub time_ms: u64,
    /// Events in the payload; 0 unless the frame is a batch.
    pub event_count: u32,
    /// Size of the payload, bytes.
    pub payload_bytes: u32,
}

impl FrameHeader {
    /// Offset after the events of this frame.
    pub fn next_offset(&self) -> u64 {
        self.base_offset + u64::from(self.event_count)
    }
}

/// A whole frame as it was found in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameRef<'a> {
    /// The fixed part.
    pub header: FrameHeader,
    /// Where the frame begins in its segment file, bytes.
    pub position: u64,
    /// The events, opaque.
    pub payload: &'a [u8],
}

impl<'a> FrameRef<'a> {
    /// As an entry of any log.
    pub(crate) fn entry(&self) -> Entry<'a> {
        let FrameHeader { format, epoch, base_offset, time_ms, event_count, .. } = self.header;
        Entry { format, epoch: epoch.into(), base_offset, event_count, time_ms, payload: self.payload }
    }
}

/// Checksum start that only one segment has, so that bytes left behind by another never verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameSeed(u32);

impl FrameSeed {
    /// The seed of the segment with this salt and sequence number.
    pub fn new(salt: u64, sequence: u64) -> Self {
        Self(crc32c_append(crc32c(&salt.to_le_bytes()), &sequence.to_le_bytes()))
    }

    fn at(self, position: u64) -> u32 {
        crc32c_append(self.0, &position.to_le_bytes())
    }
}

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameProblem {
    #[error("expected a frame, found the end of the file")]
    Short,
    #[error("expected a frame, found none")]
    NoMagic,
    #[error("expected a frame header, found one whose checksum does not match")]
    HeaderChecksum,
    #[error("found a frame of format version {0}, this program reads versions 1 to {newest}", newest = Format::NEWEST.number())]
    Version(u16),
    #[error("found a frame header with impossible values")]
    Values,
    #[error("found a frame that goes on beyond the end of the file")]
    Beyond,
    #[error("expected the payload of the frame, found bytes whose checksum does not match")]
    PayloadChecksum,
}

/// Bytes a frame takes in its segment: header and payload, filled up to the alignment.
pub(crate) fn frame_bytes(payload_bytes: u64) -> u64 {
    (FRAME_HEADER_BYTES + payload_bytes).next_multiple_of(FRAME_ALIGN_BYTES)
}

/// The header of a frame that begins at byte `position` of the segment of `seed`.
pub(crate) fn encode_header(
    header: &FrameHeader,
    payload: &[u8],
    seed: FrameSeed,
    position: u64,
) -> [u8; HEADER_BYTES] {
    let seed = seed.at(position);
    let mut bytes = [0; HEADER_BYTES];
    bytes[0..4].copy_from_slice(&MAGIC);
    bytes[4..6].copy_from_slice(&u16::from(header.format.number()).to_le_bytes());
    bytes[6] = header.kind as u8;
    bytes[8..12].copy_from_slice(&header.partition.to_le_bytes());
    bytes[12..16].copy_from_slice(&header.epoch.to_le_bytes());
    bytes[16..24].copy_from_slice(&header.base_offset.to_le_bytes());
    bytes[24..32].copy_from_slice(&header.time_ms.to_le_bytes());
    bytes[32..36].copy_from_slice(&header.event_count.to_le_bytes());
    bytes[36..40].copy_from_slice(&header.payload_bytes.to_le_bytes());
    bytes[40..44].copy_from_slice(&crc32c_append(seed, payload).to_le_bytes());
    let checksum = crc32c_append(seed, &bytes[..HEADER_CHECKED_BYTES]);
    bytes[44..48].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Whether a whole frame header stands at byte `position`, whatever has become of its payload.
pub(crate) fn decode_header(
    bytes: &[u8],
    seed: FrameSeed,
    position: u64,
) -> Result<FrameHeader, FrameProblem> {
    let Some(bytes) = bytes.first_chunk::<HEADER_BYTES>() else {
        return Err(FrameProblem::Short);
    };
    if bytes[0..4] != MAGIC {
        return Err(FrameProblem::NoMagic);
    }
    if u32_at(bytes, 44) != crc32c_append(seed.at(position), &bytes[..HEADER_CHECKED_BYTES]) {
        return Err(FrameProblem::HeaderChecksum);
    }
    let version = u16::from_le_bytes([bytes[4], bytes[5]]);
    let Some(format) = Format::of_number(version.into()) else {
        return Err(FrameProblem::Version(version));
    };
    let kind = match bytes[6] {
        1 => FrameKind::Batch,
        2 => FrameKind::Mark,
        3 => FrameKind::Close,
        _ => return Err(FrameProblem::Values),
    };
    let header = FrameHeader {
        kind,
        format,
        partition: u32_at(bytes, 8),
        epoch: u32_at(bytes, 12),
        base_offset: u64_at(bytes, 16),
        time_ms: u64_at(bytes, 24),
        event_count: u32_at(bytes, 32),
        payload_bytes: u32_at(bytes, 36),
    };
    let batch = kind == FrameKind::Batch;
    let plausible = batch == (header.event_count > 0)
        && (batch || header.payload_bytes == 0)
        && u64::from(header.payload_bytes) <= BATCH_BYTES_MAX
        && header.base_offset.checked_add(u64::from(header.event_count)).is_some();
    if plausible { Ok(header) } else { Err(FrameProblem::Values) }
}

/// Whether the payload behind a decoded header is the one it was written with.
pub(crate) fn check_payload(
    header_bytes: &[u8],
    payload: &[u8],
    seed: FrameSeed,
    position: u64,
) -> Result<(), FrameProblem> {
    let expected = u32_at(header_bytes, 40);
    if crc32c_append(seed.at(position), payload) == expected {
        Ok(())
    } else {
        Err(FrameProblem::PayloadChecksum)
    }
}

/// Whether `bytes` could begin a frame, for a search; cheap.
pub(crate) fn has_magic(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// Decodes the frame at the beginning of `bytes`, which stand at byte `position` of the segment of `seed`.
/// Returns `None` for anything that is not a whole frame; never panics, whatever the bytes.
pub fn decode_frame(bytes: &[u8], seed: FrameSeed, position: u64) -> Option<FrameRef<'_>> {
    let header = decode_header(bytes, seed, position).ok()?;
    let payload = bytes.get(HEADER_BYTES..)?.get(..header.payload_bytes as usize)?;
    check_payload(bytes, payload, seed, position).ok()?;
    Some(FrameRef { header, position, payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_comes_later_is_refused_by_its_number() {
        let header = FrameHeader {
            kind: FrameKind::Batch,
            format: Format::NEWEST,
            partition: 0,
            epoch: 1,
            base_offset: 0,
            time_ms: 0,
            event_count: 1,
            payload_bytes: 0,
        };
        let seed = FrameSeed::new(1, 2);
        let mut bytes = encode_header(&header, &[], seed, 0);
        assert_eq!(decode_header(&bytes, seed, 0), Ok(header));
        bytes[4] = Format::NEWEST.number() + 1;
        let checksum = crc32c_append(seed.at(0), &bytes[..HEADER_CHECKED_BYTES]);
        bytes[HEADER_CHECKED_BYTES..].copy_from_slice(&checksum.to_le_bytes());
        let problem = decode_header(&bytes, seed, 0).unwrap_err();
        assert_eq!(
            problem.to_string(),
            "found a frame of format version 3, this program reads versions 1 to 2"
        );
    }
}

//! Segment files: their names and the header block that says what a file is.
//!
//! Byte layout: `docs/log-format.md`, section "Segment".

use crc32c::crc32c;

use crate::error::{Damage, StorageError};
use crate::file::damage;
use crate::file::frame::FrameSeed;
use crate::file::storage::{Storage, StorageFile, while_doing};
use crate::limits::{BLOCK_BYTES, FRAME_ALIGN_BYTES, SEGMENT_HEADER_BYTES};
use crate::numbers::{u32_at, u64_at};

/// A zeroed or recycled file that becomes the next segment.
pub(crate) const SPARE_NAME: &str = "spare.seg";
/// A spare that is being zeroed; worth nothing after a crash.
pub(crate) const SPARE_UNFINISHED_NAME: &str = "spare.tmp";

/// A trimmed segment that becomes the spare when that is used up.
const RESERVE_SUFFIX: &str = ".reserve";

const MAGIC: [u8; 8] = *b"onrushSG";
const VERSION: u32 = 1;
/// The part of the header block that is used; the rest is zero and not looked at.
const USED_BYTES: usize = 64;
const CHECKED_BYTES: usize = USED_BYTES - 4;

/// What the first block of a segment file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Partition of the log.
    pub partition: u32,
    /// Term of the writer that began the segment.
    pub epoch: u32,
    /// Number of the segment; grows by one from each to the next.
    pub sequence: u64,
    /// Offset of the first event; what earlier segments hold at or beyond it is superseded.
    pub base_offset: u64,
    /// Random number that the checksums of this segment start from.
    pub salt: u64,
    /// Size of the file when the segment was begun, bytes.
    pub segment_bytes: u64,
}

impl SegmentHeader {
    /// Name of the file that holds this segment.
    pub fn name(&self) -> String {
        format!("{:020}-{:010}.seg", self.base_offset, self.sequence)
    }

    /// What the checksums of this segment start from.
    pub fn seed(&self) -> FrameSeed {
        FrameSeed::new(self.salt, self.sequence)
    }

    /// The first block of the file.
    pub(crate) fn encode(&self, block: &mut [u8]) {
        assert_eq!(block.len(), BLOCK_BYTES);
        block.fill(0);
        block[0..8].copy_from_slice(&MAGIC);
        block[8..12].copy_from_slice(&VERSION.to_le_bytes());
        block[12..16].copy_from_slice(&self.partition.to_le_bytes());
        block[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        block[24..32].copy_from_slice(&self.base_offset.to_le_bytes());
        block[32..36].copy_from_slice(&self.epoch.to_le_bytes());
        block[40..48].copy_from_slice(&self.salt.to_le_bytes());
        block[48..56].copy_from_slice(&self.segment_bytes.to_le_bytes());
        let checksum = crc32c(&block[..CHECKED_BYTES]);
        block[CHECKED_BYTES..USED_BYTES].copy_from_slice(&checksum.to_le_bytes());
    }

    /// Reads the first block of a file; the text says what is wrong with it.
    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let Some(bytes) = bytes.first_chunk::<USED_BYTES>() else {
            return Err("expected a segment header, found the end of the file".to_owned());
        };
        if bytes[0..8] != MAGIC {
            return Err("expected a segment header, found none".to_owned());
        }
        if u32_at(bytes, CHECKED_BYTES) != crc32c(&bytes[..CHECKED_BYTES]) {
            return Err("expected a segment header, found one whose checksum does not match".to_owned());
        }
        let version = u32_at(bytes, 8);
        if version != VERSION {
            return Err(format!(
                "found a segment of format version {version}, this program reads version {VERSION}"
            ));
        }
        Ok(Self {
            partition: u32_at(bytes, 12),
            sequence: u64_at(bytes, 16),
            base_offset: u64_at(bytes, 24),
            epoch: u32_at(bytes, 32),
            salt: u64_at(bytes, 40),
            segment_bytes: u64_at(bytes, 48),
        })
    }
}

/// A segment in the directory.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) header: SegmentHeader,
    pub(crate) name: String,
    /// Bytes of the file that frames may use.
    pub(crate) capacity: u64,
}

/// What a segment file name promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentName {
    pub(crate) sequence: u64,
    pub(crate) base_offset: u64,
}

impl SegmentName {
    /// Reads the name of a segment file; `None` for any other file.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (base_offset, sequence) = name.strip_suffix(".seg")?.split_once('-')?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if base_offset.len() != 20 || sequence.len() < 10 || !digits(base_offset) || !digits(sequence) {
            return None;
        }
        Some(Self { sequence: sequence.parse().ok()?, base_offset: base_offset.parse().ok()? })
    }
}

/// Name under which the segment file `name` is kept to be written over.
pub(crate) fn reserve_name(name: &str) -> String {
    format!("{}{RESERVE_SUFFIX}", name.trim_end_matches(".seg"))
}

/// Whether a file is kept to be written over.
pub(crate) fn is_reserve(name: &str) -> bool {
    name.strip_suffix(RESERVE_SUFFIX).is_some_and(|stem| SegmentName::parse(&format!("{stem}.seg")).is_some())
}

/// All segment files of the directory with what their names promise, oldest first.
pub(crate) fn list_segments(storage: &dyn Storage) -> Result<Vec<(SegmentName, String)>, StorageError> {
    let names = storage.list().map_err(while_doing(storage, "list", ""))?;
    let mut segments: Vec<_> =
        names.into_iter().filter_map(|name| Some((SegmentName::parse(&name)?, name))).collect();
    segments.sort();
    Ok(segments)
}

/// Reads and checks the header of a segment file of a log that starts from a snapshot at `from_offset`, or from 0.
pub(crate) fn read_segment(
    storage: &dyn Storage,
    file: &dyn StorageFile,
    promised: SegmentName,
    name: &str,
    partition: Option<u32>,
    from_offset: u64,
) -> Result<Result<Segment, Damage>, StorageError> {
    let mut block = [0; USED_BYTES];
    let mut filled = 0;
    while filled < block.len() {
        let count = file.read_at(&mut block[filled..], filled as u64).map_err(while_doing(
            storage,
            "read segment header of",
            name,
        ))?;
        if count == 0 {
            break;
        }
        filled += count;
    }
    let length = file.len().map_err(while_doing(storage, "measure", name))?;
    let header = SegmentHeader::decode(&block[..filled]).and_then(|header| {
        if (header.sequence, header.base_offset) != (promised.sequence, promised.base_offset) {
            Err(format!("the header is that of segment {}", header.name()))
        } else if partition.is_some_and(|partition| partition != header.partition) {
            Err(format!("the header is that of partition {}", header.partition))
        } else {
            Ok(header)
        }
    });
    Ok(match header {
        Ok(header) => {
            let capacity = length / FRAME_ALIGN_BYTES * FRAME_ALIGN_BYTES;
            Ok(Segment { header, name: name.to_owned(), capacity: capacity.max(SEGMENT_HEADER_BYTES) })
        }
        Err(problem) => {
            Err(damage::in_header(storage.path_of(name), promised.base_offset, from_offset, problem))
        }
    })
}

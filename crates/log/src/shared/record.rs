//! Records of a shared log as bytes. The log keeps each as a whole and gives it a number.
//!
//! | position | bytes | field |
//! |---:|---:|---|
//! | 0 | 4 | magic `oSHR` |
//! | 4 | 2 | format version of the record: 1, or 2 in the first claim of a log that begins with events |
//! | 6 | 1 | kind: 1 claim, 2 batch, 3 mark, 4 resignation, 5 note |
//! | 7 | 1 | how the payload of a batch is written (`docs/record-format.md`); 1 in the others |
//! | 8 | 16 | id of the log, random |
//! | 24 | 4 | partition |
//! | 28 | 4 | node: who wrote it; in a resignation, who is to lead next, all ones for any |
//! | 32 | 8 | epoch of the writer; in a claim the newest one that the writer has seen, all ones if there is none |
//! | 40 | 8 | place among the records of the epoch, from 1; in a claim a random number by which its writer knows it again |
//! | 48 | 8 | base offset: the number of events before it, also in the first claim of a log that goes on from another one. A program that does not know that stops there, by the version |
//! | 56 | 8 | partition time, milliseconds; the events of a batch are dated from here on |
//! | 64 | 8 | latest time that an answer which rests on it was decided at, milliseconds |
//! | 72 | 4 | number of events: 1 or more in a batch, 0 otherwise |
//! | 76 | 4 | payload bytes: at most 8 MiB in a batch, 4 KiB in a claim and a note, 0 otherwise |
//! | 80 | 4 | CRC32C of bytes 0 to 79 and of the payload |
//! | 84 | | payload, to the end of the record |
//!
//! Numbers are little-endian. CRC32C is the Castagnoli polynomial of RFC 3720.

use std::fmt;

use crc32c::{crc32c, crc32c_append};

use crate::format::Format;
use crate::limits::BATCH_BYTES_MAX;
use crate::numbers::{u32_at, u64_at};

/// Bytes before the payload of a record.
pub const RECORD_HEADER_BYTES: usize = 84;
/// Largest payload of a claim and of a note, bytes. A record with more is no record.
pub const SHORT_PAYLOAD_BYTES_MAX: usize = 4 << 10;

const MAGIC: [u8; 4] = *b"oSHR";
/// Of all records but those that only later programs know.
const VERSION: u16 = 1;
/// That of a claim which begins a log that has events.
const VERSION_OF_BEGINNING: u16 = 2;
/// Where the checksum stands, and how much of the header it covers.
const CHECKSUM_AT: usize = RECORD_HEADER_BYTES - 4;
/// As an epoch: that before the first claim.
const NO_EPOCH: u64 = u64::MAX;

/// Where a record stands in a shared log. The log gives the numbers; they grow from record to record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RecordNo(pub u64);

/// What tells one shared log from all others, drawn at random by whoever founds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogId(pub u128);

/// A node that reads the log and may lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

impl NodeId {
    /// In a resignation: whoever is first. No node has this number.
    pub const ANY: Self = Self(u32::MAX);
}

/// What a record is for. The numbers are part of the format and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RecordKind {
    /// Begins an epoch. The payload says how other nodes reach its writer.
    Claim = 1,
    /// Events.
    Batch = 2,
    /// No events: carries time, and answers rest on it.
    Mark = 3,
    /// Ends an epoch in good order: nobody leads behind it.
    Resignation = 4,
    /// No events: the payload is what all nodes are to know, such as how far a sink has come.
    Note = 5,
}

/// A record of a shared log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedRecord<'a> {
    /// What it is for.
    pub kind: RecordKind,
    /// How the payload of a batch is written; [`Format::V1`] in the others.
    pub format: Format,
    /// Which log it was written for.
    pub log_id: LogId,
    /// Partition of the log.
    pub partition: u32,
    /// Who wrote it; in a resignation, who is to lead next, or [`NodeId::ANY`].
    pub node: NodeId,
    /// That of its writer: the number of the claim by which it leads. In a claim the newest epoch that the writer has seen, `None`
    /// only there, if it has seen none.
    pub epoch: Option<RecordNo>,
    /// Its place among the records of its epoch, from 1. In a claim a number that its writer alone has drawn.
    pub sequence: u64,
    /// Number of events in the log before it.
    pub base_offset: u64,
    /// Partition time, milliseconds; the events of a batch are dated from here on.
    pub time_ms: u64,
    /// Latest partition time at which anything was decided that rests on it, milliseconds; never before `time_ms`. Whoever leads
    /// next tells no earlier time.
    pub told_ms: u64,
    /// Events in the payload; 0 unless it is a batch.
    pub event_count: u32,
    /// The events of a batch, or what a claim or a note says; opaque.
    pub payload: &'a [u8],
}

/// Why bytes are not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordProblem {
    /// There is less than a header.
    #[error("expected a record, found fewer bytes than a header has")]
    Length,
    /// It does not begin like a record.
    #[error("expected a record, found something else")]
    NoMagic,
    /// The bytes are not those that were written.
    #[error("expected a record, found one whose checksum does not match")]
    Checksum,
    /// A later program wrote it.
    #[error("found a record of format version {0}, this program reads versions up to {VERSION_OF_BEGINNING}")]
    Version(u16),
    /// A later program wrote it, or one that is wrong.
    #[error("found a record with values that this program does not know")]
    Values,
}

impl RecordProblem {
    /// Whether some program wrote these bytes as a record, so that others may know what it says. Anything else is no record to
    /// anybody.
    pub fn is_of_a_record(self) -> bool {
        match self {
            Self::Version(_) | Self::Values => true,
            Self::Length | Self::NoMagic | Self::Checksum => false,
        }
    }
}

impl<'a> SharedRecord<'a> {
    /// Offset after its events.
    pub fn next_offset(&self) -> u64 {
        self.base_offset + u64::from(self.event_count)
    }

    /// Appends its bytes to `out`.
    ///
    /// # Panics
    /// The fields are not those of a record of this kind.
    pub fn encode(&self, out: &mut Vec<u8>) {
        assert!(self.is_plausible(), "{self} has the fields of its kind");
        let payload_bytes = u32::try_from(self.payload.len()).expect("a payload is at most 8 MiB");
        let mut header = [0; RECORD_HEADER_BYTES];
        header[0..4].copy_from_slice(&MAGIC);
        header[4..6].copy_from_slice(&self.version().to_le_bytes());
        header[6] = self.kind as u8;
        header[7] = self.format.number();
        header[8..24].copy_from_slice(&self.log_id.0.to_le_bytes());
        header[24..28].copy_from_slice(&self.partition.to_le_bytes());
        header[28..32].copy_from_slice(&self.node.0.to_le_bytes());
        header[32..40].copy_from_slice(&self.epoch.map_or(NO_EPOCH, |epoch| epoch.0).to_le_bytes());
        header[40..48].copy_from_slice(&self.sequence.to_le_bytes());
        header[48..56].copy_from_slice(&self.base_offset.to_le_bytes());
        header[56..64].copy_from_slice(&self.time_ms.to_le_bytes());
        header[64..72].copy_from_slice(&self.told_ms.to_le_bytes());
        header[72..76].copy_from_slice(&self.event_count.to_le_bytes());
        header[76..80].copy_from_slice(&payload_bytes.to_le_bytes());
        let checksum = crc32c_append(crc32c(&header[..CHECKSUM_AT]), self.payload);
        header[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        out.extend_from_slice(&header);
        out.extend_from_slice(self.payload);
    }

    /// Reads the bytes of a whole record. Never panics, whatever the bytes.
    ///
    /// # Errors
    /// They are not a record that this program knows.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, RecordProblem> {
        let (header, payload) =
            bytes.split_first_chunk::<RECORD_HEADER_BYTES>().ok_or(RecordProblem::Length)?;
        if header[0..4] != MAGIC {
            return Err(RecordProblem::NoMagic);
        }
        if crc32c_append(crc32c(&header[..CHECKSUM_AT]), payload) != u32_at(header, CHECKSUM_AT) {
            return Err(RecordProblem::Checksum);
        }
        let version = u16::from_le_bytes([header[4], header[5]]);
        if version != VERSION && version != VERSION_OF_BEGINNING {
            return Err(RecordProblem::Version(version));
        }
        if u32_at(header, 76) as usize != payload.len() {
            return Err(RecordProblem::Values);
        }
        let epoch = u64_at(header, 32);
        let record = Self {
            kind: RecordKind::of_number(header[6]).ok_or(RecordProblem::Values)?,
            format: Format::of_number(header[7].into()).ok_or(RecordProblem::Values)?,
            log_id: LogId(u128::from_le_bytes(header[8..24].try_into().expect("sixteen bytes"))),
            partition: u32_at(header, 24),
            node: NodeId(u32_at(header, 28)),
            epoch: (epoch != NO_EPOCH).then_some(RecordNo(epoch)),
            sequence: u64_at(header, 40),
            base_offset: u64_at(header, 48),
            time_ms: u64_at(header, 56),
            told_ms: u64_at(header, 64),
            event_count: u32_at(header, 72),
            payload,
        };
        let is_known = record.is_plausible() && (version == VERSION || version == record.version());
        if is_known { Ok(record) } else { Err(RecordProblem::Values) }
    }

    fn version(&self) -> u16 {
        let begins_log = self.kind == RecordKind::Claim && self.epoch.is_none() && self.base_offset > 0;
        if begins_log { VERSION_OF_BEGINNING } else { VERSION }
    }

    fn is_plausible(&self) -> bool {
        let payload_bytes_max = match self.kind {
            RecordKind::Batch => usize::try_from(BATCH_BYTES_MAX).expect("8 MiB fit a distance in memory"),
            RecordKind::Claim | RecordKind::Note => SHORT_PAYLOAD_BYTES_MAX,
            RecordKind::Mark | RecordKind::Resignation => 0,
        };
        let is_batch = self.kind == RecordKind::Batch;
        let is_claim = self.kind == RecordKind::Claim;
        is_batch == (self.event_count > 0)
            && (is_batch || self.format == Format::V1)
            && (is_claim || (self.epoch.is_some() && self.sequence > 0))
            && self.epoch != Some(RecordNo(NO_EPOCH))
            && self.time_ms <= self.told_ms
            && self.payload.len() <= payload_bytes_max
            && self.base_offset.checked_add(u64::from(self.event_count)).is_some()
    }
}

impl fmt::Display for SharedRecord<'_> {
    /// For people: a line without the payload.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, node, epoch, sequence, base_offset, event_count, .. } = self;
        let epoch = epoch.map_or_else(|| "none".to_owned(), |epoch| epoch.0.to_string());
        match kind {
            RecordKind::Claim => write!(formatter, "claim by node {} that has seen epoch {epoch}", node.0),
            RecordKind::Batch => {
                write!(formatter, "batch {base_offset}+{event_count}, number {sequence} of epoch {epoch}")
            }
            RecordKind::Mark => {
                write!(formatter, "mark at {base_offset}, number {sequence} of epoch {epoch}")
            }
            RecordKind::Resignation => {
                write!(formatter, "resignation to node {}, number {sequence} of epoch {epoch}", node.0)
            }
            RecordKind::Note => {
                write!(formatter, "note at {base_offset}, number {sequence} of epoch {epoch}")
            }
        }
    }
}

impl RecordKind {
    fn of_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Claim,
            2 => Self::Batch,
            3 => Self::Mark,
            4 => Self::Resignation,
            5 => Self::Note,
            _ => return None,
        })
    }
}

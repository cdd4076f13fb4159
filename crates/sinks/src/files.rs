//! What a sink keeps beside the log, in `sinks/` of the data directory: its snapshot (an offset with the names as of it), the
//! offset up to which a target that keeps none has everything, and what operators had left out.
//!
//! None of it decides what is in the target. A snapshot that is lost or damaged costs reading the log again; an offset that is
//! older than the truth costs repeats under the same ids.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crc32c::crc32c;
use onrush_core::Incarnation;
use onrush_log::Format;

use crate::confirmed::Confirmed;
use crate::name_table::NameTable;
use crate::target::Skipped;
use onrush_node::ReservationIds;
use onrush_node::record::FactDecoder;

/// Before the number of the format of the facts, one byte.
const MAGIC: [u8; 7] = *b"ONRSHSP";
/// Magic, format, offset, then facts, then the checksum of all before it. Integers are little-endian.
const HEADER_BYTES: usize = 16;
const CHECKSUM_BYTES: usize = 4;
/// An offset file: magic and version, the offset, whether the incarnation is known and which it is, and the checksum of all before
/// it. The first version had the offset and its checksum alone.
const OFFSET_MAGIC: [u8; 8] = *b"ONRSHSO\x02";
const OFFSET_BYTES: usize = 25;
/// A file of what a server confirmed: magic and version, the offset, the fence, the server, and the checksum of all before it.
const CONFIRMED_MAGIC: [u8; 8] = *b"ONRSHSC\x01";

/// How far a target has everything, and in which history of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Noted {
    /// It has the events below this offset.
    pub(crate) offset: u64,
    /// What is before the offset was decided last in this incarnation of the log; absent if that is not known.
    pub(crate) incarnation: Option<Incarnation>,
}

impl Noted {
    /// As the file has it.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(OFFSET_BYTES);
        bytes.extend_from_slice(&OFFSET_MAGIC);
        bytes.extend_from_slice(&self.offset.to_le_bytes());
        bytes.push(self.incarnation.is_some().into());
        bytes.extend_from_slice(&self.incarnation.map_or(0, |incarnation| incarnation.0).to_le_bytes());
        bytes.extend_from_slice(&crc32c(&bytes).to_le_bytes());
        bytes
    }

    /// `None` if it is damaged.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (checked, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>()?;
        if crc32c(checked).to_le_bytes() != *checksum {
            return None;
        }
        let Some(fields) = checked.strip_prefix(&OFFSET_MAGIC) else {
            // An earlier version knew no incarnation.
            let offset = u64::from_le_bytes(checked.try_into().ok()?);
            return Some(Self { offset, incarnation: None });
        };
        let (offset, rest) = fields.split_first_chunk::<8>()?;
        let (is_known, incarnation) = rest.split_first()?;
        let incarnation = Incarnation(u32::from_le_bytes(incarnation.try_into().ok()?));
        Some(Self {
            offset: u64::from_le_bytes(*offset),
            incarnation: (*is_known == 1).then_some(incarnation),
        })
    }
}

/// The files of one sink.
#[derive(Clone, Debug)]
pub(crate) struct SinkFiles {
    directory: PathBuf,
    sink: String,
}

impl SinkFiles {
    pub(crate) fn new(data: &Path, sink: &str) -> Self {
        Self { directory: data.join("sinks"), sink: sink.to_owned() }
    }

    fn path(&self, suffix: &str) -> PathBuf {
        self.directory.join(format!("{}.{suffix}", self.sink))
    }

    /// The offset of the snapshot; `None` if there is none that can be read.
    pub(crate) fn sink_snapshot_offset(&self) -> io::Result<Option<u64>> {
        Ok(self.sink_snapshot_bytes()?.map(|(_, bytes)| offset_in(&bytes)))
    }

    /// The names of the snapshot and their offset.
    pub(crate) fn read_snapshot_of_sink(&self, ids: &ReservationIds) -> io::Result<Option<(NameTable, u64)>> {
        let Some((format, bytes)) = self.sink_snapshot_bytes()? else { return Ok(None) };
        let mut names = NameTable::new(ids.clone());
        let facts = &bytes[HEADER_BYTES..bytes.len() - CHECKSUM_BYTES];
        match FactDecoder::new(format).decode(facts, |fact| names.restore(fact)) {
            Ok(()) => Ok(Some((names, offset_in(&bytes)))),
            Err(error) => {
                tracing::warn!(sink = self.sink, %error, "the sink's snapshot cannot be read; the log is read instead");
                Ok(None)
            }
        }
    }

    /// The bytes of the snapshot, checked, and the format of its facts.
    fn sink_snapshot_bytes(&self) -> io::Result<Option<(Format, Vec<u8>)>> {
        let Some(bytes) = read_if_there(&self.path("place"))? else { return Ok(None) };
        let whole = bytes.len() >= HEADER_BYTES + CHECKSUM_BYTES && bytes.starts_with(&MAGIC) && {
            let (checked, checksum) = bytes.split_at(bytes.len() - CHECKSUM_BYTES);
            crc32c(checked).to_le_bytes() == checksum
        };
        let format = whole.then(|| Format::of_number(bytes[MAGIC.len()].into())).flatten();
        if format.is_none() {
            tracing::warn!(sink = self.sink, "the sink's snapshot is damaged; the log is read instead");
        }
        Ok(format.map(|format| (format, bytes)))
    }

    /// Replaces the snapshot by one at `offset`, durably; its size in bytes.
    pub(crate) fn write_snapshot(&self, names: &NameTable, offset: u64) -> io::Result<u64> {
        let mut bytes = MAGIC.to_vec();
        bytes.push(Format::NEWEST.number());
        bytes.extend_from_slice(&offset.to_le_bytes());
        names.write_facts(&mut bytes);
        bytes.extend_from_slice(&crc32c(&bytes).to_le_bytes());
        self.replace("place", &bytes)?;
        Ok(bytes.len() as u64)
    }

    /// Puts a file in the place of another, durably: one or the other is there whatever happens.
    fn replace(&self, suffix: &str, bytes: &[u8]) -> io::Result<()> {
        self.create_directory()?;
        let unfinished = self.path(&format!("{suffix}.new"));
        let mut file = File::create(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, self.path(suffix))?;
        File::open(&self.directory)?.sync_all()
    }

    fn create_directory(&self) -> io::Result<()> {
        if self.directory.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(&self.directory)?;
        match self.directory.parent() {
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    }

    /// How far a target that keeps no offset has everything.
    pub(crate) fn read_offset(&self) -> io::Result<Option<Noted>> {
        Ok(read_if_there(&self.path("offset"))?.and_then(|bytes| Noted::decode(&bytes)))
    }

    /// As that, or if nothing is noted, as the snapshot has it. Then that is noted, before the snapshot is replaced: it may be one of
    /// another history.
    pub(crate) fn noted_or_snapshot(&self, sink_snapshot: Option<Noted>) -> io::Result<Noted> {
        let noted = self.read_offset()?;
        if let Some(sink_snapshot) = sink_snapshot.filter(|_| noted.is_none()) {
            self.write_offset(sink_snapshot, true)?;
        }
        Ok(noted.or(sink_snapshot).unwrap_or_default())
    }

    /// Notes it. It is not synced unless `durably`: an older one is as good, it only costs repeats.
    pub(crate) fn write_offset(&self, noted: Noted, durably: bool) -> io::Result<()> {
        self.create_directory()?;
        let bytes = noted.encode();
        let file = File::options().create(true).truncate(false).write(true).open(self.path("offset"))?;
        file.write_all_at(&bytes, 0)?;
        if durably { file.sync_data() } else { Ok(()) }
    }

    /// What an earlier run noted of the server that confirmed events last.
    pub(crate) fn known_confirmed(&self) -> Option<Confirmed> {
        self.read_confirmed().unwrap_or_else(|error| {
            tracing::warn!(sink = self.sink, %error, "what the target confirmed earlier cannot be read");
            None
        })
    }

    /// Which server confirmed events last, and the offset below which it has them; `None` if that is not known.
    fn read_confirmed(&self) -> io::Result<Option<Confirmed>> {
        let Some(bytes) = read_if_there(&self.path("confirmed"))? else { return Ok(None) };
        Ok(parse_confirmed(&bytes))
    }

    /// Notes that, durably if it can be: what is older on the disk only notices less.
    pub(crate) fn note_confirmed(&self, confirmed: &Confirmed) {
        if let Err(error) = self.write_confirmed(confirmed) {
            tracing::warn!(sink = self.sink, %error, "what the target confirmed could not be noted");
        }
    }

    fn write_confirmed(&self, confirmed: &Confirmed) -> io::Result<()> {
        let Confirmed { server, offset, fence } = confirmed;
        let mut bytes = CONFIRMED_MAGIC.to_vec();
        bytes.extend_from_slice(&offset.to_le_bytes());
        bytes.extend_from_slice(&fence.to_le_bytes());
        bytes.extend_from_slice(server.as_bytes());
        bytes.extend_from_slice(&crc32c(&bytes).to_le_bytes());
        self.replace("confirmed", &bytes)
    }

    /// What was left out so far, oldest first.
    pub(crate) fn read_skipped(&self) -> io::Result<Vec<Skipped>> {
        let Some(bytes) = read_if_there(&self.path("skipped"))? else { return Ok(Vec::new()) };
        let text = String::from_utf8_lossy(&bytes);
        let mut skipped = Vec::new();
        for (number, line) in text.lines().enumerate() {
            skipped.push(parse_skipped(line).ok_or_else(|| {
                let problem =
                    format!("line {} of {} makes no sense", number + 1, self.path("skipped").display());
                io::Error::new(io::ErrorKind::InvalidData, problem)
            })?);
        }
        Ok(skipped)
    }

    /// Adds to that, durably.
    pub(crate) fn add_skipped(&self, skipped: &Skipped) -> io::Result<()> {
        let mut text = String::new();
        for Skipped { from, to, at, reason } in self.read_skipped()?.iter().chain([skipped]) {
            let reason = reason.replace(['\n', '\r', '\t'], " ");
            let _ = writeln!(text, "{from}\t{to}\t{at}\t{reason}");
        }
        self.replace("skipped", text.as_bytes())
    }
}

/// `None` if it is damaged.
fn parse_confirmed(bytes: &[u8]) -> Option<Confirmed> {
    let (checked, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>()?;
    let fields =
        checked.strip_prefix(&CONFIRMED_MAGIC).filter(|_| crc32c(checked).to_le_bytes() == *checksum)?;
    let (offset, rest) = fields.split_first_chunk::<8>()?;
    let (fence, server) = rest.split_first_chunk::<8>()?;
    let server = String::from_utf8(server.to_vec()).ok()?;
    Some(Confirmed { server, offset: u64::from_le_bytes(*offset), fence: u64::from_le_bytes(*fence) })
}

fn parse_skipped(line: &str) -> Option<Skipped> {
    let mut fields = line.splitn(4, '\t');
    let mut number = || fields.next()?.parse::<u64>().ok();
    let (from, to, at) = (number()?, number()?, number()?);
    let skipped = Skipped { from, to, at, reason: fields.next()?.to_owned() };
    (from < to).then_some(skipped)
}

fn read_if_there(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Of bytes that were checked to have a header.
fn offset_in(bytes: &[u8]) -> u64 {
    let offset = bytes[8..].first_chunk::<8>().expect("a snapshot has a header");
    u64::from_le_bytes(*offset)
}

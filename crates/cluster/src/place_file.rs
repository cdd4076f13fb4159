//! The file that says how far the copy of a node has come in the shared log, so that after a restart reading goes on from there.
//! It may be older than the copy; then some records are read again and compared.
//!
//! | position | bytes | field |
//! |---:|---:|---|
//! | 0 | 8 | magic `onrushPL` |
//! | 8 | 2 | version, 1 |
//! | 10 | 1 | bits: 1 the log has an id, 2 it has an epoch, 4 somebody leads |
//! | 11 | 16 | id of the log |
//! | 27 | 8 | number of the record to be read next |
//! | 35 | 8 | epoch |
//! | 43 | 4 | who leads |
//! | 47 | 8 | place of the newest record of the epoch |
//! | 55 | 8 | events in force |
//! | 63 | 8 | the latest time that was told, milliseconds |
//! | 71 | 4 | bytes of the leader's address |
//! | 75 | | that address, UTF-8 |
//! | | | the newest note, to four bytes before the end |
//! | | 4 | CRC32C of everything before |

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::notes::Notes;
use crc32c::crc32c;
use onrush_log::shared::{LogId, NodeId, Place, RecordNo};

const MAGIC: [u8; 8] = *b"onrushPL";
const VERSION: u16 = 1;
const FIXED_BYTES: usize = 75;

/// How far a node has come, and what it knows there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Reached {
    pub(crate) place: Place,
    pub(crate) told_ms: u64,
    pub(crate) leader_url: String,
    pub(crate) notes: Notes,
}

pub(crate) struct PlaceFile {
    path: PathBuf,
}

impl Reached {
    /// As the file has it.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Self { place, told_ms, leader_url, notes } = self;
        let url_bytes = u32::try_from(leader_url.len()).expect("an address is short");
        let mut bytes = Vec::with_capacity(FIXED_BYTES + leader_url.len() + 4);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        let bits = [place.log_id.is_some(), place.epoch.is_some(), place.leader.is_some()];
        bytes.push(bits.iter().enumerate().map(|(at, is_set)| u8::from(*is_set) << at).sum());
        bytes.extend_from_slice(&place.log_id.map_or(0, |id| id.0).to_le_bytes());
        bytes.extend_from_slice(&place.next_no.0.to_le_bytes());
        bytes.extend_from_slice(&place.epoch.map_or(0, |epoch| epoch.0).to_le_bytes());
        bytes.extend_from_slice(&place.leader.map_or(0, |leader| leader.0).to_le_bytes());
        bytes.extend_from_slice(&place.sequence.to_le_bytes());
        bytes.extend_from_slice(&place.next_offset.to_le_bytes());
        bytes.extend_from_slice(&told_ms.to_le_bytes());
        bytes.extend_from_slice(&url_bytes.to_le_bytes());
        bytes.extend_from_slice(leader_url.as_bytes());
        bytes.extend_from_slice(&notes.encode());
        bytes.extend_from_slice(&crc32c(&bytes).to_le_bytes());
        bytes
    }

    /// `None` of what is not whole.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (content, checksum) = bytes.split_last_chunk::<4>()?;
        let (fixed, rest) = content.split_first_chunk::<FIXED_BYTES>()?;
        let is_whole = u32::from_le_bytes(*checksum) == crc32c(content);
        if !is_whole || fixed[..8] != MAGIC || fixed[8..10] != VERSION.to_le_bytes() {
            return None;
        }
        let u64_at = |at: usize| u64::from_le_bytes(fixed[at..at + 8].try_into().expect("eight bytes"));
        let log_id = u128::from_le_bytes(fixed[11..27].try_into().expect("sixteen bytes"));
        let leader = u32::from_le_bytes(fixed[43..47].try_into().expect("four bytes"));
        let has = |bit: u8| fixed[10] & bit > 0;
        let place = Place {
            next_no: RecordNo(u64_at(27)),
            log_id: has(1).then_some(LogId(log_id)),
            epoch: has(2).then_some(RecordNo(u64_at(35))),
            leader: has(4).then_some(NodeId(leader)),
            sequence: u64_at(47),
            next_offset: u64_at(55),
        };
        let url_bytes = u32::from_le_bytes(fixed[71..75].try_into().expect("four bytes"));
        let (url, notes) = rest.split_at_checked(usize::try_from(url_bytes).ok()?)?;
        let leader_url = String::from_utf8(url.to_vec()).ok()?;
        Some(Self { place, told_ms: u64_at(63), leader_url, notes: Notes::decode(notes)? })
    }
}

impl PlaceFile {
    pub(crate) fn in_directory(directory: &Path) -> Self {
        Self { path: directory.join("place") }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What was kept; nothing if there is no file, or one that is not whole, as after a power cut.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn read(&self) -> io::Result<Option<Reached>> {
        match fs::read(&self.path) {
            Ok(bytes) => Ok(Reached::decode(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps this in the place of what was kept before.
    ///
    /// # Errors
    /// There is no room, or the directory cannot be written to.
    pub(crate) fn write(&self, reached: &Reached) -> io::Result<()> {
        let unfinished = self.path.with_extension("tmp");
        let mut file =
            File::options().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(&reached.encode())?;
        fs::rename(unfinished, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached() -> Reached {
        let place = Place {
            next_no: RecordNo(7),
            log_id: Some(LogId(u128::MAX - 1)),
            epoch: Some(RecordNo(5)),
            leader: Some(NodeId(2)),
            sequence: 1,
            next_offset: 90,
        };
        let mut notes = Notes::default();
        notes.put("orders", &[1, 2]);
        Reached { place, told_ms: 1_700_000_000_123, leader_url: "http://b.example:8080".to_owned(), notes }
    }

    #[test]
    fn what_was_kept_is_read_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let file = PlaceFile::in_directory(directory.path());
        assert_eq!(file.read().unwrap(), None);
        for kept in [Reached::default(), reached()] {
            file.write(&kept).unwrap();
            assert_eq!(file.read().unwrap(), Some(kept));
        }
        let whole = fs::read(file.path()).unwrap();
        for cut in 0..whole.len() {
            fs::write(file.path(), &whole[..cut]).unwrap();
            assert_eq!(file.read().unwrap(), None, "{cut} bytes");
            let mut changed = whole.clone();
            changed[cut] ^= 4;
            fs::write(file.path(), changed).unwrap();
            assert_eq!(file.read().unwrap(), None, "byte {cut}");
        }
    }
}

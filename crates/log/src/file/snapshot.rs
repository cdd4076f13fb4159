//! Snapshot files: opaque chunks between a header and a trailer, every byte under a checksum, complete or absent.
//!
//! Byte layout: `docs/log-format.md`, section "Snapshot".

use std::io;
use std::sync::Arc;

use crc32c::{crc32c, crc32c_append};

use crate::contract::{SnapshotReader, SnapshotWriter};
use crate::error::{Damage, SnapshotError, StorageError};
use crate::file::damage;
use crate::file::storage::{Storage, StorageFile, while_doing};
use crate::file::walk::Window;
use crate::format::Format;
use crate::limits::{CHUNK_BYTES_MAX, SNAPSHOT_COUNT_MAX};
use crate::numbers::{u32_at, u64_at};

const MAGIC: [u8; 8] = *b"onrushSN";
const HEADER_BYTES: usize = 64;
const HEADER_CHECKED_BYTES: usize = HEADER_BYTES - 4;
/// Before every chunk: its length and its checksum.
const CHUNK_HEADER_BYTES: usize = 8;
/// A chunk header with length 0, digest, bytes, count.
const TRAILER_BYTES: usize = CHUNK_HEADER_BYTES + 32;
/// Written to the file at once.
const WRITE_BYTES: usize = 1 << 20;
/// Synced at once, so that batches never queue behind a whole snapshot.
const SYNC_BYTES: u64 = 4 << 20;
const SUFFIX: &str = ".snap";
const UNFINISHED_SUFFIX: &str = ".snap.tmp";

/// Writes one snapshot. It exists from `finish` on; dropped before, it leaves nothing.
pub struct FileSnapshotWriter {
    storage: Arc<dyn Storage>,
    file: Box<dyn StorageFile>,
    offset: u64,
    buffer: Vec<u8>,
    /// Where the buffer belongs in the file.
    position: u64,
    synced: u64,
    total_bytes: u64,
    chunk_count: u64,
    finished: bool,
}

/// Reads one snapshot from beginning to end.
pub struct FileSnapshotReader {
    storage: Arc<dyn Storage>,
    file: Box<dyn StorageFile>,
    name: String,
    window: Window,
    length: u64,
    position: u64,
    format: Format,
    partition: u32,
    offset: u64,
    time_ms: u64,
    total_bytes: u64,
    chunk_count: u64,
    digest: Option<[u8; 16]>,
}

impl FileSnapshotWriter {
    pub(crate) fn create(
        storage: Arc<dyn Storage>,
        partition: u32,
        offset: u64,
        time_ms: u64,
    ) -> Result<Self, SnapshotError> {
        let name = unfinished_name(offset);
        let names = storage.list().map_err(while_doing(&*storage, "list", ""))?;
        if names.contains(&name) {
            storage.remove(&name).map_err(while_doing(&*storage, "remove", &name))?;
        }
        let file = storage.create(&name).map_err(while_doing(&*storage, "create", &name))?;
        let mut header = [0; HEADER_BYTES];
        header[0..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&u32::from(Format::NEWEST.number()).to_le_bytes());
        header[12..16].copy_from_slice(&partition.to_le_bytes());
        header[16..24].copy_from_slice(&offset.to_le_bytes());
        header[24..32].copy_from_slice(&time_ms.to_le_bytes());
        let checksum = crc32c(&header[..HEADER_CHECKED_BYTES]);
        header[HEADER_CHECKED_BYTES..].copy_from_slice(&checksum.to_le_bytes());
        let mut buffer = Vec::with_capacity(2 * WRITE_BYTES);
        buffer.extend_from_slice(&header);
        Ok(Self {
            storage,
            file,
            offset,
            buffer,
            position: 0,
            synced: 0,
            total_bytes: 0,
            chunk_count: 0,
            finished: false,
        })
    }

    /// Adds a chunk of 1 to `CHUNK_BYTES_MAX` bytes; an empty one is left out.
    pub fn write_chunk(&mut self, chunk: &[u8]) -> Result<(), SnapshotError> {
        if chunk.is_empty() {
            return Ok(());
        }
        if chunk.len() > CHUNK_BYTES_MAX {
            return Err(SnapshotError::TooLarge {
                chunk_bytes: chunk.len(),
                chunk_bytes_max: CHUNK_BYTES_MAX,
            });
        }
        let length = u32::try_from(chunk.len()).expect("within the chunk maximum");
        let checksum = crc32c_append(chunk_seed(self.offset, self.chunk_count, length), chunk);
        self.buffer.extend_from_slice(&length.to_le_bytes());
        self.buffer.extend_from_slice(&checksum.to_le_bytes());
        self.buffer.extend_from_slice(chunk);
        self.total_bytes += u64::from(length);
        self.chunk_count += 1;
        if self.buffer.len() >= WRITE_BYTES {
            self.write_buffer()?;
        }
        Ok(())
    }

    /// Makes the snapshot durable under its name and removes all but the two newest.
    pub fn finish(mut self, digest: [u8; 16]) -> Result<(), SnapshotError> {
        let mut trailer = Vec::with_capacity(TRAILER_BYTES);
        trailer.extend_from_slice(&digest);
        trailer.extend_from_slice(&self.total_bytes.to_le_bytes());
        trailer.extend_from_slice(&self.chunk_count.to_le_bytes());
        let checksum = crc32c_append(chunk_seed(self.offset, self.chunk_count, 0), &trailer);
        self.buffer.extend_from_slice(&0_u32.to_le_bytes());
        self.buffer.extend_from_slice(&checksum.to_le_bytes());
        self.buffer.extend_from_slice(&trailer);
        self.write_buffer()?;

        let storage = &*self.storage;
        let name = unfinished_name(self.offset);
        self.file.sync().map_err(while_doing(storage, "sync", &name))?;
        storage.rename(&name, &finished_name(self.offset)).map_err(while_doing(storage, "rename", &name))?;
        self.finished = true;
        storage.sync_dir().map_err(while_doing(storage, "sync", ""))?;
        for old in list(storage)?.into_iter().skip(SNAPSHOT_COUNT_MAX) {
            let name = finished_name(old);
            storage.remove(&name).map_err(while_doing(storage, "remove", &name))?;
        }
        storage.sync_dir().map_err(while_doing(storage, "sync", ""))?;
        Ok(())
    }

    fn write_buffer(&mut self) -> Result<(), StorageError> {
        let name = unfinished_name(self.offset);
        self.file.write_at(&self.buffer, self.position).map_err(while_doing(
            &*self.storage,
            "write snapshot to",
            &name,
        ))?;
        self.position += self.buffer.len() as u64;
        self.buffer.clear();
        if self.position - self.synced >= SYNC_BYTES {
            self.file.sync().map_err(while_doing(&*self.storage, "sync", &name))?;
            self.synced = self.position;
        }
        Ok(())
    }
}

impl Drop for FileSnapshotWriter {
    fn drop(&mut self) {
        if !self.finished {
            // Left behind, it is removed when the directory is locked the next time.
            let _ = self.storage.remove(&unfinished_name(self.offset));
        }
    }
}

impl FileSnapshotReader {
    /// Opens the snapshot at `offset` of a directory that need not be locked; `partition` is checked if it is given.
    pub fn open(
        storage: Arc<dyn Storage>,
        partition: Option<u32>,
        offset: u64,
    ) -> Result<Self, SnapshotError> {
        let name = finished_name(offset);
        let file = match storage.open_read(&name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(SnapshotError::Missing { offset });
            }
            opened => opened.map_err(while_doing(&*storage, "open", &name))?,
        };
        let length = file.len().map_err(while_doing(&*storage, "measure", &name))?;
        let mut reader = Self {
            storage,
            file,
            name,
            window: Window::default(),
            length,
            position: 0,
            format: Format::V1,
            partition: 0,
            offset,
            time_ms: 0,
            total_bytes: 0,
            chunk_count: 0,
            digest: None,
        };
        let header =
            *reader.bytes(HEADER_BYTES)?.first_chunk::<HEADER_BYTES>().expect("as many as asked for");
        match check_header(&header, partition, offset) {
            Ok(format) => {
                reader.format = format;
                reader.partition = u32_at(&header, 12);
                reader.time_ms = u64_at(&header, 24);
                reader.position = HEADER_BYTES as u64;
                Ok(reader)
            }
            Err(problem) => Err(reader.damage(problem).into()),
        }
    }

    /// The state is that after all events below this offset.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Size of the file, bytes.
    pub fn file_bytes(&self) -> u64 {
        self.length
    }

    /// The next chunk, checked; `None` after the last, when the trailer has been checked as well.
    pub fn next_chunk(&mut self) -> Result<Option<&[u8]>, SnapshotError> {
        if self.digest.is_some() {
            return Ok(None);
        }
        let header = self.bytes(CHUNK_HEADER_BYTES)?;
        let (length, checksum) = (u32_at(header, 0), u32_at(header, 4));
        if length as usize > CHUNK_BYTES_MAX {
            return Err(self.damage("expected a chunk, found one of impossible length".to_owned()).into());
        }
        let seed = chunk_seed(self.offset, self.chunk_count, length);
        if length == 0 {
            return self.check_trailer(seed, checksum).map(|()| None);
        }
        let count = CHUNK_HEADER_BYTES + length as usize;
        if crc32c_append(seed, &self.bytes(count)?[CHUNK_HEADER_BYTES..]) != checksum {
            return Err(self
                .damage("expected a chunk, found bytes whose checksum does not match".to_owned())
                .into());
        }
        let start = self.position;
        self.position += count as u64;
        self.total_bytes += u64::from(length);
        self.chunk_count += 1;
        let bytes = self.window.bytes_at(&*self.file, start, count, self.length).map_err(while_doing(
            &*self.storage,
            "read",
            &self.name,
        ))?;
        Ok(Some(&bytes[CHUNK_HEADER_BYTES..]))
    }

    /// Digest of the state as it was given to `finish`; `None` before the last chunk was read.
    pub fn digest(&self) -> Option<[u8; 16]> {
        self.digest
    }

    fn check_trailer(&mut self, seed: u32, checksum: u32) -> Result<(), SnapshotError> {
        let trailer =
            *self.bytes(TRAILER_BYTES)?.first_chunk::<TRAILER_BYTES>().expect("as many as asked for");
        let checked = &trailer[CHUNK_HEADER_BYTES..];
        let problem = if crc32c_append(seed, checked) != checksum {
            "expected the trailer, found bytes whose checksum does not match"
        } else if (u64_at(checked, 16), u64_at(checked, 24)) != (self.total_bytes, self.chunk_count) {
            "the trailer counts other chunks than there are"
        } else if self.position + TRAILER_BYTES as u64 != self.length {
            "expected the end of the file after the trailer"
        } else {
            self.digest = checked.first_chunk::<16>().copied();
            return Ok(());
        };
        Err(self.damage(problem.to_owned()).into())
    }

    fn bytes(&mut self, count: usize) -> Result<&[u8], SnapshotError> {
        if self.length - self.position < count as u64 {
            let problem = format!("the file ends after {} bytes, within a snapshot", self.length);
            return Err(self.damage(problem).into());
        }
        let bytes = self
            .window
            .bytes_at(&*self.file, self.position, count, self.length)
            .map_err(while_doing(&*self.storage, "read", &self.name))?;
        assert_eq!(bytes.len(), count, "a finished snapshot does not shrink");
        Ok(bytes)
    }

    fn damage(&self, problem: String) -> Damage {
        damage::in_snapshot(self.storage.path_of(&self.name), self.position, self.offset, problem)
    }
}

impl SnapshotWriter for FileSnapshotWriter {
    fn write_chunk(&mut self, chunk: &[u8]) -> Result<(), SnapshotError> {
        self.write_chunk(chunk)
    }

    fn finish(self: Box<Self>, digest: [u8; 16]) -> Result<(), SnapshotError> {
        (*self).finish(digest)
    }
}

impl SnapshotReader for FileSnapshotReader {
    fn format(&self) -> Format {
        self.format
    }

    fn partition(&self) -> u32 {
        self.partition
    }

    fn time_ms(&self) -> u64 {
        self.time_ms
    }

    fn next_chunk(&mut self) -> Result<Option<&[u8]>, SnapshotError> {
        self.next_chunk()
    }

    fn digest(&self) -> Option<[u8; 16]> {
        self.digest
    }

    fn refuse(&self, problem: String) -> SnapshotError {
        self.damage(problem).into()
    }
}

/// Offsets of the finished snapshots of a directory that need not be locked, newest first.
pub fn list(storage: &dyn Storage) -> Result<Vec<u64>, StorageError> {
    let names = storage.list().map_err(while_doing(storage, "list", ""))?;
    let mut offsets: Vec<u64> = names
        .iter()
        .filter_map(|name| name.strip_suffix(SUFFIX))
        .filter(|digits| digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .filter_map(|digits| digits.parse().ok())
        .collect();
    offsets.sort_unstable_by(|a, b| b.cmp(a));
    Ok(offsets)
}

/// Removes what a crash left of snapshots that were being written.
pub(crate) fn remove_unfinished(storage: &dyn Storage) -> Result<(), StorageError> {
    for name in storage.list().map_err(while_doing(storage, "list", ""))? {
        if name.ends_with(UNFINISHED_SUFFIX) {
            storage.remove(&name).map_err(while_doing(storage, "remove", &name))?;
        }
    }
    Ok(())
}

pub(crate) fn finished_name(offset: u64) -> String {
    format!("{offset:020}{SUFFIX}")
}

fn unfinished_name(offset: u64) -> String {
    format!("{offset:020}{UNFINISHED_SUFFIX}")
}

/// The format of the snapshot with this header; the text says what is wrong with it.
fn check_header(header: &[u8; HEADER_BYTES], partition: Option<u32>, offset: u64) -> Result<Format, String> {
    if header[0..8] != MAGIC {
        return Err("expected a snapshot header, found none".to_owned());
    }
    if u32_at(header, HEADER_CHECKED_BYTES) != crc32c(&header[..HEADER_CHECKED_BYTES]) {
        return Err("expected a snapshot header, found one whose checksum does not match".to_owned());
    }
    let version = u32_at(header, 8);
    let Some(format) = Format::of_number(version) else {
        let newest = Format::NEWEST.number();
        return Err(format!(
            "found a snapshot of format version {version}, this program reads versions 1 to {newest}"
        ));
    };
    if let Some(partition) = partition.filter(|partition| *partition != u32_at(header, 12)) {
        return Err(format!(
            "found a snapshot of partition {}, expected one of {partition}",
            u32_at(header, 12)
        ));
    }
    if u64_at(header, 16) != offset {
        return Err(format!("found a snapshot of offset {}, expected one of {offset}", u64_at(header, 16)));
    }
    Ok(format)
}

/// Start of the checksum of a chunk, so that none passes for another or for one of another snapshot.
fn chunk_seed(offset: u64, index: u64, length: u32) -> u32 {
    let seed = crc32c_append(crc32c(&offset.to_le_bytes()), &index.to_le_bytes());
    crc32c_append(seed, &length.to_le_bytes())
}

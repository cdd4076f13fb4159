//! Snapshots of the log in memory.

use std::sync::Arc;

use super::{MemoryLog, damage};
use crate::contract::{SnapshotReader, SnapshotWriter};
use crate::error::SnapshotError;
use crate::format::Format;
use crate::limits::{CHUNK_BYTES_MAX, SNAPSHOT_COUNT_MAX};

pub(super) struct StoredSnapshot {
    pub(super) time_ms: u64,
    pub(super) chunks: Vec<Vec<u8>>,
    pub(super) digest: [u8; 16],
}

pub(super) struct MemorySnapshotWriter {
    pub(super) log: MemoryLog,
    pub(super) offset: u64,
    pub(super) snapshot: StoredSnapshot,
}

impl SnapshotWriter for MemorySnapshotWriter {
    fn write_chunk(&mut self, chunk: &[u8]) -> Result<(), SnapshotError> {
        if chunk.len() > CHUNK_BYTES_MAX {
            return Err(SnapshotError::TooLarge {
                chunk_bytes: chunk.len(),
                chunk_bytes_max: CHUNK_BYTES_MAX,
            });
        }
        if !chunk.is_empty() {
            self.snapshot.chunks.push(chunk.to_vec());
        }
        Ok(())
    }

    fn finish(self: Box<Self>, digest: [u8; 16]) -> Result<(), SnapshotError> {
        let Self { log, offset, mut snapshot } = *self;
        snapshot.digest = digest;
        let mut contents = log.contents();
        contents.snapshots.insert(offset, Arc::new(snapshot));
        while contents.snapshots.len() > SNAPSHOT_COUNT_MAX {
            contents.snapshots.pop_first();
        }
        Ok(())
    }
}

pub(super) struct MemorySnapshotReader {
    pub(super) partition: u32,
    pub(super) offset: u64,
    pub(super) snapshot: Arc<StoredSnapshot>,
    pub(super) next_index: usize,
}

impl SnapshotReader for MemorySnapshotReader {
    fn format(&self) -> Format {
        Format::NEWEST
    }

    fn partition(&self) -> u32 {
        self.partition
    }

    fn time_ms(&self) -> u64 {
        self.snapshot.time_ms
    }

    fn next_chunk(&mut self) -> Result<Option<&[u8]>, SnapshotError> {
        let chunk = self.snapshot.chunks.get(self.next_index);
        self.next_index += 1;
        Ok(chunk.map(Vec::as_slice))
    }

    fn digest(&self) -> Option<[u8; 16]> {
        Some(self.snapshot.digest).filter(|_| self.next_index > self.snapshot.chunks.len())
    }

    fn refuse(&self, problem: String) -> SnapshotError {
        damage(self.offset, problem).into()
    }
}

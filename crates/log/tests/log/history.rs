//! What a log was told and what it has to remember: the model that all crash tests check against.

use std::convert::Infallible;
use std::sync::Arc;

use onrush_log::file::faulty::FaultyStorage;
use onrush_log::file::{FileWriter, FrameKind, FrameRef, LogDirectory, LogSettings, Recovered, Storage};
use onrush_log::{OpenError, Opening, VisitError};

pub(crate) const PARTITION: u32 = 7;
pub(crate) const SEGMENT_BYTES: u64 = 16 << 10;

/// A batch as it was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) base_offset: u64,
    pub(crate) event_count: u32,
    pub(crate) payload: Vec<u8>,
}

impl Batch {
    pub(crate) fn of(frame: FrameRef<'_>) -> Self {
        let header = frame.header;
        Self {
            base_offset: header.base_offset,
            event_count: header.event_count,
            payload: frame.payload.to_vec(),
        }
    }

    pub(crate) fn next_offset(&self) -> u64 {
        self.base_offset + u64::from(self.event_count)
    }
}

/// Numbers that look random and repeat: splitmix64.
#[derive(Debug, Clone)]
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub(crate) fn payload(&mut self, bytes_max: u64) -> Vec<u8> {
        let count = self.below(bytes_max + 1);
        (0..count).map(|_| self.next() as u8).collect()
    }
}

/// A log that is open, with what its opening found.
pub(crate) struct Opened {
    pub(crate) directory: LogDirectory,
    pub(crate) log: FileWriter,
    pub(crate) recovered: Recovered,
    pub(crate) batches: Vec<Batch>,
}

pub(crate) fn shared(disk: &FaultyStorage) -> Arc<dyn Storage> {
    Arc::new(disk.clone())
}

pub(crate) fn opening(from_offset: u64, resume_at: Option<u64>) -> Opening {
    Opening { from_offset, resume_at, salt_seed: 0x5eed }
}

/// Locks and opens, from offset 0.
pub(crate) fn open(disk: &FaultyStorage) -> Result<Opened, OpenError> {
    open_with(LogDirectory::lock(shared(disk), PARTITION)?, opening(0, None))
}

pub(crate) fn open_with(directory: LogDirectory, opening: Opening) -> Result<Opened, OpenError> {
    let mut batches = Vec::new();
    let settings = LogSettings::for_tests(SEGMENT_BYTES);
    let opened = directory.open(&settings, opening, |frame| {
        if frame.header.kind == FrameKind::Batch {
            batches.push(Batch::of(frame));
        }
        Ok::<_, Infallible>(())
    });
    let (log, recovered) = opened.map_err(VisitError::of_log)?;
    Ok(Opened { directory, log, recovered, batches })
}

/// Appends batches of the given sizes, two events each, with a mark where the size is `None`.
pub(crate) fn append_all(log: &mut FileWriter, sizes: &[Option<usize>]) -> Vec<Batch> {
    let mut batches = Vec::new();
    for (index, size) in sizes.iter().enumerate() {
        let Some(size) = size else {
            log.append_mark(1000 + index as u64).expect("mark");
            continue;
        };
        let base_offset = log.durable_offset();
        let payload: Vec<u8> = (0..*size).map(|byte| (byte * 31 + index * 7 + 1) as u8).collect();
        log.append(2, 1000 + index as u64, &payload).expect("append");
        batches.push(Batch { base_offset, event_count: 2, payload });
    }
    batches
}

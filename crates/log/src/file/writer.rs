//! The writing end: one batch is one frame, one write and one sync, and nothing is outstanding when `append` returns.

use std::io;
use std::sync::Arc;

use crate::contract::{Batch, Capacity, LogWriter, Wake};
use crate::error::{AppendError, StorageError};
use crate::file::frame::{FRAME_HEADER_BYTES, FrameHeader, FrameKind, encode_header, frame_bytes};
use crate::file::segment::{SPARE_NAME, Segment, SegmentHeader};
use crate::file::shared::Shared;
use crate::file::spare::{Spare, SpareMaking};
use crate::file::storage::{StorageFile, while_doing};
use crate::file::tail_buffer::TailBuffer;
use crate::format::Format;
use crate::limits::{
    BATCH_BYTES_MAX, BLOCK_BYTES, FRAME_ALIGN_BYTES, SEGMENT_BYTES_DEFAULT, SEGMENT_BYTES_MAX,
    SEGMENT_BYTES_MIN, SEGMENT_HEADER_BYTES,
};

/// Plain values of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// Size of new segments, bytes: a multiple of 4096 from `SEGMENT_BYTES_MIN` to `SEGMENT_BYTES_MAX`.
    pub segment_bytes: u64,
    /// Who makes spare segments.
    pub spare_making: SpareMaking,
    segment_bytes_min: u64,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            segment_bytes: SEGMENT_BYTES_DEFAULT,
            spare_making: SpareMaking::default(),
            segment_bytes_min: SEGMENT_BYTES_MIN,
        }
    }
}

impl LogSettings {
    /// Segments of this size, spares made by a thread.
    pub fn new(segment_bytes: u64) -> Self {
        Self { segment_bytes, ..Self::default() }
    }

    /// Segments of any number of whole blocks from two on, and every run the same.
    #[cfg(feature = "testing")]
    pub fn for_tests(segment_bytes: u64) -> Self {
        let segment_bytes_min = 2 * SEGMENT_HEADER_BYTES;
        Self { segment_bytes, spare_making: SpareMaking::Inline, segment_bytes_min }
    }

    /// Whether a log can be opened with these values; otherwise a sentence that says why not.
    pub fn check(&self) -> Result<(), String> {
        let Self { segment_bytes, segment_bytes_min, .. } = *self;
        if !(segment_bytes_min..=SEGMENT_BYTES_MAX).contains(&segment_bytes) {
            return Err(format!(
                "segment_bytes {segment_bytes} is not in {segment_bytes_min}..={SEGMENT_BYTES_MAX}"
            ));
        }
        if !segment_bytes.is_multiple_of(BLOCK_BYTES as u64) {
            return Err(format!("segment_bytes {segment_bytes} is not a multiple of {BLOCK_BYTES}"));
        }
        Ok(())
    }
}

/// What the writer has done since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogCounters {
    /// Durable writes of frames, which is the number of syncs on the way of batches.
    pub sync_count: u64,
    /// Batches appended.
    pub batch_count: u64,
    /// Bytes of frames written, headers included, block filling left out.
    pub frame_bytes_total: u64,
    /// Segments begun.
    pub segment_count: u64,
}

/// The writer of a log. A later one of the same directory fences it; dropping it stops the thread that makes spares.
pub struct FileWriter {
    pub(crate) shared: Arc<Shared>,
    pub(crate) spare: Arc<Spare>,
    pub(crate) file: Box<dyn StorageFile>,
    pub(crate) segment: Arc<Segment>,
    pub(crate) tail: TailBuffer,
    pub(crate) next_offset: u64,
    pub(crate) epoch: u32,
    pub(crate) salt_seed: u64,
    pub(crate) segment_bytes: u64,
    pub(crate) closed: bool,
    pub(crate) handed_over_count: u64,
    pub(crate) counters: LogCounters,
}

impl FileWriter {
    /// Appends `event_count` (at least 1) events as one batch and returns the durable offset after them. Blocks for one
    /// sync. After `AppendError::Storage` whether the batch is in the log is unknown until it is opened again.
    pub fn append(&mut self, event_count: u32, time_ms: u64, payload: &[u8]) -> Result<u64, AppendError> {
        assert!(event_count > 0, "a batch has events");
        if payload.len() as u64 > self.batch_bytes_max() {
            return Err(AppendError::TooLarge {
                payload_bytes: payload.len() as u64,
                batch_bytes_max: self.batch_bytes_max(),
            });
        }
        self.append_in_term(FrameKind::Batch, event_count, time_ms, payload)?;
        self.counters.batch_count += 1;
        Ok(self.next_offset)
    }

    /// Appends a frame without events: proof that the batch before it was complete, so that no later damage to it can
    /// pass for a torn end.
    pub fn append_mark(&mut self, time_ms: u64) -> Result<(), AppendError> {
        self.append_in_term(FrameKind::Mark, 0, time_ms, &[])
    }

    /// Notes the end in good order. The log is as durable without it.
    pub fn close(mut self, time_ms: u64) -> Result<(), AppendError> {
        self.append_in_term(FrameKind::Close, 0, time_ms, &[])
    }

    /// Payload bytes that the next `append` is certain to have room for; 0 when the disk is full or the log closed.
    pub fn room_bytes(&self) -> u64 {
        if self.closed {
            return 0;
        }
        if self.spare.is_ready() {
            return self.batch_bytes_max();
        }
        // Frames are filled up to the alignment, and so is this.
        let rest = self.segment.capacity.saturating_sub(self.tail.end());
        rest.saturating_sub(FRAME_HEADER_BYTES).min(self.batch_bytes_max()) / FRAME_ALIGN_BYTES
            * FRAME_ALIGN_BYTES
    }

    /// Whether `room_bytes` is about to grow: a spare is being made, and nothing is wrong with that so far.
    pub fn room_is_coming(&self) -> bool {
        !self.closed && self.spare.is_coming()
    }

    /// Largest payload of a batch, bytes: `BATCH_BYTES_MAX`, or less where segments are smaller.
    pub fn batch_bytes_max(&self) -> u64 {
        BATCH_BYTES_MAX.min(self.segment_bytes - SEGMENT_HEADER_BYTES - FRAME_HEADER_BYTES)
    }

    /// Offset that the next event will have. All before it are durable.
    pub fn durable_offset(&self) -> u64 {
        self.next_offset
    }

    /// Term of this writer.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Makes sure that the next process will find this log: that the directory and the segment that is being written are
    /// still where they were opened. After an error the log is closed, as after a failed write.
    pub fn check_in_place(&mut self) -> Result<(), AppendError> {
        self.in_term(|log| {
            log.closing_on_error(|log| {
                log.shared.check_in_place()?;
                let Segment { name, .. } = &*log.segment;
                let storage = &*log.shared.storage;
                let is_there = || {
                    let is_same = storage.identity_of(name)? == log.file.identity()?;
                    is_same
                        .then_some(())
                        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "another file is there"))
                };
                is_there().map_err(while_doing(storage, "look for the segment that is written to as", name))
            })?;
            Ok(())
        })
    }

    /// What was done since the log was opened.
    pub fn counters(&self) -> LogCounters {
        self.counters
    }

    fn append_in_term(
        &mut self,
        kind: FrameKind,
        event_count: u32,
        time_ms: u64,
        payload: &[u8],
    ) -> Result<(), AppendError> {
        self.in_term(|log| log.append_frame(kind, event_count, time_ms, payload))?;
        self.handed_over_count += 1;
        Ok(())
    }

    /// Does something as long as no other writer can take over, unless one has.
    fn in_term<T>(
        &mut self,
        step: impl FnOnce(&mut Self) -> Result<T, AppendError>,
    ) -> Result<T, AppendError> {
        if self.closed {
            return Err(AppendError::Closed);
        }
        let shared = Arc::clone(&self.shared);
        let term = shared.term();
        if term.epoch != self.epoch {
            self.closed = true;
            return Err(AppendError::Fenced);
        }
        step(self)
    }

    /// Writes a frame. Whoever calls holds the term.
    pub(crate) fn append_frame(
        &mut self,
        kind: FrameKind,
        event_count: u32,
        time_ms: u64,
        payload: &[u8],
    ) -> Result<(), AppendError> {
        if !self.fits(payload.len() as u64) {
            if !self.spare.take() {
                return Err(AppendError::NoRoom);
            }
            self.closing_on_error(Self::begin_segment)?;
            self.spare.make_inline();
        }
        let header = FrameHeader {
            kind,
            format: if kind == FrameKind::Batch { Format::NEWEST } else { Format::V1 },
            partition: self.segment.header.partition,
            epoch: self.epoch,
            base_offset: self.next_offset,
            time_ms,
            event_count,
            payload_bytes: u32::try_from(payload.len()).expect("within the batch maximum"),
        };
        let position = self.tail.end();
        self.tail.push(&encode_header(&header, payload, self.segment.header.seed(), position));
        self.tail.push(payload);
        let bytes = frame_bytes(payload.len() as u64);
        self.tail.align();
        self.closing_on_error(Self::write_tail)?;

        self.next_offset = header.next_offset();
        self.counters.frame_bytes_total += bytes;
        let mut list = self.shared.segments();
        list.durable_offset = self.next_offset;
        list.durable_position = self.tail.end();
        Ok(())
    }

    pub(crate) fn fits(&self, payload_bytes: u64) -> bool {
        self.tail.end() + frame_bytes(payload_bytes) <= self.segment.capacity
    }

    /// Turns the spare that was taken into the live segment.
    pub(crate) fn begin_segment(&mut self) -> Result<(), StorageError> {
        let header = SegmentHeader {
            sequence: self.segment.header.sequence + 1,
            base_offset: self.next_offset,
            epoch: self.epoch,
            ..self.segment.header
        };
        let (segment, file) =
            begin_segment(&self.shared, &self.spare, header, self.salt_seed, self.segment_bytes)?;
        self.segment = segment;
        self.file = file;
        self.tail.restart(SEGMENT_HEADER_BYTES);
        self.counters.segment_count += 1;
        Ok(())
    }

    /// Makes the tail durable.
    pub(crate) fn write_tail(&mut self) -> Result<(), StorageError> {
        let position = self.tail.position();
        self.file.write_durable_at(self.tail.blocks(), position).map_err(while_doing(
            &*self.shared.storage,
            "write batch to",
            &self.segment.name,
        ))?;
        self.tail.keep_last_block();
        self.counters.sync_count += 1;
        Ok(())
    }

    fn closing_on_error(
        &mut self,
        step: impl FnOnce(&mut Self) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        assert!(!self.closed, "nothing is written after a failed write");
        // Stays closed as well if the step panics.
        self.closed = true;
        step(self)?;
        self.closed = false;
        Ok(())
    }
}

impl Drop for FileWriter {
    fn drop(&mut self) {
        let mut term = self.shared.term();
        if term.epoch == self.epoch {
            term.spare_thread = None;
        }
    }
}

impl LogWriter for FileWriter {
    /// One batch at a time: that is what lets recovery tell a torn end from damage.
    fn capacity(&self) -> Capacity {
        // As the thread that makes spares tries again after a failure.
        self.spare.make_inline();
        Capacity { bytes: self.room_bytes(), is_growing: self.room_is_coming(), batch_count: 1 }
    }

    fn append(&mut self, batch: Batch<'_>) -> Result<(), AppendError> {
        match batch.event_count {
            0 => self.append_mark(batch.time_ms),
            event_count => self.append(event_count, batch.time_ms, batch.payload).map(|_| ()),
        }
    }

    fn in_force(&mut self) -> Result<u64, AppendError> {
        Ok(self.handed_over_count)
    }

    fn wake_by(&mut self, _: Wake) {}

    fn check(&mut self) -> Result<(), AppendError> {
        self.check_in_place()
    }

    fn close(self: Box<Self>, time_ms: u64) -> Result<(), AppendError> {
        (*self).close(time_ms)
    }
}

/// Writes `header`, with size and salt filled in, to the spare that was taken and gives the file its name.
pub(crate) fn begin_segment(
    shared: &Shared,
    spare: &Spare,
    header: SegmentHeader,
    salt_seed: u64,
    segment_bytes: u64,
) -> Result<(Arc<Segment>, Box<dyn StorageFile>), StorageError> {
    let storage = &*shared.storage;
    let header = SegmentHeader { salt: mixed(salt_seed, header.sequence), segment_bytes, ..header };
    let segment = Arc::new(Segment { header, name: header.name(), capacity: segment_bytes });
    let file = storage.open(SPARE_NAME).map_err(while_doing(storage, "open", SPARE_NAME))?;
    let mut block = TailBuffer::new();
    header.encode(block.space(BLOCK_BYTES));
    file.write_durable_at(block.blocks(), 0).map_err(while_doing(
        storage,
        "write segment header to",
        SPARE_NAME,
    ))?;
    storage.rename(SPARE_NAME, &segment.name).map_err(while_doing(
        storage,
        "rename spare to",
        &segment.name,
    ))?;
    spare.renamed();
    storage.sync_dir().map_err(while_doing(storage, "sync", ""))?;

    let mut list = shared.segments();
    list.segments.push_back(Arc::clone(&segment));
    list.durable_position = SEGMENT_HEADER_BYTES;
    Ok((segment, file))
}

/// A number that follows from both and looks like neither: the finisher of splitmix64.
fn mixed(seed: u64, sequence: u64) -> u64 {
    let mut value = seed.wrapping_add(sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

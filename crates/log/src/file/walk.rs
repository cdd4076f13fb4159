//! The one way to go through the frames of a segment, for recovery, readers and verification alike: every frame is
//! checked, and a torn end is told from damage.

use std::io;
use std::ops::ControlFlow;

use crate::error::{BrokenOff, Damage, ReadError, Refused, VisitError};
use crate::file::damage;
use crate::file::frame::{
    FrameProblem, FrameRef, FrameSeed, HEADER_BYTES, check_payload, decode_header, frame_bytes, has_magic,
};
use crate::file::segment::Segment;
use crate::file::storage::{Storage, StorageFile, while_doing};
use crate::limits::{FRAME_ALIGN_BYTES, FRAME_STEP_BYTES, READ_BYTES, SEGMENT_HEADER_BYTES};

/// Called with each frame; breaks off to end the walk there.
pub(crate) type VisitFrame<'a> = dyn FnMut(FrameRef<'_>) -> ControlFlow<()> + 'a;

/// Where the frames of a segment have to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// Without a gap at this offset; what follows is superseded.
    Offset(u64),
    /// Without a gap at this byte.
    Position(u64),
    /// Anywhere, as long as nothing proves that there was more.
    Tail,
}

/// A segment to go through.
pub(crate) struct Walk<'a> {
    pub(crate) storage: &'a dyn Storage,
    pub(crate) file: &'a dyn StorageFile,
    pub(crate) segment: &'a Segment,
    pub(crate) until: Until,
    /// Frames that end at or before this offset are checked but not visited, marks at it are.
    pub(crate) from_offset: u64,
    /// Frames that begin at or after this offset are left for another walk.
    pub(crate) to_offset: u64,
    /// Offset of the snapshot that the state starts from, or 0; `None` where that is not known.
    pub(crate) snapshot_offset: Option<u64>,
}

/// How far a walk has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Where the next frame begins, bytes.
    pub(crate) position: u64,
    pub(crate) next_offset: u64,
    pub(crate) epoch: u32,
    pub(crate) time_ms: u64,
    /// Begin of the last frame, bytes; `None` before the first.
    pub(crate) last_frame: Option<u64>,
    pub(crate) frame_count: u64,
    /// Whether a part of a frame stands at `position`.
    pub(crate) torn: bool,
}

impl Progress {
    /// Before the first frame of a log that begins at `next_offset`.
    pub(crate) fn empty(next_offset: u64) -> Self {
        let position = SEGMENT_HEADER_BYTES;
        Self { position, next_offset, epoch: 0, time_ms: 0, last_frame: None, frame_count: 0, torn: false }
    }

    /// Before the first frame of `segment`.
    pub(crate) fn at_start_of(segment: &Segment) -> Self {
        Self::empty(segment.header.base_offset).continued_in(segment)
    }

    /// After the segment before `segment`.
    pub(crate) fn continued_in(self, segment: &Segment) -> Self {
        assert_eq!(self.next_offset, segment.header.base_offset, "segments are gone through without a gap");
        let epoch = self.epoch.max(segment.header.epoch);
        Self { position: SEGMENT_HEADER_BYTES, epoch, last_frame: None, torn: false, ..self }
    }
}

/// Sequential reading with room for the largest frame.
#[derive(Default)]
pub(crate) struct Window {
    buffer: Vec<u8>,
    position: u64,
    filled: usize,
}

impl Window {
    /// Forgets what was read, because another file comes or the file may have changed.
    pub(crate) fn clear(&mut self) {
        self.filled = 0;
    }

    /// `count` bytes from `position` on, or fewer at `end` or at the end of the file.
    pub(crate) fn bytes_at(
        &mut self,
        file: &dyn StorageFile,
        position: u64,
        count: usize,
        end: u64,
    ) -> io::Result<&[u8]> {
        let count = usize::try_from(end.saturating_sub(position)).unwrap_or(usize::MAX).min(count);
        let skipped = position.checked_sub(self.position).and_then(|skipped| usize::try_from(skipped).ok());
        let skipped = match skipped.filter(|skipped| *skipped <= self.filled) {
            Some(skipped) if skipped + count <= self.filled => skipped,
            Some(skipped) => {
                self.buffer.copy_within(skipped..self.filled, 0);
                self.filled -= skipped;
                self.position = position;
                self.fill(file, count, end)?;
                0
            }
            None => {
                self.filled = 0;
                self.position = position;
                self.fill(file, count, end)?;
                0
            }
        };
        Ok(&self.buffer[skipped..self.filled.min(skipped + count)])
    }

    fn fill(&mut self, file: &dyn StorageFile, count: usize, end: u64) -> io::Result<()> {
        if self.buffer.len() < count.max(READ_BYTES) {
            self.buffer.resize(count.max(READ_BYTES), 0);
        }
        while self.filled < count {
            let start = self.position + self.filled as u64;
            let wanted =
                usize::try_from(end - start).unwrap_or(usize::MAX).min(self.buffer.len() - self.filled);
            match file.read_at(&mut self.buffer[self.filled..self.filled + wanted], start)? {
                0 => break,
                read => self.filled += read,
            }
        }
        Ok(())
    }
}

impl Walk<'_> {
    /// Goes on from `progress` to the end, visiting frames. On an error `progress` tells what was in order before it.
    pub(crate) fn run(
        &self,
        window: &mut Window,
        progress: &mut Progress,
        visit: &mut VisitFrame<'_>,
    ) -> Result<(), VisitError<ReadError, BrokenOff>> {
        let end = match self.until {
            Until::Position(position) => position,
            Until::Offset(_) | Until::Tail => self.segment.capacity,
        };
        let seed = self.segment.header.seed();
        loop {
            if progress.next_offset >= self.to_offset || self.until == Until::Position(progress.position) {
                return Ok(());
            }
            // Marks may follow the last batch that belongs here; anything else is superseded or was never a frame.
            let complete = self.until == Until::Offset(progress.next_offset);
            let frame = match read_frame(window, self.file, seed, progress.position, end) {
                Ok(Ok(frame)) if !complete || frame.header.event_count == 0 => frame,
                Ok(_) if complete => return Ok(()),
                Ok(Ok(_)) => unreachable!("a frame is taken unless the walk is complete"),
                Ok(Err(problem)) => return Ok(self.end_at(window, progress, problem, end)?),
                Err(error) => {
                    let error = while_doing(self.storage, "read", &self.segment.name)(error);
                    return Err(ReadError::from(error).into());
                }
            };
            self.check_order(progress, &frame).map_err(ReadError::from)?;
            let is_wanted =
                frame.header.next_offset() > self.from_offset || frame.header.base_offset >= self.from_offset;
            if is_wanted && visit(frame).is_break() {
                return Err(VisitError::Refused(Refused {
                    place: format!(
                        "{}, byte {}",
                        self.storage.path_of(&self.segment.name),
                        progress.position
                    ),
                    offset: progress.next_offset,
                    error: BrokenOff,
                }));
            }
            progress.next_offset = frame.header.next_offset();
            progress.epoch = frame.header.epoch;
            progress.time_ms = progress.time_ms.max(frame.header.time_ms);
            progress.last_frame = Some(progress.position);
            progress.frame_count += 1;
            progress.position += frame_bytes(u64::from(frame.header.payload_bytes));
        }
    }

    /// Names a place of this segment, with what a person can do about it.
    pub(crate) fn damage(&self, position: u64, offset: u64, problem: String) -> Damage {
        damage::in_frames(
            self.storage.path_of(&self.segment.name),
            self.segment.header.segment_bytes,
            (position, offset),
            self.snapshot_offset,
            problem,
        )
    }

    fn check_order(&self, progress: &Progress, frame: &FrameRef<'_>) -> Result<(), Damage> {
        let header = &frame.header;
        let problem = if header.partition != self.segment.header.partition {
            format!("expected partition {}, found {}", self.segment.header.partition, header.partition)
        } else if header.base_offset != progress.next_offset {
            format!(
                "expected the frame of offset {}, found that of {}",
                progress.next_offset, header.base_offset
            )
        } else if header.epoch < progress.epoch {
            format!("expected epoch {} or later, found {}", progress.epoch, header.epoch)
        } else {
            match self.until {
                Until::Offset(offset) if header.next_offset() > offset => format!(
                    "the frame ends at offset {}, inside what begins at {offset} elsewhere",
                    header.next_offset()
                ),
                _ => return Ok(()),
            }
        };
        Err(self.damage(frame.position, progress.next_offset, problem))
    }

    /// Decides what it means that no frame stands where the next should.
    fn end_at(
        &self,
        window: &mut Window,
        progress: &mut Progress,
        problem: FrameProblem,
        end: u64,
    ) -> Result<(), ReadError> {
        let Progress { position, next_offset, .. } = *progress;
        let damage = |problem: String| Err(self.damage(position, next_offset, problem).into());
        match self.until {
            Until::Offset(offset) => {
                return damage(format!("{problem}; frames up to offset {offset} belong here"));
            }
            Until::Position(last) => {
                return damage(format!("{problem}; frames up to byte {last} belong here"));
            }
            Until::Tail => {}
        }
        // No interrupted write leaves a matching checksum over a header that this program cannot have written there.
        if matches!(problem, FrameProblem::Version(_) | FrameProblem::Values | FrameProblem::Beyond) {
            return damage(problem.to_string());
        }
        let cut = self.segment.capacity < self.segment.header.segment_bytes;
        if cut && problem != FrameProblem::NoMagic {
            return damage(format!(
                "{problem}; the file was cut: it was made with {} bytes and has {}",
                self.segment.header.segment_bytes, self.segment.capacity
            ));
        }
        let later =
            find_header(window, self.file, self.segment.header.seed(), position + FRAME_ALIGN_BYTES, end)
                .map_err(while_doing(self.storage, "search", &self.segment.name))?;
        if let Some(later) = later {
            return damage(format!(
                "{problem}; a later frame at byte {later} proves that it was complete once"
            ));
        }
        progress.torn = !matches!(problem, FrameProblem::Short | FrameProblem::NoMagic);
        Ok(())
    }
}

/// Reads the frame at `position`, which must end at or before `end`.
fn read_frame<'a>(
    window: &'a mut Window,
    file: &dyn StorageFile,
    seed: FrameSeed,
    position: u64,
    end: u64,
) -> io::Result<Result<FrameRef<'a>, FrameProblem>> {
    let header = match decode_header(window.bytes_at(file, position, HEADER_BYTES, end)?, seed, position) {
        Ok(header) => header,
        Err(problem) => return Ok(Err(problem)),
    };
    let count = HEADER_BYTES + header.payload_bytes as usize;
    let bytes = window.bytes_at(file, position, count, end)?;
    if bytes.len() < count {
        return Ok(Err(FrameProblem::Beyond));
    }
    let (header_bytes, payload) = bytes.split_at(HEADER_BYTES);
    Ok(check_payload(header_bytes, payload, seed, position).map(|()| FrameRef { header, position, payload }))
}

/// Byte of the first whole frame header at or after `from`. One is enough of a proof: a header is written only after
/// the frame before it is durable.
fn find_header(
    window: &mut Window,
    file: &dyn StorageFile,
    seed: FrameSeed,
    from: u64,
    end: u64,
) -> io::Result<Option<u64>> {
    let mut position = from;
    loop {
        let bytes = window.bytes_at(file, position, READ_BYTES, end)?;
        let mut start = 0;
        while start + HEADER_BYTES <= bytes.len() {
            let at = position + start as u64;
            let found = has_magic(&bytes[start..]) && {
                let header = decode_header(&bytes[start..], seed, at);
                !matches!(header, Err(FrameProblem::HeaderChecksum))
            };
            if found {
                return Ok(Some(at));
            }
            start += FRAME_STEP_BYTES;
        }
        if start == 0 {
            return Ok(None);
        }
        position += start as u64;
    }
}

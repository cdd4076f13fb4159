//! Reading what is durable in another thread, from any kept offset, while the log grows.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::contract::{LogReader, Visit};
use crate::error::{BrokenOff, ReadError, VisitError, break_off};
use crate::file::frame::FrameRef;
use crate::file::segment::Segment;
use crate::file::shared::Shared;
use crate::file::storage::while_doing;
use crate::file::walk::{Progress, Until, Walk, Window};

/// A reader with a place of its own, so that reading on costs nothing extra. Clones start without a place.
pub struct FileReader {
    shared: Arc<Shared>,
    window: Window,
    /// Segment and progress in it where the last read ended.
    place: Option<(u64, Progress)>,
}

impl Clone for FileReader {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.shared))
    }
}

impl FileReader {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, window: Window::default(), place: None }
    }

    /// Bytes of the segment files in the log, the spare left out.
    pub fn log_bytes(&self) -> u64 {
        self.shared.segments().segments.iter().map(|segment| segment.capacity).sum()
    }

    /// As [`LogReader::read_visiting`], with whole frames, and with a visitor that fails with an error of its own.
    pub fn read<E>(
        &mut self,
        from: u64,
        to: u64,
        mut visit: impl FnMut(FrameRef<'_>) -> Result<(), E>,
    ) -> Result<u64, VisitError<ReadError, E>> {
        let mut kept = None;
        let reached = self.read_frames(from, to, &mut |frame| break_off(visit(frame), &mut kept));
        reached.map_err(|error| error.with(kept))
    }

    fn read_frames(
        &mut self,
        from: u64,
        to: u64,
        visit: &mut dyn FnMut(FrameRef<'_>) -> ControlFlow<()>,
    ) -> Result<u64, VisitError<ReadError, BrokenOff>> {
        let mut reached = from;
        while let Some((segment, until)) = self.segment_with(reached, to)? {
            let storage = &*self.shared.storage;
            let mut progress = match self.place.take() {
                Some((sequence, place))
                    if sequence == segment.header.sequence && place.next_offset == reached =>
                {
                    place
                }
                _ => Progress::at_start_of(&segment),
            };
            let file = storage
                .open_read(&segment.name)
                .map_err(|error| ReadError::from(while_doing(storage, "open", &segment.name)(error)))?;
            let walk = Walk {
                storage,
                file: &*file,
                segment: &segment,
                until,
                from_offset: reached,
                to_offset: to,
                snapshot_offset: None,
            };
            self.window.clear();
            walk.run(&mut self.window, &mut progress, visit)?;
            self.place = Some((segment.header.sequence, progress));
            reached = reached.max(progress.next_offset);
        }
        Ok(reached)
    }

    /// The segment with the frame of `offset` and the end of what is durable in it; `None` at `to` and at the end.
    fn segment_with(&self, offset: u64, to: u64) -> Result<Option<(Arc<Segment>, Until)>, ReadError> {
        let list = self.shared.segments();
        if offset >= to.min(list.durable_offset) {
            return Ok(None);
        }
        let Some(index) = list.index_of(offset) else {
            return Err(ReadError::Trimmed { from: offset, oldest: list.oldest_offset() });
        };
        let until = match list.segments.get(index + 1) {
            Some(next) => Until::Offset(next.header.base_offset),
            None => Until::Position(list.durable_position),
        };
        Ok(Some((Arc::clone(&list.segments[index]), until)))
    }
}

impl LogReader for FileReader {
    fn oldest_offset(&self) -> u64 {
        self.shared.segments().oldest_offset()
    }

    fn sealed_offset(&self) -> u64 {
        let list = self.shared.segments();
        list.segments.back().map_or(list.durable_offset, |segment| segment.header.base_offset)
    }

    fn durable_offset(&self) -> u64 {
        self.shared.segments().durable_offset
    }

    fn bytes_from(&self, offset: u64) -> u64 {
        let list = self.shared.segments();
        let index = list.index_of(offset).unwrap_or(0);
        list.segments.iter().skip(index).map(|segment| segment.capacity).sum()
    }

    fn read_visiting(
        &mut self,
        from: u64,
        to: u64,
        visit: &mut Visit<'_>,
    ) -> Result<u64, VisitError<ReadError, BrokenOff>> {
        self.read_frames(from, to, &mut |frame| visit(frame.entry()))
    }
}

//! Reading what is durable in another thread, from any kept offset, while the log grows.

use std::sync::Arc;

use crate::directory::Shared;
use crate::error::{ReadError, while_doing};
use crate::frame::FrameRef;
use crate::segment::Segment;
use crate::walk::{Progress, Until, Walk, Window};

/// A reader with a place of its own, so that reading on costs nothing extra. Clones start without a place.
pub struct LogReader {
    shared: Arc<Shared>,
    window: Window,
    /// Segment and progress in it where the last read ended.
    place: Option<(u64, Progress)>,
}

impl Clone for LogReader {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.shared))
    }
}

impl LogReader {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, window: Window::default(), place: None }
    }

    /// Oldest offset that can be read.
    pub fn oldest_offset(&self) -> u64 {
        let extent = self.shared.live.extent();
        extent.segments.front().map_or(extent.durable_offset, |segment| segment.header.base_offset)
    }

    /// Everything below is in segments that are written no more.
    pub fn sealed_offset(&self) -> u64 {
        let extent = self.shared.live.extent();
        extent.segments.back().map_or(extent.durable_offset, |segment| segment.header.base_offset)
    }

    /// Everything below is durable and can be read.
    pub fn durable_offset(&self) -> u64 {
        self.shared.live.extent().durable_offset
    }

    /// Bytes of the segment files in the log, the spare left out.
    pub fn log_bytes(&self) -> u64 {
        self.shared.live.extent().segments.iter().map(|segment| segment.capacity).sum()
    }

    /// Bytes of the segment files that would have to be kept for somebody who goes on from `offset`.
    pub fn bytes_from(&self, offset: u64) -> u64 {
        let extent = self.shared.live.extent();
        let index = extent.segments.partition_point(|segment| segment.header.base_offset <= offset);
        extent.segments.iter().skip(index.saturating_sub(1)).map(|segment| segment.capacity).sum()
    }

    /// Visits the durable frames that hold events from `from` on and begin below `to`, and marks between them, oldest
    /// first. Returns the offset to go on from: that after the last frame, so it can lie beyond `to`. A frame that
    /// begins below `from` and ends above it is visited whole.
    pub fn read(
        &mut self,
        from: u64,
        to: u64,
        visit: &mut impl FnMut(FrameRef<'_>) -> Result<(), String>,
    ) -> Result<u64, ReadError> {
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
            let file =
                storage.open_read(&segment.name).map_err(while_doing(storage, "open", &segment.name))?;
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
        let extent = self.shared.live.extent();
        if offset >= to.min(extent.durable_offset) {
            return Ok(None);
        }
        let index = extent.segments.partition_point(|segment| segment.header.base_offset <= offset);
        let Some(index) = index.checked_sub(1) else {
            let oldest =
                extent.segments.front().map_or(extent.durable_offset, |oldest| oldest.header.base_offset);
            return Err(ReadError::Trimmed { from: offset, oldest });
        };
        let until = match extent.segments.get(index + 1) {
            Some(next) => Until::Offset(next.header.base_offset),
            None => Until::Position(extent.durable_position),
        };
        Ok(Some((Arc::clone(&extent.segments[index]), until)))
    }
}

//! Which segments there are and how far the log is durable.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::file::segment::Segment;
use crate::file::spare::Spare;

/// Segments oldest first; the last one is being written.
#[derive(Default)]
pub(crate) struct SegmentList {
    pub(crate) segments: VecDeque<Arc<Segment>>,
    /// Segment files before a gap, oldest first, which nobody reads.
    pub(crate) cut_off: VecDeque<String>,
    pub(crate) durable_offset: u64,
    /// End of the durable frames in the last segment, bytes.
    pub(crate) durable_position: u64,
    /// Where a trimmed segment may go.
    pub(crate) spare: Option<Arc<Spare>>,
}

impl SegmentList {
    /// Replaces the segments after a re-open; those that stay keep their identity, which readers hold on to.
    pub(crate) fn replace(&mut self, segments: Vec<Segment>) {
        let before = std::mem::take(&mut self.segments);
        for segment in segments {
            let same =
                before.iter().find(|old| old.header == segment.header && old.capacity == segment.capacity);
            self.segments.push_back(same.map_or_else(|| Arc::new(segment), Arc::clone));
        }
    }

    /// Oldest offset that can be read.
    pub(crate) fn oldest_offset(&self) -> u64 {
        self.segments.front().map_or(self.durable_offset, |segment| segment.header.base_offset)
    }

    /// The place in the list of the segment with the frame of `offset`.
    pub(crate) fn index_of(&self, offset: u64) -> Option<usize> {
        self.segments.partition_point(|segment| segment.header.base_offset <= offset).checked_sub(1)
    }
}

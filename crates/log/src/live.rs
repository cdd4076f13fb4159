//! What the writer, the readers and trimming share: which segments there are and how far the log is durable.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::segment::Segment;
use crate::spare::Spare;

/// The shared list. It outlives the writer, so that readers go on over a re-open.
#[derive(Default)]
pub(crate) struct Live {
    extent: Mutex<Extent>,
}

/// Segments oldest first; the last one is being written.
#[derive(Default)]
pub(crate) struct Extent {
    pub(crate) segments: VecDeque<Arc<Segment>>,
    /// Segment files before a gap, oldest first, which nobody reads.
    pub(crate) cut_off: VecDeque<String>,
    pub(crate) durable_offset: u64,
    /// End of the durable frames in the last segment, bytes.
    pub(crate) durable_position: u64,
    /// Where a trimmed segment may go.
    pub(crate) spare: Option<Arc<Spare>>,
}

impl Live {
    pub(crate) fn extent(&self) -> MutexGuard<'_, Extent> {
        self.extent.lock().expect("no thread panics with the extent of the log")
    }
}

impl Extent {
    /// Replaces the list after a re-open; segments that stay keep their identity, which readers hold on to.
    pub(crate) fn replace(&mut self, segments: Vec<Segment>) {
        let before = std::mem::take(&mut self.segments);
        for segment in segments {
            let same =
                before.iter().find(|old| old.header == segment.header && old.capacity == segment.capacity);
            self.segments.push_back(same.map_or_else(|| Arc::new(segment), Arc::clone));
        }
    }
}

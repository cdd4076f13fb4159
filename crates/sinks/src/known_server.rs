//! Which server of a target has what, as far as it is known in this run, and, noted beside the log, in the next one.

use std::time::Duration;

use onrush_node::Stopwatch;

use crate::confirmed::{Confirmed, Expected};
use crate::files::SinkFiles;

/// How often it is noted how much a server has.
const NOTE_INTERVAL: Duration = Duration::from_secs(5);

/// The server that answered last, of a target that may have several.
pub(crate) struct KnownServer {
    files: SinkFiles,
    expected: Expected,
    since_noted: Stopwatch,
    /// The offset as it was noted on the disk.
    noted_offset: u64,
}

impl KnownServer {
    /// As an earlier run noted it.
    pub(crate) fn new(files: &SinkFiles) -> Self {
        Self {
            files: files.clone(),
            expected: Expected { confirmed: files.known_confirmed(), accepts_less: false },
            since_noted: Stopwatch::start(),
            noted_offset: 0,
        }
    }

    pub(crate) fn expected(&self) -> &Expected {
        &self.expected
    }

    /// Whatever server is opened next is the right one. What the server before confirmed stays known until then.
    pub(crate) fn accept_any(&mut self) {
        self.expected.accepts_less = true;
    }

    /// The target was opened. Its server is noted before anything is written there: after a crash, one that was left must not be taken
    /// for the last.
    pub(crate) fn note_opened(&mut self, confirmed: Option<Confirmed>) {
        self.expected = Expected { confirmed, accepts_less: false };
        self.note();
    }

    /// The server says that it has the events below `offset`.
    pub(crate) fn note_progress(&mut self, offset: u64) {
        let Some(confirmed) = &mut self.expected.confirmed else { return };
        confirmed.offset = confirmed.offset.max(offset);
        if confirmed.offset > self.noted_offset && self.since_noted.elapsed() >= NOTE_INTERVAL {
            self.note();
        }
    }

    /// So that a server which lacks some of it is noticed after a restart as well.
    pub(crate) fn note(&mut self) {
        let Some(confirmed) = &self.expected.confirmed else { return };
        self.files.note_confirmed(confirmed);
        (self.noted_offset, self.since_noted) = (confirmed.offset, Stopwatch::start());
    }
}

//! What the threads of the edge count, and what the operator reads of it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::metrics::EdgeMetrics;

/// Why a connection was cut off, by what was awaited of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CutOff {
    /// It sent no request.
    Request = 0,
    /// Its header fields did not come to an end.
    Headers = 1,
    /// Its body did not come to an end.
    Body = 2,
    /// It did not take its answers.
    Write = 3,
    /// It took its answers slower than others while too much was unsent.
    Room = 4,
    /// It sent frames that ask for nothing, and too many of them.
    Quiet = 5,
}

/// A figure that several threads add to, seldom enough for that not to matter.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counted by all threads of a server.
#[derive(Debug, Default)]
pub(crate) struct EdgeCounters {
    pub(crate) open_count: AtomicUsize,
    pub(crate) operator_open_count: AtomicUsize,
    pub(crate) accepted_count: Counter,
    pub(crate) over_capacity_count: Counter,
    pub(crate) rejected_count: Counter,
    pub(crate) hot_count: Counter,
    pub(crate) routed_count: Counter,
    pub(crate) h2_count: Counter,
    /// Answers that were not begun because too much was unsent.
    pub(crate) no_room_count: Counter,
    cut_off_counts: [Counter; 6],
    unsent_bytes: AtomicUsize,
}

impl EdgeCounters {
    /// Connections that were cut off for this reason.
    pub(crate) fn cut_off(&self, reason: CutOff) -> &Counter {
        &self.cut_off_counts[reason as usize]
    }

    /// Bytes of answers that clients have not taken.
    pub(crate) fn unsent_bytes(&self) -> usize {
        self.unsent_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn hold_unsent(&self, bytes: usize) {
        self.unsent_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn release_unsent(&self, bytes: usize) {
        self.unsent_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// The figures as of now.
    pub(crate) fn read(&self) -> EdgeMetrics {
        let open_count =
            self.open_count.load(Ordering::Relaxed) + self.operator_open_count.load(Ordering::Relaxed);
        EdgeMetrics {
            hot_request_count: self.hot_count.read(),
            routed_request_count: self.routed_count.read(),
            rejected_request_count: self.rejected_count.read(),
            connection_open_count: open_count as u64,
            connection_accepted_count: self.accepted_count.read(),
            connection_h2_count: self.h2_count.read(),
            connection_over_capacity_count: self.over_capacity_count.read(),
            cut_off_idle_count: self.cut_off(CutOff::Request).read(),
            cut_off_head_count: self.cut_off(CutOff::Headers).read(),
            cut_off_body_count: self.cut_off(CutOff::Body).read(),
            cut_off_writing_count: self.cut_off(CutOff::Write).read(),
            cut_off_room_count: self.cut_off(CutOff::Room).read(),
            cut_off_quiet_count: self.cut_off(CutOff::Quiet).read(),
            unsent_bytes: self.unsent_bytes() as u64,
            no_room_count: self.no_room_count.read(),
        }
    }
}

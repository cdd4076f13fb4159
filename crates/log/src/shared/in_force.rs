//! How many of the records of an epoch are in force, as its writer learns it: from an unbroken run of acknowledgements, or from its
//! reader, whichever is first.

use std::collections::VecDeque;

use crate::shared::contract::{Acked, SharedBounds, SharedError};
use crate::shared::fence::{DropReason, Verdict};
use crate::shared::record::RecordNo;

/// Counts what is in force of one epoch. Pure.
///
/// If record `s` of the epoch is in force at number `n`, and record `s + 1` stands at `n + 1`, then nothing lies between them. So no
/// claim does, and nothing of the epoch is missing: `s + 1` is in force as well, unless `s` ends the epoch, and then nothing is handed
/// over behind it. The run begins with the claim, which its writer has read before it wrote anything. What breaks the run says
/// nothing, until the reader has passed it; then the run goes on from there.
#[derive(Debug)]
pub struct InForce {
    /// The newest record that is known to be in force, and where it stands. At first that is the claim.
    sequence: u64,
    no: RecordNo,
    bounds: SharedBounds,
    handed_count: u64,
    /// The newest record that was handed over ends the epoch.
    is_over: bool,
    /// Where the records behind it stand, as far as acknowledgements said so.
    acked: VecDeque<Option<RecordNo>>,
    has_failed: bool,
}

impl InForce {
    /// For the epoch of the claim with this number, which was read and is in force.
    pub fn new(epoch: RecordNo, bounds: SharedBounds) -> Self {
        Self {
            sequence: 0,
            no: epoch,
            bounds,
            handed_count: 0,
            is_over: false,
            acked: VecDeque::new(),
            has_failed: false,
        }
    }

    /// Another record is handed over: its place in the epoch, and the number that it gets if nothing comes between.
    ///
    /// # Panics
    /// The epoch was ended, or as many records are outstanding as the log takes.
    pub fn hand_over(&mut self) -> (u64, RecordNo) {
        assert!(!self.is_over, "behind a resignation nothing is in force");
        assert!(self.acked.len() < self.bounds.outstanding_max, "the log takes no more at once");
        self.handed_count += 1;
        self.acked.push_back(None);
        (self.handed_count, RecordNo(self.no.0 + (self.handed_count - self.sequence)))
    }

    /// The same for a resignation, which is the last record of its epoch.
    ///
    /// # Panics
    /// As [`InForce::hand_over`].
    pub fn hand_over_last(&mut self) -> (u64, RecordNo) {
        let handed = self.hand_over();
        self.is_over = true;
        handed
    }

    /// What the log says of a record that was handed over.
    pub fn acked(&mut self, sequence: u64, acked: &Result<Acked, SharedError>) {
        if sequence <= self.sequence {
            return;
        }
        match acked {
            Ok(Acked { no, .. }) => {
                *self.slot(sequence) = *no;
                self.run_on();
            }
            Err(_) => self.has_failed = true,
        }
    }

    /// The reader has passed a record of the epoch.
    pub fn read_back(&mut self, sequence: u64, no: RecordNo, verdict: Verdict) {
        if sequence <= self.sequence {
            return;
        }
        match verdict {
            Verdict::InForce => {
                self.slot(sequence);
                self.go_to(sequence, no);
                self.run_on();
            }
            // What lies before it may never come, and this one is void for ever.
            Verdict::Dropped(DropReason::Gap) => self.has_failed = true,
            Verdict::Dropped(_) => {}
        }
    }

    /// The place in the epoch of the newest record that is known to be in force. Never falls. All events before it are in force, and
    /// what rested on any record before it rests on this one as well. A mark or a note before it may be missing all the same: a note
    /// counts once it was read in force.
    pub fn count(&self) -> u64 {
        self.sequence
    }

    /// Records that were handed over and are not known to be in force.
    pub fn outstanding_count(&self) -> usize {
        self.acked.len()
    }

    /// Nobody knows what becomes of something outstanding, or it is void: the epoch has to be given up.
    pub fn has_failed(&self) -> bool {
        self.has_failed
    }

    fn slot(&mut self, sequence: u64) -> &mut Option<RecordNo> {
        assert!(sequence <= self.handed_count, "only what was handed over is told of");
        let at = usize::try_from(sequence - self.sequence - 1).expect("as many as are in memory");
        &mut self.acked[at]
    }

    fn run_on(&mut self) {
        while self.bounds.numbers_are_dense
            && let next = RecordNo(self.no.0 + 1)
            && self.acked.front() == Some(&Some(next))
        {
            self.go_to(self.sequence + 1, next);
        }
    }

    fn go_to(&mut self, sequence: u64, no: RecordNo) {
        let passed = usize::try_from(sequence - self.sequence).expect("as many as are in memory");
        self.acked.drain(..passed);
        (self.sequence, self.no) = (sequence, no);
    }
}

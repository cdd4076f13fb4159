//! Which records of a shared log are in force. The log takes records from anybody and in any order, so this is decided by whoever
//! reads, from the records alone: all readers come to the same verdicts, and none ever changes.

use crate::shared::record::{LogId, NodeId, RecordKind, RecordNo, RecordProblem, SharedRecord};

/// What a reader knows of a log at a place between two records: what a snapshot keeps, so that reading goes on behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Number of the record to be read next, or of one before it that is not there.
    pub next_no: RecordNo,
    /// Which log it is; `None` before its first claim.
    pub log_id: Option<LogId>,
    /// The newest epoch: the number of the claim or the resignation that began it.
    pub epoch: Option<RecordNo>,
    /// Whose claim that was; `None` if nobody leads.
    pub leader: Option<NodeId>,
    /// That of the newest record in force of the epoch; 0 if there is none.
    pub sequence: u64,
    /// Number of events in force.
    pub next_offset: u64,
}

/// Tells what is in force. Pure: the same records give the same verdicts.
#[derive(Debug, Clone)]
pub struct Fence {
    partition: u32,
    place: Place,
}

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It counts, for every reader and for ever.
    InForce,
    /// It counts for nobody.
    Dropped(DropReason),
}

/// Why a record is not in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// It is no record, or damaged.
    Junk,
    /// It was written for another log or partition.
    Foreign,
    /// A claim that has not seen the newest epoch: another one was earlier.
    LateClaim,
    /// Its writer no longer leads.
    OtherEpoch,
    /// A later record of the epoch is in force, or this one already is.
    Repeated,
    /// Something before it in its epoch is missing.
    Gap,
}

/// A record that was read, and its verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission<'a> {
    /// What becomes of it.
    pub verdict: Verdict,
    /// What it says.
    ///
    /// # Errors
    /// It is no record.
    pub record: Result<SharedRecord<'a>, RecordProblem>,
}

impl Fence {
    /// Goes on at a place; the default is the beginning of a log.
    pub fn new(partition: u32, place: Place) -> Self {
        Self { partition, place }
    }

    /// What is known behind everything that was read.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Takes the record with this number, as the log has it.
    ///
    /// # Errors
    /// A program that this one does not know wrote the record. Others may count it, so whoever cannot read it must not go on: the
    /// place stays before it, and nobody leads or tells anything from there.
    ///
    /// # Panics
    /// It comes before one that was taken.
    pub fn read<'a>(&mut self, no: RecordNo, bytes: &'a [u8]) -> Result<Admission<'a>, RecordProblem> {
        let record = match SharedRecord::decode(bytes) {
            Err(problem) if problem.is_of_a_record() => return Err(problem),
            other => other,
        };
        let verdict = if let Ok(record) = &record {
            self.admit(no, record)
        } else {
            self.go_on_behind(no);
            Verdict::Dropped(DropReason::Junk)
        };
        Ok(Admission { verdict, record })
    }

    /// Takes the record with this number.
    ///
    /// A claim is in force if its writer has seen the newest epoch: so of two that saw the same one the earlier wins, and one that
    /// comes late is void. The first one of a log says with how many events it begins. Any other record is in force if its writer leads, all events before it in its epoch are in force, and
    /// nothing behind it is.
    ///
    /// # Panics
    /// It comes before one that was taken.
    pub fn admit(&mut self, no: RecordNo, record: &SharedRecord<'_>) -> Verdict {
        self.go_on_behind(no);
        let place = &mut self.place;
        if record.partition != self.partition || place.log_id.is_some_and(|id| id != record.log_id) {
            return Verdict::Dropped(DropReason::Foreign);
        }
        if record.kind == RecordKind::Claim {
            if record.epoch != place.epoch {
                return Verdict::Dropped(DropReason::LateClaim);
            }
            if place.log_id.is_none() {
                place.next_offset = record.base_offset;
            }
            place.log_id = Some(record.log_id);
            (place.epoch, place.leader, place.sequence) = (Some(no), Some(record.node), 0);
            return Verdict::InForce;
        }
        if place.leader.is_none() || record.epoch != place.epoch {
            return Verdict::Dropped(DropReason::OtherEpoch);
        }
        if record.sequence <= place.sequence {
            return Verdict::Dropped(DropReason::Repeated);
        }
        if record.base_offset != place.next_offset {
            return Verdict::Dropped(DropReason::Gap);
        }
        (place.sequence, place.next_offset) = (record.sequence, record.next_offset());
        if record.kind == RecordKind::Resignation {
            (place.epoch, place.leader, place.sequence) = (Some(no), None, 0);
        }
        Verdict::InForce
    }

    fn go_on_behind(&mut self, no: RecordNo) {
        assert!(no >= self.place.next_no, "records are read in the order of their numbers");
        self.place.next_no = RecordNo(no.0 + 1);
    }
}

#[cfg(test)]
#[path = "fence_tests.rs"]
mod tests;

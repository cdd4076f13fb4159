//! A fence of its own: which records of a topic are in force, and why the others are not.

use anyhow::{Result, ensure};
use std::collections::BTreeMap;

use super::record::{Kind, Record};

/// Events of a batch are at most so much later than its beginning, milliseconds.
const FORGED_SPAN_MS: u64 = 60_000;

/// Who leads: the number of the claim, and the node that wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reign {
    pub(crate) epoch: u64,
    pub(crate) node: u32,
}

/// What is in force up to a place.
#[derive(Debug, Clone, Default)]
pub(super) struct Fence {
    log_id: Option<u128>,
    /// The number of the newest claim or resignation in force.
    epoch: Option<u64>,
    reign: Option<Reign>,
    sequence: u64,
    pub(super) next_offset: u64,
    /// Times in force never fall, and no leader tells less than an earlier one has told.
    time_ms: u64,
    told_ms: u64,
    told_before_ms: u64,
    /// How many claims were in force.
    pub(super) reign_count: u64,
    /// How many records were not in force, by reason.
    pub(super) dropped: BTreeMap<&'static str, u64>,
}

impl Fence {
    /// Whether the record with this number is in force.
    ///
    /// # Errors
    /// It is, and its times fall.
    pub(super) fn passes(&mut self, no: u64, record: &Record) -> Result<bool> {
        let objection = self.objection(record);
        if let Some(reason) = objection {
            self.drop_one(reason);
            return Ok(false);
        }
        match record.kind {
            Kind::Claim => {
                if self.log_id.is_none() {
                    self.next_offset = record.base_offset;
                }
                self.log_id = Some(record.log_id);
                self.begin(no, Some(Reign { epoch: no, node: record.node }));
                self.reign_count += 1;
                return Ok(true);
            }
            Kind::Batch | Kind::Mark | Kind::Note | Kind::Resignation => {
                self.sequence = record.sequence;
                self.next_offset += u64::from(record.event_count);
            }
        }
        ensure!(
            record.time_ms >= self.time_ms,
            "record {no} is of {} ms, after one of {} ms",
            record.time_ms,
            self.time_ms
        );
        ensure!(
            record.time_ms >= self.told_before_ms,
            "record {no} is of {} ms, and an earlier leader had told of {} ms",
            record.time_ms,
            self.told_before_ms
        );
        self.time_ms = record.time_ms;
        self.told_ms = self.told_ms.max(record.told_ms);
        if record.kind == Kind::Resignation {
            self.begin(no, None);
        }
        Ok(true)
    }

    /// The same batch as whoever leads would write it next; nothing if nobody leads.
    pub(super) fn next_of(&self, batch: Record) -> Option<Record> {
        let told_ms = self.told_ms + FORGED_SPAN_MS;
        self.reign.map(|reign| Record {
            epoch: Some(reign.epoch),
            sequence: self.sequence + 1,
            base_offset: self.next_offset,
            time_ms: self.told_ms,
            told_ms,
            ..batch
        })
    }

    pub(super) fn drop_one(&mut self, reason: &'static str) {
        *self.dropped.entry(reason).or_default() += 1;
    }

    fn begin(&mut self, epoch: u64, reign: Option<Reign>) {
        (self.epoch, self.reign, self.sequence) = (Some(epoch), reign, 0);
        self.told_before_ms = self.told_ms;
    }

    /// Why a record is not in force.
    fn objection(&self, record: &Record) -> Option<&'static str> {
        if record.partition != 0 || self.log_id.is_some_and(|id| id != record.log_id) {
            return Some("of another log");
        }
        if record.kind == Kind::Claim {
            return (record.epoch != self.epoch).then_some("a claim that came late");
        }
        match self.reign {
            Some(reign) if record.epoch == Some(reign.epoch) => {}
            _ => return Some("of a leader that leads no longer"),
        }
        if record.sequence <= self.sequence {
            return Some("a repetition");
        }
        (record.base_offset != self.next_offset).then_some("behind a gap")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster_checker::written::{batch, claim, mark, resignation};

    /// Records from number 0 on, each with why it is not in force, or nothing.
    fn check(script: Vec<(Record, &str)>) -> Fence {
        let mut fence = Fence::default();
        for (no, (record, reason)) in (0..).zip(script) {
            let before = fence.dropped.clone();
            let passes = fence.passes(no, &record).expect("its times are right");
            let dropped = fence.dropped.iter().find(|(reason, count)| before.get(*reason) != Some(*count));
            let said = dropped.map_or("", |(reason, _)| *reason);
            assert_eq!((passes, said), (reason.is_empty(), reason), "number {no}: {record:?}");
        }
        fence
    }

    #[test]
    fn only_what_fits_is_in_force() {
        let fence = check(vec![
            (mark(0, 1, 0), "of a leader that leads no longer"),
            (claim(1, None, 0), ""),
            (claim(2, None, 0), "a claim that came late"),
            (batch(1, 1, 0, vec![0; 2]), ""),
            (batch(1, 1, 0, vec![0; 2]), "a repetition"),
            (batch(1, 3, 3, vec![0; 1]), "behind a gap"),
            (mark(1, 2, 2), ""),
            (mark(1, 2, 2), "a repetition"),
            (claim(2, Some(1), 2), ""),
            (batch(1, 4, 2, vec![0; 1]), "of a leader that leads no longer"),
            (batch(8, 1, 2, vec![0; 3]), ""),
            (resignation(8, 2, 5), ""),
            (mark(8, 3, 5), "of a leader that leads no longer"),
            (mark(11, 1, 5), "of a leader that leads no longer"),
            (claim(1, Some(8), 5), "a claim that came late"),
            (claim(1, Some(11), 5), ""),
        ]);
        assert_eq!((fence.next_offset, fence.reign_count), (5, 3));
    }

    #[test]
    fn times_that_fall_are_noticed() {
        let mut fence = Fence::default();
        let timed = |record: Record, time_ms, told_ms| Record { time_ms, told_ms, ..record };
        let mut passes = |no, record| fence.passes(no, &record);
        passes(0, claim(1, None, 0)).expect("a claim");
        passes(1, timed(mark(0, 1, 0), 5, 9)).expect("the first");
        passes(2, timed(mark(0, 2, 0), 7, 8)).expect("its own leader has told more");
        assert!(passes(3, timed(mark(0, 3, 0), 6, 6)).is_err(), "a time in force falls");
        passes(4, claim(2, Some(0), 0)).expect("a claim");
        assert!(passes(5, timed(mark(4, 1, 0), 8, 8)).is_err(), "an earlier leader had told 9");
        passes(6, timed(mark(4, 2, 0), 9, 9)).expect("as late as was told");
    }
}

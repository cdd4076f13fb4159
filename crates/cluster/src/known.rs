//! What a node knows of the shared log: what is in force there, as its copy has it, and who leads.

use std::sync::Arc;

use crc32c::crc32c;
use onrush_log::AppendError;
use onrush_log::shared::{
    Admission, DropReason, Fence, Leadership, NodeId, Place, RecordKind, RecordNo, Role, SharedRecord,
    Verdict,
};
use onrush_node::Clock;

use crate::board::Board;
use crate::copy::{CopyError, LocalCopy};
use crate::notes::Notes;
use crate::status::Dropped;

/// Why something could not be done.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It may be, the next time.
    Passing(String),
    /// Nothing can be followed from here, until a person has done something.
    Lasting(String),
}

pub(crate) struct Known {
    pub(crate) fence: Fence,
    pub(crate) copy: LocalCopy,
    pub(crate) leadership: Leadership,
    pub(crate) board: Arc<Board>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) partition: u32,
    pub(crate) node: NodeId,
    /// The end of the log was seen since this process started.
    pub(crate) was_level: bool,
    /// See [`onrush_log::shared::SharedBounds`].
    pub(crate) numbers_are_dense: bool,
    /// An epoch that another process began with this node's number.
    pub(crate) twin_epoch: Option<RecordNo>,
    /// The latest time that was told by somebody who led.
    pub(crate) told_ms: u64,
    /// Where the newest leader is asked whether it is there; empty if that is not known.
    pub(crate) leader_url: String,
    pub(crate) dropped: Dropped,
    pub(crate) term_count: u64,
    /// CRC32C of the record before the place, if this process has read it.
    pub(crate) last_checksum: Option<u32>,
}

impl Known {
    pub(crate) fn place(&self) -> &Place {
        self.fence.place()
    }

    /// The epoch that this node leads.
    pub(crate) fn epoch_led(&self) -> Option<RecordNo> {
        match self.leadership.role() {
            Role::Leading { epoch } => Some(epoch),
            Role::Following | Role::Claiming | Role::Deposed => None,
        }
    }

    /// Takes the next record of the log. After trouble it was not taken.
    pub(crate) fn take(&mut self, no: RecordNo, bytes: &[u8]) -> Result<(), Trouble> {
        let before = *self.fence.place();
        if self.numbers_are_dense && no != before.next_no {
            return Err(Trouble::Passing(format!(
                "record {} of the shared log was to be read, and record {} came",
                before.next_no.0, no.0
            )));
        }
        let taken = self.take_through_fence(&before, no, bytes);
        match &taken {
            Ok(()) => self.last_checksum = Some(crc32c(bytes)),
            Err(_) => self.fence = Fence::new(self.partition, before),
        }
        taken
    }

    /// Says what was read, for whoever asks.
    pub(crate) fn show(&self) {
        let (place, leads) = (*self.place(), self.epoch_led().is_some());
        let mut state = self.board.state();
        let seen = &mut state.seen;
        if seen.place.epoch != place.epoch {
            seen.epoch_since = self.clock.read().steady;
        }
        if seen.leads != leads || seen.place.epoch != place.epoch || seen.since_ms == 0 {
            seen.since_ms = self.clock.wall_ms();
        }
        (seen.place, seen.leads, seen.last_checksum) = (place, leads, self.last_checksum);
        (seen.term_count, seen.dropped) = (self.term_count, self.dropped);
        if seen.leader_url != self.leader_url {
            seen.leader_url.clone_from(&self.leader_url);
        }
    }

    /// Says how far the copy has come.
    pub(crate) fn tell(&self) {
        let (copied, told_ms) = (self.copy.end(), self.told_ms);
        self.board.change(|state| {
            state.is_warm &= copied == state.copied;
            (state.copied, state.told_ms) = (copied, told_ms);
        });
    }

    fn take_through_fence(&mut self, before: &Place, no: RecordNo, bytes: &[u8]) -> Result<(), Trouble> {
        let Admission { verdict, record } = self.fence.read(no, bytes).map_err(|problem| {
            Trouble::Lasting(format!(
                "record {} of the shared log: {problem}; start a program as new as the one that wrote it",
                no.0
            ))
        })?;
        let Ok(record) = record else {
            tracing::warn!(
                record = no.0,
                "the shared log has something that no onrush wrote; it counts for nothing"
            );
            self.dropped.add(DropReason::Junk);
            return Ok(());
        };
        if verdict == Verdict::InForce && record.kind == RecordKind::Batch {
            self.keep(&record)?;
        }
        self.board.read_back(&record, no, verdict);
        if let Verdict::Dropped(reason) = verdict {
            self.dropped.add(reason);
            return check_dropped(before, &record, reason);
        }
        self.told_ms = record.told_ms.max(self.told_ms);
        match record.kind {
            RecordKind::Claim => {
                self.check_beginning()?;
                self.leader_url.clear();
                self.leader_url.push_str(&String::from_utf8_lossy(record.payload));
                let is_twin = record.node == self.node && record.sequence != self.leadership.tag();
                self.twin_epoch = Some(no).filter(|_| is_twin && self.was_level);
            }
            RecordKind::Note => {
                if let Some(notes) = Notes::decode(record.payload) {
                    self.board.state().notes = notes;
                }
            }
            RecordKind::Batch | RecordKind::Mark | RecordKind::Resignation => {}
        }
        if record.kind != RecordKind::Claim
            && self.twin_epoch.is_some_and(|epoch| record.epoch == Some(epoch))
        {
            self.tell_of_twin();
        }
        self.leadership.read(no, &record, verdict, self.clock.read().steady);
        Ok(())
    }

    /// The first claim of a log that goes on from another one tells whoever does not have that.
    fn check_beginning(&self) -> Result<(), Trouble> {
        let (begins_at, end) = (self.place().next_offset, self.copy.end());
        if begins_at <= end {
            return Ok(());
        }
        Err(Trouble::Lasting(format!(
            "the shared log goes on from a log of {begins_at} events, and this node has {end}: start it again, so that it begins with the \
             snapshot of them"
        )))
    }

    /// A claim of this node's number may be a late one of a process that is gone, but nothing behind it is.
    fn tell_of_twin(&mut self) {
        self.twin_epoch = None;
        let url = &self.leader_url;
        let problem = format!(
            "another process, at {url}, has led as node {} as well: give one of the two another cluster.node, and start it again",
            self.node.0
        );
        tracing::error!(problem, "this node must not lead");
        self.board.state().same_number = Some(problem);
    }

    fn keep(&mut self, record: &SharedRecord<'_>) -> Result<(), Trouble> {
        self.copy.keep(record).map_err(|error| match error {
            CopyError::Append(AppendError::NoRoom) => {
                Trouble::Passing(format!("the copy of the shared log: {error}"))
            }
            other => Trouble::Lasting(format!("the copy of the shared log: {other}")),
        })
    }
}

/// A record that is not in force is nothing special, unless it shows that the log is another one.
fn check_dropped(before: &Place, record: &SharedRecord<'_>, reason: DropReason) -> Result<(), Trouble> {
    tracing::debug!(%record, ?reason, "a record of the shared log is not in force");
    // A claim says only that somebody came with another id, as the second of two nodes that found a log together does. Anything else
    // is of somebody who leads another log here.
    let is_other = record.kind != RecordKind::Claim && before.log_id.is_some_and(|id| id != record.log_id);
    if reason == DropReason::Foreign && is_other {
        return Err(Trouble::Lasting(
            "the topic has records of another log than this node's copy: it was made anew, or the settings name \
             another topic. Give the node the topic that it had, or, if that is gone for good, an empty directory"
                .to_owned(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use onrush_log::Format;
    use onrush_log::memory::MemoryLog;
    use onrush_log::shared::{ClaimTimes, LogId};
    use onrush_node::MachineClock;

    use super::*;
    use crate::place_file::Reached;

    const OWN: NodeId = NodeId(1);

    fn known() -> Known {
        let silence = std::time::Duration::from_secs(3);
        let times = ClaimTimes { silence, silence_of_living: silence };
        let copy = LocalCopy::open(&MemoryLog::new(0), &Reached::default(), 1).unwrap().unwrap();
        let place = Place::default();
        Known {
            fence: Fence::new(0, place),
            copy,
            leadership: Leadership::new(OWN, 77, times, &place, silence),
            board: Board::new(0, 0, Notes::default()),
            clock: Arc::new(MachineClock),
            partition: 0,
            node: OWN,
            was_level: false,
            numbers_are_dense: true,
            twin_epoch: None,
            told_ms: 0,
            leader_url: String::new(),
            dropped: Dropped::default(),
            term_count: 0,
            last_checksum: None,
        }
    }

    fn record(kind: RecordKind, node: NodeId, log: u128, epoch: Option<u64>, sequence: u64) -> Vec<u8> {
        let is_batch = kind == RecordKind::Batch;
        let mut bytes = Vec::new();
        SharedRecord {
            kind,
            format: if is_batch { Format::NEWEST } else { Format::V1 },
            log_id: LogId(log),
            partition: 0,
            node,
            epoch: epoch.map(RecordNo),
            sequence,
            base_offset: 0,
            time_ms: 5,
            told_ms: 5,
            event_count: u32::from(is_batch),
            payload: if is_batch { b"event" } else { b"" },
        }
        .encode(&mut bytes);
        bytes
    }

    #[test]
    fn no_record_is_passed_over() {
        let mut known = known();
        known.take(RecordNo(0), &record(RecordKind::Claim, NodeId(2), 9, None, 5)).unwrap();
        let before = *known.place();
        let batch = record(RecordKind::Batch, NodeId(2), 9, Some(0), 1);
        let trouble = known.take(RecordNo(2), &batch).unwrap_err();
        assert!(matches!(&trouble, Trouble::Passing(text) if text.contains("record 1 ")), "{trouble:?}");
        assert_eq!((*known.place(), known.copy.end()), (before, 0));
        known.take(RecordNo(1), &batch).unwrap();
        assert_eq!(known.copy.end(), 1);
    }

    #[test]
    fn whoever_leads_another_log_stops_this_node_and_who_only_claims_does_not() {
        let mut known = known();
        known.take(RecordNo(0), &record(RecordKind::Claim, NodeId(2), 9, None, 5)).unwrap();
        known.take(RecordNo(1), &record(RecordKind::Claim, NodeId(3), 8, None, 6)).unwrap();
        let mark = record(RecordKind::Mark, NodeId(3), 8, Some(1), 1);
        assert!(matches!(known.take(RecordNo(2), &mark), Err(Trouble::Lasting(_))));
    }

    #[test]
    fn who_lacks_what_a_log_begins_with_does_not_follow_it() {
        let mut known = known();
        let mut bytes = Vec::new();
        let claim = record(RecordKind::Claim, NodeId(2), 9, None, 5);
        SharedRecord { base_offset: 70, ..SharedRecord::decode(&claim).unwrap() }.encode(&mut bytes);
        let trouble = known.take(RecordNo(0), &bytes).unwrap_err();
        assert!(matches!(&trouble, Trouble::Lasting(text) if text.contains("start it again")), "{trouble:?}");
        assert_eq!(known.place(), &Place::default(), "it was not taken");
    }

    #[test]
    fn a_late_claim_of_an_earlier_process_is_no_twin_and_one_who_leads_is() {
        let mut known = known();
        known.was_level = true;
        known.take(RecordNo(0), &record(RecordKind::Claim, OWN, 9, None, 5)).unwrap();
        assert_eq!(known.board.state().same_number, None, "it may be of a process that is gone");
        known.take(RecordNo(1), &record(RecordKind::Claim, NodeId(2), 9, Some(0), 6)).unwrap();
        known.take(RecordNo(2), &record(RecordKind::Mark, NodeId(2), 9, Some(1), 1)).unwrap();
        assert_eq!(known.board.state().same_number, None);
        known.take(RecordNo(3), &record(RecordKind::Claim, OWN, 9, Some(1), 7)).unwrap();
        known.take(RecordNo(4), &record(RecordKind::Mark, OWN, 9, Some(3), 1)).unwrap();
        assert!(known.board.state().same_number.is_some());
    }
}

//! Mistakes that can be planted, so that a test can show that each of them is found. They are made where the simulated node uses
//! what the product has; the product itself has no switch for them.

use clap::ValueEnum;
use onrush_log::shared::{
    Acked, Admission, Fence, InForce, NodeId, RecordKind, RecordNo, SharedError, SharedRecord, Verdict,
};

/// A mistake of every node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bug {
    /// A record counts although events before it in its epoch are missing
    NoBaseCheck,
    /// A claim counts although its writer had not seen the newest epoch
    ClaimsWithoutSeen,
    /// An acknowledgement counts although one before it is missing
    AcksOutOfOrder,
    /// An acknowledgement without a number counts as one with the expected number
    MissingNumberAsExpected,
    /// A node leads once its claim is acknowledged, before it has read so far
    LeadsBeforeOwnClaim,
    /// Refusals and reads rest on what is in force already, not on a record handed over later
    RefusalsWithoutRecord,
    /// A record that comes again counts again
    RepeatsApplied,
    /// A note that comes again, or behind a later one, counts
    RepeatedNotesCount,
    /// A new leader's time begins at its own clock, even if that is before the newest time in force
    ClockNotClamped,
    /// After a failed record the node goes on from what it had decided
    KeepsState,
    /// A node takes every claim with its id for its own
    ClaimsByName,
    /// A record does not say how late the answers were that rest on it
    AnswersNotDated,
}

impl Bug {
    /// What the node makes of a record that it reads.
    pub(crate) fn read<'a>(
        bug: Option<Self>,
        fence: &mut Fence,
        no: RecordNo,
        bytes: &'a [u8],
    ) -> Admission<'a> {
        let place = *fence.place();
        let Some((bug, record)) = bug.zip(SharedRecord::decode(bytes).ok()) else {
            return fence.read(no, bytes).expect("all nodes run the same program");
        };
        let is_claim = record.kind == RecordKind::Claim;
        let is_of_epoch = !is_claim && record.epoch == place.epoch;
        let (mut taken_for, base_offset) = (record, place.next_offset);
        match bug {
            Self::NoBaseCheck if is_of_epoch => taken_for.base_offset = base_offset,
            Self::ClaimsWithoutSeen if is_claim => taken_for.epoch = place.epoch,
            Self::RepeatsApplied if is_of_epoch && record.sequence <= place.sequence => {
                (taken_for.sequence, taken_for.base_offset) = (place.sequence + 1, base_offset);
            }
            _ => {}
        }
        let mut verdict = fence.admit(no, &taken_for);
        let is_late_note = record.kind == RecordKind::Note && record.base_offset == base_offset;
        if bug == Self::RepeatedNotesCount && is_of_epoch && is_late_note {
            verdict = Verdict::InForce;
        }
        Admission { verdict, record: Ok(record) }
    }

    /// What the node makes of a claim.
    pub(crate) fn own_claim<'a>(
        bug: Option<Self>,
        record: &SharedRecord<'a>,
        tag: u64,
        id: NodeId,
    ) -> SharedRecord<'a> {
        let is_taken = record.kind == RecordKind::Claim && record.node == id;
        let sequence = if is_taken && bug == Some(Self::ClaimsByName) { tag } else { record.sequence };
        SharedRecord { sequence, ..*record }
    }

    /// What the node makes of an acknowledgement.
    pub(crate) fn acked(
        bug: Option<Self>,
        in_force: &mut InForce,
        epoch: RecordNo,
        sequence: u64,
        acked: &Result<Acked, SharedError>,
    ) {
        match (bug, acked) {
            (Some(Self::MissingNumberAsExpected), Ok(Acked { no: None, .. })) => {
                let no = Some(RecordNo(epoch.0 + sequence));
                in_force.acked(sequence, &Ok(Acked { no, appended_at_ms: None }));
            }
            (Some(Self::AcksOutOfOrder), Ok(Acked { no: Some(no), .. })) => {
                in_force.read_back(sequence, *no, Verdict::InForce);
            }
            _ => in_force.acked(sequence, acked),
        }
    }
}

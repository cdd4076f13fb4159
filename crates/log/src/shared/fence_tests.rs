//! The verdicts, one script for each rule.

use super::*;
use crate::format::Format;

const LOG: LogId = LogId(7);

fn record(
    kind: RecordKind,
    node: u32,
    epoch: Option<u64>,
    sequence: u64,
    base: u64,
) -> SharedRecord<'static> {
    SharedRecord {
        kind,
        format: Format::V1,
        log_id: LOG,
        partition: 3,
        node: NodeId(node),
        epoch: epoch.map(RecordNo),
        sequence,
        base_offset: base,
        time_ms: 1,
        told_ms: 1,
        event_count: 0,
        payload: b"",
    }
}

fn claim(node: u32, seen: Option<u64>) -> SharedRecord<'static> {
    record(RecordKind::Claim, node, seen, 99, 0)
}

fn batch(epoch: u64, sequence: u64, base: u64, event_count: u32) -> SharedRecord<'static> {
    SharedRecord { event_count, ..record(RecordKind::Batch, 0, Some(epoch), sequence, base) }
}

fn mark(epoch: u64, sequence: u64, base: u64) -> SharedRecord<'static> {
    record(RecordKind::Mark, 0, Some(epoch), sequence, base)
}

fn resignation(to: u32, epoch: u64, sequence: u64, base: u64) -> SharedRecord<'static> {
    record(RecordKind::Resignation, to, Some(epoch), sequence, base)
}

/// Admits the records from number 0 on, and checks each verdict.
fn check(script: &[(SharedRecord<'_>, Option<DropReason>)]) -> Fence {
    let mut fence = Fence::new(3, Place::default());
    for (no, (record, reason)) in (0..).zip(script) {
        let expected = reason.map_or(Verdict::InForce, Verdict::Dropped);
        assert_eq!(fence.admit(RecordNo(no), record), expected, "number {no}: {record}");
    }
    fence
}

#[test]
fn of_two_claims_that_saw_the_same_epoch_the_earlier_wins() {
    let fence = check(&[
        (claim(1, None), None),
        (claim(2, None), Some(DropReason::LateClaim)),
        (claim(2, Some(0)), None),
        (claim(1, Some(0)), Some(DropReason::LateClaim)),
        (claim(1, Some(2)), None),
    ]);
    assert_eq!((fence.place().epoch, fence.place().leader), (Some(RecordNo(4)), Some(NodeId(1))));
}

#[test]
fn only_what_fits_behind_what_is_in_force_counts() {
    let fence = check(&[
        (mark(0, 1, 0), Some(DropReason::OtherEpoch)),
        (claim(1, None), None),
        (batch(1, 1, 0, 3), None),
        (batch(1, 1, 0, 3), Some(DropReason::Repeated)),
        (batch(1, 3, 4, 1), Some(DropReason::Gap)),
        (batch(1, 2, 3, 1), None),
        (batch(1, 3, 4, 1), None),
        (batch(0, 4, 5, 1), Some(DropReason::OtherEpoch)),
        (claim(2, Some(1)), None),
        (batch(1, 4, 5, 1), Some(DropReason::OtherEpoch)),
        (batch(8, 1, 5, 2), None),
    ]);
    assert_eq!(fence.place().next_offset, 7);
}

#[test]
fn a_mark_that_comes_again_or_late_changes_nothing() {
    let fence = check(&[
        (claim(1, None), None),
        (mark(0, 1, 0), None),
        (mark(0, 1, 0), Some(DropReason::Repeated)),
        (mark(0, 3, 0), None),
        (mark(0, 2, 0), Some(DropReason::Repeated)),
        // A mark that is missing leaves no hole.
        (batch(0, 5, 0, 1), None),
        (mark(0, 4, 0), Some(DropReason::Repeated)),
    ]);
    assert_eq!(fence.place().sequence, 5);
}

#[test]
fn behind_a_resignation_nobody_leads() {
    let fence = check(&[
        (claim(1, None), None),
        (batch(0, 1, 0, 2), None),
        (resignation(2, 0, 3, 3), Some(DropReason::Gap)),
        (resignation(2, 0, 3, 2), None),
        (mark(0, 4, 2), Some(DropReason::OtherEpoch)),
        (mark(3, 1, 2), Some(DropReason::OtherEpoch)),
        (claim(1, Some(0)), Some(DropReason::LateClaim)),
        (claim(2, Some(3)), None),
    ]);
    assert_eq!(fence.place().leader, Some(NodeId(2)));
}

#[test]
fn records_of_other_logs_and_junk_are_passed_over() {
    let mut fence = check(&[
        (SharedRecord { partition: 4, ..claim(1, None) }, Some(DropReason::Foreign)),
        (claim(1, None), None),
        (SharedRecord { log_id: LogId(8), ..claim(2, Some(1)) }, Some(DropReason::Foreign)),
        (SharedRecord { partition: 4, ..mark(1, 1, 0) }, Some(DropReason::Foreign)),
    ]);
    let mut verdict = |no, bytes: &[u8]| fence.read(RecordNo(no), bytes).map(|read| read.verdict);
    assert_eq!(verdict(9, b"junk"), Ok(Verdict::Dropped(DropReason::Junk)));
    assert_eq!(verdict(10, &encoded(&mark(1, 1, 0))), Ok(Verdict::InForce));
    assert_eq!(fence.place().next_no, RecordNo(11));
}

fn encoded(record: &SharedRecord<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    record.encode(&mut bytes);
    bytes
}

/// A later program leads by a claim of the next version: the leader before it must not take its own records for in force.
#[test]
fn nobody_goes_on_behind_a_record_of_a_later_program() {
    let mut fence = check(&[(claim(1, None), None), (batch(0, 1, 0, 2), None)]);
    let before = *fence.place();
    let mut later = encoded(&claim(2, Some(0)));
    later[4] = 3;
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&later[..80]), &later[84..]);
    later[80..84].copy_from_slice(&checksum.to_le_bytes());
    assert_eq!(fence.read(RecordNo(2), &later), Err(RecordProblem::Version(3)));
    assert_eq!(*fence.place(), before, "it is read again once the program knows it");
}

/// A program that does not know how a log begins with events would begin it without them.
#[test]
fn a_claim_that_begins_a_log_with_events_is_of_a_version_of_its_own() {
    let beginning = encoded(&record(RecordKind::Claim, 1, None, 99, 500));
    assert_eq!(beginning[4..6], [2, 0]);
    let others = [claim(1, None), record(RecordKind::Claim, 1, Some(3), 99, 500), batch(0, 1, 500, 2)];
    for other in others {
        assert_eq!(encoded(&other)[4..6], [1, 0], "{other}");
    }
}

#[test]
#[should_panic(expected = "in the order of their numbers")]
fn a_number_that_was_read_does_not_come_again() {
    let mut fence = Fence::new(3, Place::default());
    fence.admit(RecordNo(4), &claim(1, None));
    fence.admit(RecordNo(4), &claim(1, None));
}

#[test]
fn the_first_claim_says_with_how_many_events_a_log_begins() {
    let first = record(RecordKind::Claim, 1, None, 99, 500);
    let fence = check(&[
        (first, None),
        (batch(0, 1, 0, 2), Some(DropReason::Gap)),
        (batch(0, 1, 500, 2), None),
        (record(RecordKind::Claim, 2, Some(0), 98, 7), None),
        (batch(3, 1, 502, 1), None),
    ]);
    assert_eq!(fence.place().next_offset, 503, "a later claim changes nothing of it");
}

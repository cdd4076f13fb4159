//! The machine, stepped by hand.

use super::*;
use crate::format::Format;
use crate::shared::fence::DropReason;
use crate::shared::record::LogId;

const TAG: u64 = 0xfeed;
const TIMES: ClaimTimes =
    ClaimTimes { silence: Duration::from_secs(3), silence_of_living: Duration::from_secs(10) };

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn waits_until(seconds: u64) -> ClaimStep {
    ClaimStep::Wait { until: Some(at(seconds)) }
}

fn node() -> Leadership {
    Leadership::new(NodeId(1), TAG, TIMES, &Place::default(), at(0))
}

fn record(kind: RecordKind, node: u32, sequence: u64) -> SharedRecord<'static> {
    SharedRecord {
        kind,
        format: Format::V1,
        log_id: LogId(1),
        partition: 0,
        node: NodeId(node),
        epoch: Some(RecordNo(0)),
        sequence,
        base_offset: 0,
        time_ms: 0,
        told_ms: 0,
        event_count: 0,
        payload: b"",
    }
}

/// Goes through what comes before a claim, with nobody who answers.
fn claims(node: &mut Leadership, now: Duration) -> ClaimStep {
    if matches!(node.next_step(now), ClaimStep::Ping { .. }) {
        node.pinged(false);
    }
    assert_eq!(node.next_step(now), ClaimStep::Look);
    node.looked(true);
    node.next_step(now)
}

/// A node that leads since second 3, with the claim of number 5.
fn leading() -> Leadership {
    let mut node = node();
    assert_eq!(claims(&mut node, at(3)), ClaimStep::Claim { seen: None });
    node.read(RecordNo(5), &record(RecordKind::Claim, 1, TAG), Verdict::InForce, at(3));
    assert_eq!(node.role(), Role::Leading { epoch: RecordNo(5) });
    node
}

#[test]
fn a_node_leads_once_it_has_read_its_own_claim() {
    let mut node = node();
    assert_eq!(node.next_step(at(2)), waits_until(3));
    assert_eq!(node.next_step(at(3)), ClaimStep::Look);
    node.looked(false);
    assert_eq!(node.next_step(at(4)), ClaimStep::Look, "a log that cannot be read is not claimed");
    assert_eq!(claims(&mut node, at(4)), ClaimStep::Claim { seen: None });
    assert_eq!((node.role(), node.next_step(at(5))), (Role::Claiming, waits_until(7)));
    let claim = record(RecordKind::Claim, 1, TAG);
    node.read(RecordNo(8), &claim, Verdict::Dropped(DropReason::LateClaim), at(5));
    assert_eq!(node.role(), Role::Claiming);
    node.read(RecordNo(9), &claim, Verdict::InForce, at(5));
    assert_eq!(node.role(), Role::Leading { epoch: RecordNo(9) });
    assert_eq!(node.next_step(at(99)), ClaimStep::Wait { until: None });
}

#[test]
fn a_claim_with_the_name_of_the_node_and_another_tag_is_not_its_own() {
    let mut node = node();
    claims(&mut node, at(3));
    node.read(RecordNo(9), &record(RecordKind::Claim, 1, TAG + 1), Verdict::InForce, at(5));
    assert_eq!(node.role(), Role::Following);
}

#[test]
fn a_claim_that_was_given_up_counts_when_it_comes() {
    let mut node = node();
    claims(&mut node, at(3));
    node.claim_failed(at(4));
    assert_eq!((node.role(), node.next_step(at(4))), (Role::Following, waits_until(7)));
    node.read(RecordNo(9), &record(RecordKind::Claim, 1, TAG), Verdict::InForce, at(5));
    assert_eq!(node.role(), Role::Leading { epoch: RecordNo(9) });
}

#[test]
fn a_claim_without_an_answer_is_made_again() {
    let mut node = node();
    claims(&mut node, at(3));
    assert_eq!(node.next_step(at(6)), waits_until(9));
    assert_eq!(node.role(), Role::Following);
    assert_eq!(claims(&mut node, at(9)), ClaimStep::Claim { seen: None });
}

#[test]
fn a_leader_that_answers_has_more_time() {
    let mut node = node();
    node.read(RecordNo(2), &record(RecordKind::Claim, 7, 1), Verdict::InForce, at(1));
    assert_eq!(node.next_step(at(4)), ClaimStep::Ping { leader: NodeId(7) });
    node.pinged(true);
    assert_eq!(node.next_step(at(5)), waits_until(11));
    // Whatever is in force shows that it is at work.
    node.read(RecordNo(3), &record(RecordKind::Mark, 7, 1), Verdict::InForce, at(6));
    assert_eq!(node.next_step(at(8)), waits_until(9));
    assert_eq!(node.next_step(at(9)), ClaimStep::Ping { leader: NodeId(7) });
    node.pinged(true);
    assert_eq!(node.next_step(at(16)), ClaimStep::Look, "what was seen before says nothing now");
    node.looked(true);
    assert_eq!(node.next_step(at(16)), ClaimStep::Claim { seen: Some(RecordNo(2)) });
}

#[test]
fn a_leader_is_asked_again_after_the_log_could_not_be_read() {
    let mut node = node();
    node.read(RecordNo(2), &record(RecordKind::Claim, 7, 1), Verdict::InForce, at(1));
    assert_eq!(node.next_step(at(4)), ClaimStep::Ping { leader: NodeId(7) });
    node.pinged(false);
    assert_eq!(node.next_step(at(4)), ClaimStep::Look);
    node.looked(false);
    assert_eq!(node.next_step(at(6)), ClaimStep::Ping { leader: NodeId(7) });
}

#[test]
fn a_node_that_has_led_before_it_began_again_does_not_ask_itself() {
    let place = Place { epoch: Some(RecordNo(2)), leader: Some(NodeId(1)), ..Place::default() };
    let mut node = Leadership::new(NodeId(1), TAG, TIMES, &place, at(0));
    assert_eq!(node.next_step(at(3)), ClaimStep::Look);
}

/// Its claim has not seen the resignation, so waiting for it would be in vain.
#[test]
fn whom_a_resignation_names_claims_at_once_though_a_claim_is_on_its_way() {
    let mut node = node();
    node.read(RecordNo(2), &record(RecordKind::Claim, 7, 1), Verdict::InForce, at(1));
    assert_eq!(claims(&mut node, at(4)), ClaimStep::Claim { seen: Some(RecordNo(2)) });
    node.read(RecordNo(3), &record(RecordKind::Resignation, 1, 1), Verdict::InForce, at(5));
    assert_eq!(claims(&mut node, at(5)), ClaimStep::Claim { seen: Some(RecordNo(3)) });
}

#[test]
fn who_is_deposed_vacates_and_follows() {
    let mut node = leading();
    node.read(RecordNo(6), &record(RecordKind::Mark, 1, 1), Verdict::InForce, at(4));
    assert_eq!(node.role(), Role::Leading { epoch: RecordNo(5) });
    node.read(RecordNo(7), &record(RecordKind::Claim, 2, 1), Verdict::InForce, at(4));
    assert_eq!(node.role(), Role::Deposed);
    assert_eq!(node.next_step(at(4)), ClaimStep::Vacate);
    node.vacated();
    assert_eq!(node.next_step(at(4)), waits_until(7));
}

#[test]
fn who_gives_up_claims_again_at_once() {
    let mut node = leading();
    node.give_up();
    assert_eq!(node.next_step(at(4)), ClaimStep::Vacate);
    node.vacated();
    assert_eq!(claims(&mut node, at(4)), ClaimStep::Claim { seen: Some(RecordNo(5)) });
}

#[test]
fn whom_a_resignation_names_claims_at_once_and_the_others_wait() {
    for (named, expected) in [(1, ClaimStep::Look), (NodeId::ANY.0, ClaimStep::Look), (2, waits_until(7))] {
        let mut node = node();
        node.read(RecordNo(2), &record(RecordKind::Claim, 7, 1), Verdict::InForce, at(1));
        node.read(RecordNo(3), &record(RecordKind::Resignation, named, 1), Verdict::InForce, at(4));
        assert_eq!(node.next_step(at(4)), expected);
        assert_eq!(claims(&mut node, at(7)), ClaimStep::Claim { seen: Some(RecordNo(3)) });
    }
    let mut node = leading();
    node.read(RecordNo(7), &record(RecordKind::Resignation, 2, 1), Verdict::InForce, at(4));
    assert_eq!(node.role(), Role::Deposed);
}

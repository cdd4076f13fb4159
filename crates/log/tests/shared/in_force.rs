//! The count of what is in force, against a log that loses, repeats and reorders, and against one that is worked out anew from
//! everything that was ever told.

use std::collections::BTreeMap;

use onrush_log::Format;
use onrush_log::shared::{
    Acked, DropReason, Fence, InForce, LogId, NodeId, Place, RecordKind, RecordNo, SharedBounds, SharedError,
    SharedRecord, Verdict,
};
use proptest::prelude::*;

const EPOCH: RecordNo = RecordNo(3);

fn bounds(numbers_are_dense: bool) -> SharedBounds {
    SharedBounds { record_bytes_max: 1 << 20, outstanding_max: 12, numbers_are_dense }
}

fn at(no: Option<u64>) -> Acked {
    Acked { no: no.map(RecordNo), appended_at_ms: None }
}

fn hand_over(in_force: &mut InForce) {
    in_force.hand_over();
}

fn unknown() -> Result<Acked, SharedError> {
    Err(SharedError::Unknown("a test".into()))
}

#[test]
fn acknowledgements_count_in_an_unbroken_run_only() {
    let mut in_force = InForce::new(EPOCH, bounds(true));
    assert_eq!(
        [1, 2, 3].map(|_| in_force.hand_over()),
        [(1, RecordNo(4)), (2, RecordNo(5)), (3, RecordNo(6))]
    );
    in_force.acked(2, &Ok(at(Some(5))));
    in_force.acked(3, &Ok(at(Some(6))));
    assert_eq!((in_force.count(), in_force.outstanding_count()), (0, 3));
    in_force.acked(1, &Ok(at(Some(4))));
    assert_eq!((in_force.count(), in_force.outstanding_count()), (3, 0));
    assert!(!in_force.has_failed());
}

#[test]
fn behind_a_strange_number_the_reader_begins_another_run() {
    for strange in [Some(5), None] {
        let mut in_force = InForce::new(EPOCH, bounds(true));
        (0..3).for_each(|_| hand_over(&mut in_force));
        in_force.acked(1, &Ok(at(strange)));
        in_force.acked(2, &Ok(at(Some(6))));
        assert_eq!(in_force.count(), 0);
        in_force.read_back(1, RecordNo(5), Verdict::InForce);
        assert_eq!(in_force.count(), 2);
        assert_eq!(in_force.hand_over(), (4, RecordNo(8)));
        in_force.acked(3, &Ok(at(Some(7))));
        assert_eq!(in_force.count(), 3);
    }
}

#[test]
fn numbers_with_gaps_say_nothing() {
    let mut in_force = InForce::new(EPOCH, bounds(false));
    in_force.hand_over();
    in_force.acked(1, &Ok(at(Some(4))));
    assert_eq!(in_force.count(), 0);
    in_force.read_back(1, RecordNo(4), Verdict::InForce);
    assert_eq!(in_force.count(), 1);
}

#[test]
fn what_fails_after_it_is_in_force_does_no_harm() {
    let mut in_force = InForce::new(EPOCH, bounds(true));
    (0..3).for_each(|_| hand_over(&mut in_force));
    in_force.read_back(1, RecordNo(4), Verdict::InForce);
    in_force.acked(1, &unknown());
    in_force.read_back(1, RecordNo(5), Verdict::Dropped(DropReason::Repeated));
    assert!(!in_force.has_failed());
    in_force.acked(2, &unknown());
    assert!(in_force.has_failed());
    in_force.read_back(2, RecordNo(6), Verdict::InForce);
    assert_eq!(in_force.count(), 2);
}

#[test]
fn a_hole_that_the_reader_finds_is_a_failure() {
    let mut in_force = InForce::new(EPOCH, bounds(true));
    (0..2).for_each(|_| hand_over(&mut in_force));
    in_force.read_back(2, RecordNo(4), Verdict::Dropped(DropReason::Gap));
    assert!(in_force.has_failed());
}

#[test]
#[should_panic(expected = "behind a resignation nothing is in force")]
fn nothing_is_handed_over_behind_a_resignation() {
    let mut in_force = InForce::new(EPOCH, bounds(true));
    in_force.hand_over();
    assert_eq!(in_force.hand_over_last(), (2, RecordNo(5)));
    in_force.hand_over();
}

#[test]
#[should_panic(expected = "takes no more at once")]
fn no_more_is_handed_over_than_the_log_takes() {
    let mut in_force = InForce::new(EPOCH, bounds(true));
    (0..13).for_each(|_| hand_over(&mut in_force));
}

/// What becomes of a record of the epoch.
#[derive(Clone, Debug)]
enum Fate {
    Lost,
    Kept { delay: u8, repeated_after: Option<u8> },
}

#[derive(Clone, Debug)]
struct Sent {
    event_count: u32,
    fate: Fate,
    /// How it is acknowledged: with its number, without, not at all.
    ack: u8,
    /// Whether it is acknowledged at the first of its places, or at the last.
    acks_first: bool,
    /// When, among all that is told.
    told_at: u8,
}

fn any_sent() -> impl Strategy<Value = Sent> {
    let fate = prop_oneof![
        1 => Just(Fate::Lost),
        8 => (prop_oneof![4 => Just(0), 1 => 0..4_u8], prop::option::weighted(0.1, 0..5_u8))
            .prop_map(|(delay, repeated_after)| Fate::Kept { delay, repeated_after }),
    ];
    let ack = prop_oneof![6 => Just(0), 1 => Just(1), 1 => Just(2)];
    let rest = (any::<bool>(), any::<u8>());
    (0..3_u32, fate, ack, rest).prop_map(|(event_count, fate, ack, (acks_first, told_at))| Sent {
        event_count,
        fate,
        ack,
        acks_first,
        told_at,
    })
}

/// Something that the writer is told.
#[derive(Clone, Debug)]
enum Told {
    Acked(u64, Option<u64>),
    Read(u64, u64, Verdict),
}

/// The record numbers of the log from the claim on, each with a record of the epoch or something else.
fn history(sent: &[Sent], junk: &[u8], claim_at: Option<u8>) -> Vec<Option<u64>> {
    let mut places: Vec<(u32, Option<u64>)> = Vec::new();
    for (index, sent) in sent.iter().enumerate() {
        let at = u32::try_from(index).expect("few") * 2;
        if let Fate::Kept { delay, repeated_after } = sent.fate {
            let at = at + u32::from(delay) * 2;
            places.push((at, Some(index as u64 + 1)));
            if let Some(later) = repeated_after {
                places.push((at + u32::from(later) * 2, Some(index as u64 + 1)));
            }
        }
    }
    places.extend(junk.iter().map(|at| (u32::from(*at) * 2 + 1, None)));
    places.extend(claim_at.map(|at| (u32::from(at) * 2 + 1, Some(0))));
    places.sort_by_key(|place| place.0);
    places.into_iter().map(|place| place.1).collect()
}

fn record(kind: RecordKind, epoch: Option<RecordNo>, sequence: u64) -> SharedRecord<'static> {
    SharedRecord {
        kind,
        format: Format::V1,
        log_id: LogId(1),
        partition: 0,
        node: NodeId(0),
        epoch,
        sequence,
        base_offset: 0,
        time_ms: 0,
        told_ms: 0,
        event_count: 0,
        payload: b"",
    }
}

/// Each record of the log with its number, its place in the epoch and its verdict.
fn verdicts(sent: &[Sent], history: &[Option<u64>]) -> Vec<(u64, u64, Verdict)> {
    let mut fence = Fence::new(0, Place::default());
    assert_eq!(fence.admit(EPOCH, &record(RecordKind::Claim, None, 1)), Verdict::InForce);
    let bases: Vec<u64> = sent
        .iter()
        .scan(0, |next, sent| Some(std::mem::replace(next, *next + u64::from(sent.event_count))))
        .collect();
    let mut found = Vec::new();
    for (no, place) in (EPOCH.0 + 1..).zip(history) {
        match place {
            Some(0) => {
                fence.admit(RecordNo(no), &record(RecordKind::Claim, Some(EPOCH), 2));
            }
            Some(sequence) => {
                let index = usize::try_from(*sequence).expect("few") - 1;
                let event_count = sent[index].event_count;
                let kind = if event_count > 0 { RecordKind::Batch } else { RecordKind::Mark };
                let base_offset = bases[index];
                let record =
                    SharedRecord { event_count, base_offset, ..record(kind, Some(EPOCH), *sequence) };
                found.push((no, *sequence, fence.admit(RecordNo(no), &record)));
            }
            None => {}
        }
    }
    found
}

/// The same worked out anew from everything that was told.
fn naive(told: &[Told]) -> u64 {
    let mut begins = BTreeMap::from([(0, EPOCH.0)]);
    let mut places = BTreeMap::new();
    for told in told {
        match *told {
            Told::Acked(sequence, Some(no)) => drop(places.insert(sequence, no)),
            Told::Read(sequence, no, Verdict::InForce) => drop(begins.insert(sequence, no)),
            Told::Acked(_, None) | Told::Read(..) => {}
        }
    }
    let reach = |(&begin, &no): (&u64, &u64)| {
        let mut run = 0;
        while places.get(&(begin + run + 1)) == Some(&(no + run + 1)) {
            run += 1;
        }
        begin + run
    };
    begins.iter().map(reach).max().expect("the claim is one of them")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn it_counts_what_is_in_force_and_nothing_else(
        sent in prop::collection::vec(any_sent(), 1..12),
        junk in prop::collection::vec(0..12_u8, 0..3),
        claim_at in prop::option::weighted(0.3, 0..12_u8),
        read_steps in prop::collection::vec(any::<u8>(), 30),
    ) {
        let verdicts = verdicts(&sent, &history(&sent, &junk, claim_at));
        let mut order: Vec<(u8, Told)> = Vec::new();
        for (sequence, sent) in (1..).zip(&sent) {
            let mut places = verdicts.iter().filter(|found| found.1 == sequence).map(|found| found.0);
            let place = if sent.acks_first { places.next() } else { places.next_back() };
            if let Some(no) = place.filter(|_| sent.ack < 2) {
                order.push((sent.told_at, Told::Acked(sequence, (sent.ack == 0).then_some(no))));
            }
        }
        let mut read_at = 0;
        for (found, step) in verdicts.iter().zip(&read_steps) {
            // The reader goes in order, somewhere between the acknowledgements.
            read_at = step.max(&read_at).to_owned();
            order.push((read_at, Told::Read(found.1, found.0, found.2)));
        }
        order.sort_by_key(|told| told.0);

        let is_in_force = |sequence| verdicts.iter().any(|found| found.1 == sequence && found.2 == Verdict::InForce);
        let mut in_force = InForce::new(EPOCH, bounds(true));
        (0..sent.len()).for_each(|_| hand_over(&mut in_force));
        let mut so_far = Vec::new();
        for (_, told) in order {
            match &told {
                Told::Acked(sequence, no) => in_force.acked(*sequence, &Ok(at(*no))),
                Told::Read(sequence, no, verdict) => in_force.read_back(*sequence, RecordNo(*no), *verdict),
            }
            so_far.push(told);
            let count = in_force.count();
            prop_assert_eq!(count, naive(&so_far));
            for (sequence, sent) in (1..=count).zip(&sent) {
                prop_assert!(sent.event_count == 0 || is_in_force(sequence), "{} of {:?}", sequence, so_far);
            }
            prop_assert!(count == 0 || is_in_force(count), "{} of {:?}", count, so_far);
        }
        let newest = verdicts.iter().filter(|found| found.2 == Verdict::InForce).map(|found| found.1).max();
        prop_assert_eq!(in_force.count(), newest.unwrap_or(0));
    }
}

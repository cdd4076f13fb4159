//! Any record comes back as it was, and nothing else is one.

use onrush_log::Format;
use onrush_log::shared::{
    LogId, NodeId, RECORD_HEADER_BYTES, RecordKind, RecordNo, RecordProblem, SHORT_PAYLOAD_BYTES_MAX,
    SharedRecord,
};
use proptest::prelude::*;

/// Everything of a record but its payload, and the payload.
fn any_record() -> impl Strategy<Value = (SharedRecord<'static>, Vec<u8>)> {
    let kind = prop::sample::select(vec![
        RecordKind::Claim,
        RecordKind::Batch,
        RecordKind::Mark,
        RecordKind::Resignation,
        RecordKind::Note,
    ]);
    let numbers = (any::<u128>(), any::<u32>(), any::<u32>(), 0..u64::MAX, 1..u64::MAX, 0..u64::MAX / 2);
    let rest =
        (any::<u64>(), any::<u64>(), 1..u32::MAX, any::<bool>(), prop::collection::vec(any::<u8>(), 0..600));
    (kind, numbers, rest).prop_map(|(kind, numbers, rest)| {
        let (log_id, partition, node, epoch, sequence, base_offset) = numbers;
        let (time, other_time, event_count, is_first, payload) = rest;
        let is_batch = kind == RecordKind::Batch;
        let is_empty = matches!(kind, RecordKind::Mark | RecordKind::Resignation);
        let record = SharedRecord {
            kind,
            format: if is_batch { Format::V2 } else { Format::V1 },
            log_id: LogId(log_id),
            partition,
            node: NodeId(node),
            epoch: (kind != RecordKind::Claim || !is_first).then_some(RecordNo(epoch)),
            sequence,
            base_offset,
            time_ms: time.min(other_time),
            told_ms: time.max(other_time),
            event_count: if is_batch { event_count } else { 0 },
            payload: b"",
        };
        (record, if is_empty { Vec::new() } else { payload })
    })
}

fn encoded(record: &SharedRecord<'_>, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    SharedRecord { payload, ..*record }.encode(&mut bytes);
    bytes
}

proptest! {
    #[test]
    fn any_record_comes_back((record, payload) in any_record()) {
        let bytes = encoded(&record, &payload);
        prop_assert_eq!(bytes.len(), RECORD_HEADER_BYTES + payload.len());
        prop_assert_eq!(SharedRecord::decode(&bytes), Ok(SharedRecord { payload: &payload, ..record }));
    }

    #[test]
    fn a_record_that_is_cut_or_has_more_behind_it_is_none(
        (record, payload) in any_record(),
        cut: prop::sample::Index,
        more in prop::collection::vec(any::<u8>(), 1..50),
    ) {
        let bytes = encoded(&record, &payload);
        prop_assert!(SharedRecord::decode(&bytes[..cut.index(bytes.len())]).is_err());
        prop_assert!(SharedRecord::decode(&[bytes, more].concat()).is_err());
    }

    #[test]
    fn a_record_with_other_bits_is_none(
        (record, payload) in any_record(),
        bits in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
    ) {
        let mut bytes = encoded(&record, &payload);
        let places: std::collections::HashSet<usize> = bits.iter().map(|bit| bit.index(bytes.len() * 8)).collect();
        for place in places {
            bytes[place / 8] ^= 1 << (place % 8);
        }
        prop_assert!(SharedRecord::decode(&bytes).is_err());
    }

    /// Whatever stands between a right beginning and a right checksum, and however likely it is a record.
    #[test]
    fn what_decodes_is_written_alike(
        mut bytes in prop::collection::vec(any::<u8>(), RECORD_HEADER_BYTES..200),
        kind in 0..7_u8,
        fields in prop::collection::vec((6..RECORD_HEADER_BYTES - 4, 0..3_u8), 0..90),
    ) {
        bytes[..6].copy_from_slice(b"oSHR\x01\0");
        bytes[6] = kind;
        // Few fields are right by chance: most of a record is small numbers.
        for (place, value) in fields {
            bytes[place] = value;
        }
        let payload_bytes = u32::try_from(bytes.len() - RECORD_HEADER_BYTES).expect("few");
        bytes[76..80].copy_from_slice(&payload_bytes.to_le_bytes());
        bytes = with_checksum(bytes);
        if let Ok(record) = SharedRecord::decode(&bytes) {
            prop_assert_eq!(encoded(&record, record.payload), bytes);
        }
    }
}

/// The header with another field and a checksum that matches.
fn changed(bytes: &[u8], place: usize, value: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[place] = value;
    with_checksum(bytes)
}

fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&bytes[..80]), &bytes[84..]);
    bytes[80..84].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

const MARK: SharedRecord<'_> = SharedRecord {
    kind: RecordKind::Mark,
    format: Format::V1,
    log_id: LogId(1),
    partition: 0,
    node: NodeId(0),
    epoch: Some(RecordNo(0)),
    sequence: 1,
    base_offset: 0,
    time_ms: 0,
    told_ms: 0,
    event_count: 0,
    payload: b"",
};

#[test]
fn fields_that_no_program_writes_are_refused() {
    let bytes = encoded(&MARK, b"");
    let decode = |bytes: &[u8]| SharedRecord::decode(bytes).map(|_| ());
    assert_eq!(decode(&changed(&bytes, 79, 0)), Ok(()));
    for (place, value, problem) in [
        (4, 2, RecordProblem::Values),
        (4, 3, RecordProblem::Version(3)),
        (6, 0, RecordProblem::Values),
        (6, 6, RecordProblem::Values),
        (6, RecordKind::Batch as u8, RecordProblem::Values),
        (7, 2, RecordProblem::Values),
        (7, 9, RecordProblem::Values),
        (40, 0, RecordProblem::Values),
        (56, 1, RecordProblem::Values),
        (72, 1, RecordProblem::Values),
        (76, 1, RecordProblem::Values),
    ] {
        assert_eq!(decode(&changed(&bytes, place, value)), Err(problem), "byte {place} is {value}");
    }
    assert_eq!(decode(b"oFRM"), Err(RecordProblem::Length));
    assert_eq!(decode(&[0; 100]), Err(RecordProblem::NoMagic));
}

#[test]
#[should_panic(expected = "has the fields of its kind")]
fn a_claim_with_too_much_to_say_is_not_written() {
    let claim = SharedRecord { kind: RecordKind::Claim, epoch: None, ..MARK };
    encoded(&claim, &[0; SHORT_PAYLOAD_BYTES_MAX + 1]);
}

//! Snapshots, and trimming below them.

use std::convert::Infallible;

use super::Harness;
use super::open_log::OpenLog;
use crate::contract::Log;
use crate::error::{OpenError, ReadError, SnapshotError, VisitError};
use crate::limits::CHUNK_BYTES_MAX;

const DIGEST: [u8; 16] = *b"0123456789abcdef";

fn write(log: &dyn Log, offset: u64, chunks: &[&[u8]]) {
    let mut writer = log.write_snapshot(offset, 77).expect("there is room");
    for chunk in chunks {
        writer.write_chunk(chunk).expect("there is room");
    }
    writer.finish(DIGEST).expect("there is room");
}

/// Its chunks, time and digest, also after a restart; the digest only when all was read.
pub fn a_snapshot_comes_back(harness: &mut dyn Harness) {
    let large = vec![7; 100_000];
    let chunks = [&b"one"[..], b"", &large, b"last"];
    write(&*harness.log(), 42, &chunks);
    for _ in 0..2 {
        let log = harness.log();
        assert_eq!(log.snapshots().expect("listed"), [42]);
        let mut reader = log.read_snapshot(42).expect("it is there");
        assert_eq!((reader.time_ms(), reader.digest()), (77, None));
        let mut read = Vec::new();
        while let Some(chunk) = reader.next_chunk().expect("whole") {
            read.push(chunk.to_vec());
        }
        assert_eq!(read, chunks.into_iter().filter(|chunk| !chunk.is_empty()).collect::<Vec<_>>());
        assert_eq!(reader.digest(), Some(DIGEST));
        assert!(reader.next_chunk().expect("whole").is_none(), "and nothing behind the last");
        assert!(matches!(log.read_snapshot(43), Err(SnapshotError::Missing { offset: 43 })));
        drop((reader, log));
        harness.restart();
    }
    let mut writer = harness.log().write_snapshot(50, 78).expect("there is room");
    let too_large = writer.write_chunk(&vec![0; CHUNK_BYTES_MAX + 1]);
    assert!(matches!(too_large, Err(SnapshotError::TooLarge { .. })));
}

/// A snapshot exists when it is finished.
pub fn an_unfinished_snapshot_leaves_nothing(harness: &mut dyn Harness) {
    let log = harness.log();
    write(&*log, 5, &[b"kept"]);
    let mut writer = log.write_snapshot(9, 77).expect("there is room");
    writer.write_chunk(&[1; 5_000]).expect("there is room");
    assert_eq!(log.snapshots().expect("listed"), [5]);
    drop(writer);
    assert_eq!(log.snapshots().expect("listed"), [5]);
    let mut writer = log.write_snapshot(9, 77).expect("there is room");
    writer.write_chunk(&[1; 5_000]).expect("there is room");
    harness.restart();
    assert_eq!(harness.log().snapshots().expect("listed"), [5]);
    write(&*harness.log(), 9, &[b"whole"]);
    assert_eq!(harness.log().snapshots().expect("listed"), [9, 5]);
}

/// The oldest goes when a third is finished.
pub fn the_two_newest_snapshots_are_kept(harness: &mut dyn Harness) {
    let log = harness.log();
    for (offset, kept) in [(5, &[5][..]), (9, &[9, 5]), (30, &[30, 9]), (31, &[31, 30])] {
        write(&*log, offset, &[b"state"]);
        assert_eq!(log.snapshots().expect("listed"), kept);
    }
}

/// Nothing is trimmed that one of two snapshots needs or that is asked to be kept; who asks for what is gone is told what is
/// there.
pub fn only_what_two_snapshots_cover_is_trimmed(harness: &mut dyn Harness) {
    let mut open = OpenLog::open(harness);
    let log = harness.log();
    let mut ends = Vec::new();
    for _ in 0..6 {
        open.fill_part(harness);
        ends.push(open.next_offset);
    }
    let (first, second) = (ends[2], ends[4]);
    assert_eq!(log.trim(u64::MAX).expect("removed"), 0, "there is no snapshot");
    write(&*log, first, &[b"state"]);
    assert_eq!(log.trim(u64::MAX).expect("removed"), 0, "a damaged one would leave nothing");
    write(&*log, second, &[b"state"]);
    let all_bytes = log.reader().bytes_from(0);
    assert!(log.reader().bytes_from(second) < all_bytes);
    assert_eq!(log.trim(0).expect("removed"), 0, "all of it is asked for");
    assert!(log.trim(u64::MAX).expect("removed") > 0);
    assert_eq!(log.trim(u64::MAX).expect("removed"), 0);
    let mut reader = log.reader();
    let oldest = reader.oldest_offset();
    assert!(0 < oldest && oldest <= first, "{oldest} {first}");
    assert!(reader.bytes_from(0) < all_bytes);
    let below = reader.read(oldest - 1, u64::MAX, |_| Ok::<_, Infallible>(()));
    match below.map_err(VisitError::of_log) {
        Err(ReadError::Trimmed { from, oldest: kept }) => assert_eq!((from, kept), (oldest - 1, oldest)),
        other => panic!("{other:?}"),
    }
    open.batches.retain(|batch| batch.base_offset >= oldest);
    open.check();
    drop((open, log, reader));
    for restarts in [false, true] {
        if restarts {
            harness.restart();
        }
        let opened = OpenLog::try_open(harness, first, None).expect("from the older snapshot");
        assert_eq!(opened.batches.first().map(|batch| batch.base_offset), Some(first));
        OpenLog::try_open(harness, second, None).expect("from the newer");
        assert!(matches!(OpenLog::try_open(harness, 0, None), Err(OpenError::Damaged(_))));
    }
}

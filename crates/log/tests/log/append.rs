//! Appending, reading, trimming and room, without crashes.

use std::convert::Infallible;

use onrush_log::file::faulty::FaultyStorage;
use onrush_log::file::{FileWriter, FrameKind, LogDirectory, LogSettings};
use onrush_log::{AppendError, LogReader, OpenError, Opening, ReadError, VisitError};

use crate::history::{Batch, PARTITION, SEGMENT_BYTES, append_all, open, open_with, opening, shared};

/// Bytes of a segment that frames may use.
const USABLE_BYTES: u64 = SEGMENT_BYTES - 4096;
const HEADER_BYTES: u64 = 48;

fn read(directory: &LogDirectory, from: u64, to: u64) -> (Vec<Batch>, u64) {
    let mut batches = Vec::new();
    let reached = directory.reader().read(from, to, |frame| {
        if frame.header.kind == FrameKind::Batch {
            batches.push(Batch::of(frame));
        }
        Ok::<_, Infallible>(())
    });
    (batches, reached.expect("read"))
}

fn snapshot(directory: &LogDirectory, offset: u64) {
    directory.write_snapshot(offset, 1).expect("begin").finish([0; 16]).expect("finish");
}

fn fill_segment(log: &mut FileWriter) {
    let room = usize::try_from(log.room_bytes()).expect("small");
    log.append(1, 1, &vec![1; room]).expect("room was promised");
}

#[test]
fn what_is_appended_is_found_again() {
    for sizes in [
        &[][..],
        &[Some(0)],
        &[Some(1), Some(7), Some(8), Some(9)],
        &[Some(4096 - 48), Some(4096), Some(4000)],
        &[Some(12240), Some(12240), Some(1)],
        &[None, Some(5), None, None, Some(6)],
        &[Some(3000); 40],
    ] {
        let disk = FaultyStorage::new();
        let mut opened = open(&disk).expect("new");
        let batches = append_all(&mut opened.log, sizes);
        assert_eq!(read(&opened.directory, 0, u64::MAX), (batches.clone(), 2 * batches.len() as u64));
        opened.log.close(5000).expect("close");
        drop(opened.directory);
        let again = open(&disk).expect("again");
        assert_eq!(again.batches, batches, "{sizes:?}");
        assert_eq!((again.recovered.next_offset, again.recovered.epoch), (2 * batches.len() as u64, 2));
        assert_eq!((again.recovered.time_ms, again.recovered.torn_at), (5000, None));
    }
}

#[test]
fn payloads_beyond_the_maximum_are_refused_and_change_nothing() {
    let disk = FaultyStorage::new();
    let mut log = open(&disk).expect("new").log;
    let batch_bytes_max = USABLE_BYTES - HEADER_BYTES;
    assert_eq!(log.batch_bytes_max(), batch_bytes_max);
    let before = disk.operation_count();
    let refused = log.append(1, 1, &vec![0; batch_bytes_max as usize + 1]);
    assert!(matches!(refused, Err(AppendError::TooLarge { .. })));
    assert_eq!(disk.operation_count(), before);
    log.append(1, 1, &vec![0; batch_bytes_max as usize]).expect("the maximum fits");
}

#[test]
fn a_batch_is_one_write_and_one_sync() {
    let disk = FaultyStorage::new();
    let mut log = open(&disk).expect("new").log;
    let (operations, syncs) = (disk.operation_count(), log.counters().sync_count);
    log.append(3, 1, &[9; 5000]).expect("append");
    assert_eq!(disk.operation_count() - operations, 2);
    assert_eq!(log.counters().sync_count - syncs, 1);
    assert_eq!((log.counters().batch_count, log.durable_offset()), (1, 3));
}

#[test]
fn opening_from_an_offset_visits_what_follows() {
    let disk = FaultyStorage::new();
    let mut opened = open(&disk).expect("new");
    let batches = append_all(&mut opened.log, &[Some(2500); 20]);
    drop(opened);
    for (index, batch) in batches.iter().enumerate() {
        let directory = LogDirectory::lock(shared(&disk), PARTITION).expect("free");
        let again = open_with(directory, opening(batch.base_offset, None)).expect("open");
        assert_eq!(again.batches, batches[index..]);
    }
    let directory = LogDirectory::lock(shared(&disk), PARTITION).expect("free");
    for (from_offset, says) in [(3, "the batch holds offset 3"), (42, "before the snapshot at offset 42")] {
        let refused =
            open_with(directory.clone(), opening(from_offset, None)).err().expect("refused").to_string();
        assert!(refused.contains(says), "{refused}");
    }
}

#[test]
fn readers_stop_where_they_are_told_and_go_on() {
    let disk = FaultyStorage::new();
    let mut opened = open(&disk).expect("new");
    let mut reader = opened.directory.reader();
    let mut seen = Vec::new();
    let mut batches = Vec::new();
    for _ in 0..15 {
        batches.extend(append_all(&mut opened.log, &[Some(1500), None, Some(10)]));
        let from = reader.durable_offset() - 4;
        for to in [from + 2, from + 3, u64::MAX] {
            let start = seen.last().map_or(0, Batch::next_offset);
            let mut keep = |frame: onrush_log::file::FrameRef<'_>| {
                if frame.header.kind == FrameKind::Batch {
                    seen.push(Batch::of(frame));
                }
                Ok::<_, Infallible>(())
            };
            let reached = reader.read(start, to, &mut keep).expect("read");
            assert_eq!(reached, seen.last().map_or(0, Batch::next_offset));
        }
        assert_eq!(seen, batches);
    }
    assert!(reader.sealed_offset() > 0 && reader.sealed_offset() < reader.durable_offset());
    assert_eq!(read(&opened.directory, 5, 8).0, batches[2..4], "frames that hold 5 to 7");
    assert_eq!(read(&opened.directory, 60, 90), (Vec::new(), 60));
}

#[test]
fn trimming_keeps_what_the_older_snapshot_needs() {
    let disk = FaultyStorage::new();
    let mut opened = open(&disk).expect("new");
    let directory = opened.directory.clone();
    let batches = append_all(&mut opened.log, &[Some(3000); 40]);
    assert_eq!(directory.trim(u64::MAX).expect("trim"), 0, "no snapshot");
    snapshot(&directory, 40);
    assert_eq!(directory.trim(u64::MAX).expect("trim"), 0, "one snapshot");
    snapshot(&directory, 60);
    assert!(directory.trim(20).expect("trim") > 0);
    assert!((10..=20).contains(&directory.reader().oldest_offset()));
    assert!(directory.trim(u64::MAX).expect("trim") > 0);
    let oldest = directory.reader().oldest_offset();
    assert!((30..=40).contains(&oldest));
    assert!(matches!(
        directory.reader().read(oldest - 1, u64::MAX, |_| Ok::<_, Infallible>(())),
        Err(VisitError::Log(ReadError::Trimmed { oldest: kept, .. })) if kept == oldest
    ));
    assert_eq!(read(&directory, oldest, u64::MAX).0, batches[oldest as usize / 2..]);
    drop(opened);
    let again = open_with(directory.clone(), opening(40, None)).expect("from the older snapshot");
    assert_eq!(again.batches, batches[20..]);
    drop(again);
    let refused = open_with(directory, opening(0, None)).err().expect("refused").to_string();
    assert!(refused.contains("the one with 0 is missing"), "{refused}");
}

#[test]
fn a_full_disk_refuses_before_writing_and_recovers_when_there_is_room() {
    let disk = FaultyStorage::new();
    let mut opened = open(&disk).expect("new");
    disk.set_room(Some(disk.used_bytes()));
    opened.log.append(1, 1, &[1]).expect("there is room");
    assert_eq!(opened.log.room_bytes(), USABLE_BYTES - HEADER_BYTES, "the spare counts");
    fill_segment(&mut opened.log);
    assert_eq!(opened.log.room_bytes(), 0);
    let live = "00000000000000000001-0000000002.seg";
    let before = disk.contents(live);
    assert!(before.is_some());
    assert!(!opened.log.room_is_coming());
    for _ in 0..3 {
        assert!(matches!(opened.log.append(1, 1, &[1]), Err(AppendError::NoRoom)));
        assert!(matches!(opened.log.append_mark(1), Err(AppendError::NoRoom)));
    }
    assert_eq!(disk.contents(live), before, "nothing was written");
    assert_eq!(read(&opened.directory, 0, u64::MAX).1, 2, "reads work");

    drop(opened);
    let mut opened = open(&disk).expect("a full disk opens");
    assert_eq!((opened.recovered.next_offset, opened.log.room_bytes()), (2, 0));
    assert!(matches!(opened.log.append(1, 1, &[1]), Err(AppendError::NoRoom)));

    disk.set_room(None);
    assert_eq!(opened.log.append(1, 1, &[1]).expect("room again"), 3);
    drop(opened);
    assert_eq!(open(&disk).expect("again").recovered.next_offset, 3);
}

#[test]
fn trimming_makes_room_on_a_full_disk() {
    let disk = FaultyStorage::new();
    let mut opened = open(&disk).expect("new");
    snapshot(&opened.directory, 0);
    for _ in 0..4 {
        fill_segment(&mut opened.log);
    }
    snapshot(&opened.directory, 3);
    snapshot(&opened.directory, 4);
    disk.set_room(Some(disk.used_bytes()));
    while opened.log.room_bytes() > 0 {
        fill_segment(&mut opened.log);
    }
    assert!(opened.directory.trim(u64::MAX).expect("trim") >= 2);
    assert_eq!(opened.log.room_bytes(), USABLE_BYTES - HEADER_BYTES, "a trimmed segment is the spare");
    fill_segment(&mut opened.log);
    let next = opened.log.durable_offset();
    drop(opened);
    let directory = LogDirectory::lock(shared(&disk), PARTITION).expect("free");
    assert_eq!(open_with(directory, opening(3, None)).expect("again").recovered.next_offset, next);
}

#[test]
fn a_new_log_may_begin_at_a_snapshot() {
    let disk = FaultyStorage::new();
    let directory = LogDirectory::lock(shared(&disk), PARTITION).expect("free");
    let mut opened = open_with(directory, opening(1000, None)).expect("new");
    assert_eq!(opened.log.append(2, 1, &[1]).expect("append"), 1002);
    assert_eq!(opened.directory.reader().oldest_offset(), 1000);
}

#[test]
fn one_writer_and_one_owner() {
    let disk = FaultyStorage::new();
    let opened = open(&disk).expect("new");
    let locked = LogDirectory::lock(shared(&disk), PARTITION).err().expect("taken");
    assert!(matches!(&locked, OpenError::Locked { .. }));
    assert!(locked.to_string().contains("disk/ is in use: another process holds its lock"), "{locked}");
    let mut first = opened.log;
    first.append(1, 1, &[1]).expect("append");
    let names = disk.names();
    let mut second = open_with(opened.directory.clone(), opening(0, None)).expect("take over");
    let operations = disk.operation_count();
    assert!(matches!(first.append(1, 1, &[2]), Err(AppendError::Fenced)));
    assert!(first.check_in_place().is_err());
    assert_eq!((disk.operation_count(), disk.names()), (operations, names), "it wrote nothing more");
    assert_eq!(second.log.append(1, 1, &[3]).expect("append"), 2);
    drop((first, second, opened.directory));
    assert_eq!(open(&disk).expect("free again").batches.len(), 2);
}

#[test]
fn parts_go_to_threads_of_their_own() {
    fn check<T: Send + 'static>() {}
    check::<FileWriter>();
    check::<LogDirectory>();
    check::<onrush_log::file::FileReader>();
    check::<onrush_log::file::FileSnapshotWriter>();
    check::<onrush_log::file::FileSnapshotReader>();
}

#[test]
fn settings_are_checked() {
    let directory = LogDirectory::lock(shared(&FaultyStorage::new()), PARTITION).expect("free");
    for (segment_bytes, says) in [
        (0, "segment_bytes 0 is not in"),
        (5000, "not in"),
        (5 << 30, "not in"),
        ((1 << 20) + 1, "not a multiple"),
    ] {
        let settings = LogSettings::new(segment_bytes);
        let refused = directory
            .open(&settings, Opening::default(), |_| Ok::<_, Infallible>(()))
            .err()
            .expect("refused")
            .to_string();
        assert!(refused.contains(says), "{refused}");
    }
}

#[test]
fn the_caller_may_refuse_a_frame() {
    let disk = FaultyStorage::new();
    append_all(&mut open(&disk).expect("new").log, &[Some(10), Some(20)]);
    let directory = LogDirectory::lock(shared(&disk), PARTITION).expect("free");
    let settings = LogSettings::for_tests(SEGMENT_BYTES);
    let opened = directory.open(&settings, Opening::default(), |frame| {
        if frame.payload.len() == 20 { Err("unknown event 9".to_owned()) } else { Ok(()) }
    });
    let refused = opened.err().expect("refused").to_string();
    assert!(refused.contains("disk/00000000000000000000-0000000001.seg, byte 42"), "{refused}");
    assert!(refused.ends_with("log offset 2: unknown event 9"), "{refused}");
}

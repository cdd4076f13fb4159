//! Files of every format version as they were once written: they decode for ever, and the same input still makes those
//! of the newest.
//!
//! `ONRUSH_WRITE_GOLDEN=1 cargo test -p onrush-log golden` writes them anew, which only a new format version may need.

use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};

use onrush_log::file::faulty::FaultyStorage;
use onrush_log::file::{FrameKind, FrameSeed, LogDirectory, LogSettings, decode_frame};
use onrush_log::{Format, Opening, SnapshotReader};
use proptest::prelude::*;

use crate::history::{PARTITION, shared};

/// Kind, epoch, base offset, time, events and payload of a frame.
type Row = (FrameKind, u32, u64, u64, u32, Vec<u8>);

fn golden_directory(format: Format) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/version-{}", format.number()))
}

fn rows() -> Vec<Row> {
    let long: Vec<u8> = (0..3000_u32).map(|index| (index % 251) as u8).collect();
    vec![
        (FrameKind::Mark, 1, 0, 0, 0, vec![]),
        (FrameKind::Batch, 1, 0, 1_700_000_000_000, 1, vec![]),
        (FrameKind::Batch, 1, 1, 1_700_000_000_001, 3, b"three events".to_vec()),
        (FrameKind::Batch, 1, 4, 1_700_000_000_001, 100, long),
        (FrameKind::Mark, 1, 104, 1_700_000_000_500, 0, vec![]),
        (FrameKind::Batch, 1, 104, 1_700_000_000_900, u32::MAX, vec![0xff; 2000]),
        (FrameKind::Close, 1, 4_294_967_399, 1_700_000_001_000, 0, vec![]),
        (FrameKind::Mark, 2, 4_294_967_399, 1_700_000_001_000, 0, vec![]),
        (FrameKind::Batch, 2, 4_294_967_399, 1_700_000_001_001, 2, b"a new term".to_vec()),
    ]
}

/// Opens the log, whose batches have this format.
fn open(
    disk: &FaultyStorage,
    directory: &LogDirectory,
    format: Format,
) -> (onrush_log::file::FileWriter, Vec<Row>) {
    let mut found = Vec::new();
    let opening = Opening { from_offset: 0, resume_at: None, salt_seed: 0x0123_4567_89ab_cdef };
    let opened = directory.open(&LogSettings::for_tests(8192), opening, |frame| {
        let header = frame.header;
        assert_eq!(header.partition, PARTITION);
        assert_eq!(header.format, if header.kind == FrameKind::Batch { format } else { Format::V1 });
        let row = (header.kind, header.epoch, header.base_offset, header.time_ms, header.event_count);
        found.push((row.0, row.1, row.2, row.3, row.4, frame.payload.to_vec()));
        Ok::<_, Infallible>(())
    });
    (opened.unwrap_or_else(|error| panic!("{:?}: {error}", disk.names())).0, found)
}

fn written_now() -> FaultyStorage {
    let disk = FaultyStorage::new();
    for epoch in [1, 2] {
        let directory = LogDirectory::lock(shared(&disk), PARTITION).expect("free");
        let (mut log, _) = open(&disk, &directory, Format::NEWEST);
        for (kind, _, _, time_ms, event_count, payload) in
            rows().into_iter().filter(|row| row.1 == epoch).skip(1)
        {
            match kind {
                FrameKind::Batch => drop(log.append(event_count, time_ms, &payload).expect("append")),
                FrameKind::Mark => log.append_mark(time_ms).expect("mark"),
                FrameKind::Close => {
                    log.close(time_ms).expect("close");
                    break;
                }
            }
        }
    }
    let directory = LogDirectory::lock(shared(&disk), PARTITION).expect("free");
    let mut writer = directory.write_snapshot(104, 1_700_000_000_500).expect("begin");
    writer.write_chunk(b"first chunk").expect("chunk");
    writer.write_chunk(&[0xa5; 300]).expect("chunk");
    writer.finish(*b"digest of state!").expect("finish");
    disk
}

fn is_golden(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_digit())
}

fn check_golden(format: Format) {
    let disk = FaultyStorage::new();
    for entry in fs::read_dir(golden_directory(format)).expect("golden files") {
        let entry = entry.expect("entry");
        let name = entry.file_name().into_string().expect("name");
        disk.put(&name, &fs::read(entry.path()).expect("golden file"));
    }
    let directory = LogDirectory::lock(shared(&disk), PARTITION).expect("free");
    assert!(open(&disk, &directory, format).1 == rows(), "the frames differ");
    assert_eq!(directory.snapshots().expect("list"), [104]);
    let mut reader = directory.read_snapshot(104).expect("snapshot");
    assert_eq!(reader.format(), format);
    assert_eq!(reader.time_ms(), 1_700_000_000_500);
    assert_eq!(reader.next_chunk().expect("chunk"), Some(&b"first chunk"[..]));
    assert_eq!(reader.next_chunk().expect("chunk"), Some(&[0xa5; 300][..]));
    assert_eq!(reader.next_chunk().expect("trailer"), None);
    assert_eq!(reader.digest(), Some(*b"digest of state!"));
}

#[test]
fn files_of_version_1_decode_for_ever() {
    check_golden(Format::V1);
}

#[test]
fn files_of_version_2_decode_for_ever() {
    check_golden(Format::V2);
}

#[test]
fn the_same_input_still_makes_the_same_files() {
    let disk = written_now();
    let names: Vec<String> = disk.names().into_iter().filter(|name| is_golden(name)).collect();
    if std::env::var_os("ONRUSH_WRITE_GOLDEN").is_some() {
        fs::create_dir_all(golden_directory(Format::NEWEST)).expect("create");
        for name in &names {
            fs::write(golden_directory(Format::NEWEST).join(name), disk.contents(name).expect("file"))
                .expect("write");
        }
    }
    let mut golden: Vec<String> = fs::read_dir(golden_directory(Format::NEWEST))
        .expect("golden files")
        .map(|entry| entry.expect("entry").file_name().into_string().expect("name"))
        .collect();
    golden.sort();
    assert_eq!(names, golden);
    for name in names {
        let bytes = fs::read(golden_directory(Format::NEWEST).join(&name)).expect("golden file");
        assert!(disk.contents(&name).expect("file") == bytes, "{name} is written differently");
    }
}

proptest! {
    #[test]
    fn any_batches_come_back(
        batches in prop::collection::vec((1..u32::MAX, any::<u64>(), prop::collection::vec(any::<u8>(), 0..3000)), 0..12)
    ) {
        let disk = FaultyStorage::new();
        let directory = LogDirectory::lock(shared(&disk), PARTITION).expect("free");
        let (mut log, _) = open(&disk, &directory, Format::NEWEST);
        for (event_count, time_ms, payload) in &batches {
            log.append(*event_count, *time_ms, payload).expect("append");
        }
        drop(log);
        let (_, found) = open(&disk, &directory, Format::NEWEST);
        let found: Vec<_> = found
            .into_iter()
            .filter(|row| row.0 == FrameKind::Batch)
            .map(|(_, _, _, time_ms, event_count, payload)| (event_count, time_ms, payload))
            .collect();
        prop_assert_eq!(found, batches);
    }

    #[test]
    fn bytes_that_are_no_frame_are_none(bytes in prop::collection::vec(any::<u8>(), 0..200), position: u64) {
        prop_assert_eq!(decode_frame(&bytes, FrameSeed::new(1, 2), position), None);
    }
}

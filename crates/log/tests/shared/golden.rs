//! Records of every version as they were once written: they decode for ever, and the same input still makes those of the newest.
//!
//! `ONRUSH_WRITE_GOLDEN=1 cargo test -p onrush-log golden` writes them anew, which only a new version may need.

use std::fs;
use std::path::{Path, PathBuf};

use onrush_log::Format;
use onrush_log::shared::{LogId, NodeId, RecordKind, RecordNo, SharedRecord};

fn golden(version: u16, name: &str) -> PathBuf {
    let directory = format!("tests/golden/shared-version-{version}");
    Path::new(env!("CARGO_MANIFEST_DIR")).join(directory).join(format!("{name}.record"))
}

/// The version that a record is written in now.
fn newest(name: &str) -> u16 {
    if name == "founding" { 2 } else { 1 }
}

fn records() -> [(&'static str, SharedRecord<'static>); 6] {
    let mark = SharedRecord {
        kind: RecordKind::Mark,
        format: Format::V1,
        log_id: LogId(0x0123_4567_89ab_cdef_0f1e_2d3c_4b5a_6978),
        partition: 23,
        node: NodeId(2),
        epoch: Some(RecordNo(7_041)),
        sequence: 12,
        base_offset: 4_294_967_399,
        time_ms: 1_700_000_000_900,
        told_ms: 1_700_000_000_950,
        event_count: 0,
        payload: b"",
    };
    let founding = SharedRecord { kind: RecordKind::Claim, epoch: None, sequence: u64::MAX, ..mark };
    let claim = SharedRecord { epoch: mark.epoch, payload: b"https://b.example:7070", ..founding };
    let batch = SharedRecord {
        kind: RecordKind::Batch,
        format: Format::V2,
        event_count: 3,
        payload: b"three events",
        ..mark
    };
    let resignation = SharedRecord { kind: RecordKind::Resignation, ..mark };
    let note = SharedRecord { kind: RecordKind::Note, payload: b"a sink is at 77", ..mark };
    [
        ("founding", founding),
        ("claim", claim),
        ("batch", batch),
        ("mark", mark),
        ("resignation", resignation),
        ("note", note),
    ]
}

#[test]
fn records_of_every_version_decode_for_ever() {
    for (name, record) in records() {
        for version in 1..=newest(name) {
            let bytes = fs::read(golden(version, name)).expect("golden file");
            assert_eq!(SharedRecord::decode(&bytes), Ok(record), "{name}");
        }
    }
}

#[test]
fn the_same_input_still_makes_the_same_records() {
    for (name, record) in records() {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        if std::env::var_os("ONRUSH_WRITE_GOLDEN").is_some() {
            let path = golden(newest(name), name);
            fs::create_dir_all(path.parent().expect("a file lies in a directory")).expect("create");
            fs::write(path, &bytes).expect("write");
        }
        assert!(
            bytes == fs::read(golden(newest(name), name)).expect("golden file"),
            "{name} is written differently"
        );
    }
}

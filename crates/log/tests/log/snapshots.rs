//! Snapshot files: complete or absent, every byte checked, two kept.

use onrush_log::file::faulty::{Fault, FaultyStorage};
use onrush_log::file::{LogDirectory, verify};
use onrush_log::{CHUNK_BYTES_MAX, SnapshotError, SnapshotReader};

use crate::history::{Chance, PARTITION, shared};

const DIGEST: [u8; 16] = *b"0123456789abcdef";

fn directory(disk: &FaultyStorage) -> LogDirectory {
    LogDirectory::lock(shared(disk), PARTITION).expect("free")
}

fn write(directory: &LogDirectory, offset: u64, chunks: &[Vec<u8>]) -> Result<(), SnapshotError> {
    let mut writer = directory.write_snapshot(offset, 77)?;
    for chunk in chunks {
        writer.write_chunk(chunk)?;
    }
    writer.finish(DIGEST)
}

fn read(directory: &LogDirectory, offset: u64) -> Result<Vec<Vec<u8>>, SnapshotError> {
    let mut reader = directory.read_snapshot(offset)?;
    let mut chunks = Vec::new();
    while let Some(chunk) = reader.next_chunk()? {
        chunks.push(chunk.to_vec());
    }
    assert_eq!((reader.offset(), reader.time_ms(), reader.digest()), (offset, 77, Some(DIGEST)));
    Ok(chunks)
}

fn chunks_of(sizes: &[usize]) -> Vec<Vec<u8>> {
    let mut chance = Chance(3);
    sizes.iter().map(|size| (0..*size).map(|_| chance.next() as u8).collect()).collect()
}

#[test]
fn chunks_come_back() {
    for sizes in [&[][..], &[1], &[100, 1, 5000], &[1 << 20, 3 << 20, 10], &[CHUNK_BYTES_MAX, 1]] {
        let disk = FaultyStorage::new();
        let directory = directory(&disk);
        let chunks = chunks_of(sizes);
        write(&directory, 42, &chunks).expect("write");
        assert_eq!(read(&directory, 42).expect("read"), chunks);
    }
    let disk = FaultyStorage::new();
    let too_large = write(&directory(&disk), 1, &[vec![0; CHUNK_BYTES_MAX + 1]]);
    assert!(matches!(too_large, Err(SnapshotError::TooLarge { .. })));
}

#[test]
fn the_two_newest_are_kept() {
    let disk = FaultyStorage::new();
    let directory = directory(&disk);
    for (offset, kept) in [(5, &[5][..]), (9, &[9, 5]), (30, &[30, 9]), (31, &[31, 30])] {
        write(&directory, offset, &chunks_of(&[10])).expect("write");
        assert_eq!(directory.snapshots().expect("list"), kept);
    }
}

#[test]
fn every_flip_and_every_cut_is_refused() {
    let disk = FaultyStorage::new();
    let directory = directory(&disk);
    write(&directory, 42, &chunks_of(&[100, 1, 300])).expect("write");
    let name = "00000000000000000042.snap";
    let bytes = disk.contents(name).expect("file");
    let check = |changed: &[u8], context: &str| {
        disk.put(name, changed);
        match read(&directory, 42) {
            Err(SnapshotError::Damaged(damage)) => {
                assert_eq!(
                    (damage.path.as_str(), damage.offset),
                    ("disk/00000000000000000042.snap", 42),
                    "{context}"
                );
                assert!(damage.remedy.contains("move it out of the directory"), "{context}");
            }
            other => panic!("{context}: {other:?}"),
        }
        let report = verify(&shared(&disk)).expect("verify");
        assert!(report.damage().is_some(), "{context}");
    };
    for position in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[position] ^= 1 << (position % 8);
        check(&changed, &format!("flip at {position}"));
        check(&bytes[..position], &format!("cut at {position}"));
    }
    check(&[&bytes[..], &[0]].concat(), "one byte too many");
    disk.put(name, &bytes);
    read(&directory, 42).expect("whole again");
}

#[test]
fn a_snapshot_is_complete_or_absent_after_a_crash_anywhere() {
    let (old, new) = (chunks_of(&[300, 20]), chunks_of(&[2000, 1, 1 << 20]));
    let disk = FaultyStorage::new();
    write(&directory(&disk), 3, &old).expect("write");
    let whole = disk.after_power_cut(|| false);
    write(&directory(&whole), 8, &new).expect("write");
    for operation in 0..whole.operation_count() {
        for fault in [Fault::Crash, Fault::Error, Fault::ErrorInCache] {
            let disk = disk.after_power_cut(|| false);
            disk.fail_at(operation, fault);
            let written = write(&directory(&disk), 8, &new);
            for pattern in 0..8 {
                let mut chance = Chance(pattern);
                let keeps = || match pattern {
                    0 => false,
                    1 => true,
                    _ => chance.below(2) == 0,
                };
                let after = disk.after_power_cut(keeps);
                let directory = directory(&after);
                let snapshots = directory.snapshots().expect("list");
                assert!(snapshots.contains(&3), "operation {operation}");
                assert!(written.is_err() || snapshots.contains(&8), "operation {operation}");
                for offset in snapshots {
                    let chunks = read(&directory, offset).expect("a snapshot that is there is whole");
                    assert!(chunks == if offset == 3 { old.clone() } else { new.clone() });
                }
                assert!(after.names().iter().all(|name| !name.contains("tmp")), "{:?}", after.names());
            }
        }
    }
}

#[test]
fn an_abandoned_writer_leaves_nothing() {
    let disk = FaultyStorage::new();
    let directory = directory(&disk);
    let mut writer = directory.write_snapshot(5, 1).expect("begin");
    writer.write_chunk(&[1; 5000]).expect("chunk");
    drop(writer);
    assert!(disk.names().is_empty());
    assert_eq!(directory.snapshots().expect("list"), [0; 0]);
}

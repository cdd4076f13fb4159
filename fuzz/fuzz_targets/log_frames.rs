//! Arbitrary bytes as frames, and arbitrary changes to the files of a small log: nothing panics, damage is refused,
//! and a log that opens holds batches that were appended, in order and from the first.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use onrush_log::file::faulty::FaultyStorage;
use onrush_log::file::{FrameKind, FrameSeed, LogDirectory, LogSettings, Storage, decode_frame, verify};
use onrush_log::Opening;

const FIRST_SEGMENT: &str = "00000000000000000000-0000000001.seg";

fuzz_target!(|bytes: &[u8]| {
    let _ = decode_frame(bytes, FrameSeed::new(1, 2), 4096);
    let Some((choice, changes)) = bytes.split_first() else {
        return;
    };
    let disk = FaultyStorage::new();
    let appended = write(&disk);
    let names = disk.names();
    let name = &names[usize::from(*choice) % names.len()];
    let mut file = disk.contents(name).expect("a name of the disk");
    if name == FIRST_SEGMENT && *choice >= 128 {
        let start = 4096.min(file.len());
        let count = changes.len().min(file.len() - start);
        file[start..start + count].copy_from_slice(&changes[..count]);
    } else {
        for change in changes.chunks_exact(3) {
            let position = usize::from(u16::from_le_bytes([change[0], change[1]])) % file.len();
            file[position] ^= change[2];
        }
    }
    disk.put(name, &file);

    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let report = verify(&storage).expect("no call to the disk fails");
    let directory = LogDirectory::lock(storage, 0).expect("nobody else has it");
    for offset in directory.snapshots().expect("no call to the disk fails") {
        if let Ok(mut reader) = directory.read_snapshot(offset) {
            while let Ok(Some(_)) = reader.next_chunk() {}
        }
    }
    let mut found = Vec::new();
    let opened = directory.open(&LogSettings::for_tests(8192), Opening::default(), |frame| {
        if frame.header.kind == FrameKind::Batch {
            found.push(frame.payload.to_vec());
        }
        Ok::<_, String>(())
    });
    if opened.is_ok() {
        assert!(appended.starts_with(&found), "a batch that was never appended");
        assert!(report.segments.iter().all(|segment| segment.damage.is_none()), "verify and open disagree: {report}");
    }
});

fn write(disk: &FaultyStorage) -> Vec<Vec<u8>> {
    let directory = LogDirectory::lock(Arc::new(disk.clone()), 0).expect("nobody else has it");
    let opened = directory.open(&LogSettings::for_tests(8192), Opening { salt_seed: 3, ..Opening::default() }, |_| Ok::<_, String>(()));
    let (mut log, _) = opened.expect("a new log");
    let mut snapshot = directory.write_snapshot(1, 1).expect("a new snapshot");
    snapshot.write_chunk(b"state").expect("room");
    snapshot.finish([9; 16]).expect("room");
    let payloads: Vec<Vec<u8>> = [1500_usize, 10, 2000, 300, 700].map(|count| vec![count as u8; count]).into();
    for payload in &payloads {
        log.append(1, 1, payload).expect("room");
    }
    payloads
}

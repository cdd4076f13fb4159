//! Cuts and flips at every byte: what a later frame proves is never lost, damage is refused and the file is named.

use std::convert::Infallible;
use std::sync::Arc;

use onrush_log::file::faulty::FaultyStorage;
use onrush_log::file::{Storage, verify};
use onrush_log::{Damage, OpenError};

use crate::history::{Batch, Opened, append_all, open, shared};

const FRAME_HEADER_BYTES: usize = 48;
const SEGMENT_HEADER_BYTES: usize = 4096;

/// A log of three segments on a disk, with what it holds.
struct Sample {
    disk: FaultyStorage,
    batches: Vec<Batch>,
    /// Segment files, oldest first, and where the frames of each end.
    files: Vec<(String, usize)>,
}

fn sample(sizes: &[Option<usize>]) -> Sample {
    let disk = FaultyStorage::new();
    let batches = append_all(&mut open(&disk).expect("new").log, sizes);
    let report = verify(&shared(&disk)).expect("verify");
    assert!(report.damage().is_none(), "{report}");
    let name = |path: &str| path.strip_prefix("disk/").expect("path").to_owned();
    let files =
        report.segments.iter().map(|segment| (name(&segment.path), segment.used_bytes as usize)).collect();
    Sample { disk, batches, files }
}

/// The last file holds several frames; the last of them is a batch, or a mark behind it.
fn sizes(marked: bool) -> Vec<Option<usize>> {
    let mut sizes =
        vec![Some(2900), Some(3000), Some(5000), Some(4000), Some(7000), Some(100), Some(40), Some(1)];
    sizes.extend([Some(300), Some(600)]);
    sizes.extend(marked.then_some(None));
    sizes
}

pub(crate) fn damage_of(error: OpenError) -> Damage {
    match error {
        OpenError::Damaged(damage) => *damage,
        error => panic!("not damage: {error}"),
    }
}

/// Opens the log after `change` to a file: how many batches are there, or the damage that names that file.
fn outcome(sample: &Sample, file: &str, change: impl FnOnce(&mut Vec<u8>)) -> Result<usize, Damage> {
    let disk = sample.disk.after_kill();
    let mut bytes = disk.contents(file).expect("file");
    change(&mut bytes);
    disk.put(file, &bytes);
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let report = verify(&storage).expect("verify");
    match open(&disk) {
        Ok(opened) => {
            assert!(report.damage().is_none(), "verify finds damage where open finds none: {report}");
            assert!(opened.batches.len() <= sample.batches.len());
            assert_eq!(opened.batches, sample.batches[..opened.batches.len()], "what is there is in order");
            drop(opened);
            assert_eq!(open(&disk).err().map(|error| error.to_string()), None, "opens again");
            Ok(report.segments.iter().map(|segment| segment.batch_count as usize).sum())
        }
        Err(error) => {
            let damage = damage_of(error);
            assert_eq!(damage.path, format!("disk/{file}"));
            assert!(
                damage.to_string().contains("Restore") && damage.to_string().contains("lost"),
                "{damage}"
            );
            assert_eq!(
                report.damage().map(|damage| &damage.path),
                Some(&damage.path),
                "verify names the same file"
            );
            assert_eq!(disk.contents(file), Some(bytes), "nothing was changed");
            Err(damage)
        }
    }
}

#[test]
fn a_flip_of_any_byte_is_refused_or_harmless() {
    for marked in [false, true] {
        let sample = sample(&sizes(marked));
        assert_eq!(sample.files.len(), 3);
        let last_payload_bytes = 600;
        for (index, (file, used)) in sample.files.iter().enumerate() {
            let last_frame = used - FRAME_HEADER_BYTES - last_payload_bytes;
            for position in (0..64).chain(SEGMENT_HEADER_BYTES..used + 64) {
                let context = format!("marked {marked}, file {file}, byte {position}");
                match outcome(&sample, file, |bytes| bytes[position] ^= 1 << (position % 8)) {
                    Ok(count) if count == sample.batches.len() => {}
                    Ok(count) => {
                        assert!(!marked && index == 2 && position >= last_frame, "{context} lost a batch");
                        assert_eq!(count, sample.batches.len() - 1, "{context}");
                    }
                    Err(damage) => assert!(damage.position <= position as u64, "{context}: {damage}"),
                }
            }
        }
    }
}

#[test]
fn what_is_zero_from_any_byte_on_is_a_torn_end_only_in_the_last_file() {
    let sample = sample(&sizes(true));
    for (index, (file, used)) in sample.files.iter().enumerate() {
        for position in
            (0..64).chain((SEGMENT_HEADER_BYTES..used + 64).step_by(if index == 2 { 1 } else { 37 }))
        {
            let found = outcome(&sample, file, |bytes| bytes[position..].fill(0));
            if index == 2 && position >= SEGMENT_HEADER_BYTES {
                found.expect("a torn end");
            } else if position < used - FRAME_HEADER_BYTES {
                // The next bytes may have been zero before.
                assert!(found.expect_err("damage").position <= position as u64 + 8);
            }
        }
    }
}

#[test]
fn a_cut_of_the_last_file_is_refused_unless_it_lost_nothing() {
    let sample = sample(&sizes(true));
    let (file, used) = &sample.files[2];
    let whole = sample.disk.contents(file).expect("file").len();
    for position in (0..64).chain(SEGMENT_HEADER_BYTES..used + 200).chain(whole - 100..whole) {
        match outcome(&sample, file, |bytes| bytes.truncate(position)) {
            Ok(count) => assert_eq!(count, sample.batches.len(), "cut at {position}"),
            Err(damage) => {
                assert!(position < used + FRAME_HEADER_BYTES, "cut at {position}: {damage}");
                let cut = damage.problem.contains("was cut") || damage.problem.contains("end of the file");
                assert!(cut, "{damage}");
            }
        }
    }
}

#[test]
fn missing_and_exchanged_files_are_refused() {
    let sample = sample(&sizes(true));
    let names: Vec<&str> = sample.files.iter().map(|(name, _)| name.as_str()).collect();
    let check = |says: &str, change: &dyn Fn(&FaultyStorage)| {
        let disk = sample.disk.after_kill();
        change(&disk);
        let damage = damage_of(open(&disk).err().expect("refused"));
        assert!(damage.to_string().contains(says), "{damage}");
        assert!(
            verify(&shared(&disk)).expect("verify").damage().is_some() || says.contains("oldest"),
            "{damage}"
        );
    };
    check("expected segment 2 before it, found segment 1: a file is missing", &|disk| {
        disk.remove(names[1]).expect("remove");
    });
    check("this is the oldest segment and begins at", &|disk| disk.remove(names[0]).expect("remove"));
    check("the header is that of segment", &|disk| {
        disk.put(names[1], &disk.contents(names[2]).expect("file"));
    });
    check("expected a frame header, found one whose checksum does not match", &|disk| {
        let mut bytes = disk.contents(names[1]).expect("file");
        let other = disk.contents(names[2]).expect("file");
        bytes[SEGMENT_HEADER_BYTES..].copy_from_slice(&other[SEGMENT_HEADER_BYTES..]);
        disk.put(names[1], &bytes);
    });
}

#[test]
fn the_way_out_in_the_message_works() {
    let sample = sample(&sizes(true));
    let (file, _) = &sample.files[1];
    let damage = outcome(&sample, file, |bytes| bytes[SEGMENT_HEADER_BYTES + 100] ^= 1).expect_err("damage");
    let whole = sample.disk.contents(file).expect("file").len();
    assert!(damage.remedy.contains(&format!("truncate -s {} disk/{file}", damage.position)), "{damage}");
    assert!(damage.remedy.contains(&format!("truncate -s {whole} disk/{file}")), "{damage}");
    let disk = sample.disk.after_kill();
    disk.remove(&sample.files[2].0).expect("move away");
    let mut bytes = disk.contents(file).expect("file");
    bytes[usize::try_from(damage.position).expect("small")..].fill(0);
    disk.put(file, &bytes);
    let mut opened = open(&disk).expect("opens");
    assert_eq!(opened.recovered.next_offset, damage.offset);
    opened.log.append(1, 1, &[1]).expect("goes on");
}

#[test]
fn another_partition_is_refused() {
    let sample = sample(&sizes(true));
    let directory = onrush_log::file::LogDirectory::lock(shared(&sample.disk), 8).expect("free");
    let refused =
        crate::history::open_with(directory, crate::history::opening(0, None)).err().expect("refused");
    assert!(damage_of(refused).problem.contains("partition 7"));
}

#[test]
fn frames_inside_a_payload_are_not_frames() {
    let other = sample(&sizes(true));
    let foreign = other.disk.contents(&other.files[0].0).expect("file");
    let disk = FaultyStorage::new();
    let mut log = open(&disk).expect("new").log;
    append_all(&mut log, &[Some(10)]);
    log.append(1, 1, &foreign[SEGMENT_HEADER_BYTES..SEGMENT_HEADER_BYTES + 8000]).expect("append");
    drop(log);
    let name = "00000000000000000000-0000000001.seg";
    let mut bytes = disk.contents(name).expect("file");
    let used = verify(&shared(&disk)).expect("verify").segments[0].used_bytes as usize;
    bytes[used - 8010] ^= 1;
    disk.put(name, &bytes);
    let again = open(&disk).expect("a torn end, though its payload looks like frames");
    assert_eq!(again.batches.len(), 1);
    assert!(again.recovered.torn_at.is_some());
}

#[test]
fn recycled_segments_never_show_their_past() {
    let disk = FaultyStorage::new();
    let mut opened = open(&disk).expect("new");
    append_all(&mut opened.log, &[Some(1000); 50]);
    for offset in [90, 100] {
        opened.directory.write_snapshot(offset, 1).expect("begin").finish([0; 16]).expect("finish");
    }
    assert!(opened.directory.trim(90).expect("trim") > 0);
    let stale = |opened: &mut Opened| {
        append_all(&mut opened.log, &[Some(1000)]);
        let report = verify(&shared(&disk)).expect("verify");
        assert!(report.damage().is_none(), "{report}");
        let last = report.segments.last().expect("segments");
        let bytes = disk.contents(last.path.strip_prefix("disk/").expect("path")).expect("file");
        bytes[last.used_bytes as usize..].iter().filter(|byte| **byte != 0).count()
    };
    assert!((0..60).any(|_| stale(&mut opened) > 5000), "a recycled segment shows what it held");
    let expected: Vec<Batch> = {
        let mut batches = Vec::new();
        let from = opened.directory.snapshots().expect("list")[1];
        let mut keep = |frame: onrush_log::file::FrameRef<'_>| {
            batches.push(Batch::of(frame));
            Ok::<_, Infallible>(())
        };
        opened.directory.reader().read(from, u64::MAX, &mut keep).expect("read");
        batches
    };
    assert!(expected.is_sorted_by_key(|batch| batch.base_offset));
    drop(opened);
    let directory = onrush_log::file::LogDirectory::lock(shared(&disk), 7).expect("free");
    let from_offset = directory.snapshots().expect("list")[1];
    let again =
        crate::history::open_with(directory, crate::history::opening(from_offset, None)).expect("open");
    assert_eq!((again.recovered.torn_at, again.batches), (None, expected));
}

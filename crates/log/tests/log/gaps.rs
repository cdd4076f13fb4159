//! A chain of segments that is broken below the snapshot, as in a copy that was made while the log was trimmed: nothing is
//! lost, the log goes on, and trimming takes away what is left. Above the snapshot it is damage.

use std::convert::Infallible;

use onrush_log::file::faulty::FaultyStorage;
use onrush_log::file::{LogDirectory, Storage, verify};
use onrush_log::{LogReader, OpenError, ReadError, VisitError};

use crate::history::{Batch, Opened, PARTITION, append_all, open, open_with, opening, shared};

/// A log of many segments on a disk, with two snapshots of which the newer lies within the segment before the last.
pub(crate) struct Sample {
    pub(crate) disk: FaultyStorage,
    pub(crate) batches: Vec<Batch>,
    /// Segment files, oldest first, with their base offsets.
    pub(crate) files: Vec<(String, u64)>,
    pub(crate) snapshots: [u64; 2],
}

impl Sample {
    /// Place in `files` of the segment in which the newer snapshot lies.
    pub(crate) fn start(&self) -> usize {
        self.files.len() - 2
    }

    fn events_from(&self, offset: u64) -> Vec<Batch> {
        self.batches.iter().filter(|batch| batch.base_offset >= offset).cloned().collect()
    }
}

pub(crate) fn sample() -> Sample {
    let disk = FaultyStorage::new();
    let mut opened = open(&disk).expect("new");
    let batches = append_all(&mut opened.log, &[Some(3000); 24]);
    let report = verify(&shared(&disk)).expect("verify");
    let files: Vec<_> = report
        .segments
        .iter()
        .map(|segment| {
            let name = segment.path.strip_prefix("disk/").expect("path").to_owned();
            (name, segment.header.expect("whole").base_offset)
        })
        .collect();
    assert!(files.len() >= 6, "{report}");
    let newer = files[files.len() - 2].1 + 2;
    let snapshots = [newer, newer - 4];
    for offset in [newer - 4, newer] {
        take_snapshot(&opened.directory, offset);
    }
    Sample { disk, batches, files, snapshots }
}

fn take_snapshot(directory: &LogDirectory, offset: u64) {
    directory.write_snapshot(offset, 1).expect("begin").finish([0; 16]).expect("finish");
}

pub(crate) fn open_from(disk: &FaultyStorage, offset: u64) -> Result<Opened, OpenError> {
    open_with(LogDirectory::lock(shared(disk), PARTITION)?, opening(offset, None))
}

/// Breaks the chain at a file in every way that a copy can.
fn breaks(sample: &Sample, index: usize) -> Vec<FaultyStorage> {
    let (name, _) = &sample.files[index];
    let newest = sample.disk.contents(&sample.files.last().expect("files").0).expect("file");
    let copies = [(); 4].map(|()| sample.disk.after_kill());
    copies[0].remove(name).expect("remove");
    copies[1].put(name, &newest);
    copies[2].put(name, &[]);
    for (older, _) in &sample.files[..=index] {
        copies[3].remove(older).expect("remove");
    }
    copies.to_vec()
}

#[test]
fn a_gap_below_the_snapshot_is_no_damage() {
    let sample = sample();
    let [newer, _] = sample.snapshots;
    for index in 0..sample.start() {
        for (way, disk) in breaks(&sample, index).into_iter().enumerate() {
            let context = format!("file {index}, way {way}");
            let report = verify(&shared(&disk)).expect("verify");
            assert_eq!(report.damage(), None, "{context}");
            let opened = open_from(&disk, newer).unwrap_or_else(|error| panic!("{context}: {error}"));
            assert_eq!(opened.batches, sample.events_from(newer), "{context}");
            assert_eq!(report.gap, opened.recovered.gap, "{context}: verify and the server say the same");
            let is_gap = way != 3 && (index > 0 || way != 0);
            assert_eq!(opened.recovered.gap.is_some(), is_gap, "{context}");
            if let Some(gap) = &opened.recovered.gap {
                let text = report.to_string();
                for part in ["whole", "No event is lost", &format!("snapshot at offset {newer}"), &gap.path] {
                    assert!(text.contains(part), "{context}: {text}");
                }
            }
            check_goes_on(&sample, &disk, opened, index);
            let newest = verify(&shared(&disk)).expect("verify").snapshots[0].offset;
            let again = open_from(&disk, newest).expect("opens again");
            assert_eq!(again.recovered.gap, None, "{context}: what was left is trimmed");
        }
    }
}

/// Events after the gap can be read, those before it cannot; the log grows; trimming removes what was cut off.
fn check_goes_on(sample: &Sample, disk: &FaultyStorage, mut opened: Opened, index: usize) {
    let oldest = sample.files[index + 1].1;
    let mut reader = opened.directory.reader();
    assert_eq!(reader.oldest_offset(), oldest);
    let mut read = Vec::new();
    let mut keep = |frame: onrush_log::file::FrameRef<'_>| {
        read.push(Batch::of(frame));
        Ok::<_, Infallible>(())
    };
    reader.read(oldest, u64::MAX, &mut keep).expect("read");
    read.retain(|batch| !batch.payload.is_empty());
    assert_eq!(read, sample.events_from(oldest));
    let trimmed = reader.read(oldest - 1, u64::MAX, |_| Ok::<_, Infallible>(()));
    assert!(matches!(trimmed, Err(VisitError::Log(ReadError::Trimmed { .. }))));
    for _ in 0..2 {
        append_all(&mut opened.log, &[Some(3000); 8]);
        take_snapshot(&opened.directory, opened.log.durable_offset());
    }
    opened.directory.trim(u64::MAX).expect("trim");
    let report = verify(&shared(disk)).expect("verify");
    assert_eq!((report.gap.clone(), report.damage()), (None, None), "{report}");
}

#[test]
fn a_gap_stays_while_somebody_needs_what_is_before_it() {
    let sample = sample();
    let disk = sample.disk.after_kill();
    disk.remove(&sample.files[1].0).expect("remove");
    let opened = open_from(&disk, sample.snapshots[0]).expect("opens");
    opened.directory.trim(sample.files[2].1 - 1).expect("trim");
    assert!(disk.names().contains(&sample.files[0].0), "the file can still be joined to one from a copy");
    opened.directory.trim(sample.files[2].1).expect("trim");
    assert!(!disk.names().contains(&sample.files[0].0));
}

#[test]
fn the_same_gap_is_damage_without_the_snapshot() {
    let sample = sample();
    for index in 1..sample.files.len() - 1 {
        let disk = sample.disk.after_kill();
        disk.remove(&sample.files[index].0).expect("remove");
        for offset in sample.snapshots {
            disk.remove(&format!("{offset:020}.snap")).expect("remove");
        }
        assert!(matches!(open(&disk), Err(OpenError::Damaged(_))), "file {index}");
        assert!(verify(&shared(&disk)).expect("verify").damage().is_some(), "file {index}");
    }
}

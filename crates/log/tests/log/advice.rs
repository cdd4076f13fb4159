//! What messages about damage advise is done as it says there, and the log opens afterwards with all that was promised.

use onrush_log::Damage;
use onrush_log::file::faulty::FaultyStorage;
use onrush_log::file::{Storage, verify};

use crate::damage::damage_of;
use crate::gaps::{Sample, open_from, sample};
use crate::history::shared;

/// Does what the remedy says without a copy; the offset from which events are lost, if it says that.
fn follow(disk: &FaultyStorage, damage: &Damage) -> Option<u64> {
    let words: Vec<&str> = damage.remedy.split_whitespace().collect();
    let number_after = |word: &str| {
        let place = words.iter().position(|other| *other == word)?;
        words.get(place + 1)?.trim_end_matches(['.', ',', '`', ';']).parse::<u64>().ok()
    };
    let segments = || disk.names().into_iter().filter(|name| name.len() > 31 && !name.contains("reserve"));
    let sequence_of = |name: &str| name[21..31].parse::<u64>().expect("a sequence number");
    let file = damage.path.strip_prefix("disk/").expect("path");
    let remedy = &damage.remedy;
    let moves: Box<dyn Fn(&str) -> bool> = if remedy.contains("move all segment files out") {
        Box::new(|_| true)
    } else if remedy.contains("move the segment files with a higher number out") {
        Box::new(|name| sequence_of(name) > sequence_of(file))
    } else if remedy.contains("move this segment file and all with a higher number out") {
        Box::new(|name| sequence_of(name) >= sequence_of(file))
    } else if remedy.contains("move it and all segment files with a lower number out") {
        Box::new(|name| sequence_of(name) <= sequence_of(file))
    } else if let Some((_, sequence)) = remedy.split_once("move segment ") {
        let sequence =
            sequence.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number");
        Box::new(move |name| sequence_of(name) >= sequence)
    } else {
        panic!("no advice: {damage}");
    };
    for name in segments().filter(|name| moves(name)) {
        disk.remove(&name).expect("move away");
    }
    if remedy.contains("truncate -s") {
        let position = usize::try_from(damage.position).expect("small");
        assert!(remedy.contains(&format!("truncate -s {position} {}", damage.path)), "{damage}");
        let mut bytes = disk.contents(file).expect("file");
        assert!(remedy.contains(&format!("truncate -s {} {}", bytes.len(), damage.path)), "{damage}");
        bytes[position..].fill(0);
        disk.put(file, &bytes);
    }
    number_after("offset")
}

/// Damages a copy, follows the advice, and expects a log that ends where the message says that it would; that offset.
fn check(context: &str, sample: &Sample, damaging: impl FnOnce(&FaultyStorage)) -> u64 {
    let disk = sample.disk.after_kill();
    damaging(&disk);
    let snapshot = sample.snapshots[0];
    let damage = damage_of(open_from(&disk, snapshot).err().expect(context));
    let report = verify(&shared(&disk)).expect("verify");
    assert_eq!(
        report.damage().map(|damage| &damage.remedy),
        Some(&damage.remedy),
        "{context}: verify agrees"
    );
    let mut lost_from = follow(&disk, &damage);
    let opened = open_from(&disk, snapshot).unwrap_or_else(|error| {
        // What is left after a missing file is taken out may end before the snapshot.
        let damage = damage_of(error);
        lost_from = follow(&disk, &damage);
        open_from(&disk, snapshot).unwrap_or_else(|error| panic!("{context}: {damage}: {error}"))
    });
    let next_offset = opened.recovered.next_offset;
    assert!(lost_from.is_none_or(|offset| offset == next_offset), "{context}: {damage}");
    let kept = sample.batches.iter().filter(|batch| batch.next_offset() <= next_offset);
    assert!(opened.batches.iter().eq(kept.filter(|batch| batch.base_offset >= snapshot)), "{context}");
    drop(opened);
    assert_eq!(verify(&shared(&disk)).expect("verify").damage(), None, "{context}");
    next_offset
}

fn flip(disk: &FaultyStorage, name: &str, position: usize) {
    let mut bytes = disk.contents(name).expect("file");
    bytes[position] ^= 1;
    disk.put(name, &bytes);
}

#[test]
fn damage_from_the_snapshot_on_is_accepted_as_the_message_says() {
    let sample = sample();
    let (start, last) = (sample.start(), sample.files.len() - 1);
    let name = |index: usize| sample.files[index].0.clone();
    for index in [start, last] {
        check("header", &sample, |disk| flip(disk, &name(index), 20));
        check("first frame", &sample, |disk| flip(disk, &name(index), 4096 + 60));
        check("second frame", &sample, |disk| flip(disk, &name(index), 4096 + 3048 + 60));
        check("third frame", &sample, |disk| flip(disk, &name(index), 4096 + 2 * 3048 + 60));
    }
    check("start is missing", &sample, |disk| disk.remove(&name(start)).expect("remove"));
    check("all up to the start are missing", &sample, |disk| {
        (0..=start).for_each(|index| disk.remove(&name(index)).expect("remove"));
    });
    check("the segments end before the snapshot", &sample, |disk| {
        (start..=last).for_each(|index| disk.remove(&name(index)).expect("remove"));
    });
}

#[test]
fn a_file_that_is_missing_above_the_snapshot_is_accepted_as_the_message_says() {
    let mut sample = sample();
    // The older snapshot alone: the segment in which the newer one lay is above it.
    sample.disk.remove(&format!("{:020}.snap", sample.snapshots[0])).expect("remove");
    sample.snapshots.swap(0, 1);
    let start = sample.files.iter().rposition(|(_, base)| *base <= sample.snapshots[0]).expect("start");
    assert!(start + 2 < sample.files.len());
    let (missing, base_offset) = &sample.files[start + 1];
    let next_offset = check("a file is missing", &sample, |disk| disk.remove(missing).expect("remove"));
    assert_eq!(next_offset, *base_offset, "what came before the missing file is kept");
}

#[test]
fn damage_below_the_snapshot_is_found_by_verify_and_its_advice_costs_no_event() {
    let sample = sample();
    for index in 0..sample.start() {
        let disk = sample.disk.after_kill();
        flip(&disk, &sample.files[index].0, 4096 + 60);
        let report = verify(&shared(&disk)).expect("verify");
        let damage = report.damage().expect("damage").clone();
        assert_eq!(follow(&disk, &damage), Some(sample.snapshots[0]));
        assert_eq!(verify(&shared(&disk)).expect("verify").damage(), None);
        let opened = open_from(&disk, sample.snapshots[0]).expect("opens");
        let next_offset = sample.batches.last().expect("batches").next_offset();
        assert_eq!(opened.recovered.next_offset, next_offset, "nothing is lost");
    }
}

#[test]
fn a_damaged_snapshot_is_moved_away() {
    let sample = sample();
    let [newer, older] = sample.snapshots;
    let name = format!("{newer:020}.snap");
    flip(&sample.disk, &name, 70);
    let report = verify(&shared(&sample.disk)).expect("verify");
    let damage = report.damage().expect("damage");
    assert!(damage.remedy.contains("Nothing is lost") && damage.remedy.contains("move it out"), "{damage}");
    sample.disk.remove(&name).expect("move away");
    assert_eq!(verify(&shared(&sample.disk)).expect("verify").damage(), None);
    let opened = open_from(&sample.disk, older).expect("opens");
    assert_eq!(opened.recovered.next_offset, sample.batches.last().expect("batches").next_offset());
}

//! Crashes and failures at every operation: what was acknowledged is there, in order, and nothing else but possibly
//! the one batch that was in flight, whole.

use onrush_log::file::LogDirectory;
use onrush_log::file::faulty::{Fault, FaultyStorage};
use onrush_log::{AppendError, OpenError};

use crate::history::{Batch, Chance, Opened, PARTITION, open_with, opening, shared};

/// What the log was told over all its lives.
#[derive(Debug, Clone, Default)]
struct History {
    acknowledged: Vec<Batch>,
    /// Appended without an answer.
    maybe: Option<Batch>,
    /// Appended without an answer, and superseded by a re-open since.
    superseded: Vec<Batch>,
    chance: u64,
}

/// Why a life ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Completed,
    Crashed,
}

impl History {
    fn next_offset(&self) -> u64 {
        self.acknowledged.last().map_or(0, Batch::next_offset)
    }

    /// Checks what a log that was opened from `from_offset` holds.
    fn check(&mut self, from_offset: u64, found: &[Batch], resumed: bool) {
        let start = self.acknowledged.partition_point(|batch| batch.base_offset < from_offset);
        let expected = &self.acknowledged[start..];
        assert!(found.len() >= expected.len(), "lost {} of {}", expected.len() - found.len(), expected.len());
        assert!(found[..expected.len()] == *expected, "acknowledged batches differ");
        match (&found[expected.len()..], self.maybe.take()) {
            ([], maybe) if resumed => self.superseded.extend(maybe),
            ([], _) => {}
            ([extra], Some(maybe)) if !resumed => {
                assert!(*extra == maybe, "the batch in flight is there in part");
                self.acknowledged.push(maybe);
            }
            (extra, maybe) => panic!("{} batches too many, maybe {maybe:?}, resumed {resumed}", extra.len()),
        }
        assert!(!found.iter().any(|batch| self.superseded.contains(batch)), "a superseded batch is back");
    }
}

fn newest_snapshot(directory: &LogDirectory) -> u64 {
    let Some(offset) = directory.snapshots().expect("list").first().copied() else {
        return 0;
    };
    let mut reader = directory.read_snapshot(offset).expect("a finished snapshot is whole");
    assert_eq!(reader.next_chunk().expect("chunk"), Some(&offset.to_le_bytes()[..]));
    assert_eq!(reader.next_chunk().expect("trailer"), None);
    offset
}

/// One process from start to end: opens, checks, appends, snapshots, trims.
fn live(disk: &FaultyStorage, history: &mut History, steps: usize) -> End {
    let Some(mut opened) = start(disk, history, None) else {
        return End::Crashed;
    };
    let mut chance = Chance(history.chance);
    for _ in 0..steps {
        history.chance = chance.next();
        let done = match chance.below(12) {
            0 => opened.log.append_mark(1),
            1 => {
                snapshot_and_trim(&opened, history.next_offset());
                continue;
            }
            _ => append(&mut opened, history, &mut chance),
        };
        match done {
            // There is no room only when making a spare failed.
            Ok(()) | Err(AppendError::NoRoom) => {}
            Err(AppendError::Storage(_)) => {
                assert!(matches!(opened.log.append_mark(1), Err(AppendError::Closed)));
                assert_eq!(opened.log.room_bytes(), 0);
                match start(disk, history, Some(opened)) {
                    Some(again) => opened = again,
                    None => return End::Crashed,
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
    if opened.log.close(9).is_ok() { End::Completed } else { End::Crashed }
}

fn append(opened: &mut Opened, history: &mut History, chance: &mut Chance) -> Result<(), AppendError> {
    let event_count = 1 + chance.below(5) as u32;
    let base_offset = history.next_offset();
    let batch = Batch { base_offset, event_count, payload: chance.payload(3000) };
    match opened.log.append(event_count, 5, &batch.payload) {
        Ok(durable_offset) => {
            assert_eq!(durable_offset, batch.next_offset());
            history.acknowledged.push(batch);
            Ok(())
        }
        Err(error) => {
            if matches!(error, AppendError::Storage(_)) {
                history.maybe = Some(batch);
            }
            Err(error)
        }
    }
}

fn snapshot_and_trim(opened: &Opened, offset: u64) {
    let written = opened.directory.write_snapshot(offset, 3).and_then(|mut writer| {
        writer.write_chunk(&offset.to_le_bytes())?;
        writer.finish([1; 16])
    });
    if written.is_ok() {
        // A failure leaves more than there need be, nothing else.
        let _ = opened.directory.trim(offset);
    }
}

/// Opens a log, once more if it was open; `None` when the machine is gone.
fn start(disk: &FaultyStorage, history: &mut History, before: Option<Opened>) -> Option<Opened> {
    let resume_at = before.as_ref().map(|_| history.next_offset());
    let mut directory = before.map(|opened| opened.directory);
    for _ in 0..3 {
        if directory.is_none() {
            directory = LogDirectory::lock(shared(disk), PARTITION).ok();
        }
        let Some(directory) = &directory else {
            continue;
        };
        if disk.is_frozen() {
            return None;
        }
        let from_offset = newest_snapshot(directory);
        assert!(from_offset <= history.next_offset(), "a snapshot of more than was acknowledged");
        match open_with(directory.clone(), opening(from_offset, resume_at)) {
            Ok(opened) => {
                history.check(from_offset, &opened.batches, resume_at.is_some());
                assert_eq!(opened.recovered.next_offset, history.next_offset());
                return Some(opened);
            }
            Err(OpenError::Storage(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(disk.is_frozen(), "opens at the third attempt");
    None
}

/// Ways in which unsynced sectors and names survive a power cut.
const TEARS: u64 = 9;

fn tear(pattern: u64) -> impl FnMut() -> bool {
    let mut chance = Chance(pattern);
    let mut count = 0_u64;
    move || {
        count += 1;
        match pattern {
            0 => false,
            1 => true,
            2 => count.is_multiple_of(2),
            3 => !count.is_multiple_of(2),
            4 => count == 1,
            5 => count > 1,
            _ => chance.below(2) == 0,
        }
    }
}

fn operations_of_a_life(disk: &FaultyStorage, history: &History, steps: usize) -> u64 {
    let disk = disk.after_kill();
    assert_eq!(live(&disk, &mut history.clone(), steps), End::Completed);
    disk.operation_count()
}

#[test]
fn crash_at_every_operation() {
    for seed in 0..3 {
        let first = History { chance: seed, ..History::default() };
        for operation in 0..operations_of_a_life(&FaultyStorage::new(), &first, 30) {
            let disk = FaultyStorage::new();
            disk.fail_at(operation, Fault::Crash);
            let mut history = first.clone();
            live(&disk, &mut history, 30);
            for pattern in 0..TEARS {
                let context = format!("seed {seed}, operation {operation}, tear {pattern}");
                eprintln!("{context}");
                let after = disk.after_power_cut(tear(pattern));
                assert_eq!(live(&after, &mut history.clone(), 12), End::Completed, "{context}");
            }
            let killed = disk.after_kill();
            assert_eq!(live(&killed, &mut history.clone(), 12), End::Completed);
        }
    }
}

#[test]
fn crash_again_during_recovery() {
    let first = History { chance: 11, ..History::default() };
    for operation in (0..operations_of_a_life(&FaultyStorage::new(), &first, 24)).step_by(3) {
        let disk = FaultyStorage::new();
        disk.fail_at(operation, Fault::Crash);
        let mut history = first.clone();
        live(&disk, &mut history, 24);
        for pattern in 0..TEARS {
            let after = disk.after_power_cut(tear(pattern));
            for second in 0..operations_of_a_life(&after, &history, 3) {
                let again = after.after_kill();
                again.fail_at(second, Fault::Crash);
                let mut history = history.clone();
                live(&again, &mut history, 3);
                for next_pattern in [0, 1, 2, pattern, second % TEARS] {
                    eprintln!("operation {operation}, tear {pattern}, then {second}, tear {next_pattern}");
                    let last = again.after_power_cut(tear(next_pattern));
                    assert_eq!(live(&last, &mut history.clone(), 3), End::Completed);
                }
            }
        }
    }
}

#[test]
fn fail_every_operation() {
    for fault in [Fault::Error, Fault::ErrorInCache, Fault::ErrorWhenDurable] {
        let first = History { chance: 5, ..History::default() };
        for operation in 0..operations_of_a_life(&FaultyStorage::new(), &first, 30) {
            eprintln!("{fault:?} at operation {operation}");
            let disk = FaultyStorage::new();
            disk.fail_at(operation, fault);
            let mut history = first.clone();
            live(&disk, &mut history, 30);
            for pattern in 0..TEARS {
                let after = disk.after_power_cut(tear(pattern));
                assert_eq!(live(&after, &mut history.clone(), 3), End::Completed);
            }
            assert_eq!(live(&disk.after_kill(), &mut history.clone(), 3), End::Completed);
        }
    }
}

#[test]
fn fail_twice_and_crash() {
    let first = History { chance: 8, ..History::default() };
    let operation_count = operations_of_a_life(&FaultyStorage::new(), &first, 20);
    let mut chance = Chance(0xfa11);
    for round in 0..400 {
        let disk = FaultyStorage::new();
        let faults = [Fault::Error, Fault::ErrorInCache, Fault::ErrorWhenDurable];
        for _ in 0..2 {
            disk.fail_at(chance.below(operation_count), faults[chance.below(3) as usize]);
        }
        disk.fail_at(chance.below(2 * operation_count), Fault::Crash);
        eprintln!("round {round}");
        let mut history = first.clone();
        live(&disk, &mut history, 40);
        for pattern in 0..TEARS {
            let after = disk.after_power_cut(tear(pattern));
            assert_eq!(live(&after, &mut history.clone(), 3), End::Completed);
        }
    }
}

/// A batch that a killed process left in the cache after a failed sync looks whole to the next process, whose own
/// sync would not write it: it counts only once it has been written again.
#[test]
fn what_an_opening_finds_stays() {
    for payload_bytes in [10, 5000, 9000] {
        let disk = FaultyStorage::new();
        let mut opened = crate::history::open(&disk).expect("new");
        opened.log.append(1, 1, &[1; 100]).expect("append");
        disk.fail_at(disk.operation_count() + 1, Fault::ErrorInCache);
        assert!(opened.log.append(1, 1, &vec![2; payload_bytes]).is_err());
        for operation in 0..12 {
            let next = disk.after_kill();
            next.fail_at(operation, Fault::Crash);
            drop(crate::history::open(&next));
            for pattern in 0..TEARS {
                let found = crate::history::open(&next.after_power_cut(tear(pattern)))
                    .map(|opened| opened.batches.len());
                assert!(matches!(found, Ok(1 | 2)), "operation {operation}, tear {pattern}: {found:?}");
            }
        }
        let next = disk.after_kill();
        let mut opened = crate::history::open(&next).expect("open");
        assert_eq!(opened.batches.len(), 2, "the cache has it");
        opened.log.append(1, 1, &[3]).expect("append");
        let after = next.after_power_cut(|| false);
        let again = crate::history::open(&after).expect("open");
        assert_eq!(again.batches.len(), 3, "{payload_bytes} bytes");
    }
}

#[test]
fn resuming_begins_a_segment() {
    for fault in [Fault::Error, Fault::ErrorInCache, Fault::ErrorWhenDurable] {
        let disk = FaultyStorage::new();
        let mut opened = crate::history::open(&disk).expect("new");
        opened.log.append(1, 1, &[1; 100]).expect("append");
        disk.fail_at(disk.operation_count() + 1, fault);
        assert!(opened.log.append(5, 1, &[2; 5000]).is_err());
        let Opened { directory, log, .. } = opened;
        drop(log);
        let mut again = open_with(directory, opening(0, Some(1))).expect("open");
        assert_eq!(
            (again.batches.len(), again.recovered.segment_count, again.recovered.next_offset),
            (1, 2, 1)
        );
        assert_eq!(again.recovered.epoch, 2);
        again.log.append(1, 1, &[3]).expect("append");
        for after in [disk.after_kill(), disk.after_power_cut(|| true), disk.after_power_cut(|| false)] {
            let found = crate::history::open(&after).expect("open").batches;
            assert_eq!(found.iter().map(|batch| batch.payload[0]).collect::<Vec<_>>(), [1, 3]);
        }
    }
}

/// On a full disk a trimmed segment is written over at once; no crash may bring it back under its old name.
#[test]
fn crash_while_trimming_makes_room() {
    for operation in 0..40 {
        for pattern in 0..TEARS {
            let disk = FaultyStorage::new();
            let mut opened = crate::history::open(&disk).expect("new");
            let mut expected = Vec::new();
            let mut fill = |opened: &mut Opened| {
                let base_offset = opened.log.durable_offset();
                let payload = vec![base_offset as u8; opened.log.room_bytes() as usize];
                let done = opened.log.append(1, 1, &payload).is_ok();
                expected.extend(done.then_some(Batch { base_offset, event_count: 1, payload }));
            };
            (0..5).for_each(|_| fill(&mut opened));
            for offset in [3, 4] {
                opened.directory.write_snapshot(offset, 1).expect("begin").finish([0; 16]).expect("finish");
            }
            disk.set_room(Some(disk.used_bytes()));
            while opened.log.room_bytes() > 0 {
                fill(&mut opened);
            }
            disk.fail_at(disk.operation_count() + operation, Fault::Crash);
            if opened.directory.trim(3).is_ok() {
                (0..3).for_each(|_| fill(&mut opened));
            }
            let after = disk.after_power_cut(tear(pattern));
            let directory = LogDirectory::lock(shared(&after), PARTITION).expect("free");
            let again = open_with(directory, opening(3, None));
            let found = again
                .unwrap_or_else(|error| panic!("operation {operation}, tear {pattern}: {error}"))
                .batches;
            expected.drain(..3);
            assert!(
                found.starts_with(&expected) && found.len() <= expected.len() + 1,
                "operation {operation}"
            );
        }
    }
}

//! Crashes and failures at every operation on the disk, snapshots and trimming included: nothing acknowledged is lost, nothing
//! is done twice, and what was not acknowledged is there wholly or not at all.

use std::sync::Arc;

use onrush_log::file::faulty::{Fault, FaultyStorage};
use onrush_log::file::{FileLog, LogDirectory, LogSettings};

use super::{Rig, reserve_with, settings};
use crate::{Call, Failure, Outcome, Settings};

/// What a client knows after its calls.
#[derive(Debug, Default)]
struct Known {
    counted: u64,
    counted_unknown: u64,
    sold: u32,
    sold_unknown: u32,
    last_value: u64,
}

const CUSTOMERS: u32 = 64;
const FIRST_SEGMENT: &str = "00000000000000000000-0000000001.seg";
/// Small enough that the script fills several.
const SEGMENT_BYTES: u64 = 20 << 10;

fn reserve(number: u32) -> Call {
    reserve_with("s", &format!("c{number}"), Some(&format!("k{number}")), &[b' '; 800])
}

fn small() -> Settings {
    Settings { snapshot_bytes: 1, ..settings() }
}

fn open(disk: &FaultyStorage) -> Rig {
    let directory = LogDirectory::lock(Arc::new(disk.clone()), 0).unwrap();
    Rig::open(Arc::new(FileLog::new(directory, LogSettings::for_tests(SEGMENT_BYTES))), small()).unwrap()
}

fn fresh() -> (FaultyStorage, Rig) {
    let disk = FaultyStorage::new();
    let mut rig = open(&disk);
    rig.put_sale("s", 1_000, 0);
    (disk, rig)
}

/// Drives a partition until the script ends or the machine is gone.
fn drive(disk: &FaultyStorage, rig: &mut Rig) -> Known {
    let mut known = Known::default();
    for number in 0..CUSTOMERS {
        match rig.add("home") {
            Ok(value) => {
                assert!(value > known.last_value, "numbers run forwards");
                known.last_value = value;
                known.counted += 1;
            }
            Err(_) => known.counted_unknown += 1,
        }
        match rig.call(reserve(number)) {
            Ok(Outcome::Reserved { .. }) => known.sold += 1,
            Err(Failure::LogUnavailable) => known.sold_unknown += 1,
            other => panic!("{other:?}"),
        }
        if number % 4 == 3 {
            rig.parts.snapshotter.turn();
        }
        if disk.is_frozen() {
            break;
        }
    }
    known
}

fn check(disk: &FaultyStorage, known: &Known, what: &str) {
    let mut rig = open(disk);
    let counted = rig.counter("home").unwrap_or(0);
    assert!(counted >= known.counted, "{what}: {counted} of {known:?}");
    assert!(counted <= known.counted + known.counted_unknown, "{what}: {counted} of {known:?}");
    assert!(counted >= known.last_value, "{what}: {counted} of {known:?}");
    let (held, sold) = rig.figures("s");
    assert_eq!(held, 0);
    assert!(sold >= known.sold, "{what}: {sold} of {known:?}");
    assert!(sold <= known.sold + known.sold_unknown, "{what}: {sold} of {known:?}");
    // Whoever does not know asks again, and has one unit in the end however it went.
    for number in 0..CUSTOMERS {
        let again = rig.call(reserve(number));
        assert!(matches!(again, Ok(Outcome::Reserved { .. })), "{what}: {again:?}");
    }
    assert_eq!(rig.figures("s"), (0, CUSTOMERS), "{what}");
    assert_eq!(rig.add("home").unwrap(), counted + 1);
    let digest = rig.close();
    assert_eq!(open(disk).close(), digest, "{what}: a replay gives the same state");
}

/// Operations of the whole script, counted from its begin.
fn script_operations() -> (u64, u64) {
    let (disk, mut rig) = fresh();
    let before = disk.operation_count();
    drive(&disk, &mut rig);
    let metrics = rig.metrics();
    assert!(metrics.snapshot_offset.is_some(), "the script is long enough for snapshots");
    assert!(!disk.names().iter().any(|name| name == FIRST_SEGMENT), "and for trimming");
    (before, disk.operation_count() - before)
}

#[test]
fn a_crash_at_any_operation() {
    let (before, count) = script_operations();
    for step in 0..count {
        let (disk, mut rig) = fresh();
        disk.fail_at(before + step, Fault::Crash);
        let known = drive(&disk, &mut rig);
        assert!(disk.is_frozen(), "every run is the same");
        let mut coin = step.wrapping_mul(2_654_435_761);
        let image = disk.after_power_cut(|| {
            coin = coin.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            coin >> 63 == 1
        });
        check(&image, &known, &format!("crash at operation {step}"));
    }
}

#[test]
fn a_failure_at_any_operation() {
    let (before, count) = script_operations();
    for fault in [Fault::Error, Fault::ErrorInCache, Fault::ErrorWhenDurable] {
        for step in 0..count {
            let (disk, mut rig) = fresh();
            disk.fail_at(before + step, fault);
            let known = drive(&disk, &mut rig);
            let unknown_count = known.counted_unknown + u64::from(known.sold_unknown);
            assert!(unknown_count <= 1, "one failure, one answer: {known:?}");
            check(&disk.after_power_cut(|| false), &known, &format!("{fault:?} at operation {step}"));
        }
    }
}

#[test]
fn a_kill_without_a_power_cut() {
    let (disk, mut rig) = fresh();
    let known = drive(&disk, &mut rig);
    assert_eq!(known.counted_unknown + u64::from(known.sold_unknown), 0);
    check(&disk.after_kill(), &known, "kill");
}

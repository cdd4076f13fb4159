//! Crashes and failures at every operation on the disk: nothing acknowledged is lost, nothing is done twice, and what
//! was not acknowledged is there wholly or not at all.

#![allow(clippy::disallowed_methods, reason = "a test waits for real threads")]

mod support;

use std::time::Duration;

use onrush_log::file::faulty::{Fault, FaultyStorage};
use onrush_node::{Call, Failure, Name, Outcome, Settings};
use support::{Rig, reserve, settings};

/// What a client knows after its calls.
#[derive(Debug, Default)]
struct Known {
    counted: u64,
    counted_unknown: u64,
    sold: u32,
    sold_unknown: u32,
    last_value: u64,
}

const CUSTOMERS: u32 = 24;

/// Drives a partition until it does not answer any more or the script ends.
fn drive(rig: &Rig) -> Known {
    let mut known = Known::default();
    for n in 0..CUSTOMERS {
        match rig.add("home") {
            Ok(value) => {
                assert!(value > known.last_value, "numbers run forwards");
                known.last_value = value;
                known.counted += 1;
            }
            Err(_) => known.counted_unknown += 1,
        }
        match rig.call(Call::Reserve(reserve("s", &format!("c{n}"), Some(&format!("k{n}"))))) {
            Ok(Outcome::Reserved { .. }) => known.sold += 1,
            Err(Failure::LogUnavailable) => known.sold_unknown += 1,
            Err(Failure::Refused { .. }) => {}
            other => panic!("{other:?}"),
        }
        if rig.disk.is_frozen() {
            break;
        }
        if known.counted_unknown > 0 && known.counted_unknown > known.counted {
            // The log is being opened again; give it a moment, as a client that honours Retry-After would.
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    known
}

fn check(disk: FaultyStorage, known: &Known, what: &str) {
    let rig = Rig::on(disk, small());
    let counted = rig.counter("home").unwrap_or(0);
    assert!(counted >= known.counted, "{what}: {counted} of {known:?}");
    assert!(counted <= known.counted + known.counted_unknown, "{what}: {counted} of {known:?}");
    assert!(counted >= known.last_value, "{what}: {counted} of {known:?}");
    let (held, sold) = rig.figures("s");
    assert_eq!(held, 0);
    assert!(sold >= known.sold, "{what}: {sold} of {known:?}");
    assert!(sold <= known.sold + known.sold_unknown, "{what}: {sold} of {known:?}");
    // Whoever does not know asks again, and has one unit in the end however it went.
    for n in 0..CUSTOMERS {
        let again = rig.call(Call::Reserve(reserve("s", &format!("c{n}"), Some(&format!("k{n}")))));
        assert!(matches!(again, Ok(Outcome::Reserved { .. })), "{what}: {again:?}");
    }
    assert_eq!(rig.figures("s"), (0, CUSTOMERS), "{what}");
    let value = rig.add("home").unwrap();
    assert_eq!(value, counted + 1);
    let (disk, digest) = rig.close();
    assert_eq!(Rig::on(disk, small()).close().1, digest, "{what}: a replay gives the same state");
}

fn small() -> Settings {
    Settings { snapshot_bytes: 1 << 10, ..settings() }
}

fn fresh() -> Rig {
    let rig = Rig::on(FaultyStorage::new(), small());
    rig.put_sale("s", 1_000, 0);
    rig
}

#[test]
fn a_crash_at_any_operation() {
    let before = fresh().disk.operation_count();
    for step in 0..60 {
        let rig = fresh();
        rig.disk.fail_at(before + 1 + step, Fault::Crash);
        let known = drive(&rig);
        let mut coin = step * 2_654_435_761;
        let image = rig.disk.after_power_cut(|| {
            coin = coin.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            coin >> 63 == 1
        });
        check(image, &known, &format!("crash at operation {step}"));
    }
}

#[test]
fn a_failure_at_any_operation() {
    let before = fresh().disk.operation_count();
    for fault in [Fault::Error, Fault::ErrorInCache, Fault::ErrorWhenDurable] {
        for step in (0..60).step_by(11) {
            let rig = fresh();
            rig.disk.fail_at(before + 1 + step, fault);
            let known = drive(&rig);
            check(rig.disk.after_power_cut(|| false), &known, &format!("{fault:?} at operation {step}"));
        }
    }
}

#[test]
fn a_kill_without_a_power_cut() {
    let rig = fresh();
    let known = drive(&rig);
    rig.call(Call::ReadCounter { counter: Name::from("home") }).unwrap();
    check(rig.disk.after_kill(), &known, "kill");
}

//! Snapshots and trimming, stepped.

use std::sync::Arc;

use onrush_log::Log;
use onrush_log::memory::MemoryLog;

use super::{Rig, on_every_log, reserve, settings};
use crate::Settings;

fn eager() -> Settings {
    Settings { snapshot_bytes: 100 << 10, ..settings() }
}

fn open(log: &MemoryLog) -> Rig {
    Rig::open(Arc::new(log.clone()), eager()).unwrap().bringing_into_force(log)
}

/// So many reservations, in batches of fifty.
fn sell(rig: &mut Rig, sold: &mut u32, count: u32) {
    let end = *sold + count;
    while *sold < end {
        rig.partition.call(reserve("s", &format!("customer-{sold}")), |reply| assert!(reply.is_ok()));
        *sold += 1;
        if sold.is_multiple_of(50) {
            rig.write();
        }
    }
}

#[test]
fn a_restart_begins_at_the_newest_snapshot() {
    on_every_log(|log| {
        let mut rig = open(log);
        rig.put_sale("s", 1_000_000, 0);
        let mut sold = 0;
        sell(&mut rig, &mut sold, 500);
        rig.parts.snapshotter.turn();
        assert_eq!(rig.metrics().snapshot_offset, None, "there is too little for one");
        let mut taken = Vec::new();
        while taken.len() < 3 {
            sell(&mut rig, &mut sold, 2_000);
            rig.parts.snapshotter.turn();
            let newest = rig.metrics().snapshot_offset;
            if taken.last() != Some(&newest) {
                taken.extend(newest.is_some().then_some(newest));
                rig.parts.snapshotter.turn();
                assert_eq!(rig.metrics().snapshot_offset, newest, "nothing has come since");
            }
            assert!(sold < 100_000, "each snapshot waits for as much log as the one before is large");
        }
        let newest = rig.metrics().snapshot_offset;
        let oldest = log.reader().oldest_offset();
        assert!(0 < oldest && Some(oldest) < newest, "what two snapshots cover was trimmed");
        let digest = rig.close();
        let mut again = open(log);
        assert_eq!(again.recovered.snapshot_offset, newest);
        assert_eq!(again.figures("s"), (0, sold));
        assert_eq!(again.close(), digest);
    });
}

#[test]
fn the_log_is_kept_for_whoever_holds_it() {
    on_every_log(|log| {
        let mut rig = open(log);
        let hold = rig.retention.hold(0);
        rig.put_sale("s", 1_000_000, 0);
        let mut sold = 0;
        while log.snapshots().unwrap().len() < 2 {
            sell(&mut rig, &mut sold, 2_000);
            rig.parts.snapshotter.turn();
            assert!(sold < 100_000, "each snapshot waits for as much log as the one before is large");
        }
        assert_eq!(log.reader().oldest_offset(), 0);
        let snapshots = log.snapshots().unwrap();
        hold.keep_from(snapshots[1]);
        rig.parts.snapshotter.turn();
        let oldest = log.reader().oldest_offset();
        assert!(0 < oldest && oldest <= snapshots[1], "{oldest} {snapshots:?}");
    });
}

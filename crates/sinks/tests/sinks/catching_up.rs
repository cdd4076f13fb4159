//! Sinks that are far behind: in traffic, and after their target lost what it had.

use std::num::NonZeroU32;
use std::sync::atomic::Ordering;

use onrush_sinks::{SinkSettings, SinkState, Stop, noted_offset};

use crate::shop::{Shop, one, wait_for};
use crate::target::SharedStore;
use crate::{assert_repeats_only, replayed};

/// Below a ceiling a sink sends a little at a time, however large its target's batches are.
#[test]
fn a_sink_that_is_far_behind_catches_up_in_traffic() {
    for sends_from in [None, Some(100), Some(700)] {
        let directory = tempfile::tempdir().unwrap();
        let store = SharedStore::default();
        (store.lock().batch_events_max, store.lock().sends_from) = (Some(100_000), sends_from);
        store.lock().is_away = true;
        let settings = SinkSettings { events_per_second_max: NonZeroU32::new(20_000), ..one() };
        let shop = Shop::open(directory.path(), vec![(settings, store.target())]);
        shop.open_sales();
        for round in 0..700 {
            shop.trade(round);
        }
        let behind = shop.status();
        assert!(behind.lag_events > 2_000, "{behind:?}");
        store.lock().is_away = false;
        shop.sinks.retry("one").unwrap();
        let goal = behind.sink_offset + behind.lag_events;
        while shop.status().sink_offset < goal {
            shop.add("home");
            let status = shop.status();
            assert!(!matches!(status.state, SinkState::Stopped(_)), "{sends_from:?}: {status:?}");
        }
        shop.wait_caught_up();
        shop.close();
        assert_eq!(store.lock().events, replayed(directory.path()).1, "{sends_from:?}");
    }
}

#[test]
fn a_target_that_keeps_no_offset_and_lost_everything_gets_it_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = SharedStore::default();
    store.lock().forgets_offset = true;
    let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
    shop.open_sales();
    for round in 0..30 {
        shop.trade(round);
    }
    let caught_up = shop.wait_caught_up();
    let is_noted = || (noted_offset(directory.path(), "one").unwrap() >= caught_up.sink_offset).then_some(());
    wait_for("noted", is_noted).expect("the offset is noted");
    // Gone, and rejecting before it is complete again.
    store.lock().is_away = true;
    shop.trade(30);
    shop.wait("failed", |status| status.failure_count > 0);
    {
        let mut store = store.lock();
        store.events.clear();
        (store.is_away, store.lost_from, store.rejected) = (false, Some(0), [20].into());
    }
    shop.sinks.retry("one").unwrap();
    assert!(matches!(shop.wait_stopped(), Stop::Rejected { offset: 20, .. }));
    shop.close();
    store.lock().rejected.clear();
    let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
    shop.wait_caught_up();
    shop.close();
    assert_repeats_only(&store.lock().events, &replayed(directory.path()).1);
}

/// Whoever opens a target last has it: a node that is no longer the leader must not.
#[test]
fn a_sink_that_stopped_does_not_open_its_target_while_another_node_leads() {
    let directory = tempfile::tempdir().unwrap();
    let store = SharedStore::default();
    let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
    shop.add("home");
    let next = shop.wait_caught_up().sink_offset;
    store.lock().rejected.insert(next);
    shop.add("home");
    shop.wait_stopped();
    let open_count = store.lock().open_count;
    shop.is_deposed.store(true, Ordering::Relaxed);
    shop.wait("following", |status| status.state == SinkState::Following);
    assert_eq!(store.lock().open_count, open_count);
    store.lock().rejected.clear();
    shop.is_deposed.store(false, Ordering::Relaxed);
    shop.wait_caught_up();
    assert!(store.lock().open_count > open_count);
    shop.close();
    assert_eq!(store.lock().events, replayed(directory.path()).1);
}

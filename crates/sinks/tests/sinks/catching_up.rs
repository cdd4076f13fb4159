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

/// The log is kept for the sink of a node that follows as long as for that of the leader, and no longer.
#[test]
fn a_sink_that_follows_lets_go_of_what_the_leaders_does_not_need() {
    let directory = tempfile::tempdir().unwrap();
    let store = SharedStore::default();
    let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
    shop.open_sales();
    (0..10).for_each(|round| shop.trade(round));
    let caught_up = shop.wait_caught_up().sink_offset;
    shop.close();
    // A node that has the log, and no files of the sink.
    std::fs::remove_dir_all(directory.path().join("sinks")).unwrap();
    let shop = Shop::open_with(directory.path(), vec![(one(), store.target())], 1, 64 << 10);
    shop.is_deposed.store(true, Ordering::Relaxed);
    shop.wait("following", |status| status.state == SinkState::Following);
    let mut round = 10;
    let mut trade_until = |shop: &Shop, what: &str, is_so: &dyn Fn(&Shop) -> bool| {
        let looked = super::wait_for(what, || {
            shop.trade(round);
            round += 1;
            is_so(shop).then_some(())
        });
        looked.unwrap_or_else(|| panic!("not {what}"));
    };
    trade_until(&shop, "snapshots taken", &|shop| shop.log.snapshots().unwrap().len() == 2);
    assert_eq!(shop.log.reader().oldest_offset(), 0, "the leader's sink is at the beginning");
    let needed_from = shop.log.snapshots().unwrap()[0];
    assert!(needed_from > caught_up);
    // What the other node's sink has written meanwhile.
    let events = replayed(directory.path()).1;
    {
        let mut store = store.lock();
        let next = store.next_offset;
        let written = events.iter().filter(|(offset, _)| (next..needed_from).contains(offset)).cloned();
        store.events.extend(written);
        (store.next_offset, store.incarnation) = (needed_from, None);
    }
    shop.needed_by_leader.store(needed_from, Ordering::Relaxed);
    trade_until(&shop, "trimmed", &|shop| shop.log.reader().oldest_offset() > 0);
    trade_until(&shop, "gone on", &|shop| shop.log.snapshots().unwrap().iter().all(|at| *at > needed_from));
    assert!(shop.log.reader().oldest_offset() <= needed_from, "that is needed");
    shop.is_deposed.store(false, Ordering::Relaxed);
    shop.wait_caught_up();
    let end = shop.log.reader().durable_offset();
    shop.close();
    let offsets: Vec<u64> = store.lock().events.iter().map(|(offset, _)| *offset).collect();
    assert!(offsets.is_sorted_by(|before, after| before < after), "each event is there once");
    // What is left of the log can be told from a snapshot on.
    let left = replayed(directory.path()).1;
    let from = left.first().expect("something is left").0;
    assert!(from > needed_from);
    let store = store.lock();
    let written = store.events.iter().filter(|(offset, _)| *offset >= from);
    assert!(written.eq(left.iter()), "from {from} on");
    let between = store.events.iter().filter(|(offset, _)| (needed_from..from).contains(offset));
    assert!(between.count() > 0 && left.last().is_some_and(|(offset, _)| *offset < end));
}

//! Sinks from the outside: what arrives in a target, whatever fails on the way.

#![allow(clippy::disallowed_methods, reason = "a test waits for real threads")]

mod catching_up;
mod copies;
mod hanging;
mod histories;
mod servers;
mod shop;
mod target;

use std::collections::BTreeSet;
use std::path::Path;

use onrush_log::file::StoredFileLog;
use onrush_sinks::{
    AtBacklogMax, EventKind, Replayed, Selection, SinkRefusal, SinkSettings, Skipped, Stop, log_extent,
    replay, skipped,
};
use shop::{Shop, one, wait_for};
use target::SharedStore;

/// The truth: every event of the directory, told from the beginning of what is there.
fn replayed(directory: &Path) -> (Replayed, Vec<(u64, String)>) {
    let mut events = Vec::new();
    let replayed = replay(&StoredFileLog::open(directory).unwrap(), &Selection::default(), &mut |event| {
        events.push((event.offset, format!("{} {:?}", event.at, event.change)));
        Ok(())
    });
    (replayed.unwrap(), events)
}

#[test]
fn every_event_arrives_whole_and_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = SharedStore::default();
    let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
    shop.open_sales();
    for round in 0..40 {
        shop.trade(round);
    }
    shop.put_sale("held", &["c", "b", "a"], 3_600_000);
    shop.reserve("held", "c", "late");
    shop.advance(4_000_000);
    shop.wait_caught_up();
    shop.close();
    let (replayed, events) = replayed(directory.path());
    let store = store.lock();
    assert_eq!(store.events, events);
    assert_eq!(store.next_offset, replayed.to);
    assert_eq!(log_extent(&StoredFileLog::open(directory.path()).unwrap()).unwrap(), replayed);
    let kinds = ["Reserved", "Confirmed", "Released", "Expired", "SalePut", "CounterAdded", "WindowHit"];
    for kind in kinds {
        assert!(store.events.iter().any(|(_, text)| text.contains(kind)), "{kind}");
    }
    let expired = store.events.iter().find(|(_, text)| text.contains("Expired")).unwrap();
    assert!(expired.1.contains("customer: \"c"), "a hold is told whole when it expires: {}", expired.1);
    let late = store.events.iter().find(|(_, text)| text.contains("\"late\"")).unwrap();
    assert!(late.1.contains("stock: \"c\""), "{}", late.1);
}

/// Whether `events` are those of the log, in order, a run of them perhaps repeated with the same content.
fn assert_repeats_only(stored: &[(u64, String)], truth: &[(u64, String)]) {
    let mut next = 0;
    for (offset, text) in stored {
        let at = truth.iter().position(|(known, _)| known == offset).expect("only events of the log");
        assert_eq!(*text, truth[at].1, "a repeat has the same content");
        assert!(at <= next, "offset {offset} came before one that precedes it");
        next = next.max(at + 1);
    }
    assert_eq!(next, truth.len(), "every event came");
}

#[test]
fn a_target_that_fails_now_and_then_gets_each_event_once() {
    for seed in 1..=6_u64 {
        let directory = tempfile::tempdir().unwrap();
        let store = SharedStore::default();
        store.lock().random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        store.lock().fails_one_in = 12;
        store.lock().forgets_offset = seed.is_multiple_of(3);
        for life in 0..3 {
            let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
            if life == 0 {
                shop.open_sales();
            }
            for round in 0..20 {
                shop.trade(life * 100 + round);
                shop.sinks.retry("one").unwrap();
            }
            if life == 2 {
                store.lock().fails_one_in = 0;
                shop.sinks.retry("one").unwrap();
                shop.wait_caught_up();
            }
            shop.close();
        }
        let (_, events) = replayed(directory.path());
        let store = store.lock();
        if store.forgets_offset {
            assert_repeats_only(&store.events, &events);
        } else {
            assert_eq!(store.events, events, "seed {seed}");
        }
    }
}

#[test]
fn a_target_that_is_away_at_start_gets_everything_later() {
    let directory = tempfile::tempdir().unwrap();
    let store = SharedStore::default();
    store.lock().is_away = true;
    let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
    shop.open_sales();
    shop.trade(0);
    let status = shop.wait("failed twice", |status| status.failure_count >= 2);
    assert!(status.lag_events > 0, "{status:?}");
    assert_eq!(status.last_error.unwrap().1, "the target is away");
    store.lock().is_away = false;
    shop.sinks.retry("one").unwrap();
    shop.wait_caught_up();
    shop.close();
    assert_eq!(store.lock().events, replayed(directory.path()).1);
}

#[test]
fn an_event_that_is_rejected_stops_the_sink_at_it_and_nowhere_else() {
    for (names_rejected, rejects_pushed) in [(false, false), (true, false), (true, true)] {
        let directory = tempfile::tempdir().unwrap();
        let (store, other) = (SharedStore::default(), SharedStore::default());
        store.lock().names_rejected = names_rejected;
        store.lock().rejects_pushed = rejects_pushed;
        let sinks = vec![(one(), store.target()), (SinkSettings::new("two"), other.target())];
        store.lock().is_away = true;
        let shop = Shop::open(directory.path(), sinks);
        shop.open_sales();
        for round in 0..30 {
            shop.trade(round);
        }
        store.lock().rejected.extend([20, 21, 60]);
        store.lock().is_away = false;
        shop.sinks.retry("one").unwrap();
        for rejected in [20, 21, 60] {
            let found = shop.wait_stopped();
            assert_eq!(found, Stop::Rejected { offset: rejected, reason: "no such thing here".to_owned() });
            assert!(
                store.lock().events.iter().all(|(offset, _)| *offset < rejected),
                "nothing behind it came"
            );
            let before = replayed(directory.path()).1.iter().filter(|(offset, _)| *offset < rejected).count();
            let lost_before = store.lock().rejected.iter().filter(|offset| **offset < rejected).count();
            assert_eq!(store.lock().events.len(), before - lost_before, "everything before it came");
            assert_eq!(shop.sinks.skip("one", rejected + 1), Err(SinkRefusal::NotStoppedThere));
            shop.sinks.skip("one", rejected).unwrap();
        }
        let status = shop.wait_caught_up();
        assert_eq!(status.skipped_count, 3);
        assert_eq!(shop.sinks.skip("one", 60), Err(SinkRefusal::NotStoppedThere));
        assert_eq!(shop.sinks.skip("none", 60), Err(SinkRefusal::NotFound));
        shop.close();
        let mut events = replayed(directory.path()).1;
        assert_eq!(other.lock().events, events, "the other sink got everything");
        events.retain(|(offset, _)| ![20, 21, 60].contains(offset));
        assert_eq!(store.lock().events, events);
        let recorded = skipped(directory.path(), "one").unwrap();
        assert_eq!(
            recorded.iter().map(|s| (s.from, s.to)).collect::<Vec<_>>(),
            [(20, 21), (21, 22), (60, 61)]
        );
        assert_eq!(store.lock().skipped, recorded, "the target was told");
    }
}

#[test]
fn a_rejected_event_that_the_target_takes_after_all_is_not_lost() {
    let directory = tempfile::tempdir().unwrap();
    let store = SharedStore::default();
    store.lock().rejected.insert(3);
    let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
    shop.open_sales();
    shop.trade(0);
    shop.wait_stopped();
    store.lock().rejected.clear();
    shop.sinks.retry("one").unwrap();
    shop.wait_caught_up();
    shop.close();
    assert_eq!(store.lock().events, replayed(directory.path()).1);
}

#[test]
fn a_selection_is_all_that_arrives() {
    let directory = tempfile::tempdir().unwrap();
    let store = SharedStore::default();
    let selection = Selection {
        kinds: Some(BTreeSet::from([EventKind::Reserved, EventKind::Confirmed, EventKind::CounterAdded])),
        sales: Some(BTreeSet::from(["held".to_owned()])),
    };
    let settings = SinkSettings { selection, ..one() };
    let shop = Shop::open(directory.path(), vec![(settings, store.target())]);
    shop.open_sales();
    for round in 0..20 {
        shop.trade(round);
    }
    shop.wait_caught_up();
    shop.close();
    let store = store.lock();
    let held = store.events.iter().filter(|(_, text)| text.contains("sale: \"held\"")).count();
    let counters = store.events.iter().filter(|(_, text)| text.contains("CounterAdded")).count();
    assert_eq!(held + counters, store.events.len());
    assert!(held > 7 && counters > 1);
    assert_eq!(
        store.next_offset,
        replayed(directory.path()).0.to,
        "the target knows how far the log was read"
    );
}

/// Bytes of log files in a directory.
fn segment_count(directory: &Path) -> usize {
    let files = std::fs::read_dir(directory).unwrap();
    files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|kind| kind == "seg")).count()
}

/// Trades until so many rounds went by, with time for snapshots between them.
fn trade_long(shop: &Shop, rounds: std::ops::Range<usize>) {
    for round in rounds {
        for part in 0..100 {
            shop.trade(round * 100 + part);
        }
    }
}

#[test]
fn the_log_is_kept_for_a_sink_that_lags_and_trimmed_when_it_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let store = SharedStore::default();
    store.lock().is_away = true;
    let shop = Shop::open_with(directory.path(), vec![(one(), store.target())], 16 << 10, 16 << 10);
    shop.open_sales();
    let round = std::cell::Cell::new(0);
    let snapshots = |at_least| {
        wait_for("snapshots", || {
            round.set(round.get() + 1);
            trade_long(&shop, round.get()..round.get() + 1);
            std::thread::sleep(std::time::Duration::from_millis(200));
            (shop.partition.metrics().snapshot_offset > at_least).then_some(())
        })
        .expect("a snapshot is taken");
        shop.partition.metrics().snapshot_offset
    };
    let first = snapshots(None);
    let second = snapshots(first);
    snapshots(second);
    assert_eq!(replayed(directory.path()).0.from, 0, "nothing is trimmed while the sink lacks it");
    let kept = segment_count(directory.path());
    store.lock().is_away = false;
    shop.sinks.retry("one").unwrap();
    shop.wait_caught_up();
    let complete = replayed(directory.path()).1;
    assert_eq!(store.lock().events[..complete.len()], complete[..]);
    // The place is kept a few seconds after the sink has caught up, and the log goes though nothing new comes.
    wait_for("trimmed", || (replayed(directory.path()).0.from > 0).then_some(()))
        .expect("the log is trimmed");
    assert!(kept > 2);
    shop.wait_caught_up();
    shop.close();

    // After the trimming another sink cannot begin at the beginning, and says so.
    let late = SharedStore::default();
    let shop = Shop::open_with(
        directory.path(),
        vec![(one(), store.target()), (SinkSettings::new("late"), late.target())],
        u64::MAX,
        16 << 10,
    );
    shop.trade(1_000_000);
    shop.wait_caught_up();
    let found = wait_for("stopped", || match shop.sinks.status("late")?.state {
        onrush_sinks::SinkState::Stopped(found) => Some(found),
        _ => None,
    });
    let Some(Stop::Trimmed { from: 0, to }) = found else { panic!("{found:?}") };
    shop.sinks.skip("late", 0).unwrap();
    wait_for("caught up", || (shop.sinks.status("late")?.lag_events == 0).then_some(())).expect("it goes on");
    let held = shop.reserve("held", "a", "last");
    shop.confirm("held", &held);
    shop.wait_caught_up();
    wait_for("caught up", || (shop.sinks.status("late")?.lag_events == 0).then_some(())).expect("it goes on");
    shop.close();
    let events = replayed(directory.path()).1;
    let expected: Vec<_> = events.into_iter().filter(|(offset, _)| *offset >= to).collect();
    assert_eq!(late.lock().events, expected);
    assert_eq!(skipped(directory.path(), "late").unwrap()[0].to, to);
}

#[test]
fn a_fault_in_a_target_stops_its_sink_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let store = SharedStore::default();
    store.lock().panics_at = Some(4);
    let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
    shop.open_sales();
    shop.trade(0);
    let found = shop.wait_stopped();
    assert!(
        matches!(&found, Stop::Refused { reason } if reason.contains("the target's own fault")),
        "{found:?}"
    );
    shop.trade(1);
    store.lock().panics_at = None;
    shop.sinks.retry("one").unwrap();
    shop.wait_caught_up();
    shop.close();
    assert_eq!(store.lock().events, replayed(directory.path()).1);
}

#[test]
fn a_record_of_skips_that_makes_no_sense_holds_up_its_sink_and_nothing_else() {
    for nonsense in ["1\t2", "9\t3\t1\twhy\n", "word"] {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("sinks")).unwrap();
        std::fs::write(directory.path().join("sinks/one.skipped"), nonsense).unwrap();
        let store = SharedStore::default();
        let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
        shop.add("home");
        let status = shop.wait("failed", |status| status.failure_count > 0);
        assert!(status.last_error.unwrap().1.contains("line 1 of"), "{nonsense}");
        assert!(store.lock().events.is_empty());
        std::fs::remove_file(directory.path().join("sinks/one.skipped")).unwrap();
        shop.sinks.retry("one").unwrap();
        shop.wait_caught_up();
        shop.close();
    }
}

#[test]
fn a_sink_may_be_let_go() {
    let directory = tempfile::tempdir().unwrap();
    let store = SharedStore::default();
    store.lock().is_away = true;
    let settings = SinkSettings { backlog_bytes_max: 40 << 10, at_backlog_max: AtBacklogMax::LetGo, ..one() };
    let shop = Shop::open_with(directory.path(), vec![(settings, store.target())], u64::MAX, 16 << 10);
    shop.open_sales();
    trade_long(&shop, 0..20);
    assert_eq!(shop.wait_stopped(), Stop::LetGo);
    assert_eq!(shop.status().backlog_bytes, 0);
    store.lock().is_away = false;
    shop.sinks.retry("one").unwrap();
    // Nothing was trimmed meanwhile, so it has all it needs.
    shop.wait("caught up", |status| status.lag_events == 0);
    shop.close();
    assert_eq!(store.lock().events, replayed(directory.path()).1);
}

#[test]
fn a_place_that_is_damaged_costs_time_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let store = SharedStore::default();
    let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
    shop.open_sales();
    let held = shop.reserve("held", "a", "ada");
    shop.wait_caught_up();
    shop.close();
    let place = directory.path().join("sinks/one.place");
    let whole = std::fs::read(&place).unwrap();
    for damage in 0..3 {
        let mut bytes = whole.clone();
        match damage {
            0 => bytes.truncate(9),
            1 => bytes[12] ^= 1,
            _ => bytes.clear(),
        }
        std::fs::write(&place, bytes).unwrap();
        let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
        shop.add("home");
        shop.wait_caught_up();
        shop.close();
    }
    let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
    shop.confirm("held", &held);
    shop.wait_caught_up();
    shop.close();
    assert_eq!(store.lock().events, replayed(directory.path()).1);
    assert!(store.lock().events.last().unwrap().1.contains("customer: \"ada\""));
}

#[test]
fn a_target_with_more_than_the_log_is_not_written_to() {
    let directory = tempfile::tempdir().unwrap();
    let store = SharedStore::default();
    store.lock().next_offset = 1_000;
    let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
    shop.add("home");
    let found = shop.wait_stopped();
    assert!(matches!(&found, Stop::Refused { reason } if reason.contains("older copy")), "{found:?}");
    assert_eq!(found.skippable(), None);
    shop.close();
    assert!(store.lock().events.is_empty());
}

#[test]
fn a_target_that_lost_its_end_gets_it_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = SharedStore::default();
    let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
    shop.open_sales();
    for round in 0..10 {
        shop.trade(round);
    }
    shop.wait_caught_up();
    shop.close();
    {
        let mut store = store.lock();
        store.events.truncate(5);
        store.next_offset = store.events[4].0 + 1;
    }
    let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
    shop.wait_caught_up();
    shop.close();
    assert_eq!(store.lock().events, replayed(directory.path()).1);
}

#[test]
fn a_target_that_lost_everything_gets_it_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = SharedStore::default();
    let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
    shop.open_sales();
    shop.trade(0);
    shop.wait_caught_up();
    shop.close();
    *store.lock() = target::Store::default();
    let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
    shop.wait_caught_up();
    shop.close();
    assert_eq!(store.lock().events, replayed(directory.path()).1);
}

#[test]
fn what_was_skipped_stays_skipped_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let store = SharedStore::default();
    store.lock().forgets_offset = true;
    store.lock().rejected.insert(4);
    let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
    shop.open_sales();
    shop.trade(0);
    shop.trade(1);
    shop.wait_stopped();
    shop.sinks.skip("one", 4).unwrap();
    shop.wait_caught_up();
    shop.close();
    // The note of the offset is lost: everything comes again, but for what was skipped.
    std::fs::remove_dir_all(directory.path().join("sinks")).unwrap();
    std::fs::create_dir(directory.path().join("sinks")).unwrap();
    std::fs::write(directory.path().join("sinks/one.skipped"), "4\t5\t7\twhy\n").unwrap();
    let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
    shop.wait_caught_up();
    assert_eq!(shop.status().skipped_count, 1);
    shop.close();
    let expected = Skipped { from: 4, to: 5, at: 7, reason: "why".to_owned() };
    assert_eq!(skipped(directory.path(), "one").unwrap(), [expected]);
    let events = replayed(directory.path()).1;
    let expected: Vec<_> = events.into_iter().filter(|(offset, _)| *offset != 4).collect();
    assert_repeats_only(&store.lock().events, &expected);
}

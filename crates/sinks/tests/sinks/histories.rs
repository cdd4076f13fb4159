//! Targets that were written from another history of the log, and targets of which another server answers.

use onrush_core::Incarnation;
use onrush_sinks::Stop;

use super::replayed;
use super::shop::{Shop, one};
use super::target::SharedStore;

fn reason_of(stop: &Stop) -> &str {
    let Stop::Refused { reason } = stop else { panic!("{stop:?}") };
    reason
}

#[test]
fn a_target_of_another_history_is_not_written_to_wherever_it_ends() {
    let directory = tempfile::tempdir().unwrap();
    let store = SharedStore::default();
    let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
    shop.open_sales();
    (0..20).for_each(|round| shop.trade(round));
    shop.wait_caught_up();
    shop.close();
    assert_eq!(store.lock().incarnation, Some(Incarnation::FIRST));
    let end = replayed(directory.path()).0.to;
    for next_offset in [1, end / 2, end] {
        let other = SharedStore::default();
        (other.lock().next_offset, other.lock().incarnation) = (next_offset, Some(Incarnation(77)));
        let shop = Shop::open(directory.path(), vec![(one(), other.target())]);
        let found = shop.wait_stopped();
        let reason = reason_of(&found);
        let expected = format!("below offset {next_offset} from another history of this log");
        assert!(reason.contains(&expected), "{reason}");
        // Trying again without mending anything ends at the same place.
        shop.sinks.retry("one").unwrap();
        shop.wait("stopped again", |status| status.failure_count > 1);
        shop.wait_stopped();
        shop.close();
        assert!(other.lock().events.is_empty());
    }
}

#[test]
fn a_target_is_of_the_history_whose_incarnations_it_saw() {
    let directory = tempfile::tempdir().unwrap();
    let store = SharedStore::default();
    for life in 0..4 {
        let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
        shop.add("home");
        shop.wait_caught_up();
        if life == 2 {
            // An earlier version wrote the offset alone.
            store.lock().incarnation = None;
        }
        shop.close();
        let known = store.lock().incarnation;
        assert_eq!(known.is_none(), life == 2, "{known:?}");
    }
    assert_eq!(store.lock().events, replayed(directory.path()).1);
    let incarnation = store.lock().incarnation.unwrap();
    assert_ne!(incarnation, Incarnation::FIRST, "a later process begins another");
}

#[test]
fn another_server_that_lacks_what_was_confirmed_is_for_people_to_judge() {
    let directory = tempfile::tempdir().unwrap();
    let store = SharedStore::default();
    store.lock().server = Some("10.0.0.1:5432".to_owned());
    let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
    shop.open_sales();
    (0..20).for_each(|round| shop.trade(round));
    let confirmed = shop.wait_caught_up().sink_offset;
    let (kept, events) = {
        let mut store = store.lock();
        let kept = store.events.len() / 2;
        let events = store.events.split_off(kept);
        store.next_offset = events[0].0;
        store.server = Some("10.0.0.2:5432".to_owned());
        // The connection breaks.
        store.is_away = true;
        (kept, events)
    };
    shop.add("home");
    shop.wait("retrying", |status| status.failure_count > 0);
    store.lock().is_away = false;
    let found = shop.wait_stopped();
    let reason = reason_of(&found);
    for words in [
        "10.0.0.2:5432 answers",
        &format!("below offset {}", events[0].0),
        "10.0.0.1:5432 had confirmed",
        &format!("below {confirmed}"),
        "onrush sinks retry one",
    ] {
        assert!(reason.contains(words), "{reason} lacks {words}");
    }
    assert_eq!(store.lock().events.len(), kept, "nothing was written");
    shop.sinks.retry("one").unwrap();
    shop.wait_caught_up();
    shop.close();
    assert_eq!(store.lock().events, replayed(directory.path()).1);
}

#[test]
fn another_server_that_lacks_what_was_confirmed_is_noticed_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let store = SharedStore::default();
    store.lock().server = Some("10.0.0.1:5432".to_owned());
    let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
    (0..5).for_each(|_| shop.add("home"));
    let confirmed = shop.wait_caught_up().sink_offset;
    shop.close();
    let lacking = {
        let mut store = store.lock();
        let lost = store.events.pop().unwrap();
        (store.next_offset, store.server) = (lost.0, Some("10.0.0.2:5432".to_owned()));
        lost.0
    };
    // Neither a restart nor a second one makes it the right one.
    for _ in 0..2 {
        let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
        let found = shop.wait_stopped();
        let reason = reason_of(&found);
        for words in
            ["10.0.0.2:5432 answers", &format!("below offset {lacking}"), &format!("below {confirmed}")]
        {
            assert!(reason.contains(words), "{reason} lacks {words}");
        }
        shop.close();
    }
    let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
    shop.wait_stopped();
    shop.sinks.retry("one").unwrap();
    shop.wait_caught_up();
    shop.close();
    assert_eq!(store.lock().events, replayed(directory.path()).1);
    let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
    shop.wait_caught_up();
    shop.close();
}

#[test]
fn a_server_that_was_left_is_not_gone_back_to_even_if_it_has_the_same_events() {
    let directory = tempfile::tempdir().unwrap();
    let store = SharedStore::default();
    store.lock().server = Some("10.0.0.1:5432".to_owned());
    let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
    shop.add("home");
    shop.wait_caught_up();
    shop.close();
    // The other takes over while nothing happens, and is opened.
    let left_at = store.lock().fence;
    store.lock().server = Some("10.0.0.2:5432".to_owned());
    let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
    let confirmed = shop.wait_caught_up().sink_offset;
    // Then the first comes back as it was left, and the connection to the other breaks.
    let new_fence = {
        let mut store = store.lock();
        (store.server, store.is_away) = (Some("10.0.0.1:5432".to_owned()), true);
        std::mem::replace(&mut store.fence, left_at)
    };
    assert!(left_at < new_fence);
    shop.add("home");
    shop.wait("retrying", |status| status.failure_count > 0);
    store.lock().is_away = false;
    let found = shop.wait_stopped();
    shop.close();
    // A restart does not make it the right one.
    let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
    let found_again = shop.wait_stopped();
    for words in [
        "10.0.0.1:5432 answers",
        "10.0.0.2:5432 had confirmed",
        &format!("below {confirmed}"),
        "does not know of the sink's last connection there",
        "onrush sinks retry one",
    ] {
        for stop in [&found, &found_again] {
            assert!(reason_of(stop).contains(words), "{stop:?} lacks {words}");
        }
    }
    assert_eq!(store.lock().fence, left_at, "nothing was changed there");
    assert_eq!(store.lock().next_offset, confirmed);
    // The right one answers again.
    (store.lock().server, store.lock().fence) = (Some("10.0.0.2:5432".to_owned()), new_fence);
    shop.sinks.retry("one").unwrap();
    shop.wait_caught_up();
    shop.close();
    assert_eq!(store.lock().events, replayed(directory.path()).1);
}

#[test]
fn a_note_of_what_was_confirmed_that_is_damaged_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let store = SharedStore::default();
    store.lock().server = Some("a".to_owned());
    let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
    shop.add("home");
    shop.wait_caught_up();
    shop.close();
    let path = directory.path().join("sinks/one.confirmed");
    let whole = std::fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        for bytes in [&damaged[..], &whole[..at]] {
            std::fs::write(&path, bytes).unwrap();
            (store.lock().server, store.lock().next_offset) = (Some("b".to_owned()), 0);
            store.lock().events.clear();
            let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
            shop.wait_caught_up();
            shop.close();
        }
    }
}

#[test]
fn another_server_that_has_everything_is_gone_on_with() {
    let directory = tempfile::tempdir().unwrap();
    let store = SharedStore::default();
    store.lock().server = Some("a".to_owned());
    let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
    shop.add("home");
    shop.wait_caught_up();
    (store.lock().server, store.lock().is_away) = (Some("b".to_owned()), true);
    shop.add("home");
    shop.wait("retrying", |status| status.failure_count > 0);
    store.lock().is_away = false;
    shop.wait_caught_up();
    shop.close();
    assert_eq!(store.lock().events, replayed(directory.path()).1);
}

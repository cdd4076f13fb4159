//! A target of several servers, of which another one answers after an operator accepted it, or after little was written.

use std::collections::BTreeSet;
use std::path::Path;

use onrush_sinks::{EventKind, Selection, SinkSettings, Stop};

use super::replayed;
use super::shop::{Shop, one};
use super::target::SharedStore;

/// What a server has.
#[derive(Clone)]
struct Server {
    name: &'static str,
    events: Vec<(u64, String)>,
    next_offset: u64,
    fence: u64,
}

impl Server {
    /// What the server that answers has, as one of another name.
    fn copy(store: &SharedStore, name: &'static str) -> Self {
        let store = store.lock();
        let (events, next_offset) = (store.events.clone(), store.next_offset);
        Self { name, events, next_offset, fence: store.fence }
    }

    /// The same without its last events.
    fn lacking(mut self, count: usize) -> Self {
        for _ in 0..count {
            self.next_offset = self.events.pop().unwrap().0;
        }
        self
    }

    /// From the next connection on it answers.
    fn answer(&self, store: &SharedStore) {
        let mut store = store.lock();
        let Self { name, events, next_offset, fence } = self.clone();
        (store.server, store.events) = (Some(name.to_owned()), events);
        (store.next_offset, store.fence) = (next_offset, fence);
    }
}

/// Ends the connection of a sink, which then finds what `server` has.
fn cut(shop: &Shop, store: &SharedStore, server: &Server) {
    store.lock().is_away = true;
    let failure_count = shop.status().failure_count;
    shop.add("home");
    shop.wait("cut", |status| status.failure_count > failure_count);
    server.answer(store);
    store.lock().is_away = false;
}

fn open(directory: &Path, store: &SharedStore) -> Shop {
    Shop::open(directory, vec![(one(), store.target())])
}

/// What is said of a server that has all events.
const LACKS_CONNECTION: &str = ": it does not know of the sink's last connection there, and was left behind";
/// What is said of one that has not.
const LACKS_EVENTS: &str = ": it was left behind";

fn assert_left_behind(stop: &Stop, server: &str, lacks: &str) {
    let Stop::Refused { reason } = stop else { panic!("{stop:?}") };
    for words in [&format!("{server} answers for the target now"), lacks, "onrush sinks retry one"] {
        assert!(reason.contains(words), "{reason} lacks {words}");
    }
}

/// `a` has a take-over, and `lacking_count` events, that `b` lacks, which an operator accepts. Returns the server that was left.
fn left_for_b(directory: &Path, store: &SharedStore, lacking_count: usize) -> (Shop, Server) {
    store.lock().server = Some("a".to_owned());
    let shop = open(directory, store);
    (0..5).for_each(|_| shop.add("home"));
    shop.wait_caught_up();
    shop.close();
    let replica = Server::copy(store, "b").lacking(lacking_count);
    let shop = open(directory, store);
    shop.wait_caught_up();
    shop.close();
    let left = Server::copy(store, "a");
    assert!(replica.fence < left.fence);
    replica.answer(store);
    let shop = open(directory, store);
    let lacks = if lacking_count == 0 { LACKS_CONNECTION } else { LACKS_EVENTS };
    assert_left_behind(&shop.wait_stopped(), "b", lacks);
    (shop, left)
}

#[test]
fn a_server_that_was_left_is_told_from_one_that_was_accepted() {
    for lacking_count in [0, 1, 3] {
        let directory = tempfile::tempdir().unwrap();
        let store = SharedStore::default();
        let (shop, left) = left_for_b(directory.path(), &store, lacking_count);
        shop.sinks.retry("one").unwrap();
        shop.wait_caught_up();
        assert_eq!(store.lock().next_offset, left.next_offset);
        let accepted = Server::copy(&store, "b");
        cut(&shop, &store, &left);
        assert_left_behind(&shop.wait_stopped(), "a", LACKS_CONNECTION);
        shop.close();
        // A restart does not make it the right one.
        let shop = open(directory.path(), &store);
        assert_left_behind(&shop.wait_stopped(), "a", LACKS_CONNECTION);
        assert_eq!(store.lock().fence, left.fence, "nothing was changed there");
        accepted.answer(&store);
        shop.sinks.retry("one").unwrap();
        shop.wait_caught_up();
        shop.close();
        assert_eq!(store.lock().events, replayed(directory.path()).1);
    }
}

#[test]
fn a_server_that_was_left_is_told_after_a_crash_right_behind_the_acceptance() {
    for lacking_count in [0, 1, 3] {
        let directory = tempfile::tempdir().unwrap();
        let store = SharedStore::default();
        let noted = directory.path().join("sinks/one.confirmed");
        let (shop, left) = left_for_b(directory.path(), &store, lacking_count);
        let before = std::fs::read(&noted).unwrap();
        shop.sinks.retry("one").unwrap();
        shop.wait_caught_up();
        let at_acceptance = std::fs::read(&noted).unwrap();
        assert_ne!(before, at_acceptance);
        shop.add("home");
        shop.wait_caught_up();
        shop.close();
        // What was confirmed since was not noted.
        std::fs::write(&noted, at_acceptance).unwrap();
        left.answer(&store);
        let shop = open(directory.path(), &store);
        assert_left_behind(&shop.wait_stopped(), "a", LACKS_CONNECTION);
        shop.close();
    }
}

#[test]
fn what_one_server_confirmed_is_not_held_against_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let store = SharedStore::default();
    store.lock().server = Some("a".to_owned());
    let shop = open(directory.path(), &store);
    (0..5).for_each(|_| shop.add("home"));
    shop.wait_caught_up();
    cut(&shop, &store, &Server::copy(&store, "b").lacking(2));
    assert_left_behind(&shop.wait_stopped(), "b", LACKS_EVENTS);
    // It is accepted, but the sink cannot go on there.
    let skipped = directory.path().join("sinks/one.skipped");
    std::fs::write(&skipped, "no decision\n").unwrap();
    let failure_count = shop.status().failure_count;
    shop.sinks.retry("one").unwrap();
    shop.wait("retrying", |status| status.failure_count > failure_count);
    // A replica of it has all that it has.
    Server::copy(&store, "c").answer(&store);
    std::fs::remove_file(&skipped).unwrap();
    shop.wait_caught_up();
    shop.close();
    assert_eq!(store.lock().events, replayed(directory.path()).1);
}

#[test]
fn a_replica_need_not_have_what_is_not_for_the_sink() {
    let directory = tempfile::tempdir().unwrap();
    let store = SharedStore::default();
    store.lock().server = Some("a".to_owned());
    let selection = Selection { kinds: Some(BTreeSet::from([EventKind::Reserved])), sales: None };
    let settings = SinkSettings { selection, ..one() };
    let shop = Shop::open(directory.path(), vec![(settings, store.target())]);
    shop.open_sales();
    shop.reserve("quick", "b", "ann");
    shop.wait_caught_up();
    let replica = Server::copy(&store, "b");
    (0..5).for_each(|_| shop.add("home"));
    shop.wait_caught_up();
    store.lock().is_away = true;
    shop.reserve("quick", "b", "bob");
    shop.wait("cut", |status| status.failure_count > 0);
    replica.answer(&store);
    store.lock().is_away = false;
    shop.wait_caught_up();
    shop.close();
    assert_eq!(store.lock().events.len(), 2);
}

//! Every interleaving of a small world: transactions that are written, seen by others and told by the feed in any order that a database
//! can show, readers, reads of the source that overlap all of it, answers that get lost, rows that go for want of room, and loading anew.

use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;

use onrush_core::RowLine;

use super::*;

/// A transaction. Its place in the list is the order in which transactions are written; `xid` is not, because a number is drawn before.
#[derive(Clone, Copy)]
struct Transaction {
    xid: u64,
    /// Of the row that it changes, or [`EVERY`].
    key: &'static str,
    is_delete: bool,
}

/// What there is in one world, and how often each thing may happen.
#[derive(Clone, Copy)]
struct Plan {
    transactions: &'static [Transaction],
    loads_all: bool,
    bytes_max: u64,
    wants: &'static [&'static str],
    fetches_at_once: usize,
    failures: usize,
    loads: usize,
    probes: usize,
}

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Outstanding {
    fetch: (u64, Vec<CompactString>),
    /// Transactions that the statement sees, once it has begun.
    seen: Option<u8>,
}

#[derive(Clone)]
struct World {
    plan: Plan,
    cache: RowCache<usize>,
    written: usize,
    /// A bit for each transaction that everybody sees.
    visible: u8,
    received: usize,
    wanted: usize,
    fetches: Vec<Outstanding>,
    failed: usize,
    loaded: usize,
    /// What the load that goes on sees.
    loading: Option<u8>,
    probed: usize,
    /// For each key the newest that was shown in this life of the collection.
    newest_shown: BTreeMap<&'static str, usize>,
    life: u64,
}

/// The key of a transaction that deletes all rows and does not name them.
const EVERY: &str = "*";

const KEYS: [&str; 2] = ["a", "b"];

/// The place behind a transaction.
fn position(index: usize) -> u64 {
    10 * (index as u64 + 1)
}

impl World {
    fn new(plan: Plan) -> Self {
        let bounds = CacheBounds {
            bytes_max: plan.bytes_max,
            absent_for: Duration::from_secs(1_000),
            absent_count_max: 100,
        };
        Self {
            plan,
            cache: RowCache::new(3, bounds),
            written: 0,
            visible: 0,
            received: 0,
            wanted: 0,
            fetches: Vec::new(),
            failed: 0,
            loaded: 0,
            loading: None,
            probed: 0,
            newest_shown: BTreeMap::new(),
            life: 0,
        }
    }

    fn snapshot(&self, seen: u8) -> Snapshot {
        let xmax = 1 + self.plan.transactions.iter().map(|transaction| transaction.xid).max().unwrap_or(0);
        let unseen = (0..self.plan.transactions.len()).filter(|index| seen & (1 << index) == 0);
        Snapshot::new(xmax, unseen.map(|index| self.plan.transactions[index].xid).collect())
    }

    /// The newest transaction of a key among those of which `is_counted` is true: its number from 1 on, or 0.
    fn newest(&self, key: &str, is_counted: impl Fn(usize) -> bool) -> usize {
        let of_key = |index: &usize| {
            let changed = self.plan.transactions[*index].key;
            (changed == key || changed == EVERY || key == EVERY) && is_counted(*index)
        };
        (0..self.written).filter(of_key).max().map_or(0, |index| index + 1)
    }

    /// The row as whoever sees these transactions finds it. Before the first, both keys have a row.
    fn row(&self, key: &str, seen: u8) -> Option<Row> {
        let number = self.newest(key, |index| seen & (1 << index) != 0);
        let is_deleted = number > 0 && self.plan.transactions[number - 1].is_delete;
        let json = number.to_string();
        (!is_deleted).then(|| Row::new(RowLine { key, json: json.as_bytes() }))
    }

    fn steps(&self) -> Vec<Self> {
        let mut next = Vec::new();
        let mut with = |step: &dyn Fn(&mut Self)| {
            let mut world = self.clone();
            step(&mut world);
            world.check();
            next.push(world);
        };
        let can_write = self.plan.transactions.get(self.written).is_some_and(|transaction| {
            // Whoever changes the same row waits until the one before is seen by all.
            self.newest(transaction.key, |index| self.visible & (1 << index) == 0) == 0
        });
        if can_write {
            with(&|world| world.written += 1);
        }
        for index in (0..self.written).filter(|index| self.visible & (1 << index) == 0) {
            with(&|world| world.visible |= 1 << index);
        }
        if self.received < self.written {
            with(&Self::receive);
        }
        if let Some(key) = self.plan.wants.get(self.wanted) {
            with(&|world| world.want(key));
        }
        if self.fetches.len() < self.plan.fetches_at_once && self.cache.has_queue() {
            with(&Self::begin_fetch);
        }
        for at in 0..self.fetches.len() {
            if self.fetches[at].seen.is_none() {
                with(&|world| world.fetches[at].seen = Some(world.visible));
            } else {
                with(&|world| world.end_fetch(at));
            }
            if self.failed < self.plan.failures {
                with(&|world| world.fail_fetch(at));
                with(&|world| world.give_up(at));
            }
        }
        if self.loading.is_some() {
            with(&Self::end_load);
        } else if self.loaded < self.plan.loads {
            with(&Self::begin_load);
        }
        if self.probed < self.plan.probes {
            with(&|world| {
                world.probed += 1;
                world.cache.saw(&world.snapshot(world.visible));
            });
        }
        next
    }

    fn receive(&mut self) {
        let Transaction { xid, key, .. } = self.plan.transactions[self.received];
        if key == EVERY && !self.cache.commit_unknown(xid, position(self.received)) {
            self.cache.lose();
            self.loading = None;
        }
        let keys = (key != EVERY).then(|| key.into());
        assert!(self.cache.commit(xid, position(self.received), keys));
        self.received += 1;
    }

    fn want(&mut self, key: &'static str) {
        let waiter = self.wanted;
        self.wanted += 1;
        let is_loaded = self.cache.is_loaded();
        match self.cache.want(&key.into(), is_loaded, || waiter, now()) {
            Known::Absent if !self.cache.is_whole() => {
                assert!(self.may_be_absent(key, self.received), "{key}: a row was told of");
            }
            Known::Refused => assert!(self.failed > 0, "few wait, and the source gave every row"),
            Known::Row(_) | Known::Absent | Known::Asked => {}
        }
    }

    /// Whether an answer that has the first `count` transactions may say that there is no row: the newest of its key is a deletion, or a
    /// later one is that somebody has seen.
    fn may_be_absent(&self, key: &str, count: usize) -> bool {
        let newest = self.newest(key, |index| index < count);
        let is_deletion = |index: usize| {
            let transaction = self.plan.transactions[index];
            (transaction.key == key || transaction.key == EVERY) && transaction.is_delete
        };
        let is_later =
            (count..self.written).any(|index| self.visible & (1 << index) != 0 && is_deletion(index));
        newest > 0 && is_deletion(newest - 1) || is_later
    }

    fn begin_fetch(&mut self) {
        if let Some(Fetch { life, keys }) = self.cache.begin_fetch(1) {
            self.fetches.push(Outstanding { fetch: (life, keys), seen: None });
        }
    }

    fn taken(&mut self, at: usize) -> (Fetch, u8) {
        let Outstanding { fetch: (life, keys), seen } = self.fetches.remove(at);
        (Fetch { life, keys }, seen.unwrap_or_default())
    }

    fn end_fetch(&mut self, at: usize) {
        let (fetch, seen) = self.taken(at);
        let rows: Vec<_> = fetch.keys.iter().filter_map(|key| self.row(key, seen)).collect();
        let key = fetch.keys[0].clone();
        let answered = self.cache.end_fetch(fetch, &self.snapshot(seen), rows, &MARKS, now());
        for (_, row) in answered {
            let told = self.newest(&key, |index| index < self.received);
            let known = self.row_number(&key, row.as_ref(), seen);
            assert!(known >= told, "{key}: a reader got {known} after {told} had been told of");
        }
    }

    /// Which transaction a row is of; one that is not there is of the newest that was seen.
    fn row_number(&self, key: &str, row: Option<&Row>, seen: u8) -> usize {
        let number = row.map(|row| std::str::from_utf8(row.json()).expect("digits").parse().expect("digits"));
        number.unwrap_or_else(|| self.newest(key, |index| seen & (1 << index) != 0))
    }

    fn fail_fetch(&mut self, at: usize) {
        self.failed += 1;
        let (fetch, _) = self.taken(at);
        self.cache.fail_fetch(fetch);
    }

    fn give_up(&mut self, at: usize) {
        self.failed += 1;
        let (fetch, _) = self.taken(at);
        self.cache.give_up(&fetch, now());
    }

    fn begin_load(&mut self) {
        self.loaded += 1;
        self.loading = Some(self.visible);
        self.cache.begin_load(self.snapshot(self.visible));
    }

    fn end_load(&mut self) {
        let seen = self.loading.take().expect("a load goes on");
        let (mut rows, mut bytes) = (RowCollection::seeded(1), 0);
        let is_whole = self.plan.loads_all;
        for row in KEYS.iter().filter_map(|key| self.row(key, seen)).filter(|_| is_whole) {
            bytes += row_bytes(&row);
            let _ = rows.insert(row);
        }
        let unseen = |index: usize| {
            index < self.received && self.plan.transactions[index].key == EVERY && seen & (1 << index) == 0
        };
        let is_known = !(0..self.written).any(unseen);
        assert_eq!(self.cache.end_load(rows, bytes, is_whole), is_known);
    }

    /// What has to hold after every step.
    fn check(&mut self) {
        for index in (0..self.received).filter(|index| position(*index) <= self.cache.settled()) {
            assert!(self.visible & (1 << index) != 0, "settled before all see it");
        }
        if self.cache.life != self.life {
            self.life = self.cache.life;
            self.newest_shown.clear();
        }
        if !self.cache.is_loaded() {
            return;
        }
        let is_whole = self.cache.is_whole();
        let rows = self.cache.shown().clone();
        for key in KEYS {
            let promised = self.newest(key, |index| position(index) <= rows.version());
            match rows.row(key) {
                Some(row) => {
                    let number = self.row_number(key, Some(row), 0);
                    assert!(number >= promised, "{key} is {number} in version {}", rows.version());
                    let newest = self.newest_shown.entry(key).or_default();
                    assert!(number >= *newest, "{key} went back from {newest} to {number}");
                    *newest = number;
                }
                None if is_whole => {
                    let count = (0..self.written).filter(|index| position(*index) <= rows.version()).count();
                    assert!(self.may_be_absent(key, count), "{key} is missing in version {}", rows.version());
                }
                None => {}
            }
        }
    }

    /// Lets all that is under way come to its end: then everything that is shown is as in the source.
    fn settle(mut self) {
        self.written = self.plan.transactions.len();
        self.visible = u8::MAX >> (8 - self.written);
        while self.received < self.written {
            self.receive();
        }
        if self.loading.is_some() {
            self.end_load();
        }
        for _ in 0..50 {
            self.begin_fetch();
            if self.fetches.is_empty() {
                break;
            }
            self.fetches[0].seen = Some(self.fetches[0].seen.unwrap_or(self.visible));
            self.end_fetch(0);
            self.check();
        }
        assert!(!self.cache.has_queue() && self.cache.wanted.is_empty(), "something is wanted for ever");
        self.cache.saw(&self.snapshot(self.visible));
        assert_eq!(self.cache.waiter_count, 0);
        if !self.cache.is_loaded() {
            return;
        }
        assert!(self.cache.held_back.is_empty() && self.cache.change_count + self.cache.late.count() == 0);
        let is_whole = self.cache.is_whole();
        let rows = self.cache.shown();
        assert_eq!(rows.version(), position(self.written - 1));
        let (mut bytes, rows) = (0, rows.clone());
        for key in KEYS {
            let expected = self.row(key, self.visible);
            let (expected, row) = (expected.as_ref().map(Row::json), rows.row(key));
            let found = row.map(Row::json);
            bytes += row.map_or(0, row_bytes);
            assert!(found == expected || found.is_none() && !is_whole, "{key}: {found:?}, not {expected:?}");
        }
        assert_eq!(bytes, self.cache.bytes());
    }

    /// All that later steps depend on.
    fn digest(&self) -> String {
        let cache = &self.cache;
        let rows: Vec<_> = cache.rows.sorted().into_iter().map(|row| format!("{row:?}")).collect();
        let mut wanted: Vec<_> = cache
            .wanted
            .iter()
            .map(|(key, wanted)| {
                format!(
                    "{key}{:?}{:?}{}{:?}",
                    wanted.waiters, wanted.next_waiters, wanted.is_out, wanted.changes
                )
            })
            .collect();
        wanted.sort();
        let mut fetches: Vec<_> =
            self.fetches.iter().map(|fetch| format!("{:?}{:?}", fetch.fetch, fetch.seen)).collect();
        fetches.sort();
        let has = |keys: &AbsentKeys| KEYS.map(|key| keys.clone().has(key, now()));
        let absent = (has(&cache.absent), has(&cache.unreadable));
        format!(
            "{rows:?}{wanted:?}{}{fetches:?}{absent:?}{:?}{:?}{:?}{:?}{:?}",
            cache.late.digest(),
            cache.queue,
            cache.held_back,
            (cache.is_whole, cache.is_loaded(), cache.received, cache.life),
            (self.written, self.visible, self.received, self.wanted, self.failed),
            (self.loaded, self.loading, self.probed, &self.newest_shown),
        )
    }
}

/// Nobody marks a row here.
static MARKS: LazyLock<ReadMarks> = LazyLock::new(ReadMarks::new);

fn now() -> Instant {
    #[allow(clippy::disallowed_methods, reason = "one moment for all")]
    static NOW: LazyLock<Instant> = LazyLock::new(Instant::now);
    *NOW
}

/// Goes through all that can happen. Returns how many different worlds there were.
fn explore(plan: Plan) -> usize {
    let mut seen = HashSet::new();
    let mut waiting = vec![World::new(plan)];
    while let Some(world) = waiting.pop() {
        if seen.insert(world.digest()) {
            waiting.extend(world.steps());
            world.settle();
        }
    }
    seen.len()
}

const fn put(xid: u64, key: &'static str) -> Transaction {
    Transaction { xid, key, is_delete: false }
}

const fn delete(xid: u64, key: &'static str) -> Transaction {
    Transaction { xid, key, is_delete: true }
}

const ALL: Plan = Plan {
    transactions: const { &[put(2, "a"), put(1, "b"), delete(3, "a")] },
    loads_all: true,
    bytes_max: 1_000_000,
    wants: &[],
    fetches_at_once: 2,
    failures: 1,
    loads: 2,
    probes: 1,
};

#[test]
fn all_rows_are_coherent_whatever_happens_in_which_order() {
    let worlds = explore(ALL);
    assert!(worlds > 10_000, "{worlds} worlds");
}

#[test]
fn two_changes_of_one_row_come_in_an_order_that_is_not_that_of_their_numbers() {
    let plan = Plan { transactions: const { &[put(2, "a"), put(1, "a"), put(3, "a")] }, ..ALL };
    assert!(explore(plan) > 2_000);
}

#[test]
fn rows_that_are_read_when_they_are_asked_for_are_coherent() {
    let plan = Plan { loads_all: false, wants: &["a", "b", "a"], loads: 1, failures: 0, ..ALL };
    assert!(explore(plan) > 10_000);
    assert!(explore(Plan { wants: &["a", "b"], failures: 1, ..plan }) > 10_000);
    let deleted_first = Plan {
        transactions: const { &[delete(1, "a"), put(3, "a"), put(2, "b")] },
        wants: &["a", "a", "a"],
        ..plan
    };
    assert!(explore(deleted_first) > 10_000);
}

#[test]
fn rows_that_go_for_want_of_room_come_back_as_they_are() {
    let one_row = 1 + 1 + eviction::ROW_OVERHEAD_BYTES;
    let plan =
        Plan { bytes_max: one_row, loads_all: false, wants: &["a", "b", "a"], loads: 1, failures: 0, ..ALL };
    assert!(explore(plan) > 10_000);
    let loaded = Plan { bytes_max: one_row, wants: &["a", "b"], loads: 1, failures: 0, ..ALL };
    assert!(explore(loaded) > 10_000);
}

#[test]
fn loading_anew_while_readers_wait() {
    let plan =
        Plan { transactions: const { &[put(2, "a"), put(1, "b")] }, wants: &["a", "b"], loads: 2, ..ALL };
    assert!(explore(plan) > 5_000);
}

#[test]
fn a_change_that_does_not_say_of_what_makes_all_rows_be_loaded_unless_they_were_loaded_since() {
    let plan = Plan {
        transactions: const { &[put(2, "a"), delete(1, EVERY), put(3, "b")] },
        wants: &["a"],
        failures: 0,
        ..ALL
    };
    assert!(explore(plan) > 5_000);
    assert!(explore(Plan { loads_all: false, loads: 1, wants: &["a", "b", "a"], ..plan }) > 5_000);
}

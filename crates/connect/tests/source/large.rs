//! Transactions that change more than the server keeps in its memory, beside each other, taken back in part or whole.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::shop::{Followed, Session, Shop, await_that};

/// Databases that are made and followed.
const CASES: u32 = 6;
/// Sessions, and the keys that each has for itself, so that none waits for another.
const SESSION_COUNT: usize = 3;
const KEYS_PER_SESSION: i32 = 1_000;
/// The least that a server takes: some hundred changes.
const WORK_MEM: &str = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET logical_decoding_work_mem = ''64kB''', current_database()); END $$";

/// What a session does next. The first of these begins a transaction.
#[derive(Clone, Debug)]
enum Step {
    Update { from: i32, count: i32, price: i32 },
    Insert { from: i32, count: i32 },
    Delete { from: i32, count: i32 },
    Savepoint,
    RollBackTo,
    Release,
    RollBack,
    Commit,
}

fn step() -> impl Strategy<Value = Step> {
    let range = || (0..KEYS_PER_SESSION, 1..=KEYS_PER_SESSION);
    prop_oneof![
        6 => (range(), any::<i32>()).prop_map(|((from, count), price)| Step::Update { from, count, price }),
        2 => range().prop_map(|(from, count)| Step::Insert { from, count }),
        2 => range().prop_map(|(from, count)| Step::Delete { from, count }),
        3 => Just(Step::Savepoint),
        2 => Just(Step::RollBackTo),
        1 => Just(Step::Release),
        1 => Just(Step::RollBack),
        2 => Just(Step::Commit),
    ]
}

/// Prices by key.
type Prices = BTreeMap<i32, i32>;

/// A session, and what it has to be like.
struct Actor {
    session: Session,
    first_key: i32,
    committed: Prices,
    /// As the open transaction sees it.
    seen: Prices,
    /// As it was at `BEGIN` and at each savepoint; empty without a transaction.
    before: Vec<Prices>,
}

impl Actor {
    fn new(shop: &Shop, number: usize) -> Self {
        let first_key = i32::try_from(number).expect("few") * KEYS_PER_SESSION;
        let committed: Prices = (first_key..first_key + KEYS_PER_SESSION).map(|key| (key, 0)).collect();
        let seen = committed.clone();
        Self { session: shop.session(), first_key, committed, seen, before: Vec::new() }
    }

    /// Whether something was committed.
    fn take(&mut self, step: &Step) -> bool {
        if self.before.is_empty() {
            self.session.run("BEGIN");
            self.before.push(self.seen.clone());
        }
        let savepoints = self.before.len() - 1;
        let keys = |from: i32, count: i32| {
            let end = (from + count).min(KEYS_PER_SESSION);
            (self.first_key + from, self.first_key + end - 1)
        };
        match *step {
            Step::Update { from, count, price } => {
                let (first, last) = keys(from, count);
                let update =
                    format!("UPDATE products SET price = {price} WHERE id BETWEEN {first} AND {last}");
                self.session.run(&update);
                self.seen.range_mut(first..=last).for_each(|(_, seen)| *seen = price);
            }
            Step::Insert { from, count } => {
                let (first, last) = keys(from, count);
                self.session.run(&format!(
                    "INSERT INTO products SELECT id, 7 FROM generate_series({first}, {last}) AS id ON CONFLICT DO NOTHING"
                ));
                for key in first..=last {
                    self.seen.entry(key).or_insert(7);
                }
            }
            Step::Delete { from, count } => {
                let (first, last) = keys(from, count);
                self.session.run(&format!("DELETE FROM products WHERE id BETWEEN {first} AND {last}"));
                self.seen.retain(|key, _| !(first..=last).contains(key));
            }
            Step::Savepoint => {
                self.session.run(&format!("SAVEPOINT s{}", savepoints + 1));
                self.before.push(self.seen.clone());
            }
            Step::RollBackTo if savepoints > 0 => {
                self.session.run(&format!("ROLLBACK TO s{savepoints}"));
                self.seen.clone_from(&self.before[savepoints]);
            }
            Step::Release if savepoints > 0 => {
                self.session.run(&format!("RELEASE s{savepoints}"));
                self.before.pop();
            }
            Step::RollBackTo | Step::Release => {}
            Step::RollBack => {
                self.session.run("ROLLBACK");
                self.seen.clone_from(&self.committed);
                self.before.clear();
            }
            Step::Commit => {
                self.session.run("COMMIT");
                self.committed.clone_from(&self.seen);
                self.before.clear();
            }
        }
        matches!(step, Step::Commit)
    }
}

/// Compares all that is shown, once all up to now is.
fn check(followed: &Followed, watcher: &Session, actors: &[Actor]) {
    followed.await_all(watcher);
    for actor in actors {
        for key in actor.first_key..actor.first_key + KEYS_PER_SESSION {
            let price = actor.committed.get(&key);
            let expected = price.map(|price| format!(r#"{{"id":{key},"price":{price}}}"#));
            assert_eq!(followed.shown(&key.to_string()), expected, "{key}");
        }
    }
}

#[test]
fn large_transactions_beside_each_other_are_shown_when_they_are_committed() {
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    let steps = prop::collection::vec((0..SESSION_COUNT, step()), 10..60);
    let run = TestRunner::new(config).run(&steps, |steps| {
        let count = SESSION_COUNT * usize::try_from(KEYS_PER_SESSION).expect("positive");
        let tables = format!(
            "{WORK_MEM}; CREATE TABLE products (id int PRIMARY KEY, price int NOT NULL); \
             INSERT INTO products SELECT id, 0 FROM generate_series(0, {count} - 1) AS id"
        );
        let Some(shop) =
            Shop::new(&tables, "SELECT * FROM products", &[crate::shop::watch("products", "id", None)])
        else {
            return Ok(());
        };
        onrush_connect::source::prepare(&shop.settings).expect("prepare");
        let followed = shop.follow();
        let mut actors: Vec<_> = (0..SESSION_COUNT).map(|number| Actor::new(&shop, number)).collect();
        let watcher = shop.session();
        for (number, step) in &steps {
            if actors[*number].take(step) {
                check(&followed, &watcher, &actors);
            }
        }
        // Each ends with a transaction that does not fit, so that no story is without one.
        let all = Step::Update { from: 0, count: KEYS_PER_SESSION, price: 3 };
        for actor in &mut actors {
            actor.take(&all);
        }
        for number in 0..SESSION_COUNT {
            actors[number].take(&Step::Commit);
            check(&followed, &watcher, &actors);
        }
        let slot = &shop.settings.replication_slot;
        let spilled = format!("SELECT spill_txns FROM pg_stat_replication_slots WHERE slot_name = '{slot}'");
        await_that("the server kept changes on its disk", || watcher.number(&spilled) > 0);
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{error}"));
}

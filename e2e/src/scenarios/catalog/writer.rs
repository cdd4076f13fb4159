//! A connection on the operator listener that changes its own keys as fast as it can.

use anyhow::{Result, bail, ensure};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::rows::{KEY_COUNT, PRODUCTS, key_name, row, target};
use super::traffic::Traffic;
use crate::answers::outcome;
use crate::http::{Connection, Response, request, request_json, request_of_type};
use crate::ledger::Outcome;
use crate::ledger::rows::{Change, Counters, Key};
use crate::random::Random;

/// Writers. Each has as many keys as the others.
pub(super) const WRITER_COUNT: usize = 4;

/// Keys of each.
const KEYS_PER_WRITER: Key = KEY_COUNT / WRITER_COUNT;

/// Of these the first are twins: two that are always put together, with equal counters, and never deleted.
const TWIN_KEYS_PER_WRITER: Key = 4;

const _: () = assert!(KEYS_PER_WRITER * WRITER_COUNT == KEY_COUNT && TWIN_KEYS_PER_WRITER < KEYS_PER_WRITER);

/// All twins.
pub(super) fn twins() -> Vec<[Key; 2]> {
    (0..WRITER_COUNT).flat_map(twins_of).collect()
}

fn twins_of(writer: usize) -> impl Iterator<Item = [Key; 2]> {
    let first = writer * KEYS_PER_WRITER;
    (first..first + TWIN_KEYS_PER_WRITER).step_by(2).map(|key| [key, key + 1])
}

/// A writer, over all lives of the server.
#[derive(Debug)]
pub(super) struct Writer {
    random: Random,
    twins: Vec<[Key; 2]>,
    /// Its other keys, each with whether it has a row.
    singles: BTreeMap<Key, bool>,
    /// The newest counter that it sent. None is sent twice.
    counter: u64,
}

impl Writer {
    /// One of [`WRITER_COUNT`].
    pub(super) fn new(number: usize, random: Random) -> Self {
        let first = number * KEYS_PER_WRITER;
        let singles = (first + TWIN_KEYS_PER_WRITER..first + KEYS_PER_WRITER).map(|key| (key, false));
        Self { random, twins: twins_of(number).collect(), singles: singles.collect(), counter: 0 }
    }

    /// Takes what its keys have, as it was read at rest.
    pub(super) fn learn(&mut self, rows: &BTreeMap<Key, Option<u64>>) {
        for (key, has_row) in &mut self.singles {
            *has_row = rows.get(key).is_some_and(Option::is_some);
        }
    }

    /// Sends one change after another until the server is killed.
    pub(super) fn run(&mut self, traffic: &Traffic, operator: SocketAddr) -> Result<Vec<Change>> {
        let mut connection = Connection::open(operator)?;
        let mut changes = Vec::new();
        loop {
            let change = self.change(&mut connection, traffic)?;
            let outcome = change.outcome.clone();
            changes.push(change);
            match outcome {
                Outcome::Acknowledged(version) => traffic.changed(version.unwrap_or_default()),
                Outcome::Unknown(lost) => return traffic.check_lost(&lost).map(|()| changes),
                Outcome::Refused { status, code } => {
                    bail!("a change was refused with {status} {code}: {:?}", changes.last())
                }
            }
        }
    }

    fn change(&mut self, connection: &mut Connection, traffic: &Traffic) -> Result<Change> {
        let key = *self.random.pick(&self.singles.keys().copied().collect::<Vec<_>>());
        self.counter += 1;
        let counter = self.counter;
        let (rows, bytes) = match self.random.below(100) {
            0..20 => {
                let twins = *self.random.pick(&self.twins);
                put_many(&twins, counter)
            }
            20..40 => put_many(&self.several(), counter),
            40..60 if self.singles[&key] => (vec![(key, None)], request("DELETE", &target(key))),
            _ => put(key, counter),
        };
        let (times, answer) = traffic.clock.time(|| connection.call(&bytes));
        let outcome = outcome(answer, &[200, 204], |answer| read_version(&rows, answer))?;
        for (key, row) in &rows {
            self.singles.entry(*key).and_modify(|has_row| *has_row = row.is_some());
        }
        Ok(Change { rows, times, outcome })
    }

    /// Two or more of its keys, in any order.
    fn several(&mut self) -> Vec<Key> {
        let mut keys = self.singles.keys().copied().collect::<Vec<_>>();
        for at in (1..keys.len()).rev() {
            let other = self.random.below(at as u64 + 1);
            keys.swap(at, usize::try_from(other).expect("an index fits usize"));
        }
        let count = self.random.between(2, keys.len() as u64);
        keys.truncate(usize::try_from(count).expect("a count fits usize"));
        keys
    }
}

fn put(key: Key, counter: u64) -> (Counters, Vec<u8>) {
    (vec![(key, Some(counter))], request_json("PUT", &target(key), &[], &row(key, counter)))
}

fn put_many(keys: &[Key], counter: u64) -> (Counters, Vec<u8>) {
    let line = |key: &Key| format!("{{\"key\":{},\"row\":{}}}\n", json!(key_name(*key)), row(*key, counter));
    let body = keys.iter().map(line).collect::<String>();
    let target = format!("/v1/catalog/{PRODUCTS}");
    let rows = keys.iter().map(|key| (*key, Some(counter))).collect();
    (rows, request_of_type("POST", &target, "application/x-ndjson", &body))
}

/// The version of the answer, which must be one to this change.
fn read_version(rows: &Counters, answer: &Response) -> Result<Option<u64>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Put {
        collection: String,
        key: String,
        version: String,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct ManyPut {
        rows: usize,
        version: String,
    }
    let version = match rows.as_slice() {
        [(_, None)] => {
            ensure!(answer.status == 204, "a deletion was answered {} {}", answer.status, answer.text());
            return Ok(None);
        }
        [(key, Some(_))] => {
            let put: Put = answer.expect(200)?;
            let fits = put.collection == PRODUCTS && put.key == key_name(*key);
            ensure!(fits, "a row of key {key} was put and answered {}", answer.text());
            put.version
        }
        many => {
            let put: ManyPut = answer.expect(200)?;
            ensure!(put.rows == many.len(), "{} rows were put and answered {}", many.len(), answer.text());
            put.version
        }
    };
    Ok(Some(version.parse()?))
}

//! Whoever changes rows in a PostgreSQL, and whoever reads them from the server, all at once.

use anyhow::{Context as _, Result, bail, ensure};
use postgres::Client;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use super::history::{Key, Read, Written};
use super::{DELETED_COUNT, KEY_COUNT};
use crate::http::{Connection, Response, request};
use crate::random::Random;
use crate::run_clock::Clock;
use crate::source_database::SourceDatabase;

/// Writers, each with the keys whose number has its remainder.
pub(super) const WRITER_COUNT: Key = 3;

const NS_PER_MS: u64 = 1_000_000;

/// What all of them share.
#[derive(Debug)]
pub(crate) struct Traffic<'a> {
    /// How far an answer may be behind if it does not say it.
    pub(super) lag_ms_max: u64,
    pub(super) public: SocketAddr,
    pub(crate) clock: Clock,
    pub(super) has_ended: &'a AtomicBool,
}

/// Asks the database for its version, in a form in which `min_version` takes it; nothing if it does not answer.
pub(crate) type AskVersion<'a> = Box<dyn FnMut() -> Option<String> + Send + 'a>;

/// Changes its keys, one transaction after the other.
#[derive(Debug)]
pub(super) struct Writer {
    number: Key,
    random: Random,
    /// For each of its keys how often it was changed, and whether there is a row.
    rows: Vec<(Key, u64, bool)>,
}

/// Reads any keys, over one connection after the other.
pub(super) struct Reader<'a> {
    pub(super) random: Random,
    /// The collection that it reads.
    pub(super) collection: &'static str,
    pub(super) ask_version: AskVersion<'a>,
}

/// What readers saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// By collection: a key of one can be newer than that of the other.
    pub(super) reads: Vec<(&'static str, Vec<Read>)>,
    /// Answers that said that the rows are not coherent, or not available.
    pub(super) unavailable: usize,
}

impl Traffic<'_> {
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Relaxed)
    }
}

impl Writer {
    pub(super) fn new(number: Key, random: Random) -> Self {
        let keys = (0..KEY_COUNT).filter(|key| key % WRITER_COUNT == number);
        Self { number, random, rows: keys.map(|key| (key, 0, true)).collect() }
    }

    /// Changes rows until it is told to end.
    pub(super) fn run(&mut self, traffic: &Traffic<'_>, database: &SourceDatabase) -> Vec<Written> {
        let mut written = Vec::new();
        while !traffic.has_ended() {
            let Ok(mut client) = database.client() else {
                std::thread::sleep(std::time::Duration::from_millis(20));
                continue;
            };
            if self.find_out(traffic.clock, &mut client, &mut written).is_err() {
                continue;
            }
            while !traffic.has_ended() {
                if self.change(traffic, &mut client, &mut written).is_err() {
                    break;
                }
            }
        }
        written
    }

    /// After a connection was lost the database knows whether its last transaction was committed.
    fn find_out(&mut self, clock: Clock, client: &mut Client, written: &mut [Written]) -> Result<()> {
        let found = client.query("SELECT id, changes FROM products", &[]).context("look")?;
        let now_ns = clock.now_ns();
        for (key, count, is_there) in &mut self.rows {
            let row = found.iter().find(|row| row.get::<_, i32>(0).cast_unsigned() == *key);
            let changes = row.map(|row| row.get::<_, i64>(1).cast_unsigned());
            *is_there = changes.is_some();
            let newest = written.iter_mut().rev().find(|change| change.key == *key && change.count == *count);
            if let Some(newest) = newest.filter(|newest| newest.done_ns.is_none())
                && (changes == Some(*count) || newest.is_deletion && changes.is_none())
            {
                newest.done_ns = Some(now_ns);
            }
        }
        Ok(())
    }

    fn change(
        &mut self,
        traffic: &Traffic<'_>,
        client: &mut Client,
        written: &mut Vec<Written>,
    ) -> Result<()> {
        let count = usize::try_from(self.random.between(1, 3)).context("a small number")?;
        let first = usize::try_from(self.random.below(self.rows.len() as u64)).context("a small number")?;
        let begun_ns = traffic.clock.now_ns();
        let (mut statements, mut changes) = ("BEGIN;".to_owned(), Vec::new());
        for at in first..(first + count).min(self.rows.len()) {
            let (key, counted, is_there) = self.rows[at];
            let count = counted + 1;
            let is_deletion = is_there && key < DELETED_COUNT && self.random.chance(30);
            let statement = if is_deletion {
                format!("DELETE FROM products WHERE id = {key};")
            } else if is_there {
                format!("UPDATE products SET changes = {count} WHERE id = {key};")
            } else {
                format!("INSERT INTO products VALUES ({key}, {count}, {}, repeat('x', 100));", key % 3)
            };
            statements.push_str(&statement);
            // Whether or not it comes to be, no other change has this number.
            self.rows[at].1 = count;
            changes.push((at, Written { key, count, is_deletion, begun_ns, done_ns: None }));
        }
        if self.number == 0 && self.random.chance(5) {
            statements += "UPDATE warehouses SET changes = changes + 1 WHERE id = 0;";
        }
        let first_written = written.len();
        written.extend(changes.iter().map(|(_, change)| *change));
        client.batch_execute(&(statements + "COMMIT")).context("change")?;
        let done_ns = traffic.clock.now_ns();
        for (change, (at, _)) in written[first_written..].iter_mut().zip(&changes) {
            change.done_ns = Some(done_ns);
            self.rows[*at].2 = !change.is_deletion;
        }
        Ok(())
    }
}

impl Reader<'_> {
    /// Reads until it is told to end. A connection that ends is followed by the next.
    pub(super) fn run(mut self, traffic: &Traffic<'_>) -> Result<Seen> {
        let mut seen = Seen::default();
        let mut reads = Vec::new();
        while !traffic.has_ended() {
            let Ok(mut connection) = Connection::open(traffic.public) else {
                std::thread::sleep(std::time::Duration::from_millis(5));
                continue;
            };
            while !traffic.has_ended() {
                let version = if self.random.chance(1) { self.version_now(traffic) } else { None };
                let is_single = self.random.chance(80);
                let keys = self.keys(if is_single { 1 } else { 5 });
                let query = version.as_ref().map(|(version, _)| format!("min_version={version}"));
                let target = target(self.collection, &keys, is_single, query.as_deref());
                let (times, answer) = traffic.clock.time(|| connection.call(&request("GET", &target)));
                let Ok(answer) = answer else { break };
                let asked_for_ns = version.map(|(_, asked_ns)| asked_ns);
                let read = |key, count, lag_ns| Read {
                    key,
                    count,
                    asked_for_ns,
                    sent_ns: times.sent_ns,
                    ended_ns: times.ended_ns,
                    lag_ns,
                };
                if let Some(rows) = take(&answer, &keys, is_single)? {
                    let lag_ns = lag_ns(&answer, traffic.lag_ms_max)?;
                    reads.extend(rows.into_iter().map(|(key, count)| read(key, count, lag_ns)));
                } else {
                    seen.unavailable += 1;
                    // Others need the processors for what makes it available.
                    std::thread::sleep(std::time::Duration::from_millis(2));
                }
            }
        }
        seen.reads.push((self.collection, reads));
        Ok(seen)
    }

    /// What the database says that its version is, and a moment before it was asked.
    fn version_now(&mut self, traffic: &Traffic<'_>) -> Option<(String, u64)> {
        let asked_ns = traffic.clock.now_ns();
        Some(((self.ask_version)()?, asked_ns))
    }

    fn keys(&mut self, count: usize) -> Vec<Key> {
        let mut keys: Vec<Key> = Vec::new();
        while keys.len() < count {
            let key = Key::try_from(self.random.below(KEY_COUNT.into())).unwrap_or_default();
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }
}

/// Asks a PostgreSQL, over one connection after the other.
pub(super) fn ask_postgres(database: &SourceDatabase) -> AskVersion<'_> {
    let mut client = None;
    Box::new(move || {
        if client.is_none() {
            client = database.client().ok();
        }
        let answer = client.as_mut()?.query_one("SELECT pg_current_wal_insert_lsn()::text", &[]);
        if answer.is_err() {
            client = None;
        }
        Some(answer.ok()?.get(0))
    })
}

/// The target of a read.
pub(crate) fn target(collection: &str, keys: &[Key], is_single: bool, query: Option<&str>) -> String {
    let query = query.unwrap_or("");
    if is_single {
        return format!("/v1/catalog/{collection}/{}?{query}", keys[0]).trim_end_matches('?').to_owned();
    }
    let keys = keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    format!("/v1/catalog/{collection}?keys={keys}&{query}").trim_end_matches('&').to_owned()
}

/// How far the answer may be behind, by what it says: up to a millisecond more, because it counts whole ones. An answer that there is
/// no row does not say it.
fn lag_ns(answer: &Response, lag_ms_max: u64) -> Result<u64> {
    let said = answer.header("onrush-lag-ms").map(str::parse::<u64>).transpose().context("read the lag")?;
    Ok((said.unwrap_or(lag_ms_max) + 1) * NS_PER_MS)
}

/// Keys, and how often each row was changed; nothing if there is none.
pub(crate) type Rows = Vec<(Key, Option<u64>)>;

/// The rows of an answer; nothing if it says that there are none to be had now.
pub(crate) fn take(answer: &Response, keys: &[Key], is_single: bool) -> Result<Option<Rows>> {
    let code =
        || answer.json::<Value>().map(|problem| problem["code"].as_str().unwrap_or_default().to_owned());
    let count_of = |row: &Value| row["changes"].as_u64().context("a row says how often it was changed");
    match answer.status {
        200 if is_single => Ok(Some(vec![(keys[0], Some(count_of(&answer.json()?)?))])),
        200 => {
            let all: Value = answer.json()?;
            let rows = keys.iter().map(|key| {
                let row = &all["rows"][key.to_string()];
                Ok((*key, if row.is_null() { None } else { Some(count_of(row)?) }))
            });
            let rows = rows.collect::<Result<Vec<_>>>()?;
            let missing = all["missing"].as_array().map_or(0, Vec::len);
            ensure!(
                missing == rows.iter().filter(|(_, count)| count.is_none()).count(),
                "missing rows: {all}"
            );
            Ok(Some(rows))
        }
        404 if is_single && code()? == "row_not_found" => Ok(Some(vec![(keys[0], None)])),
        503 if matches!(code()?.as_str(), "incoherent" | "source_unavailable") => Ok(None),
        status => bail!("{status} {}", answer.text()),
    }
}

//! Collections whose rows a server follows in a database: a table that clients change and read as fast as it goes while something goes
//! wrong, and whether what they saw fits together. No answer is older than it says, and on one connection nothing goes backwards; once
//! it is calm every row is as in the database.

pub(crate) mod harm;
mod history;
mod traffic;

use anyhow::{Context as _, Result, anyhow, ensure};
use postgres::Client;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::http::{self, request};
use crate::random::Random;
use crate::run_clock::Clock;
use crate::server::Server;
use crate::services::Services;
use crate::source_database::SourceDatabase;
use history::History;
use traffic::{Reader, Seen, Traffic, WRITER_COUNT, Writer};

pub(crate) use history::Key;
pub(crate) use traffic::{Rows, take, target};

/// Rows that are there at first.
const KEY_COUNT: Key = 60;

/// Of those, the first are deleted and made again and again.
const DELETED_COUNT: Key = 6;

/// Readers, equally many for each collection.
const READER_COUNT: u64 = 6;

/// How long it may take until all is coherent again once nothing is in the way.
pub(crate) const CALM_TIMEOUT: Duration = Duration::from_mins(1);

/// A table of products in a database, the collections that follow it, and all that their clients saw.
#[derive(Debug)]
pub(crate) struct Followed {
    /// The database.
    pub database: SourceDatabase,
    collections: &'static [&'static str],
    /// How far their answers may be behind, milliseconds.
    lag_ms_max: u64,
    clock: Clock,
    random: Random,
    writers: Vec<Writer>,
    history: History,
    tally: Tally,
}

/// What was done.
#[derive(Debug, Default)]
struct Tally {
    changes: usize,
    reads: usize,
    unavailable: usize,
}

impl fmt::Display for Followed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { changes, reads, unavailable } = self.tally;
        write!(formatter, "{changes} changes, {reads} reads, {unavailable} not available")
    }
}

/// Makes the database anew, with the table `products`, whose rows nobody has changed, and with what else these statements make.
pub(crate) fn make_database(
    services: &Services,
    name: &'static str,
    statements: &str,
) -> Result<SourceDatabase> {
    let tables = format!(
        "CREATE TABLE products (id int PRIMARY KEY, changes bigint NOT NULL, warehouse_id int NOT NULL, text text NOT NULL); \
         CREATE TABLE warehouses (id int PRIMARY KEY, changes bigint NOT NULL); \
         INSERT INTO warehouses SELECT id, 0 FROM generate_series(0, 2) AS id; \
         INSERT INTO products SELECT id, 0, id % 3, repeat('x', 100) FROM generate_series(0, {}) AS id; {statements}",
        KEY_COUNT - 1
    );
    SourceDatabase::make(services, name, &tables)
}

impl Followed {
    /// Collections of that table. Nothing has been read of them.
    pub(crate) fn new(
        database: SourceDatabase,
        collections: &'static [&'static str],
        lag_ms_max: u64,
        random: Random,
    ) -> Self {
        let writers = (0..WRITER_COUNT).map(|number| Writer::new(number, random.fork(number.into())));
        Self {
            database,
            collections,
            lag_ms_max,
            clock: Clock::start(),
            writers: writers.collect(),
            random,
            history: History::default(),
            tally: Tally::default(),
        }
    }

    /// Lets clients write and read while something goes wrong, and returns a server that is coherent again.
    pub(crate) fn while_it(
        &mut self,
        server: Server,
        goes_wrong: impl FnOnce(&SourceDatabase, Server, &mut Random) -> Result<Server>,
    ) -> Result<Server> {
        let has_ended = AtomicBool::new(false);
        let traffic = Traffic {
            database: &self.database,
            lag_ms_max: self.lag_ms_max,
            public: server.public(),
            clock: self.clock,
            has_ended: &has_ended,
        };
        let collections = self.collections.iter().cycle();
        let readers = (0..READER_COUNT)
            .zip(collections)
            .map(|(number, collection)| Reader { random: self.random.fork(100 + number), collection });
        let readers = readers.collect::<Vec<_>>();
        self.random = self.random.fork(2);
        let mut random = self.random.fork(3);
        let mut writers = std::mem::take(&mut self.writers);
        let (server, written, seen) = thread::scope(|scope| {
            let traffic = &traffic;
            let writing =
                writers.iter_mut().map(|writer| scope.spawn(move || writer.run(traffic))).collect::<Vec<_>>();
            let reading = readers
                .into_iter()
                .map(|reader| scope.spawn(move || reader.run(traffic)))
                .collect::<Vec<_>>();
            thread::sleep(random.span_ms(300, 900));
            let server = goes_wrong(traffic.database, server, &mut random);
            thread::sleep(random.span_ms(300, 900));
            has_ended.store(true, Ordering::Relaxed);
            let (mut written, mut seen) = (Vec::new(), Vec::<Seen>::new());
            for writer in writing {
                written.extend(writer.join().map_err(|_| anyhow!("a writer panicked"))?);
            }
            for reader in reading {
                seen.push(reader.join().map_err(|_| anyhow!("a reader panicked"))??);
            }
            anyhow::Ok((server?, written, seen))
        })?;
        self.writers = writers;
        self.tally.changes += written.len();
        self.history.absorb(written);
        for Seen { reads, unavailable } in seen {
            self.tally.unavailable += unavailable;
            for (collection, reads) in reads {
                self.tally.reads += reads.len();
                self.history.check(&reads).with_context(|| format!("collection {collection}"))?;
            }
        }
        self.calm(&server)?;
        Ok(server)
    }

    /// Waits until every row is as in the database, which nobody changes now.
    pub(crate) fn calm(&self, server: &Server) -> Result<()> {
        let mut client = self.database.client()?;
        let expected = rows_of(&mut client)?;
        let version = SourceDatabase::version(&mut client)?;
        for collection in self.collections {
            await_rows(server, collection, &expected, &version)?;
            let unknown =
                http::once(server.public(), &request("GET", &target(collection, &[9_999], true, None)))?;
            ensure!(unknown.status == 404, "a key that no row has: {} {}", unknown.status, unknown.text());
        }
        Ok(())
    }
}

/// Waits until the rows are coherent and have this version, in which they have to be as expected.
pub(crate) fn await_rows(server: &Server, collection: &str, expected: &Rows, version: &str) -> Result<()> {
    let keys: Vec<Key> = expected.iter().map(|(key, _)| *key).collect();
    let asked = target(collection, &keys, false, Some(&format!("min_version={version}")));
    let begun = Instant::now();
    loop {
        let answer = http::once(server.public(), &request("GET", &asked))?;
        if let Some(rows) = take(&answer, &keys, false)? {
            ensure!(rows == *expected, "{collection}: {rows:?}\nin the database {expected:?}");
            return Ok(());
        }
        ensure!(begun.elapsed() < CALM_TIMEOUT, "{collection} is not coherent: {}", answer.text());
        thread::sleep(Duration::from_millis(50));
    }
}

/// How often each row was changed; nothing if there is none.
fn rows_of(client: &mut Client) -> Result<Rows> {
    let found = client.query("SELECT id, changes FROM products", &[]).context("read the rows")?;
    let found: BTreeMap<Key, u64> = found
        .iter()
        .map(|row| (row.get::<_, i32>(0).cast_unsigned(), row.get::<_, i64>(1).cast_unsigned()))
        .collect();
    Ok((0..KEY_COUNT).map(|key| (key, found.get(&key).copied())).collect())
}

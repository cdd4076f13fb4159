//! Collections whose rows a server follows in a database: a table that clients change and read as fast as it goes while something goes
//! wrong, and whether what they saw fits together. No answer is older than it says, and on one connection nothing goes backwards; once
//! it is calm every row is as in the database.

pub(crate) mod harm;
mod history;
mod observed;
mod traffic;

use anyhow::{Context as _, Result, ensure};
use postgres::Client;
use std::collections::BTreeMap;
use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use crate::http::{self, request};
use crate::random::Random;
use crate::server::Server;
use crate::services::Services;
use crate::source_database::SourceDatabase;
use traffic::{WRITER_COUNT, Writer, take};

pub(crate) use history::{Key, Written};
pub(crate) use observed::{Observed, Work};
pub(crate) use traffic::{AskVersion, Rows, Traffic, target};

/// Rows that are there at first.
pub(crate) const KEY_COUNT: Key = 60;

/// Of those, the first are deleted and made again and again.
const DELETED_COUNT: Key = 6;

/// How long it may take until all is coherent again once nothing is in the way: on a busy machine many changes were made that are still to be told.
pub(crate) const CALM_TIMEOUT: Duration = Duration::from_mins(3);

/// How long clients go on at most when nothing is in the way any more, until all is coherent again.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(20);

/// A table of products in a database, the collections that follow it, and all that their clients saw.
#[derive(Debug)]
pub(crate) struct Followed {
    /// The database.
    pub database: SourceDatabase,
    collections: &'static [&'static str],
    writers: Vec<Writer>,
    observed: Observed,
}

impl fmt::Display for Followed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.observed.fmt(formatter)
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
        let writers = writers.collect();
        Self { database, collections, writers, observed: Observed::new(collections, lag_ms_max, random) }
    }

    /// Lets clients write and read while something goes wrong and is put right, and returns a server that is coherent again.
    pub(crate) fn while_it(
        &mut self,
        server: Server,
        goes_wrong: impl FnOnce(&SourceDatabase, Server, &mut Random) -> Result<Server>,
    ) -> Result<Server> {
        let (database, public) = (&self.database, server.public());
        let writers = self.writers.iter_mut().map(|writer| {
            let work: Work<'_> = Box::new(|traffic| Ok(writer.run(traffic, database)));
            work
        });
        let server = self.observed.while_it(
            public,
            || traffic::ask_postgres(database),
            writers.collect(),
            |random| {
                let server = goes_wrong(database, server, random)?;
                let version = SourceDatabase::version(&mut database.client()?)?;
                for collection in self.collections {
                    await_version(&server, collection, &version)?;
                }
                Ok(server)
            },
        )?;
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
            let unknown = target(collection, &[9_999], true, None);
            let row = rows_at(server, &unknown, &[9_999], true, CALM_TIMEOUT)?;
            ensure!(row == Some(vec![(9_999, None)]), "a key that no row has: {row:?}");
        }
        Ok(())
    }
}

/// Waits until the rows are coherent and have this version, in which they have to be as expected.
pub(crate) fn await_rows(server: &Server, collection: &str, expected: &Rows, version: &str) -> Result<()> {
    let keys: Vec<Key> = expected.iter().map(|(key, _)| *key).collect();
    let asked = target(collection, &keys, false, Some(&format!("min_version={version}")));
    let rows = rows_at(server, &asked, &keys, false, CALM_TIMEOUT)?;
    let rows = rows.with_context(|| format!("{collection} is not coherent"))?;
    ensure!(rows == *expected, "{collection}: {rows:?}\nin the database {expected:?}");
    Ok(())
}

/// Waits until the rows are coherent and have this version, but not for ever: changes may come quicker than they are told.
pub(crate) fn await_version(server: &Server, collection: &str, version: &str) -> Result<()> {
    let asked = target(collection, &[0, 1], false, Some(&format!("min_version={version}")));
    rows_at(server, &asked, &[0, 1], false, RECOVERY_TIMEOUT).map(drop)
}

/// The rows that are asked for, of these keys; nothing if they are not coherent in time.
fn rows_at(
    server: &Server,
    asked: &str,
    keys: &[Key],
    is_single: bool,
    timeout: Duration,
) -> Result<Option<Rows>> {
    let begun = Instant::now();
    while begun.elapsed() < timeout {
        let answer = http::once(server.public(), &request("GET", asked))?;
        if let Some(rows) = take(&answer, keys, is_single)? {
            return Ok(Some(rows));
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(None)
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

//! A table of a real PostgreSQL that servers follow, with rows of one length, and whoever changes it at a steady rate.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, Config, NoTls};

use crate::services::Services;

/// The number of the first row, so that all numbers are of one length.
pub(crate) const FIRST_ROW: u32 = 1_000_000;
/// What the changing column has at first, so that it stays of one length.
const FIRST_VALUE: i64 = 1_000_000_000;
/// Changes of single rows are spread by a factor that has no divisor in common with any count of rows here.
const SPREAD: u64 = 7_919;

/// The table, named as the collection that follows it.
pub(crate) struct SourceTable<'a> {
    pub(crate) name: &'static str,
    pub(crate) row_count: u32,
    pub(crate) runtime: Runtime,
    pub(crate) client: Client,
    services: &'a Services,
}

/// Who changes rows, and how often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Changing {
    pub(crate) rows_per_s: u32,
    pub(crate) rows_per_transaction: u32,
    pub(crate) connection_count: u32,
}

/// What was changed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Changed {
    pub(crate) row_count: u64,
    pub(crate) seconds: f64,
}

impl<'a> SourceTable<'a> {
    /// Makes the table, a publication of it, and so many rows with a text of 400 characters each.
    pub(crate) fn make(services: &'a Services, name: &'static str, row_count: u32) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let client = runtime.block_on(connect(services, "POSTGRES_URL"))?;
        let last = FIRST_ROW + row_count - 1;
        let table = Self { name, row_count, runtime, client, services };
        table.execute(&format!(
            "DROP TABLE IF EXISTS {name}; DROP PUBLICATION IF EXISTS onrush_{name}; \
             CREATE TABLE {name} (id int PRIMARY KEY, value bigint NOT NULL, text text NOT NULL); \
             INSERT INTO {name} SELECT id, {FIRST_VALUE}, repeat('x', 400) FROM generate_series({FIRST_ROW}, {last}) AS id; \
             CREATE PUBLICATION onrush_{name} FOR TABLE {name}"
        ))?;
        // Otherwise PostgreSQL would do it during the first rounds.
        table.execute(&format!("VACUUM ANALYZE {name}"))?;
        table.execute("CHECKPOINT")?;
        Ok(table)
    }

    /// The settings of a collection that follows the table, and these beside them.
    pub(crate) fn environment(&self, more: &[(&str, &str)]) -> Result<Vec<(String, String)>> {
        let settings = [
            ("SOURCE", "postgres"),
            ("URL", self.services.get("POSTGRES_URL")?),
            ("PASSWORD", self.services.get("POSTGRES_PASSWORD")?),
            ("TABLE", self.name),
            ("KEY", "id"),
        ];
        let collection = self.name.to_uppercase();
        let named = |(key, value): &(&str, &str)| {
            (format!("ONRUSH_CATALOG__{collection}__{key}"), (*value).to_owned())
        };
        Ok(settings.iter().chain(more).map(named).collect())
    }

    /// The server's process.
    pub(crate) fn pid(&self) -> Result<u32> {
        self.services.pid("POSTGRES_PID")
    }

    /// Runs statements.
    pub(crate) fn execute(&self, statements: &str) -> Result<()> {
        let done = self.runtime.block_on(self.client.batch_execute(statements));
        done.with_context(|| format!("run {statements}"))
    }

    /// Up to where the database has changed, as readers name it.
    pub(crate) fn version(&self) -> Result<String> {
        let query = "SELECT pg_current_wal_lsn()::text";
        let row = self.runtime.block_on(self.client.query_one(query, &[])).context("ask for the version")?;
        Ok(row.get(0))
    }

    /// What a row has in the changing column.
    pub(crate) fn value(&self, id: u32) -> Result<i64> {
        let query = format!("SELECT value FROM {} WHERE id = {id}", self.name);
        let row = self.runtime.block_on(self.client.query_one(&query, &[])).context("read a row")?;
        Ok(row.get(0))
    }

    /// Changes rows while the work is done, from its start to its end, and says how many.
    pub(crate) fn while_changing<T>(
        &self,
        changing: Changing,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<(T, Changed)> {
        let clients: Result<Vec<_>> = (0..changing.connection_count)
            .map(|_| self.runtime.block_on(connect(self.services, "POSTGRES_URL")))
            .collect();
        let clients = clients?;
        let is_over = AtomicU64::new(0);
        thread::scope(|scope| {
            let is_over = &is_over;
            let writer = scope.spawn(move || self.change(&clients, changing, is_over));
            let worked = work();
            is_over.store(1, Ordering::Relaxed);
            let changed = writer.join().map_err(|_| anyhow!("the thread that changes rows panicked"))?;
            Ok((worked?, changed?))
        })
    }

    /// Each connection has its own share of the moments at which a transaction is due. One that comes late is made up for.
    fn change(&self, clients: &[Client], changing: Changing, is_over: &AtomicU64) -> Result<Changed> {
        let rows = changing.rows_per_transaction;
        let interval = Duration::from_secs(1) * rows / changing.rows_per_s;
        let update =
            format!("UPDATE {} SET value = value + 1 WHERE id >= $1 AND id < $1 + {rows}", self.name);
        let next = AtomicU64::new(0);
        let begun = Instant::now();
        let change_by = async |client: &Client| -> Result<u64> {
            let statement = client.prepare(&update).await?;
            let mut changed = 0;
            while is_over.load(Ordering::Relaxed) == 0 {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let due = begun + interval * u32::try_from(number)?;
                tokio::time::sleep_until(due.into()).await;
                let places = u64::from(self.row_count / rows);
                let first = number * SPREAD % places * u64::from(rows) + u64::from(FIRST_ROW);
                changed += client.execute(&statement, &[&i32::try_from(first)?]).await?;
            }
            Ok(changed)
        };
        let changed =
            self.runtime.block_on(futures_util::future::try_join_all(clients.iter().map(change_by)));
        let row_count = changed.context("change rows")?.iter().sum();
        Ok(Changed { row_count, seconds: begun.elapsed().as_secs_f64() })
    }

    /// Removes the table. A server that follows it has to have ended.
    pub(crate) fn remove(self) -> Result<()> {
        let name = self.name;
        self.execute(&format!("DROP PUBLICATION onrush_{name}; DROP TABLE {name}"))
    }
}

impl Changed {
    pub(crate) fn rate(self) -> f64 {
        self.row_count as f64 / self.seconds
    }
}

/// Connects to the server of this name.
pub(crate) async fn connect(services: &Services, name: &str) -> Result<Client> {
    let mut config: Config = services.get(name)?.parse().context("parse the URL of PostgreSQL")?;
    config.password(services.get("POSTGRES_PASSWORD")?);
    let (client, connection) = config.connect(NoTls).await.with_context(|| format!("connect to {name}"))?;
    // An error of the connection is an error of the next query.
    tokio::spawn(connection);
    Ok(client)
}

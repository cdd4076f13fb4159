//! Two servers of PostgreSQL that nobody else uses, the second a streaming replica of the first, and a Redis that gets the same
//! events.

use anyhow::{Context as _, Result, ensure};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::services::{Frozen, Services, Up};
use crate::targets::postgres::Database;
use crate::targets::redis::Stream;
use crate::targets::sink_settings;

/// How long the replica may take to follow, or to notice that it no longer does.
const REPLICATION_TIMEOUT: Duration = Duration::from_mins(1);

/// One of the two servers of PostgreSQL.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which {
    First,
    Second,
}

/// The servers and what is in them.
pub(super) struct Pair {
    pub(super) first: Database,
    pub(super) second: Database,
    pub(super) redis: Stream,
    services: Services,
    up: Up,
}

impl Pair {
    /// Starts them, with everything they keep in a directory.
    pub(super) fn start(services: &Services, directory: &Path) -> Result<Self> {
        let services = services.at(directory);
        let up = services.up(&["postgres", "postgres-replica", "redis"])?;
        let second = services.address("POSTGRES_REPLICA_URL")?;
        let mut first = Database::new(&services, "shop")?;
        (first.rows, first.other, first.replica) = ("visit", Some(second), Some(second));
        let redis = Stream::new(&services, "shop")?;
        Ok(Self { second: first.on(second), first, redis, services, up })
    }

    /// Ends the servers and removes what they keep. Otherwise that stays, for whoever asks what went wrong.
    pub(super) fn purge(self) -> Result<()> {
        self.up.purge()
    }

    /// The settings of both sinks. That of PostgreSQL knows both servers.
    pub(super) fn settings(&self) -> Vec<(String, String)> {
        let postgres = sink_settings("postgres", self.first.settings());
        [postgres, sink_settings("redis", self.redis.settings())].concat()
    }

    pub(super) fn database(&self, which: Which) -> &Database {
        match which {
            Which::First => &self.first,
            Which::Second => &self.second,
        }
    }

    /// From now on the first confirms nothing that the second has not.
    pub(super) fn replicate_synchronously(&self) -> Result<()> {
        set(&self.first, "synchronous_standby_names = '*'")?;
        let is_synchronous =
            "SELECT sync_state, 1::bigint FROM pg_stat_replication WHERE sync_state = 'sync'";
        wait_until("replication is synchronous", || Ok(!self.first.numbers(is_synchronous)?.is_empty()))
    }

    /// The second follows the first no longer.
    pub(super) fn end_replication(&self) -> Result<()> {
        set(&self.second, "primary_conninfo = ''")?;
        let receivers = "SELECT 'receivers', count(*) FROM pg_stat_wal_receiver";
        wait_until("replication has ended", || Ok(self.second.number(receivers)?.1 == 0))
    }

    /// Waits until the second has what the first has.
    pub(super) fn await_replicated(&self) -> Result<()> {
        wait_until("everything is replicated", || Ok(state(&self.first)? == state(&self.second)?))
    }

    /// Ends the first as a power cut would.
    pub(super) fn kill_first(&self) -> Result<()> {
        self.services.kill("postgres")
    }

    /// Starts the first as it was, and lets it take writes whoever follows it.
    pub(super) fn start_first(&self) -> Result<()> {
        self.services.start("postgres")?;
        set(&self.first, "synchronous_standby_names = ''")
    }

    /// Makes the second a server that takes writes, as `pg_ctl promote` does.
    pub(super) fn promote_second(&self) -> Result<()> {
        let promoted =
            self.second.client()?.query_one("SELECT pg_promote()", &[]).context("promote the replica")?;
        ensure!(promoted.get::<_, bool>(0), "the replica was not promoted");
        Ok(())
    }

    /// Lets the second answer nobody until what is returned is dropped.
    pub(super) fn freeze_second(&self) -> Result<Frozen> {
        self.services.freeze("postgres-replica")
    }
}

/// What a server has of the sink: its row, and how many events.
pub(super) fn state(database: &Database) -> Result<(String, u64)> {
    database.number("SELECT s::text, (SELECT count(*) FROM events) FROM sinks s")
}

/// Ends the connections of the sink to a server.
pub(super) fn cut_connections(database: &Database) -> Result<()> {
    database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'onrush sink %'",
    )
}

/// Changes a setting of a server while it runs.
fn set(database: &Database, setting: &str) -> Result<()> {
    database.execute(&format!("ALTER SYSTEM SET {setting}"))?;
    database.execute("SELECT pg_reload_conf()")
}

fn wait_until(what: &str, is_so: impl Fn() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while !is_so()? {
        ensure!(started.elapsed() < REPLICATION_TIMEOUT, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

//! PostgreSQL, and pgbench inserting the same rows one by one, each in a transaction of its own.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tokio::runtime::Runtime;
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config, NoTls};

use super::SinkTarget;
use crate::process::search_path;
use crate::services::Services;

/// Clients of pgbench.
const CLIENT_COUNT: u32 = 50;
/// pgbench counts the time in which its clients connect, so it needs a turn that is long next to it.
const SECONDS_MIN: u64 = 5;
/// Settings of the server that decide what a commit is worth and how it competes.
const SHOWN: [&str; 6] =
    ["fsync", "synchronous_commit", "full_page_writes", "wal_level", "shared_buffers", "max_wal_size"];

/// A server that runs, and a connection to look at it.
pub(crate) struct Postgres {
    pub(super) runtime: Runtime,
    pub(super) client: Client,
    config: Config,
    url: String,
    password: String,
    pid: u32,
}

/// One run of pgbench.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct InsertRun {
    pub(crate) inserted_count: u64,
    pub(crate) seconds: f64,
}

impl Postgres {
    pub(crate) fn connect(services: &Services) -> Result<Self> {
        let (url, password) = (services.get("POSTGRES_URL")?, services.get("POSTGRES_PASSWORD")?);
        let mut config: Config = url.parse().context("parse the URL of PostgreSQL")?;
        config.password(password);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = runtime.block_on(async {
            let (client, connection) = config.connect(NoTls).await?;
            // An error of the connection is an error of the next query.
            tokio::spawn(connection);
            Ok::<_, tokio_postgres::Error>(client)
        });
        let client = client.context("connect to PostgreSQL")?;
        let (url, password, pid) = (url.to_owned(), password.to_owned(), services.pid("POSTGRES_PID")?);
        Ok(Self { runtime, client, config, url, password, pid })
    }

    /// Runs statements.
    pub(super) fn execute(&self, statements: &str) -> Result<()> {
        let done = self.runtime.block_on(self.client.batch_execute(statements));
        done.with_context(|| format!("run {statements}"))
    }

    /// The first column of what a query returns, as text.
    pub(super) fn texts(&self, query: &str) -> Result<Vec<String>> {
        let rows = self.runtime.block_on(self.client.query(query, &[]));
        let rows = rows.with_context(|| format!("run {query}"))?;
        rows.iter().map(|row| row.try_get(0).with_context(|| format!("read {query}"))).collect()
    }

    pub(super) fn number(&self, query: &str) -> Result<u64> {
        let texts = self.texts(&format!("SELECT ({query})::text"))?;
        texts.first().context("a query returned nothing")?.parse().context("parse a number")
    }

    /// Makes a schema with empty copies of these tables of another, with all their indexes.
    pub(super) fn copy_empty(&self, from: &str, to: &str, tables: &[String]) -> Result<()> {
        let table = |table| format!("; CREATE TABLE {to}.{table} (LIKE {from}.{table} INCLUDING ALL)");
        let tables: String = tables.iter().map(table).collect();
        self.execute(&format!("DROP SCHEMA IF EXISTS {to} CASCADE; CREATE SCHEMA {to}{tables}"))
    }

    /// Inserts copies of one event row of `from`, each under an offset of its own, one a transaction, for about so many seconds.
    pub(crate) fn insert_one_by_one(
        &self,
        from: &str,
        to: &str,
        seconds: u64,
        directory: &Path,
    ) -> Result<InsertRun> {
        self.copy_empty(from, to, &["events".to_owned()])?;
        self.execute(&format!("CREATE SEQUENCE {to}.offsets CACHE 1000; CHECKPOINT"))?;
        let script = directory.join("insert.sql");
        std::fs::write(&script, self.insert_script(from, to)?).context("write the script of pgbench")?;
        let Some(Host::Tcp(host)) = self.config.get_hosts().first() else {
            anyhow::bail!("no host in the URL")
        };
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        let output = Command::new("pgbench")
            .env("PATH", search_path())
            .env("PGPASSWORD", &self.password)
            .args(["--no-vacuum", "--protocol", "prepared", "--jobs", "2", "--host", host])
            .args(["--port", &port.to_string(), "--username", self.config.get_user().unwrap_or_default()])
            .args([
                "--client",
                &CLIENT_COUNT.to_string(),
                "--time",
                &seconds.max(SECONDS_MIN).to_string(),
                "--file",
            ])
            .arg(&script)
            .arg(self.config.get_dbname().unwrap_or_default())
            .output()
            .context("run pgbench")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        let run =
            parse_insert_run(&text).with_context(|| format!("pgbench printed {text:?} and {errors:?}"))?;
        let there_count = self.number(&format!("SELECT count(*) FROM {to}.events"))?;
        ensure!(
            there_count == run.inserted_count,
            "{} inserted, but {there_count} there",
            run.inserted_count
        );
        Ok(run)
    }

    /// The row in the middle, with its values as literals.
    fn insert_script(&self, from: &str, to: &str) -> Result<String> {
        let columns = self.texts(&format!(
            "SELECT column_name::text FROM information_schema.columns \
             WHERE table_schema = '{from}' AND table_name = 'events' AND column_name <> 'event_offset'"
        ))?;
        let literals: Vec<_> = columns.iter().map(|column| format!("quote_nullable({column})")).collect();
        let query = format!(
            "SELECT concat_ws(', ', {}) FROM {from}.events \
             WHERE event_offset = (SELECT max(event_offset) / 2 FROM {from}.events)",
            literals.join(", ")
        );
        let values = self.texts(&query)?;
        let values = values.first().context("there is no event in the middle")?;
        Ok(format!(
            "INSERT INTO {to}.events (event_offset, {}) VALUES (nextval('{to}.offsets'), {values});\n",
            columns.join(", ")
        ))
    }
}

impl SinkTarget for Postgres {
    fn kind(&self) -> &'static str {
        "postgres"
    }

    fn pids(&self) -> Vec<u32> {
        vec![self.pid]
    }

    fn settings(&self, place: &str) -> Vec<(&'static str, String)> {
        let (url, password) = (self.url.clone(), self.password.clone());
        vec![("url", url), ("password", password), ("schema", place.to_owned())]
    }

    fn prepare(&self, place: &str) -> Result<()> {
        self.execute(&format!("DROP SCHEMA IF EXISTS {place} CASCADE; CHECKPOINT"))
    }

    fn event_count(&self, place: &str) -> Result<u64> {
        self.number(&format!("SELECT count(*) FROM {place}.events"))
    }

    fn remove(&self, place: &str) -> Result<()> {
        self.execute(&format!("DROP SCHEMA IF EXISTS {place} CASCADE"))
    }

    fn durability(&self) -> Result<String> {
        let mut parts = vec![format!("PostgreSQL {}", self.texts("SHOW server_version")?.concat())];
        for setting in SHOWN {
            parts.push(format!("{setting} {}", self.texts(&format!("SHOW {setting}"))?.concat()));
        }
        let replica_count = self.number("SELECT count(*) FROM pg_stat_replication")?;
        parts.push(format!("{replica_count} replicas attached"));
        Ok(parts.join(", "))
    }
}

/// `number of transactions actually processed: N`, a slash and more where a number was asked for, and `tps = R (…)`.
fn parse_insert_run(output: &str) -> Option<InsertRun> {
    let after = |start: &str| output.lines().find_map(|line| line.strip_prefix(start));
    let count = after("number of transactions actually processed: ")?;
    let inserted_count: u64 = count.split('/').next()?.trim().parse().ok()?;
    let rate: f64 = after("tps = ")?.split(' ').next()?.parse().ok()?;
    Some(InsertRun { inserted_count, seconds: inserted_count as f64 / rate })
}

#[cfg(test)]
mod tests {
    use super::{InsertRun, parse_insert_run};

    #[test]
    fn runs_of_pgbench_are_read() {
        let text = "transaction type: a\nnumber of transactions actually processed: 500\n\
                    number of failed transactions: 0 (0.000%)\ntps = 250.000000 (without initial connection time)\n";
        assert_eq!(parse_insert_run(text), Some(InsertRun { inserted_count: 500, seconds: 2.0 }));
        assert_eq!(parse_insert_run("pgbench: error"), None);
    }
}

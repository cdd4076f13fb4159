//! A schema of PostgreSQL, read by SQL.

use anyhow::{Context as _, Result, ensure};
use postgres::{Client, Config, NoTls};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::{Stored, retried};
use crate::api::{Line, Reservation, Status};
use crate::services::Services;

/// How times are shown by the server.
const TIME: &str = r#"'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'"#;

/// Where a run writes.
pub(crate) struct Database {
    /// The schema.
    pub schema: String,
    /// `rows`: `batch` or `visit`.
    pub rows: &'static str,
    /// Where the sink connects to: the server, or a proxy before it.
    pub address: SocketAddr,
    /// Where else the server may be that takes writes.
    pub other: Option<SocketAddr>,
    /// Where the sink reads, if it does.
    pub replica: Option<SocketAddr>,
    direct: SocketAddr,
    password: String,
}

impl fmt::Debug for Database {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "schema {} at {}", self.schema, self.direct)
    }
}

impl Database {
    /// A schema of this name.
    pub(crate) fn new(services: &Services, name: &str) -> Result<Self> {
        let direct = services.address("POSTGRES_URL")?;
        let password = services.value("POSTGRES_PASSWORD")?;
        let (address, other, replica) = (direct, None, None);
        Ok(Self { schema: name.into(), rows: "batch", address, other, replica, direct, password })
    }

    /// The same schema on another server, to look at.
    pub(crate) fn on(&self, server: SocketAddr) -> Self {
        let (schema, password) = (self.schema.clone(), self.password.clone());
        Self { schema, address: server, direct: server, password, ..*self }
    }

    /// The settings of its sink.
    pub(crate) fn settings(&self) -> Vec<(String, String)> {
        let url = |servers: String| format!("postgresql://onrush@{servers}/onrush");
        let servers = [Some(self.address), self.other].into_iter().flatten().map(|server| server.to_string());
        let mut settings = vec![
            ("URL".to_owned(), url(servers.collect::<Vec<_>>().join(","))),
            ("PASSWORD".to_owned(), self.password.clone()),
            ("SCHEMA".to_owned(), self.schema.clone()),
            ("ROWS".to_owned(), self.rows.to_owned()),
        ];
        settings.extend(self.replica.map(|replica| ("REPLICA_URL".to_owned(), url(replica.to_string()))));
        settings
    }

    /// A connection to the server itself whose search path is the schema.
    pub(crate) fn client(&self) -> Result<Client> {
        retried("connect to PostgreSQL", || {
            let mut config = Config::new();
            config
                .host(&self.direct.ip().to_string())
                .port(self.direct.port())
                .user("onrush")
                .dbname("onrush")
                .password(&self.password)
                .connect_timeout(Duration::from_secs(10))
                .options(&format!("-c search_path={} -c statement_timeout=120s", self.schema));
            Ok(config.connect(NoTls)?)
        })
    }

    /// The events from an offset on.
    pub(crate) fn events(&self, from: u64) -> Result<Vec<Stored>> {
        let query = format!(
            "SELECT event_offset, kind, key, to_char(at AT TIME ZONE 'UTC', {TIME}), body::text
             FROM events WHERE event_offset >= $1 ORDER BY event_offset"
        );
        let from = i64::try_from(from).context("an offset fits i64")?;
        let rows = self.client()?.query(&query, &[&from]).context("read events")?;
        rows.iter()
            .map(|row| {
                Ok(Stored {
                    offset: u64::try_from(row.get::<_, i64>(0)).context("an offset below 0")?,
                    kind: row.get(1),
                    key: row.get(2),
                    at: row.get(3),
                    body: row.get(4),
                })
            })
            .collect()
    }

    /// Every reservation of sales that are not archived (or only of those that are), as the server would show it.
    pub(crate) fn reservations(&self, archived: bool) -> Result<Vec<Reservation>> {
        let query = format!(
            "SELECT r.reservation, r.sale, r.customer, r.status, r.lines::text, r.details::text,
                    to_char(r.created_at AT TIME ZONE 'UTC', {TIME}), to_char(r.expires_at AT TIME ZONE 'UTC', {TIME})
             FROM reservations r JOIN sales s USING (sale_no) WHERE (s.archived_at IS NOT NULL) = $1
             ORDER BY r.sale_no, r.reservation_seq"
        );
        let rows = self.client()?.query(&query, &[&archived]).context("read reservations")?;
        rows.iter()
            .map(|row| {
                let status = format!("{:?}", row.get::<_, String>(3));
                let lines: String = row.get(4);
                let details: Option<String> = row.get(5);
                Ok(Reservation {
                    reservation: row.get(0),
                    sale: row.get(1),
                    customer: row.get(2),
                    status: serde_json::from_str::<Status>(&status).context("read a status")?,
                    lines: serde_json::from_str::<Vec<Line>>(&lines).context("read lines")?,
                    details: details.map(|details| serde_json::from_str(&details)).transpose()?,
                    created_at: row.get(6),
                    expires_at: row.get(7),
                })
            })
            .collect()
    }

    /// A query of names and numbers.
    pub(crate) fn numbers(&self, query: &str) -> Result<Vec<(String, u64)>> {
        let rows = self.client()?.query(query, &[]).with_context(|| query.to_owned())?;
        rows.iter()
            .map(|row| {
                let (name, number) = (row.try_get(0)?, row.try_get::<_, i64>(1)?);
                Ok((name, u64::try_from(number).context("a number below 0")?))
            })
            .collect::<Result<_>>()
            .with_context(|| query.to_owned())
    }

    /// A query of one name and one number.
    pub(crate) fn number(&self, query: &str) -> Result<(String, u64)> {
        let mut found = self.numbers(query)?;
        ensure!(found.len() == 1, "{query}: {} rows in {self:?}, not one", found.len());
        Ok(found.remove(0))
    }

    /// Runs statements.
    pub(crate) fn execute(&self, statements: &str) -> Result<()> {
        self.client()?.batch_execute(statements).with_context(|| statements.to_owned())
    }

    /// Makes the whole server read-only, or lets it write again.
    pub(crate) fn refuse(&self, refused: bool) -> Result<()> {
        let setting = if refused {
            "ALTER SYSTEM SET default_transaction_read_only = on"
        } else {
            "ALTER SYSTEM RESET default_transaction_read_only"
        };
        let mut client = self.client()?;
        client.batch_execute(setting).context(setting)?;
        client.batch_execute("SELECT pg_reload_conf()").context("reload the settings")
    }

    /// Removes the schema.
    pub(crate) fn clean(&self) -> Result<()> {
        self.execute(&format!("DROP SCHEMA IF EXISTS {} CASCADE", self.schema))
    }
}

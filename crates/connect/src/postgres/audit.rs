//! Comparing the schema with the log: the events row by row, then every table of current state against the events.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use onrush_sinks::{EXCHANGE_TIMEOUT, SinkEvent, Skipped, Source, TargetError};
use tokio_postgres::types::ToSql;

use super::audit_queries::{COMPARE_EVENTS, COPY_EXPECTED, CREATE_EXPECTED, STATE_QUERIES};
use super::batch::encode_event;
use super::connection::{Connection, within};
use super::copy_rows::CopyRows;
use super::each_server::server_count;
use super::errors::unavailable;
use super::io_thread::IoThread;
use super::jsonb::with_storable;
use super::numbers::bigint;
use super::ownership::check_owner;
use super::servers::address;
use super::settings::Settings;
use crate::{Audit, Findings};

/// Compares a sink's schema with the log. Needs the right to create temporary tables.
pub struct PostgresAuditor {
    settings: Settings,
    link: Option<Link>,
}

/// Events and encoded bytes of a page of what is expected, at most.
const PAGE_EVENTS_MAX: u64 = 10_000;
const PAGE_BYTES_MAX: usize = 8 << 20;
/// Offsets that one query compares.
const STRETCH: u64 = 100_000;
/// Disagreements between two pages that are counted; beyond, the rest of the stretch between the pages is not looked at.
const DISAGREEMENTS_MAX: usize = 1_000_000;
/// Longest time for one query over whole tables.
const QUERY_TIMEOUT: Duration = Duration::from_mins(30);

struct Link {
    io: IoThread,
    connection: Arc<Connection>,
    page: CopyRows,
    page_events: u64,
    /// The page begins here; everything before was compared.
    page_from: u64,
    /// Behind the sink's offset and every expected event.
    to: u64,
    excused: Vec<(u64, u64)>,
    findings: Findings,
}

/// An event on which log and table disagree.
struct Disagreement {
    offset: u64,
    how: String,
    text: String,
}

impl PostgresAuditor {
    /// An auditor that is not connected yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, link: None }
    }

    fn link(&mut self) -> Result<&mut Link, TargetError> {
        self.link.as_mut().ok_or_else(|| TargetError::Unavailable("the database is not connected".to_owned()))
    }
}

impl Audit for PostgresAuditor {
    fn open(&mut self, source: &Source, from: u64, to: u64) -> Result<u64, TargetError> {
        let io = IoThread::start("postgres-audit").map_err(TargetError::Unavailable)?;
        let config = self.settings.primary("onrush reconcile").map_err(TargetError::Refused)?;
        let (settings, source) = (self.settings.clone(), source.clone());
        let (connection, next_offset, note) = io.wait(async move {
            let is_one_of_several = server_count(&config) > 1;
            let connection = Connection::open(&settings, config).await?;
            let next_offset = next_offset(&connection, &settings.schema, &source).await?;
            connection.run("create a temporary table", CREATE_EXPECTED).await?;
            let note = if is_one_of_several { Some(which_server(&connection).await?) } else { None };
            Ok((connection, next_offset, note))
        })?;
        let to = next_offset.unwrap_or(from).min(to).max(from);
        self.link = Some(Link {
            io,
            connection: Arc::new(connection),
            page: CopyRows::default(),
            page_events: 0,
            page_from: from,
            to,
            excused: Vec::new(),
            findings: Findings { notes: note.into_iter().collect(), ..Findings::default() },
        });
        Ok(to)
    }

    fn expect(&mut self, event: &SinkEvent<'_>) -> Result<(), TargetError> {
        let link = self.link()?;
        if event.offset < link.page_from {
            return Ok(());
        }
        // Whoever asks for more than the sink has passed is told what is missing.
        link.to = link.to.max(event.offset + 1);
        link.findings.compared_count += 1;
        with_storable(event, |event| encode_event(&mut link.page, event));
        link.page_events += 1;
        if link.page_events >= PAGE_EVENTS_MAX || link.page.len() >= PAGE_BYTES_MAX {
            link.compare(event.offset + 1)?;
        }
        Ok(())
    }

    fn excuse(&mut self, skipped: &Skipped) -> Result<(), TargetError> {
        self.link()?.excused.push((skipped.from, skipped.to));
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Findings, TargetError> {
        let link = self.link()?;
        link.compare(link.to)?;
        if link.findings.agree() {
            link.compare_state()?;
        } else {
            let note =
                "the other tables were not compared, because the table of events is not as it should be";
            link.findings.notes.push(note.to_owned());
        }
        Ok(std::mem::take(&mut link.findings))
    }
}

impl Link {
    /// Compares the page with the rows from where it begins up to `to`.
    fn compare(&mut self, to: u64) -> Result<(), TargetError> {
        let rows = Bytes::from(self.page.take());
        let from = std::mem::replace(&mut self.page_from, to);
        self.page_events = 0;
        let connection = self.connection.clone();
        let disagreements = self.io.wait(async move { compare_page(&connection, rows, from, to).await })?;
        for disagreement in disagreements {
            let Disagreement { offset, how, text } = disagreement;
            let excused = self.excused.iter().any(|(from, to)| (*from..*to).contains(&offset));
            match how.as_str() {
                "missing" if !excused => self.findings.missing.add(text),
                "unexpected" if !excused => self.findings.unexpected.add(text),
                "different" => self.findings.different.add(text),
                _ => {}
            }
        }
        Ok(())
    }

    /// Compares each table with the events, all as of one moment.
    fn compare_state(&mut self) -> Result<(), TargetError> {
        let connection = self.connection.clone();
        let mut findings = std::mem::take(&mut self.findings);
        self.findings = self.io.wait(async move {
            let doing = "compare the tables with the events";
            connection.run(doing, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
            for query in STATE_QUERIES {
                within(QUERY_TIMEOUT, doing, add_different(&connection, query, &mut findings)).await?;
            }
            connection.run(doing, "COMMIT").await?;
            Ok(findings)
        })?;
        Ok(())
    }
}

/// Of several servers the first that takes writes is read, which need not be the one that the sink writes to.
async fn which_server(connection: &Connection) -> Result<String, TargetError> {
    Ok(format!("read from the server at {}, the first of url that takes writes", address(connection).await?))
}

/// The offset up to which the sink has written; `None` if it never has.
async fn next_offset(
    connection: &Connection,
    schema: &str,
    source: &Source,
) -> Result<Option<u64>, TargetError> {
    let settings = format!("SET statement_timeout = '{}s'; SET work_mem = '64MB'", QUERY_TIMEOUT.as_secs());
    connection.run("prepare the session", &settings).await?;
    let doing = "read the sink's offset";
    let owners = connection.client().query("SELECT sink, log_id, partition, next_offset FROM sinks", &[]);
    let owners = owners.await.map_err(|error| unavailable(doing, &error))?;
    let Some(owner) = owners.first() else { return Ok(None) };
    let partition = i32::try_from(source.partition).unwrap_or(i32::MAX);
    check_owner(schema, source, partition, owner)?;
    Ok(owner.get::<_, Option<i64>>(3).map(i64::cast_unsigned))
}

/// What is different in a page, a stretch of offsets at a time, so that not even a table full of surprises is too much.
async fn compare_page(
    connection: &Connection,
    rows: Bytes,
    from: u64,
    to: u64,
) -> Result<Vec<Disagreement>, TargetError> {
    let doing = "compare events";
    connection.run(doing, "TRUNCATE pg_temp.expected").await?;
    let client = connection.client();
    let copied = within(EXCHANGE_TIMEOUT, doing, async {
        if !rows.is_empty() {
            let sink = client.copy_in::<_, Bytes>(COPY_EXPECTED).await;
            let mut sink = pin!(sink.map_err(|error| unavailable(doing, &error))?);
            sink.feed(rows).await.map_err(|error| unavailable(doing, &error))?;
            sink.as_mut().finish().await.map_err(|error| unavailable(doing, &error))?;
        }
        Ok(())
    });
    copied.await?;
    let mut disagreements = Vec::new();
    let mut start = from;
    while start < to && disagreements.len() < DISAGREEMENTS_MAX {
        let end = to.min(start + STRETCH);
        let bounds: [&(dyn ToSql + Sync); 2] = [&bigint(start), &bigint(end)];
        let compared = within(QUERY_TIMEOUT, doing, async {
            client.query(COMPARE_EVENTS, &bounds).await.map_err(|error| unavailable(doing, &error))
        });
        disagreements.extend(compared.await?.iter().map(|row| Disagreement {
            offset: row.get::<_, i64>(0).cast_unsigned(),
            how: row.get(1),
            text: row.get(2),
        }));
        start = end;
    }
    Ok(disagreements)
}

/// Adds what a query over tables of state finds, a row and a text for each disagreement.
async fn add_different(
    connection: &Connection,
    query: &str,
    findings: &mut Findings,
) -> Result<(), TargetError> {
    let failed = |error| unavailable("compare the tables with the events", &error);
    let none: [&(dyn ToSql + Sync); 0] = [];
    let rows = connection.client().query_raw(query, none).await.map_err(failed)?;
    let mut rows = pin!(rows);
    while let Some(row) = rows.next().await {
        findings.different.add(row.map_err(failed)?.get::<_, String>(0));
    }
    Ok(())
}

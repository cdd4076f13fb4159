//! Reading the rows that readers or changes ask for, over some connections of their own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use onrush_core::Row;
use onrush_node::catalog::{Fetch, Snapshot, SourceRows};
use onrush_sinks::{EXCHANGE_TIMEOUT, TargetError};
use tokio::sync::Notify;
use tokio_postgres::Statement;

use super::connecting::{connect, now};
use super::inspection::key_type;
use super::settings::SourceSettings;
use super::statements::{self, KeyType};
use crate::postgres::connection::{Connection, within};
use crate::postgres::errors::unavailable;

/// Keys of one statement.
const KEYS_PER_FETCH_MAX: usize = 1_000;

/// After a connection that failed the next is not tried for so long. Whoever asks meanwhile is told at once.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// After a read that did not see a change yet that the feed has told of.
pub(super) const UNSEEN_PAUSE: Duration = Duration::from_millis(2);

/// Reads whatever is wanted, for ever.
pub(super) async fn fetch_all(settings: Arc<SourceSettings>, rows: Arc<SourceRows>, wanted: Arc<Notify>) {
    let mut reader = None;
    let mut failed_at: Option<(Instant, String)> = None;
    loop {
        let Some(fetch) = rows.begin_fetch(KEYS_PER_FETCH_MAX) else {
            wanted.notified().await;
            continue;
        };
        // If more is wanted than one statement takes, another connection reads it.
        wanted.notify_one();
        if let Some((at, why)) = &failed_at
            && now().saturating_duration_since(*at) < RETRY_INTERVAL
        {
            let why = why.clone();
            rows.fail_fetch(fetch, why);
            tokio::time::sleep(RETRY_INTERVAL / 10).await;
            continue;
        }
        match read(&settings, &mut reader, &fetch).await {
            Ok(found) => {
                failed_at = None;
                let was_early = rows.end_fetch(fetch, &found.snapshot, found.rows, now());
                if let Some(problem) = found.problem {
                    rows.report(problem);
                }
                if was_early {
                    tokio::time::sleep(UNSEEN_PAUSE).await;
                }
            }
            Err(error) => {
                reader = None;
                failed_at = Some((now(), error.to_string()));
                rows.fail_fetch(fetch, error.to_string());
            }
        }
    }
}

/// A connection that reads rows.
struct Reader {
    connection: Connection,
    statement: Statement,
    key_type: KeyType,
}

/// What a statement found.
struct Found {
    snapshot: Snapshot,
    rows: Vec<Row>,
    /// Why a row was left out.
    problem: Option<String>,
}

async fn read(
    settings: &SourceSettings,
    reader: &mut Option<Reader>,
    fetch: &Fetch,
) -> Result<Found, TargetError> {
    let reader = match reader {
        Some(reader) => reader,
        None => reader.insert(Reader::open(settings).await?),
    };
    reader.read(fetch).await
}

impl Reader {
    async fn open(settings: &SourceSettings) -> Result<Self, TargetError> {
        let connection = connect(settings, "onrush catalog reader").await?;
        let key_type = key_type(connection.client(), settings).await?;
        let doing = "prepare the query";
        let statement = within(EXCHANGE_TIMEOUT, doing, async {
            let statement = connection.client().prepare(&statements::fetch(settings, key_type)).await;
            statement.map_err(|error| unavailable(doing, &error))
        });
        let statement = statement.await?;
        Ok(Self { connection, statement, key_type })
    }

    async fn read(&self, fetch: &Fetch) -> Result<Found, TargetError> {
        let keys: Vec<&str> =
            fetch.keys.iter().map(AsRef::as_ref).filter(|key| self.key_type.can_be(key)).collect();
        let doing = "read rows";
        let lines = within(EXCHANGE_TIMEOUT, doing, async {
            let lines = self.connection.client().query(&self.statement, &[&keys]).await;
            lines.map_err(|error| unavailable(doing, &error))
        });
        let lines = lines.await?;
        let snapshot = snapshot_of(&lines)?;
        let (mut rows, mut problem) = (Vec::with_capacity(lines.len()), None);
        for line in &lines {
            let (Some(key), Some(json)) = (line.get::<_, Option<&str>>(1), line.get::<_, Option<&str>>(2))
            else {
                continue;
            };
            match statements::row(key, json) {
                Ok(row) => rows.push(row),
                Err(why) => problem = Some(why),
            }
        }
        Ok(Found { snapshot, rows, problem })
    }
}

/// What the statement saw whose lines these are, as its first column says.
pub(super) fn snapshot_of(lines: &[tokio_postgres::Row]) -> Result<Snapshot, TargetError> {
    let text = lines.first().map(|line| line.get::<_, &str>(0));
    text.and_then(Snapshot::parse)
        .ok_or_else(|| TargetError::Unavailable("the server did not tell what a statement saw".to_owned()))
}

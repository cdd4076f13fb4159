//! Reading the rows that readers or changes ask for, over some connections of their own.

use std::sync::Arc;
use std::time::Duration;

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
use crate::postgres::errors::{of_rows, unavailable};

/// Keys of one statement.
const KEYS_PER_FETCH_MAX: usize = 256;

/// After a connection failed nothing is taken for so long.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// Pauses after a statement that did not see a change yet that the feed has told of: the first, and the longest.
pub(super) const UNSEEN_PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));

/// Reads whatever is wanted, for ever.
pub(super) async fn fetch_all(settings: Arc<SourceSettings>, rows: Arc<SourceRows>, wanted: Arc<Notify>) {
    let mut reader = None;
    let mut pause = UNSEEN_PAUSES.0;
    loop {
        let Some(fetch) = rows.begin_fetch(KEYS_PER_FETCH_MAX) else {
            wanted.notified().await;
            continue;
        };
        // If more is wanted than one statement takes, another connection reads it.
        wanted.notify_one();
        match fetch_once(&settings, &rows, &mut reader, fetch).await {
            Outcome::Done => pause = UNSEEN_PAUSES.0,
            Outcome::TooEarly => {
                tokio::time::sleep(pause).await;
                pause = (2 * pause).min(UNSEEN_PAUSES.1);
            }
            Outcome::Failed(_) => tokio::time::sleep(RETRY_INTERVAL).await,
        }
    }
}

/// What came of a read.
enum Outcome {
    Done,
    /// Something that was told was not seen.
    TooEarly,
    /// The source did not answer, for this reason.
    Failed(String),
}

/// Reads these keys, each alone if one of them makes the whole statement fail.
async fn fetch_once(
    settings: &SourceSettings,
    rows: &SourceRows,
    reader: &mut Option<Reader>,
    fetch: Fetch,
) -> Outcome {
    match read(settings, reader, &fetch).await {
        Err(TargetError::Rejected { .. }) if fetch.keys.len() > 1 => {
            fetch_each(settings, rows, reader, fetch).await
        }
        found => take(rows, fetch, found),
    }
}

async fn fetch_each(
    settings: &SourceSettings,
    rows: &SourceRows,
    reader: &mut Option<Reader>,
    Fetch { life, keys }: Fetch,
) -> Outcome {
    let mut outcome = Outcome::Done;
    for key in keys {
        let alone = Fetch { life, keys: vec![key] };
        // Once the source does not answer, it is not asked for the others.
        if let Outcome::Failed(why) = &outcome {
            rows.fail_fetch(alone, why.clone());
            continue;
        }
        let found = read(settings, reader, &alone).await;
        match take(rows, alone, found) {
            Outcome::Done => {}
            other => outcome = other,
        }
    }
    outcome
}

/// Passes on what was found of these keys.
fn take(rows: &SourceRows, fetch: Fetch, found: Result<Found, TargetError>) -> Outcome {
    match found {
        Ok(Found { snapshot, rows: found, problem }) => {
            let was_early = rows.end_fetch(fetch, &snapshot, found, now());
            if let Some(problem) = problem {
                rows.report(problem);
            }
            if was_early { Outcome::TooEarly } else { Outcome::Done }
        }
        Err(TargetError::Rejected { reason, .. }) => {
            let why = format!("the row of {:?} cannot be read: {reason}", fetch.keys[0]);
            rows.give_up(&fetch, why, now());
            Outcome::Done
        }
        Err(error) => {
            rows.fail_fetch(fetch, error.to_string());
            Outcome::Failed(error.to_string())
        }
    }
}

/// A connection that reads rows.
struct Reader {
    connection: Connection,
    statement: Statement,
    key_type: KeyType,
    /// In which life of the collection it was opened. The key may have another type in the next.
    life: u64,
}

/// What a statement found.
struct Found {
    snapshot: Snapshot,
    rows: Vec<Row>,
    /// Why a row was left out.
    problem: Option<String>,
}

/// Reads over the connection that there is, or another.
async fn read(
    settings: &SourceSettings,
    reader: &mut Option<Reader>,
    fetch: &Fetch,
) -> Result<Found, TargetError> {
    if let Some(open) = reader.take_if(|reader| reader.life == fetch.life) {
        let found = open.read(fetch).await;
        // A connection that rested may have been closed meanwhile, which says nothing of the source.
        if !open.is_closed() {
            *reader = Some(open).filter(|_| is_answered(&found));
            return found;
        }
    }
    let open = Reader::open(settings, fetch.life).await?;
    let found = open.read(fetch).await;
    *reader = Some(open).filter(|_| is_answered(&found));
    found
}

/// Whether the source has answered, so that the connection can be asked again.
fn is_answered(found: &Result<Found, TargetError>) -> bool {
    matches!(found, Ok(_) | Err(TargetError::Rejected { .. }))
}

impl Reader {
    async fn open(settings: &SourceSettings, life: u64) -> Result<Self, TargetError> {
        let connection = connect(settings, "onrush catalog reader").await?;
        let key_type = key_type(connection.client(), settings).await?;
        let doing = "prepare the query";
        let statement = within(EXCHANGE_TIMEOUT, doing, async {
            let statement = connection.client().prepare(&statements::fetch(settings, key_type)).await;
            statement.map_err(|error| unavailable(doing, &error))
        });
        let statement = statement.await?;
        Ok(Self { connection, statement, key_type, life })
    }

    fn is_closed(&self) -> bool {
        self.connection.client().is_closed()
    }

    async fn read(&self, fetch: &Fetch) -> Result<Found, TargetError> {
        let keys: Vec<&str> =
            fetch.keys.iter().map(AsRef::as_ref).filter(|key| self.key_type.can_be(key)).collect();
        let doing = "read rows";
        let lines = within(EXCHANGE_TIMEOUT, doing, async {
            let lines = self.connection.client().query(&self.statement, &[&keys]).await;
            lines.map_err(|error| of_rows(doing, &error))
        });
        let lines = lines.await?;
        let snapshot = statements::snapshot_of(&lines)?;
        let (mut rows, mut problem) = (Vec::with_capacity(lines.len()), None);
        for line in &lines {
            match statements::row(line.get(1), line.get(2)) {
                Ok(row) => rows.extend(row),
                Err(why) => problem = Some(why),
            }
        }
        Ok(Found { snapshot, rows, problem })
    }
}

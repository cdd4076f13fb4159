//! Who writes a schema. A runner that opens it raises the fence in the row of its sink; every transaction names the fence and
//! the offset that it goes on from, so that of two runners only the newer gets anything in, and no batch gets in twice.

use std::hash::{BuildHasher, RandomState};

use onrush_core::Incarnation;
use onrush_sinks::{Source, TargetError};
use tokio_postgres::Row;

use super::connection::Connection;
use super::errors::unavailable;
use super::migrations::lock_statement;
use super::numbers::bigint;
use super::session::Session;

/// What a runner holds after it took a schema over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fence {
    pub(super) number: i64,
    /// Offset of the first event that is not in the schema; `None` if none ever was.
    pub(super) next_offset: Option<i64>,
    /// Id of the next row of `counter_history`.
    pub(super) next_row_id: i64,
    /// In which the event before that offset was decided, if that was ever written.
    pub(super) incarnation: Option<Incarnation>,
}

/// The name of one target in one process, to tell it from others of the same sink.
pub(super) fn runner_name() -> String {
    // Every state of the standard library's hash maps has random keys of its own.
    format!("{:016x}", RandomState::new().hash_one("runner"))
}

/// Takes the schema over from whoever wrote to it before. `resumes` says that `runner` held it when its connection broke: then
/// it goes on only if nobody else took over meanwhile, so that two runners do not fence each other in turns. The fence is above
/// `left_fence`, too, which is that of the server that was written to last.
pub(super) async fn take_over(
    connection: &Connection,
    schema: &str,
    source: &Source,
    runner: &str,
    resumes: bool,
    left_fence: u64,
) -> Result<Fence, TargetError> {
    let doing = "take the schema over";
    connection.run(doing, &format!("BEGIN; {}", lock_statement(schema))).await?;
    let partition = i32::try_from(source.partition)
        .map_err(|_| TargetError::Refused(format!("partition {} is too large", source.partition)))?;
    let client = connection.client();
    let owners = "SELECT sink, log_id, partition, runner FROM sinks";
    let owners = client.query(owners, &[]).await.map_err(|error| unavailable(doing, &error))?;
    if owners.is_empty() {
        check_that_nothing_was_written(connection, schema, source).await?;
    }
    for owner in &owners {
        check_owner(schema, source, partition, owner)?;
        if resumes && owner.get::<_, &str>(3) != runner {
            return Err(fenced(&source.sink));
        }
    }
    let take = "INSERT INTO sinks AS s (sink, log_id, partition, fence, runner, next_row_id, updated_at)
         VALUES ($1, $2, $3, $5::bigint + 1, $4, 1, now())
         ON CONFLICT (sink) DO UPDATE SET fence = greatest(s.fence, $5) + 1, runner = $4, updated_at = now()
         RETURNING fence, next_offset, next_row_id, incarnation";
    let left_fence = bigint(left_fence);
    let taken =
        client.query_one(take, &[&source.sink, &source.log_id, &partition, &runner, &left_fence]).await;
    let taken = taken.map_err(|error| unavailable(doing, &error))?;
    let incarnation = taken.get::<_, Option<i64>>(3).map(|number| {
        let out_of_range = |_| {
            TargetError::Refused(format!("incarnation {number} in {schema}.sinks is none: set it to null"))
        };
        u32::try_from(number).map(Incarnation).map_err(out_of_range)
    });
    let fence = Fence {
        number: taken.get(0),
        next_offset: taken.get(1),
        next_row_id: taken.get(2),
        incarnation: incarnation.transpose()?,
    };
    connection.run(doing, "COMMIT").await?;
    Ok(fence)
}

/// Whether the schema is this sink's own.
pub(super) fn check_owner(
    schema: &str,
    source: &Source,
    partition: i32,
    owner: &Row,
) -> Result<(), TargetError> {
    let (sink, log_id): (&str, &str) = (owner.get(0), owner.get(1));
    if log_id != source.log_id || owner.get::<_, i32>(2) != partition {
        return Err(TargetError::Refused(format!(
            "schema {schema} belongs to log {log_id}, partition {}, and this is log {}, partition {partition}: \
             use another schema or database",
            owner.get::<_, i32>(2),
            source.log_id
        )));
    }
    if sink != source.sink {
        return Err(TargetError::Refused(format!(
            "schema {schema} belongs to the sink {sink}, and this is the sink {}: use another schema, or rename \
             it there (UPDATE {schema}.sinks SET sink = …)",
            source.sink
        )));
    }
    Ok(())
}

/// A schema that has events and does not say up to where cannot be gone on with.
async fn check_that_nothing_was_written(
    connection: &Connection,
    schema: &str,
    source: &Source,
) -> Result<(), TargetError> {
    let written = connection.client().query_one("SELECT EXISTS (SELECT FROM events)", &[]).await;
    if !written.map_err(|error| unavailable("look for events", &error))?.get::<_, bool>(0) {
        return Ok(());
    }
    let Source { log_id, partition, sink, .. } = source;
    Err(TargetError::Refused(format!(
        "the table {schema}.sinks, which says up to where events are in the schema, is empty, and {schema}.events is \
         not: it was truncated, or restored without its rows. Either put the row back with INSERT INTO {schema}.sinks \
         (sink, log_id, partition, fence, runner, next_offset, next_row_id, updated_at) SELECT '{sink}', '{log_id}', \
         {partition}, extract(epoch FROM now())::bigint, '', max(event_offset) + 1, (SELECT coalesce(max(id), 0) + 1 \
         FROM {schema}.counter_history), now() FROM {schema}.events; or drop the schema, which gets all that the log \
         still has. Then `onrush sinks retry {sink}`"
    )))
}

/// Why a batch found no row of its sink with its fence and the offset that it goes on from.
pub(super) async fn why_not_advanced(session: &Session, from: Option<i64>) -> TargetError {
    let Session { connection, schema, sink, fence, .. } = session;
    let query = "SELECT fence, next_offset FROM sinks WHERE sink = $1";
    match connection.client().query_opt(query, &[sink]).await {
        Err(error) => unavailable("read the sink's row", &error),
        Ok(None) => TargetError::Unavailable(format!(
            "the row of this sink in {schema}.sinks is gone: the table was truncated, or the row was deleted"
        )),
        Ok(Some(row)) if row.get::<_, i64>(0) != *fence => fenced(sink),
        Ok(Some(row)) => TargetError::Refused(format!(
            "next_offset in {schema}.sinks is {}, and this sink had left it at {}: somebody changed it. Put it back, or \
             `onrush sinks retry {sink}` to go on from where it is now",
            shown(row.get(1)),
            shown(from)
        )),
    }
}

fn shown(offset: Option<i64>) -> String {
    offset.map_or_else(|| "null".to_owned(), |offset| offset.to_string())
}

/// What a runner is told whose fence is no longer the newest.
pub(super) fn fenced(sink: &str) -> TargetError {
    TargetError::Refused(format!(
        "another runner took over: it opened this schema after this one. If this one is to write to it, end the other, then \
         `onrush sinks retry {sink}`"
    ))
}

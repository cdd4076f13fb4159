//! Who writes a schema. A runner that opens it raises the fence in the row of its sink; every transaction names the fence and
//! the offset that it goes on from, so that of two runners only the newer gets anything in, and no batch gets in twice.

use std::hash::{BuildHasher, RandomState};

use onrush_sinks::{Source, TargetError};
use tokio_postgres::Row;

use super::connection::Connection;
use super::errors::unavailable;
use super::migrations::lock_statement;

/// What a runner holds after it took a schema over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tenure {
    pub(super) fence: i64,
    /// Offset of the first event that is not in the schema; `None` if none ever was.
    pub(super) next_offset: Option<i64>,
    /// Id of the next row of `counter_history`.
    pub(super) next_row_id: i64,
}

/// The name of one target in one process, to tell it from others of the same sink.
pub(super) fn runner_name() -> String {
    // Every state of the standard library's hash maps has random keys of its own.
    format!("{:016x}", RandomState::new().hash_one("runner"))
}

/// Takes the schema over from whoever wrote to it before. `resumes` says that `runner` held it when its connection broke: then
/// it goes on only if nobody else took over meanwhile, so that two runners do not depose each other in turns.
pub(super) async fn take_over(
    connection: &Connection,
    schema: &str,
    source: &Source,
    runner: &str,
    resumes: bool,
) -> Result<Tenure, TargetError> {
    let doing = "take the schema over";
    connection.run(doing, &format!("BEGIN; {}", lock_statement(schema))).await?;
    let partition = i32::try_from(source.partition)
        .map_err(|_| TargetError::Refused(format!("partition {} is too large", source.partition)))?;
    let client = connection.client();
    let owners = "SELECT sink, log_id, partition, runner FROM sinks";
    let owners = client.query(owners, &[]).await.map_err(|error| unavailable(doing, &error))?;
    for owner in &owners {
        check_owner(schema, source, partition, owner)?;
        if resumes && owner.get::<_, &str>(3) != runner {
            return Err(deposed());
        }
    }
    let take = "INSERT INTO sinks AS s (sink, log_id, partition, fence, runner, next_row_id, updated_at)
         VALUES ($1, $2, $3, 1, $4, 1, now())
         ON CONFLICT (sink) DO UPDATE SET fence = s.fence + 1, runner = $4, updated_at = now()
         RETURNING fence, next_offset, next_row_id";
    let taken = client.query_one(take, &[&source.sink, &source.log_id, &partition, &runner]).await;
    let taken = taken.map_err(|error| unavailable(doing, &error))?;
    let tenure = Tenure { fence: taken.get(0), next_offset: taken.get(1), next_row_id: taken.get(2) };
    connection.run(doing, "COMMIT").await?;
    Ok(tenure)
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

/// What a runner is told whose fence is no longer the newest.
pub(super) fn deposed() -> TargetError {
    TargetError::Refused(
        "another runner took over: it wrote to this schema after this one opened it".to_owned(),
    )
}

//! Reading all rows of a collection, as one snapshot of the source has them.

use std::pin::pin;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use onrush_node::catalog::{Snapshot, SourceRows};
use onrush_sinks::TargetError;
use tokio_postgres::Client;

use super::connecting::connect;
use super::inspection::ask;
use super::interruption::Interruption;
use super::settings::SourceSettings;
use super::statements;
use crate::postgres::errors::unavailable;

/// Rows between two reports of how far it is, and two chances for whatever else runs on the thread.
const ROWS_PER_REPORT: u64 = 256;

/// Between two snapshots, if the first came too early.
const SNAPSHOT_PAUSE: Duration = Duration::from_millis(100);

/// Rows between two messages: some seconds of loading.
const ROWS_PER_MESSAGE: u64 = 1_024 * ROWS_PER_REPORT;

/// Reads all rows, or as many as there is room for, as they are once all transactions below the number `after` have ended. Without `loads`
/// none: they are read when they are asked for.
pub(super) async fn load(
    collection: &str,
    settings: &SourceSettings,
    rows: &SourceRows,
    after: u64,
) -> Result<(), Interruption> {
    let connection = connect(settings, "onrush catalog loader").await?;
    connection
        .run("begin to load", "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")
        .await?;
    let client = connection.client();
    let snapshot = snapshot_after(client, rows, after).await?;
    let mut loaded = rows.begin_load(snapshot);
    let mut count = 0_u64;
    if settings.loads {
        let doing = "load rows";
        let failed = |error| Interruption::from(unavailable(doing, &error));
        let lines = client.query_raw(&statements::load(settings), [0_i32; 0]).await.map_err(failed)?;
        let mut lines = pin!(lines);
        while let Some(line) = lines.try_next().await.map_err(failed)? {
            match statements::row(line.get(0), line.get(1)) {
                Ok(None) => {}
                Ok(Some(row)) => {
                    if !loaded.insert(row) {
                        break;
                    }
                    count += 1;
                }
                Err(why) => rows.report(why),
            }
            if count.is_multiple_of(ROWS_PER_REPORT) {
                rows.loading(count);
                if count.is_multiple_of(ROWS_PER_MESSAGE) && count > 0 {
                    tracing::info!("catalog {collection}: {count} rows were loaded so far");
                }
                tokio::task::yield_now().await;
            }
        }
    } else {
        loaded.leave_out();
    }
    if !rows.end_load(loaded) {
        return Err(Interruption::Lost(
            "something changed meanwhile that does not say of which rows".to_owned(),
        ));
    }
    tracing::info!("catalog {collection}: {count} rows were loaded");
    Ok(())
}

/// Begins a transaction whose snapshot comes after all transactions below this number, which a new slot may not tell of: they were on
/// the disk before it, and are seen when whoever wrote them is told.
async fn snapshot_after(client: &Client, rows: &SourceRows, after: u64) -> Result<Snapshot, TargetError> {
    const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    let doing = "begin to load";
    loop {
        client.batch_execute(BEGIN).await.map_err(|error| unavailable(doing, &error))?;
        let snapshot = statements::snapshot_of(&ask(client, doing, statements::SNAPSHOT, &[]).await?)?;
        if snapshot.sees_all_below(after) {
            return Ok(snapshot);
        }
        client.batch_execute("ROLLBACK").await.map_err(|error| unavailable(doing, &error))?;
        rows.report(
            "loading waits for transactions that were open when the replication slot was made".to_owned(),
        );
        tokio::time::sleep(SNAPSHOT_PAUSE).await;
    }
}

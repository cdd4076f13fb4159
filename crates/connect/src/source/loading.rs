//! Reading all rows of a collection, as one snapshot of the source has them.

use std::pin::pin;

use futures_util::TryStreamExt as _;
use onrush_node::catalog::{Snapshot, SourceRows};
use onrush_sinks::TargetError;

use super::connecting::connect;
use super::inspection::ask_one;
use super::interruption::Interruption;
use super::settings::SourceSettings;
use super::statements;
use crate::postgres::errors::unavailable;

/// Rows between two reports of how far it is, and two chances for whatever else runs on the thread.
const ROWS_PER_REPORT: u64 = 256;

/// Rows between two messages: some seconds of loading.
const ROWS_PER_MESSAGE: u64 = 1_024 * ROWS_PER_REPORT;

/// Reads all rows, or as many as there is room for. Without `loads` none: they are read when they are asked for.
pub(super) async fn load(
    collection: &str,
    settings: &SourceSettings,
    rows: &SourceRows,
) -> Result<(), Interruption> {
    let connection = connect(settings, "onrush catalog loader").await?;
    connection
        .run("begin to load", "SET statement_timeout = 0; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .await?;
    let client = connection.client();
    let seen = ask_one(client, "begin to load", "SELECT pg_current_snapshot()::text", &[]).await?;
    let snapshot = Snapshot::parse(seen.get(0))
        .ok_or_else(|| TargetError::Unavailable("the server did not tell what a statement saw".to_owned()))?;
    let mut loaded = rows.begin_load(snapshot);
    let mut count = 0_u64;
    if settings.loads {
        let doing = "load rows";
        let failed = |error| Interruption::from(unavailable(doing, &error));
        let lines = client.query_raw(&statements::load(settings), [0_i32; 0]).await.map_err(failed)?;
        let mut lines = pin!(lines);
        while let Some(line) = lines.try_next().await.map_err(failed)? {
            let (Some(key), Some(json)) = (line.get::<_, Option<&str>>(0), line.get::<_, Option<&str>>(1))
            else {
                continue;
            };
            match statements::row(key, json) {
                Ok(row) => {
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
        return Err(Interruption::Lost("too much changed meanwhile".to_owned()));
    }
    tracing::info!("catalog {collection}: {count} rows were loaded");
    Ok(())
}

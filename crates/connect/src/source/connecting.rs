//! Connections to the source that run statements, and the clock that answers are measured by.

use std::time::Instant;

use onrush_sinks::TargetError;

use super::settings::SourceSettings;
use crate::postgres::connection::Connection;

/// What a statement gives up after. The server gives up before the client does.
pub(super) const TIMEOUTS: &str = "SET statement_timeout = '25s'; SET lock_timeout = '10s'";

/// A connection whose statements give up before the client does, and which changes nothing.
pub(super) async fn connect(settings: &SourceSettings, application: &str) -> Result<Connection, TargetError> {
    let connection = connect_to_write(settings, application).await?;
    connection.run("prepare the session", "SET default_transaction_read_only = on").await?;
    Ok(connection)
}

/// The same for one that may change something.
pub(super) async fn connect_to_write(
    settings: &SourceSettings,
    application: &str,
) -> Result<Connection, TargetError> {
    let database = settings.database();
    let config = database.primary(application).map_err(TargetError::Unavailable)?;
    let connection = Connection::connect(&database, config).await?;
    connection
        .run(
            "prepare the session",
            &format!("{TIMEOUTS}; SET idle_in_transaction_session_timeout = '30s'; \
             SET client_min_messages = warning; SET default_transaction_isolation = 'read committed'; SET jit = off; \
             SET datestyle = iso; SET timezone = 'UTC'"),
        )
        .await?;
    Ok(connection)
}

/// The moment that answers are measured by.
#[allow(clippy::disallowed_methods, reason = "how old rows are is counted from when the source was asked")]
pub(super) fn now() -> Instant {
    Instant::now()
}

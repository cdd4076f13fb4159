//! Which of several servers answers, and whether it has what another had confirmed. What is looked at is there since the first
//! version of the schema, so that a server that was left behind is told before anything is changed on it.

use onrush_sinks::{Confirmed, Expected, TargetError};

use super::connection::Connection;
use super::errors::unavailable;

/// An error if the server is another than the one that `expected` tells of, and lacks something of what that had; or if it does not
/// know of the fence that was `held` when the connection broke, wherever it answers.
pub(super) async fn check_not_left_behind(
    connection: &Connection,
    schema: &str,
    sink: &str,
    expected: &Expected,
    held: Option<u64>,
) -> Result<(), TargetError> {
    if expected.confirmed.is_none() && held.is_none() {
        return Ok(());
    }
    let found = confirmed(connection, schema, sink).await?;
    expected.check(&found, sink).map_err(TargetError::LeftBehind)?;
    let Confirmed { server, fence, .. } = found;
    // Without a row there is nothing to go back to: it says why when it is taken over.
    if fence == 0 || held.is_none_or(|held| fence >= held) {
        return Ok(());
    }
    Err(TargetError::LeftBehind(format!(
        "{server} does not know of the sink's last connection there: either its address leads to another server now, which was left \
         behind, or it lost what it had. Nothing was written to it. Let the right server answer, or go on with this one, which gets the \
         missing events again; in both cases run `onrush sinks retry {sink}`"
    )))
}

/// Address and port of the server, as it sees them.
pub(super) async fn address(connection: &Connection) -> Result<String, TargetError> {
    let query = "SELECT coalesce(host(inet_server_addr()) || ':' || inet_server_port(), 'a unix socket')";
    let row = connection.client().query_one(query, &[]).await;
    Ok(row.map_err(|error| unavailable("read the address of the server", &error))?.get(0))
}

/// What the server has of a sink; a schema that is not there has nothing.
async fn confirmed(connection: &Connection, schema: &str, sink: &str) -> Result<Confirmed, TargetError> {
    let doing = "read what the server has";
    let mut confirmed = Confirmed { server: address(connection).await?, offset: 0, fence: 0 };
    let client = connection.client();
    let table = format!("\"{schema}\".sinks");
    let is_there = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&table]).await;
    if !is_there.map_err(|error| unavailable(doing, &error))?.get::<_, bool>(0) {
        return Ok(confirmed);
    }
    let query = "SELECT coalesce(next_offset, 0), fence FROM sinks WHERE sink = $1";
    if let Some(row) = client.query_opt(query, &[&sink]).await.map_err(|error| unavailable(doing, &error))? {
        confirmed.offset = row.get::<_, i64>(0).cast_unsigned();
        confirmed.fence = row.get::<_, i64>(1).cast_unsigned();
    }
    Ok(confirmed)
}

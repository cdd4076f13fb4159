//! A connection to Redis that never waits longer than a sink may, and what its errors mean for a sink.

use std::time::Duration;

use ::redis::{Connection, ErrorKind, RedisError, Value};
use onrush_sinks::{PATIENCE, TargetError};

use super::Settings;

/// Longest wait for the connection, and for each of the three answers to a login: [`PATIENCE`] together.
const CONNECT_PATIENCE: Duration = Duration::from_secs(7);

/// Connects and logs in.
pub(super) fn connect(settings: &Settings) -> Result<Connection, TargetError> {
    let info = settings.connection_info().map_err(TargetError::Unavailable)?;
    if settings.url.starts_with("rediss:") {
        // The client takes the process's default provider and panics if there is none; a second call changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let doing = format!("connect to Redis at {}", info.addr());
    let failed = |error| unavailable(&doing, &error);
    let client = ::redis::Client::open(info).map_err(failed)?;
    let connection = client.get_connection_with_timeout(CONNECT_PATIENCE).map_err(failed)?;
    // These bound every read and write, not the whole exchange: a slow line may take its time as long as it moves.
    connection.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    connection.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
    Ok(connection)
}

/// What to do about an error of Redis: a key of a wrong type is for people, everything else may pass by itself or is mended
/// in the server (no memory, read-only, loading, rights).
pub(super) fn unavailable(doing: &str, error: &RedisError) -> TargetError {
    if error.code() == Some("WRONGTYPE") {
        return TargetError::Refused(format!("{doing}: a key of the sink holds something else: {error}"));
    }
    if matches!(error.kind(), ErrorKind::Io) && error.is_timeout() {
        return TargetError::Unavailable(format!("{doing}: no answer within {} s", PATIENCE.as_secs()));
    }
    TargetError::Unavailable(format!("{doing}: {error}"))
}

/// The next answer; an error that the server sent is an error.
pub(super) fn receive(connection: &mut Connection, doing: &str) -> Result<Value, TargetError> {
    let answer = connection.recv_response().and_then(Value::extract_error);
    answer.map_err(|error| unavailable(doing, &error))
}

/// The text of an answer that is one.
pub(super) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

pub(super) fn not_understood(doing: &str) -> TargetError {
    TargetError::Unavailable(format!("{doing}: an answer that no Redis gives"))
}

/// Appends one argument of a command: a bulk string of RESP2.
pub(super) fn write_argument(out: &mut Vec<u8>, argument: &[u8]) {
    write_number(out, b'$', argument.len());
    out.extend_from_slice(argument);
    out.extend_from_slice(b"\r\n");
}

/// Appends the beginning of a command of so many arguments.
pub(super) fn write_command(out: &mut Vec<u8>, argument_count: usize) {
    write_number(out, b'*', argument_count);
}

fn write_number(out: &mut Vec<u8>, sign: u8, number: usize) {
    use std::io::Write as _;
    out.push(sign);
    write!(out, "{number}\r\n").expect("writing to memory succeeds");
}

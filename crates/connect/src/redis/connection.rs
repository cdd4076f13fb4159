//! A connection to Redis that never waits longer than a sink may, and what its errors mean for a sink.

use std::io;
use std::time::Duration;

use ::redis::{ErrorKind, Parser, RedisError, Value};
use onrush_sinks::{EXCHANGE_TIMEOUT, TargetError};

use super::Settings;
use super::stream::Stream;
use crate::tls;

/// Longest wait for the connection, and for each of the three answers to a login: [`EXCHANGE_TIMEOUT`] together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(7);

/// A connection that is logged in.
pub(super) struct Connection {
    stream: Stream,
    parser: Parser,
}

/// Connects and logs in.
pub(super) fn connect(settings: &Settings) -> Result<Connection, TargetError> {
    let info = settings.connection_info().map_err(TargetError::Unavailable)?;
    let doing = format!("connect to Redis at {}", info.addr());
    let stream = Stream::connect(info.addr(), &settings.tls, CONNECT_TIMEOUT);
    let stream = stream.map_err(|error| lost(&doing, &error, CONNECT_TIMEOUT))?;
    let mut connection = Connection { stream, parser: Parser::new() };
    let login = info.redis_settings();
    if let Some(password) = login.password() {
        let words: Vec<&str> = ["AUTH"].into_iter().chain(login.username()).chain([password]).collect();
        connection.log_in(&doing, &words)?;
    }
    if login.db() != 0 {
        connection.log_in(&doing, &["SELECT", &login.db().to_string()])?;
    }
    // Bounds every read and write, not the whole exchange: a slow line may take its time as long as it moves.
    let bounded = connection.stream.set_timeout(EXCHANGE_TIMEOUT);
    bounded.map_err(|error| lost(&doing, &error, EXCHANGE_TIMEOUT))?;
    Ok(connection)
}

impl Connection {
    fn log_in(&mut self, doing: &str, words: &[&str]) -> Result<(), TargetError> {
        let mut command = Vec::new();
        write_command(&mut command, words.len());
        for word in words {
            write_argument(&mut command, word.as_bytes());
        }
        self.send(doing, &command)?;
        receive(self, doing).map(drop)
    }

    /// Writes commands.
    pub(super) fn send(&mut self, doing: &str, commands: &[u8]) -> Result<(), TargetError> {
        let written = io::Write::write_all(&mut self.stream, commands);
        written
            .and_then(|()| io::Write::flush(&mut self.stream))
            .map_err(|error| lost(doing, &error, EXCHANGE_TIMEOUT))
    }

    /// The next answer; one that the server calls an error is an error.
    pub(super) fn answer(&mut self) -> Result<Value, RedisError> {
        self.parser.parse_value(&mut self.stream).and_then(Value::extract_error)
    }
}

/// The connection failed; the client waited for so long.
fn lost(doing: &str, error: &io::Error, waited: Duration) -> TargetError {
    let cause = match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            format!("no answer within {} s", waited.as_secs())
        }
        _ => tls::cause(error).unwrap_or_else(|| error.to_string()),
    };
    TargetError::Unavailable(format!("{doing}: {cause}"))
}

/// What to do about an error of Redis: a key of a wrong type is for people, everything else may pass by itself or is mended
/// in the server (no memory, read-only, loading, rights).
pub(super) fn unavailable(doing: &str, error: &RedisError) -> TargetError {
    if error.code() == Some("WRONGTYPE") {
        return TargetError::Refused(format!("{doing}: a key of the sink holds something else: {error}"));
    }
    if matches!(error.kind(), ErrorKind::Io) && error.is_timeout() {
        return TargetError::Unavailable(format!(
            "{doing}: no answer within {} s",
            EXCHANGE_TIMEOUT.as_secs()
        ));
    }
    TargetError::Unavailable(format!("{doing}: {error}"))
}

/// The next answer; an error that the server sent is an error.
pub(super) fn receive(connection: &mut Connection, doing: &str) -> Result<Value, TargetError> {
    connection.answer().map_err(|error| unavailable(doing, &error))
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

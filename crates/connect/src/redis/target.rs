//! The target: events become entries `<offset>-0` of a stream.
//!
//! Entry ids make doubles impossible, but not gaps: if one call failed (no memory) and the next went through, what the first
//! held could never be added again, and of two runners at once each could leave out what the other has not sent. So
//! every call names the runner's fence and the offset that it goes on from, and a script adds all of its events or none.

use ::redis::{Connection, Value};
use onrush_node::sinks::{SinkEvent, Source, Target, TargetError};

use super::Settings;
use super::connection::{connect, receive, unavailable, write_argument, write_command};
use super::encoding::Calls;

/// Takes the stream over; see there.
const OPEN: &str = include_str!("open.lua");
/// Events of a batch: enough that the server has work while the next is gathered.
const BATCH_EVENTS: usize = 16_384;
/// Bytes of encoded events after which a push writes them out, so that a batch of great events does not gather in memory.
const BYTES_MAX: usize = 8 << 20;
const ADDING: &str = "add to the stream";
const OPENING: &str = "open the stream";

/// A stream of Redis as a sink's target.
pub struct Redis {
    settings: Settings,
    session: Option<Session>,
    /// Something was durable since this value exists.
    wrote: bool,
}

/// What lives from one open to the next error.
struct Session {
    connection: Connection,
    calls: Calls,
    /// Offsets after the calls that were written and not answered: those of the last batch, and of the one before
    /// while a batch is being written.
    unanswered: std::collections::VecDeque<u64>,
    durable_offset: u64,
}

impl Redis {
    /// Does not connect.
    pub fn new(settings: Settings) -> Self {
        Self { settings, session: None, wrote: false }
    }

    /// Runs `work` on the session, which does not outlive an error.
    fn within<T>(
        &mut self,
        work: impl FnOnce(&mut Session) -> Result<T, TargetError>,
    ) -> Result<T, TargetError> {
        let session = self.session.as_mut();
        let session = session.ok_or_else(|| TargetError::Unavailable("the stream is not open".into()))?;
        let done = work(session);
        if done.is_err() {
            self.session = None;
        }
        done
    }
}

impl Target for Redis {
    fn kind(&self) -> &'static str {
        "redis"
    }

    fn open(&mut self, source: &Source) -> Result<Option<u64>, TargetError> {
        self.session = None;
        let mut connection = connect(&self.settings)?;
        let (fence, found) = take_over(&mut connection, &self.settings, source)?;
        // Whoever wrote before and finds nothing lost everything: that is not the same as a stream that never had anything.
        let offset = found.or(self.wrote.then_some(0));
        self.session = Some(Session {
            connection,
            calls: Calls::new(&self.settings, source, fence, found),
            unanswered: std::collections::VecDeque::new(),
            durable_offset: offset.unwrap_or(0),
        });
        Ok(offset)
    }

    fn push(&mut self, event: &SinkEvent<'_>) -> Result<(), TargetError> {
        self.within(|session| {
            session.calls.push(event);
            if session.calls.bytes.len() >= BYTES_MAX { session.write_out() } else { Ok(()) }
        })
    }

    fn send(&mut self, offset: u64) -> Result<u64, TargetError> {
        let durable_offset = self.within(|session| {
            // The server has the next calls before the last are asked for, so that it never waits for this side.
            let earlier_count = session.unanswered.len();
            session.calls.close(offset);
            session.write_out()?;
            session.receive(earlier_count)
        })?;
        self.wrote |= durable_offset > 0;
        Ok(durable_offset)
    }

    fn settle(&mut self) -> Result<u64, TargetError> {
        let durable_offset = self.within(|session| session.receive(session.unanswered.len()))?;
        self.wrote |= durable_offset > 0;
        Ok(durable_offset)
    }

    fn batch_events_max(&self) -> usize {
        BATCH_EVENTS
    }
}

impl Session {
    fn write_out(&mut self) -> Result<(), TargetError> {
        if self.calls.bytes.is_empty() {
            return Ok(());
        }
        let written = self.connection.send_packed_command(&self.calls.bytes);
        written.map_err(|error| unavailable(ADDING, &error))?;
        self.calls.bytes.clear();
        self.unanswered.extend(self.calls.offsets.drain(..));
        Ok(())
    }

    /// Waits for the answers to the first so many calls.
    fn receive(&mut self, count: usize) -> Result<u64, TargetError> {
        for _ in 0..count {
            let answer = receive(&mut self.connection, ADDING)?;
            match text(&answer) {
                Some("done") => {}
                Some("taken") => {
                    return Err(TargetError::Refused("another runner took the stream over".into()));
                }
                Some(reason @ ("gone" | "behind" | "moved")) => return Err(left_behind(reason)),
                _ => return Err(not_understood(ADDING)),
            }
            self.durable_offset = self.unanswered.pop_front().expect("every answer belongs to a call");
        }
        Ok(self.durable_offset)
    }
}

/// The stream is not where this runner left it; what is in it decides when it is opened again.
fn left_behind(reason: &str) -> TargetError {
    let what = match reason {
        "gone" => "Redis lost the stream",
        "behind" => "Redis lost the end of the stream",
        _ => "somebody else changed the stream",
    };
    TargetError::Unavailable(format!("{ADDING}: {what}"))
}

/// Makes this runner the only one that can write. Returns its fence, and the offset below which everything is in the stream.
fn take_over(
    connection: &mut Connection,
    settings: &Settings,
    source: &Source,
) -> Result<(i64, Option<u64>), TargetError> {
    let (stream, place) = (&settings.stream, settings.place());
    let partition = source.partition.to_string();
    let arguments = ["EVAL", OPEN, "2", stream, &place, &source.log_id, &partition, &source.sink];
    let mut command = Vec::with_capacity(OPEN.len() + 256);
    write_command(&mut command, arguments.len());
    for argument in arguments {
        write_argument(&mut command, argument.as_bytes());
    }
    connection.send_packed_command(&command).map_err(|error| unavailable(OPENING, &error))?;
    let answer = receive(connection, OPENING)?;
    let Value::Array(parts) = &answer else { return Err(not_understood(OPENING)) };
    let part = |at: usize| parts.get(at).and_then(text).unwrap_or_default();
    let reason = match part(0) {
        "open" => {
            let Some(Value::Int(fence)) = parts.get(1) else { return Err(not_understood(OPENING)) };
            let offset = match part(2) {
                "" => None,
                digits => Some(digits.parse().map_err(|_| not_understood(OPENING))?),
            };
            return Ok((*fence, offset));
        }
        "type" => format!("the key `{stream}` holds a {}, not a stream", part(1)),
        "foreign" => {
            format!("the stream `{stream}` has entries (up to {}) that this sink did not write", part(1))
        }
        "other" => format!(
            "the stream `{stream}` belongs to sink {} of partition {} of log {}, and this is sink {} of partition \
             {partition} of log {}",
            part(3),
            part(2),
            part(1),
            source.sink,
            source.log_id
        ),
        "moved" => format!(
            "the stream `{stream}` ends at {}, but {} was written last: it was deleted, or somebody else added to it",
            part(1),
            part(2)
        ),
        _ => return Err(not_understood(OPENING)),
    };
    Err(TargetError::Refused(reason))
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

fn not_understood(doing: &str) -> TargetError {
    TargetError::Unavailable(format!("{doing}: an answer that no Redis gives"))
}

//! The target: events become entries `<offset>-0` of a stream.

use ::redis::Value;
use onrush_core::Incarnation;
use onrush_sinks::{Opened, SinkEvent, Source, Target, TargetError};

use super::Settings;
use super::connection::{Connection, connect, not_understood, receive, text, write_argument, write_command};
use super::encoding::{Encoder, incarnation_in};
use super::session::Session;

/// Takes the stream over; see there.
const OPEN: &str = include_str!("open.lua");
/// Events of a batch: many transactions, so that the server rarely waits for this side.
const BATCH_EVENTS: usize = 16_384;
const OPENING: &str = "open the stream";

/// A stream of Redis as a sink's target.
pub struct Redis {
    settings: Settings,
    session: Option<Session>,
    /// What the place told when it was opened.
    opened: Opened,
    /// Something was durable since this value exists.
    wrote: bool,
}

impl Redis {
    /// Does not connect.
    pub fn new(settings: Settings) -> Self {
        Self { settings, session: None, opened: Opened::default(), wrote: false }
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
        let Taken { fence, offset: found, last, incarnation } =
            take_over(&mut connection, &self.settings, source)?;
        self.opened = Opened { incarnation, confirmed: None };
        // Whoever wrote before and finds nothing lost everything: that is not the same as a stream that never had anything.
        let offset = found.or(self.wrote.then_some(0));
        let encoder = Encoder::new(&self.settings, source.partition, last.clone());
        self.session = Some(Session::new(connection, encoder, fence, (found, last), offset.unwrap_or(0)));
        Ok(offset)
    }

    fn opened(&self) -> Opened {
        self.opened.clone()
    }

    fn enter_incarnation(&mut self, incarnation: Incarnation) {
        if let Some(session) = &mut self.session {
            session.enter_incarnation(incarnation);
        }
    }

    fn push(&mut self, event: &SinkEvent<'_>) -> Result<(), TargetError> {
        self.within(|session| session.push(event))
    }

    fn send(&mut self, offset: u64) -> Result<u64, TargetError> {
        let durable_offset = self.within(|session| session.send(offset))?;
        self.wrote |= durable_offset > 0;
        Ok(durable_offset)
    }

    fn wait_until_durable(&mut self) -> Result<u64, TargetError> {
        let durable_offset = self.within(Session::wait_until_durable)?;
        self.wrote |= durable_offset > 0;
        Ok(durable_offset)
    }

    fn batch_events_max(&self) -> usize {
        BATCH_EVENTS
    }
}

/// What a runner holds after it took a stream over.
struct Taken {
    fence: i64,
    /// Everything below is in the stream; absent if there never was anything.
    offset: Option<u64>,
    /// Id of the last entry.
    last: String,
    /// In which the event before the offset was decided, if that was written.
    incarnation: Option<Incarnation>,
}

/// Makes this runner the only one that can write.
fn take_over(
    connection: &mut Connection,
    settings: &Settings,
    source: &Source,
) -> Result<Taken, TargetError> {
    let (stream, place) = (&settings.stream, settings.place());
    let partition = source.partition.to_string();
    let arguments = ["EVAL", OPEN, "2", stream, &place, &source.log_id, &partition, &source.sink];
    let mut command = Vec::with_capacity(OPEN.len() + 256);
    write_command(&mut command, arguments.len());
    for argument in arguments {
        write_argument(&mut command, argument.as_bytes());
    }
    connection.send(OPENING, &command)?;
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
            let incarnation = offset.and_then(|offset| incarnation_in(part(4), offset));
            return Ok(Taken { fence: *fence, offset, last: part(3).to_owned(), incarnation });
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

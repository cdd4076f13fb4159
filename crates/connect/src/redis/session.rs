//! An open stream: transactions that add events, each guarded, one under way while the next is gathered.
//!
//! Entry ids make doubles impossible, but not gaps: if one transaction failed (no memory) and the next went through, what the
//! first held could never be added again, and of two runners at once each could leave out what the other has not sent. So
//! a transaction is written only when the one before has succeeded, the place still has this runner's fence and the offset to go on
//! from, and the stream ends where it should; `WATCH` makes it fail if the place changes in between.

use std::mem;

use ::redis::Value;
use onrush_core::Incarnation;
use onrush_sinks::{SinkEvent, TargetError};

use super::connection::{Connection, receive, text, unavailable};
use super::encoding::{Encoder, NO_ENTRY};

const ADDING: &str = "add to the stream";
/// How often a transaction is written again because somebody touched the place and left everything as it was.
const REPEATS_MAX: u32 = 8;

/// What lives from one open to the next error.
pub(super) struct Session {
    connection: Connection,
    encoder: Encoder,
    fence: String,
    /// What the place says once the transaction under way has succeeded.
    expected: Expected,
    under_way: Option<UnderWay>,
    /// A guard was written behind the transaction under way.
    is_guarded: bool,
    durable_offset: u64,
    spare: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq)]
struct Expected {
    offset: Option<u64>,
    last: String,
}

/// A transaction that was written and not answered.
struct UnderWay {
    bytes: Vec<u8>,
    entry_count: usize,
    before: Expected,
}

/// What became of a transaction.
enum Executed {
    Done,
    /// Nothing: the place was touched.
    Touched,
}

impl Session {
    /// Goes on under this fence where the place says, `None` if it has no offset; `durable_offset` is what that means.
    pub(super) fn new(
        connection: Connection,
        encoder: Encoder,
        fence: i64,
        (offset, last): (Option<u64>, String),
        durable_offset: u64,
    ) -> Self {
        Self {
            connection,
            encoder,
            fence: fence.to_string(),
            expected: Expected { offset, last },
            under_way: None,
            is_guarded: false,
            durable_offset,
            spare: Vec::new(),
        }
    }

    pub(super) fn enter_incarnation(&mut self, incarnation: Incarnation) {
        self.encoder.enter_incarnation(incarnation);
    }

    pub(super) fn push(&mut self, event: &SinkEvent<'_>) -> Result<(), TargetError> {
        if self.encoder.push(event) { self.write_run(event.offset + 1) } else { Ok(()) }
    }

    /// Everything below `offset` was pushed, or is not for the stream. Returns what is known to be durable.
    pub(super) fn send(&mut self, offset: u64) -> Result<u64, TargetError> {
        if self.encoder.has_events() || self.expected.offset != Some(offset) {
            self.write_run(offset)?;
        }
        Ok(self.durable_offset)
    }

    /// Waits until everything that was sent is durable.
    pub(super) fn wait_until_durable(&mut self) -> Result<u64, TargetError> {
        self.finish_under_way()?;
        if mem::take(&mut self.is_guarded) {
            // It may be long until the next transaction: that one gets a guard of its own.
            self.receive_guard()?;
        }
        Ok(self.durable_offset)
    }

    /// Writes what was gathered as one transaction when the one before has succeeded, with the guard for the next.
    fn write_run(&mut self, offset: u64) -> Result<(), TargetError> {
        self.finish_under_way()?;
        let before = self.expected.clone();
        self.check_guard(&before)?;
        let mut bytes = mem::take(&mut self.spare);
        bytes.clear();
        let (entry_count, last) = self.encoder.write_transaction(&mut bytes, offset);
        self.encoder.write_guard(&mut bytes);
        self.write(&bytes)?;
        self.is_guarded = true;
        self.expected = Expected { offset: Some(offset), last };
        self.under_way = Some(UnderWay { bytes, entry_count, before });
        Ok(())
    }

    fn finish_under_way(&mut self) -> Result<(), TargetError> {
        let Some(under_way) = self.under_way.take() else { return Ok(()) };
        let mut repeats = 0;
        while let Executed::Touched = self.receive_executed(under_way.entry_count)? {
            repeats += 1;
            if repeats > REPEATS_MAX {
                return Err(unexpected("somebody else changes the sink's place all the time"));
            }
            self.check_guard(&under_way.before)?;
            self.write(&under_way.bytes)?;
            self.is_guarded = true;
        }
        self.durable_offset = self.expected.offset.unwrap_or(self.durable_offset);
        self.spare = under_way.bytes;
        Ok(())
    }

    /// Reads the answers to a transaction.
    fn receive_executed(&mut self, entry_count: usize) -> Result<Executed, TargetError> {
        // MULTI itself, and what it queues.
        let queued_count = 1 + entry_count + self.encoder.closing_commands();
        for _ in 0..queued_count {
            // The first command that is not taken says why none is.
            receive(&mut self.connection, ADDING)?;
        }
        let answers = match receive(&mut self.connection, ADDING)? {
            Value::Array(answers) => answers,
            Value::Nil => return Ok(Executed::Touched),
            _ => return Err(not_understood()),
        };
        // Errors inside were errors of the whole; an entry that is nil found no stream.
        if answers.iter().take(entry_count).any(|answer| *answer == Value::Nil) {
            return Err(unexpected("Redis lost the stream"));
        }
        Ok(Executed::Done)
    }

    /// Makes sure that this runner may write, and goes on where the stream ends.
    fn check_guard(&mut self, expected: &Expected) -> Result<(), TargetError> {
        if !mem::take(&mut self.is_guarded) {
            let mut guard = Vec::new();
            self.encoder.write_guard(&mut guard);
            self.write(&guard)?;
        }
        let guard = self.receive_guard()?;
        match &guard.fence {
            None => return Err(unexpected("Redis lost the stream")),
            Some(fence) if *fence != self.fence => {
                return Err(TargetError::Refused("another runner took the stream over".into()));
            }
            Some(_) => {}
        }
        if guard.offset != expected.offset.map(|offset| offset.to_string()) {
            return Err(unexpected("Redis lost the end of the stream"));
        }
        if guard.last_written.as_ref() != Some(&expected.last) || guard.last != expected.last {
            return Err(unexpected("somebody else changed the stream"));
        }
        Ok(())
    }

    fn receive_guard(&mut self) -> Result<Guard, TargetError> {
        receive(&mut self.connection, ADDING)?;
        let Value::Array(place) = receive(&mut self.connection, ADDING)? else {
            return Err(not_understood());
        };
        let part = |at: usize| place.get(at).and_then(text).map(str::to_owned);
        Ok(Guard {
            fence: part(0),
            offset: part(1),
            last_written: part(2),
            last: receive_last_id(&mut self.connection)?,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), TargetError> {
        self.connection.send(ADDING, bytes)
    }
}

/// What the place and the stream are.
struct Guard {
    fence: Option<String>,
    offset: Option<String>,
    last_written: Option<String>,
    last: String,
}

/// The answer to `XINFO STREAM`: the id that was given last, [`NO_ENTRY`] without a stream.
fn receive_last_id(connection: &mut Connection) -> Result<String, TargetError> {
    let answer = connection.answer();
    let fields = match answer {
        Ok(Value::Array(fields)) => fields,
        Ok(_) => return Err(not_understood()),
        Err(error) if error.detail().is_some_and(|detail| detail.contains("no such key")) => {
            return Ok(NO_ENTRY.to_owned());
        }
        Err(error) => return Err(unavailable(ADDING, &error)),
    };
    let (pairs, _) = fields.as_chunks::<2>();
    let last = pairs.iter().find(|[name, _]| text(name) == Some("last-generated-id"));
    last.and_then(|[_, id]| text(id)).map(str::to_owned).ok_or_else(not_understood)
}

/// The stream is not where this runner left it; what is in it decides when it is opened again.
fn unexpected(what: &str) -> TargetError {
    TargetError::Unavailable(format!("{ADDING}: {what}"))
}

fn not_understood() -> TargetError {
    super::connection::not_understood(ADDING)
}

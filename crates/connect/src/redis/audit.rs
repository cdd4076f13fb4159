//! Comparing a stream with the log: both are in order of offsets, so they are read in step.

use std::collections::VecDeque;

use ::redis::Value;
use onrush_core::write_rfc3339;
use onrush_sinks::{SinkEvent, Skipped, Source, TargetError};

use super::Settings;
use super::connection::{Connection, connect, not_understood, receive, text, write_argument, write_command};
use crate::{Audit, Findings, event_id, event_type, write_event_data};

/// Entries that are read at once.
const PAGE_ENTRIES: usize = 1_000;
const READING: &str = "read the stream";

/// Compares a stream with the log.
pub struct RedisAuditor {
    settings: Settings,
    source: Option<Source>,
    connection: Option<Connection>,
    page: VecDeque<Entry>,
    /// Id from which the next page is read; `None` when the last was read.
    next: Option<String>,
    /// Whatever stood below it was trimmed.
    first_offset: u64,
    /// A page was read after `first_offset` was: since then more may have been trimmed.
    may_have_been_trimmed: bool,
    /// What the sink had written at open ends here; everything below was compared or named.
    to: u64,
    trimmed_count: u64,
    excused_count: u64,
    findings: Findings,
}

/// An entry of the stream.
struct Entry {
    id: String,
    /// `None` if its id is none of onrush's.
    offset: Option<u64>,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
}

impl RedisAuditor {
    /// Does not connect.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            source: None,
            connection: None,
            page: VecDeque::new(),
            next: None,
            first_offset: 0,
            may_have_been_trimmed: false,
            to: 0,
            trimmed_count: 0,
            excused_count: 0,
            findings: Findings::default(),
        }
    }

    fn command(&mut self, arguments: &[&str]) -> Result<Value, TargetError> {
        let connection = self.connection.as_mut();
        let connection =
            connection.ok_or_else(|| TargetError::Unavailable("the stream is not open".into()))?;
        let mut command = Vec::new();
        write_command(&mut command, arguments.len());
        for argument in arguments {
            write_argument(&mut command, argument.as_bytes());
        }
        connection.send(READING, &command)?;
        receive(connection, READING)
    }

    /// The next entry, if its offset is below `end`; entries that are none of onrush's come at once.
    fn next_below(&mut self, end: u64) -> Result<Option<Entry>, TargetError> {
        if self.page.is_empty() {
            self.read_page()?;
        }
        let front = self.page.front();
        let due = front.is_some_and(|entry| entry.offset.is_none_or(|offset| offset < end));
        Ok(if due { self.page.pop_front() } else { None })
    }

    fn read_page(&mut self) -> Result<(), TargetError> {
        let Some(from) = self.next.take() else { return Ok(()) };
        let stream = self.settings.stream.clone();
        let count = PAGE_ENTRIES.to_string();
        let answer = self.command(&["XRANGE", &stream, &from, "+", "COUNT", &count])?;
        let Value::Array(entries) = answer else { return Err(not_understood(READING)) };
        let is_full = entries.len() == PAGE_ENTRIES;
        for entry in entries {
            self.page.push_back(Entry::read(entry).ok_or_else(|| not_understood(READING))?);
        }
        self.next = self.page.back().filter(|_| is_full).map(|last| format!("({}", last.id));
        self.may_have_been_trimmed = self.settings.length_max > 0;
        Ok(())
    }

    /// Whether an event that is not in the page last read was trimmed before that. Trimming keeps at least `length_max` entries
    /// and takes the oldest, so in a shorter stream, or behind its first entry, nothing is gone that nobody else took.
    fn was_trimmed(&mut self, offset: u64) -> Result<bool, TargetError> {
        if offset >= self.first_offset && std::mem::take(&mut self.may_have_been_trimmed) {
            let stream = self.settings.stream.clone();
            let Value::Array(entries) = self.command(&["XRANGE", &stream, "-", "+", "COUNT", "1"])? else {
                return Err(not_understood(READING));
            };
            let first = entries
                .into_iter()
                .next()
                .map(|entry| Entry::read(entry).ok_or_else(|| not_understood(READING)));
            let Value::Int(length) = self.command(&["XLEN", &stream])? else {
                return Err(not_understood(READING));
            };
            if let Some(first) = first.transpose()?
                && u64::try_from(length).is_ok_and(|length| length >= self.settings.length_max)
            {
                self.first_offset = id_parts(&first.id).ok_or_else(|| not_understood(READING))?.0;
            }
        }
        Ok(offset < self.first_offset)
    }

    /// What stands behind all that was compared: what the sink has written since is its own, what lies beyond its last is not.
    fn pass_the_end(&mut self) -> Result<(), TargetError> {
        let place = self.settings.place();
        loop {
            if self.page.is_empty() {
                self.read_page()?;
            }
            if self.page.is_empty() {
                return Ok(());
            }
            // Asked after the page was read, so that everything of the sink's in it is covered.
            let answer = self.command(&["HMGET", &place, "last"])?;
            let Value::Array(parts) = answer else { return Err(not_understood(READING)) };
            let last = parts.first().and_then(text).and_then(id_parts).unwrap_or((0, 0));
            for entry in std::mem::take(&mut self.page) {
                if entry.offset.is_none() || id_parts(&entry.id).is_none_or(|id| id > last) {
                    self.findings.unexpected.add(format_args!("entry {}", entry.id));
                }
            }
        }
    }

    /// Everything below `end` that nobody expected.
    fn pass(&mut self, end: u64) -> Result<(), TargetError> {
        while let Some(entry) = self.next_below(end)? {
            self.findings.unexpected.add(format_args!("entry {}", entry.id));
        }
        Ok(())
    }
}

impl Audit for RedisAuditor {
    fn open(&mut self, source: &Source, from: u64, to: u64) -> Result<u64, TargetError> {
        self.connection = Some(connect(&self.settings)?);
        let place = self.settings.place();
        let answer = self.command(&["HMGET", &place, "log_id", "offset"])?;
        let Value::Array(parts) = answer else { return Err(not_understood(READING)) };
        let part = |at: usize| parts.get(at).and_then(text);
        if let Some(log_id) = part(0).filter(|log_id| *log_id != source.log_id) {
            let reason = format!("the stream belongs to log {log_id}, and this is log {}", source.log_id);
            return Err(TargetError::Refused(reason));
        }
        let written = part(1).and_then(|offset| offset.parse().ok()).unwrap_or(0);
        self.source = Some(source.clone());
        self.to = to.min(written);
        self.next = Some(format!("{from}-{}", u8::from(from == 0)));
        Ok(self.to)
    }

    fn expect(&mut self, event: &SinkEvent<'_>) -> Result<(), TargetError> {
        self.pass(event.offset)?;
        // The caller may know that the sink was further than the target says.
        self.to = self.to.max(event.offset + 1);
        let found = self.next_below(event.offset + 1)?;
        if found.is_none() && self.was_trimmed(event.offset)? {
            self.trimmed_count += 1;
            return Ok(());
        }
        self.findings.compared_count += 1;
        let source = self.source.as_ref().expect("opened before");
        match found {
            None => self.findings.missing.add(format_args!("offset {}", event.offset)),
            Some(entry) if entry.holds(source, event) => {}
            Some(_) => self.findings.different.add(format_args!("offset {}", event.offset)),
        }
        Ok(())
    }

    fn excuse(&mut self, skipped: &Skipped) -> Result<(), TargetError> {
        // What lies behind `to` and before a later skip the sink has written since.
        self.pass(skipped.from.min(self.to))?;
        let end = if skipped.from <= self.to { skipped.to } else { self.to };
        while self.next_below(end)?.is_some() {
            self.excused_count += 1;
        }
        self.to = self.to.max(end);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Findings, TargetError> {
        self.pass(self.to)?;
        self.pass_the_end()?;
        let mut findings = self.findings;
        if self.trimmed_count > 0 {
            let note = format!(
                "{} events below offset {} were trimmed (length_max) and not compared",
                self.trimmed_count, self.first_offset
            );
            findings.notes.push(note);
        }
        if self.excused_count > 0 {
            findings
                .notes
                .push(format!("{} events that were skipped are there all the same", self.excused_count));
        }
        Ok(findings)
    }
}

impl Entry {
    fn read(value: Value) -> Option<Self> {
        let Value::Array(parts) = value else { return None };
        let [id, Value::Array(fields)] = parts.as_slice() else { return None };
        let id = text(id)?.to_owned();
        let mut pairs = Vec::with_capacity(fields.len() / 2);
        for pair in fields.chunks_exact(2) {
            pairs.push((bytes(&pair[0])?.to_vec(), bytes(&pair[1])?.to_vec()));
        }
        let (offset, number) = id_parts(&id)?;
        let offset = (number == u64::from(offset == 0)).then_some(offset);
        Some(Self { id, offset, fields: pairs })
    }

    fn holds(&self, source: &Source, event: &SinkEvent<'_>) -> bool {
        let (mut time, mut body) = (Vec::new(), Vec::new());
        write_rfc3339(&mut time, event.at);
        write_event_data(&mut body, event);
        let (id, kind) = (event_id(source, event), event_type(event));
        let expected: [(&str, &[u8]); 5] = [
            ("id", id.as_bytes()),
            ("type", kind.as_bytes()),
            ("time", &time),
            ("key", event.key().as_bytes()),
            ("data", &body),
        ];
        self.fields.len() == expected.len()
            && self.fields.iter().zip(expected).all(|((name, value), (expected_name, expected_value))| {
                name == expected_name.as_bytes() && value == expected_value
            })
    }
}

/// The two numbers of an entry's id, in whose order entries stand.
fn id_parts(id: &str) -> Option<(u64, u64)> {
    let (high, low) = id.split_once('-')?;
    Some((high.parse().ok()?, low.parse().ok()?))
}

fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    }
}

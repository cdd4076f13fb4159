//! Comparing a stream with the log: both are in order of offsets, so they are read in step.

use std::collections::VecDeque;

use ::redis::{Connection, Value};
use onrush_node::sinks::{SinkEvent, Skipped, Source, TargetError};

use super::Settings;
use super::connection::{connect, receive, unavailable, write_argument, write_command};
use crate::{Audit, Findings, event_id, event_type, write_event_data, write_rfc3339};

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
    /// Events below it were trimmed.
    first_offset: u64,
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
        connection.send_packed_command(&command).map_err(|error| unavailable(READING, &error))?;
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
        let Value::Array(entries) = answer else { return Err(not_understood()) };
        let is_full = entries.len() == PAGE_ENTRIES;
        for entry in entries {
            self.page.push_back(Entry::read(entry).ok_or_else(not_understood)?);
        }
        self.next = self.page.back().filter(|_| is_full).map(|last| format!("({}", last.id));
        Ok(())
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
        let Value::Array(parts) = answer else { return Err(not_understood()) };
        let part = |at: usize| parts.get(at).and_then(text);
        if let Some(log_id) = part(0).filter(|log_id| *log_id != source.log_id) {
            let reason = format!("the stream belongs to log {log_id}, and this is log {}", source.log_id);
            return Err(TargetError::Refused(reason));
        }
        let written = part(1).and_then(|offset| offset.parse().ok()).unwrap_or(0);
        self.source = Some(source.clone());
        self.to = to.min(written);
        self.next = Some(format!("{from}-{}", u8::from(from == 0)));
        self.read_page()?;
        let first = self.page.front().and_then(|entry| entry.offset);
        // Without trimming whatever is not there is missing.
        self.first_offset = if self.settings.length_max == 0 { 0 } else { first.unwrap_or(self.to) };
        Ok(self.to)
    }

    fn expect(&mut self, event: &SinkEvent<'_>) -> Result<(), TargetError> {
        if event.offset < self.first_offset {
            self.trimmed_count += 1;
            return Ok(());
        }
        self.pass(event.offset)?;
        self.findings.compared_count += 1;
        let source = self.source.as_ref().expect("opened before").clone();
        match self.next_below(event.offset + 1)? {
            None => self.findings.missing.add(format_args!("offset {}", event.offset)),
            Some(entry) if entry.holds(&source, event) => {}
            Some(_) => self.findings.different.add(format_args!("offset {}", event.offset)),
        }
        Ok(())
    }

    fn excuse(&mut self, skipped: &Skipped) -> Result<(), TargetError> {
        self.pass(skipped.from)?;
        while self.next_below(skipped.to)?.is_some() {
            self.excused_count += 1;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Findings, TargetError> {
        self.pass(self.to)?;
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
        let offset = id.split_once('-').and_then(|(high, low)| {
            let offset: u64 = high.parse().ok()?;
            (low == if offset == 0 { "1" } else { "0" }).then_some(offset)
        });
        Some(Self { id, offset, fields: pairs })
    }

    fn holds(&self, source: &Source, event: &SinkEvent<'_>) -> bool {
        let (mut time, mut body) = (Vec::new(), Vec::new());
        write_rfc3339(&mut time, event.at);
        write_event_data(&mut body, event);
        let (id, kind) = (event_id(source, event.offset), event_type(event));
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

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::SimpleString(text) => Some(text),
        _ => std::str::from_utf8(bytes(value)?).ok(),
    }
}

fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    }
}

fn not_understood() -> TargetError {
    TargetError::Unavailable(format!("{READING}: an answer that no Redis gives"))
}

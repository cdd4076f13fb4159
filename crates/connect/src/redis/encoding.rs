//! Events as commands, gathered into transactions that are written at once.

use onrush_core::{Incarnation, write_rfc3339};
use onrush_sinks::{EventKind, SinkEvent};

use super::Settings;
use super::connection::{write_argument, write_command};
use crate::{event_type, write_event_data, write_event_id};

/// Events of one transaction, at most: the server does nothing else meanwhile, for two or three milliseconds.
const RUN_EVENTS_MAX: usize = 512;
/// Bytes of events after which a run is complete, too.
const RUN_BYTES_MAX: usize = 256 << 10;
/// The last id of a stream that never had an entry.
pub(super) const NO_ENTRY: &str = "0-0";

/// Makes transactions of events, one after the other.
pub(super) struct Encoder {
    stream: String,
    place: String,
    partition: u32,
    length_max: String,
    run: Vec<u8>,
    event_count: usize,
    /// Id of the last entry, once everything taken is in the stream.
    last: String,
    /// In which what is taken next was decided.
    incarnation: Incarnation,
    scratch: Vec<u8>,
    types: [Option<String>; EventKind::ALL.len()],
}

impl Encoder {
    /// Goes on behind the entry `last`.
    pub(super) fn new(settings: &Settings, partition: u32, last: String) -> Self {
        Self {
            stream: settings.stream.clone(),
            place: settings.place(),
            partition,
            length_max: settings.length_max.to_string(),
            run: Vec::new(),
            event_count: 0,
            last,
            incarnation: Incarnation::FIRST,
            scratch: Vec::new(),
            types: Default::default(),
        }
    }

    /// What follows was decided in this incarnation of the log.
    pub(super) fn enter_incarnation(&mut self, incarnation: Incarnation) {
        self.incarnation = incarnation;
    }

    /// Takes one event. Returns whether the run is complete now.
    pub(super) fn push(&mut self, event: &SinkEvent<'_>) -> bool {
        let (out, scratch) = (&mut self.run, &mut self.scratch);
        // The stream is made by its first entry only: if it is gone later, nothing is to look as if it were not.
        let makes_stream = self.last == NO_ENTRY;
        write_command(out, if makes_stream { 13 } else { 14 });
        for word in [&b"XADD"[..], self.stream.as_bytes()] {
            write_argument(out, word);
        }
        if !makes_stream {
            write_argument(out, b"NOMKSTREAM");
        }
        let offset = event.offset;
        // An entry's id must be greater than 0-0.
        self.last = format!("{offset}-{}", u8::from(offset == 0));
        write_argument(out, self.last.as_bytes());
        refill(scratch, |text| write_event_id(text, self.partition, event));
        write_field(out, b"id", scratch);
        let kind = self.types[event.kind() as usize].get_or_insert_with(|| event_type(event));
        write_field(out, b"type", kind.as_bytes());
        refill(scratch, |text| write_rfc3339(text, event.at));
        write_field(out, b"time", scratch);
        write_field(out, b"key", event.key().as_bytes());
        refill(scratch, |text| write_event_data(text, event));
        write_field(out, b"data", scratch);
        self.event_count += 1;
        self.event_count >= RUN_EVENTS_MAX || self.run.len() >= RUN_BYTES_MAX
    }

    /// Whether there are events that are in no transaction.
    pub(super) fn has_events(&self) -> bool {
        self.event_count > 0
    }

    /// Appends a transaction of everything taken, after which everything below `offset` is in the stream or not for it. Returns
    /// how many entries it adds, and the id of the last entry then.
    pub(super) fn write_transaction(&mut self, out: &mut Vec<u8>, offset: u64) -> (usize, String) {
        write_words(out, &["MULTI"]);
        out.append(&mut self.run);
        let incarnation = incarnation_text(offset, self.incarnation);
        let offset = offset.to_string();
        write_words(
            out,
            &["HSET", &self.place, "offset", &offset, "last", &self.last, "incarnation", &incarnation],
        );
        if self.length_max != "0" {
            write_words(out, &["XTRIM", &self.stream, "MAXLEN", "~", &self.length_max]);
        }
        write_words(out, &["EXEC"]);
        (std::mem::take(&mut self.event_count), self.last.clone())
    }

    /// Appends what has to come before a transaction: whoever changes the place after it makes the transaction fail, and its
    /// answers tell what the place and the stream were.
    pub(super) fn write_guard(&self, out: &mut Vec<u8>) {
        write_words(out, &["WATCH", &self.place]);
        write_words(out, &["HMGET", &self.place, "fence", "offset", "last"]);
        write_words(out, &["XINFO", "STREAM", &self.stream]);
    }

    /// Commands of a transaction that are neither entries nor `MULTI` and `EXEC`.
    pub(super) fn closing_commands(&self) -> usize {
        if self.length_max == "0" { 1 } else { 2 }
    }
}

/// The incarnation that holds before an offset, with the offset: an earlier version of onrush moves the offset alone, and then
/// this says nothing.
pub(super) fn incarnation_text(offset: u64, incarnation: Incarnation) -> String {
    format!("{offset}:{:08x}", incarnation.0)
}

/// The incarnation in such a text, if it is one for this offset.
pub(super) fn incarnation_in(text: &str, offset: u64) -> Option<Incarnation> {
    let (at, incarnation) = text.split_once(':')?;
    let is_for_it = at.parse() == Ok(offset);
    u32::from_str_radix(incarnation, 16).ok().filter(|_| is_for_it).map(Incarnation)
}

fn write_words(out: &mut Vec<u8>, words: &[&str]) {
    write_command(out, words.len());
    for word in words {
        write_argument(out, word.as_bytes());
    }
}

fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    write_argument(out, name);
    write_argument(out, value);
}

fn refill(scratch: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    scratch.clear();
    write(scratch);
}

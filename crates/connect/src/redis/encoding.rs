//! Events as arguments of the script that adds them, gathered into commands that are written at once.

use std::io::Write as _;

use onrush_node::sinks::{EventKind, SinkEvent, Source};

use super::connection::{write_argument, write_command};
use crate::{event_type, write_event_data, write_rfc3339};

/// Events that one script call adds, at most: the server does nothing else meanwhile, for about a millisecond.
const RUN_EVENTS_MAX: usize = 512;
/// Bytes of events after which a run is closed, too.
const RUN_BYTES_MAX: usize = 256 << 10;
/// Adds events; see there.
const APPEND: &str = include_str!("append.lua");
/// What precedes the events in a call: the command, the script, two keys with their number, and four values.
const ARGUMENTS_BEFORE: usize = 9;
const ARGUMENTS_PER_EVENT: usize = 6;

/// Script calls that were encoded and not yet written. The guard of each call is the offset after the one before, so that
/// none can take effect if one before it did not.
#[derive(Default)]
pub(super) struct Calls {
    /// What is ready to be written.
    pub(super) bytes: Vec<u8>,
    /// The offset after each call in `bytes`.
    pub(super) offsets: Vec<u64>,
    /// Offset below which everything is in a call, if that is known.
    tail_offset: Option<u64>,
    stream: String,
    place: String,
    fence: String,
    length_max: String,
    partition: u32,
    run: Run,
}

/// The events of the call that is still open.
#[derive(Default)]
struct Run {
    arguments: Vec<u8>,
    event_count: usize,
    scratch: Vec<u8>,
    types: [Option<String>; EventKind::ALL.len()],
}

impl Calls {
    /// Calls that go on at `tail_offset`, under this fence.
    pub(super) fn new(
        settings: &super::Settings,
        source: &Source,
        fence: i64,
        tail_offset: Option<u64>,
    ) -> Self {
        Self {
            tail_offset,
            stream: settings.stream.clone(),
            place: settings.place(),
            fence: fence.to_string(),
            length_max: settings.length_max.to_string(),
            partition: source.partition,
            ..Self::default()
        }
    }

    /// Takes one event.
    pub(super) fn push(&mut self, event: &SinkEvent<'_>) {
        self.run.push(self.partition, event);
        if self.run.event_count >= RUN_EVENTS_MAX || self.run.arguments.len() >= RUN_BYTES_MAX {
            self.close_run(event.offset + 1);
        }
    }

    /// Makes calls of everything taken: after them, everything below `offset` is in the stream or not for it. A call without
    /// events records the offset.
    pub(super) fn close(&mut self, offset: u64) {
        if self.run.event_count > 0 || self.tail_offset != Some(offset) {
            self.close_run(offset);
        }
    }

    fn close_run(&mut self, offset: u64) {
        let before = self.tail_offset.map(|offset| offset.to_string()).unwrap_or_default();
        let out = &mut self.bytes;
        write_command(out, ARGUMENTS_BEFORE + self.run.event_count * ARGUMENTS_PER_EVENT);
        let head = ["EVAL", APPEND, "2", &self.stream, &self.place, &self.fence, &before];
        for argument in head {
            write_argument(out, argument.as_bytes());
        }
        write_argument(out, offset.to_string().as_bytes());
        write_argument(out, self.length_max.as_bytes());
        out.append(&mut self.run.arguments);
        self.run.event_count = 0;
        self.offsets.push(offset);
        self.tail_offset = Some(offset);
    }
}

impl Run {
    fn push(&mut self, partition: u32, event: &SinkEvent<'_>) {
        let (out, scratch) = (&mut self.arguments, &mut self.scratch);
        let offset = event.offset;
        // An entry's id must be greater than 0-0.
        let low = u8::from(offset == 0);
        refill(scratch, |text| write!(text, "{offset}-{low}").expect("writing to memory succeeds"));
        write_argument(out, scratch);
        refill(scratch, |text| write!(text, "{partition}-{offset}").expect("writing to memory succeeds"));
        write_argument(out, scratch);
        let kind = self.types[event.kind() as usize].get_or_insert_with(|| event_type(event));
        write_argument(out, kind.as_bytes());
        refill(scratch, |text| write_rfc3339(text, event.at));
        write_argument(out, scratch);
        write_argument(out, event.key().as_bytes());
        refill(scratch, |text| write_event_data(text, event));
        write_argument(out, scratch);
        self.event_count += 1;
    }
}

fn refill(scratch: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    scratch.clear();
    write(scratch);
}

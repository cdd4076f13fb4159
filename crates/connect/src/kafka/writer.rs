//! How an event becomes a message: topic, key, headers, payload. For [`MessageFormat::Events`] that is the binary mode of the Kafka
//! protocol binding for `CloudEvents` 1.0.

use onrush_core::{TimeMs, write_rfc3339};
use onrush_sinks::{EventKind, SinkEvent, Source};
use rdkafka::message::{Header, OwnedHeaders, ToBytes};

use super::topics::Topics;
use crate::event_json::kind_type;
use crate::{MessageFormat, source_uri, write_event_id};

/// Which event a message is for.
pub(super) const ID_HEADER: &str = "ce_id";
/// Which log the event comes from.
pub(super) const SOURCE_HEADER: &str = "ce_source";
/// The event's type; only in [`MessageFormat::Events`].
pub(super) const TYPE_HEADER: &str = "ce_type";

/// Encodes events of one log, into buffers of its own.
pub(super) struct Writer {
    topics: Topics,
    message_format: MessageFormat,
    partition: u32,
    source: String,
    /// In the order of [`EventKind::ALL`].
    types: [String; EventKind::ALL.len()],
    id: Vec<u8>,
    time: Vec<u8>,
    time_shown: Option<TimeMs>,
    payload: Vec<u8>,
}

/// A message, but for its key, which is that of the event.
pub(super) struct Draft<'a> {
    pub(super) topic: &'a str,
    pub(super) payload: &'a [u8],
    pub(super) headers: OwnedHeaders,
}

impl Writer {
    pub(super) fn new(topics: Topics, message_format: MessageFormat, source: &Source) -> Self {
        Self {
            topics,
            message_format,
            partition: source.partition,
            source: source_uri(source),
            types: EventKind::ALL.map(kind_type),
            id: Vec::new(),
            time: Vec::new(),
            time_shown: None,
            payload: Vec::new(),
        }
    }

    /// The message for an event, if the format has one for it.
    pub(super) fn draft(&mut self, event: &SinkEvent<'_>) -> Option<Draft<'_>> {
        self.payload.clear();
        if !self.message_format.write_payload(&mut self.payload, event) {
            return None;
        }
        self.id.clear();
        write_event_id(&mut self.id, self.partition, event);
        let mut headers = OwnedHeaders::new_with_capacity(7);
        headers = with(headers, ID_HEADER, &self.id);
        headers = with(headers, SOURCE_HEADER, &self.source);
        if self.message_format == MessageFormat::Events {
            if self.time_shown != Some(event.at) {
                self.time.clear();
                write_rfc3339(&mut self.time, event.at);
                self.time_shown = Some(event.at);
            }
            headers = with(headers, "ce_specversion", "1.0");
            headers = with(headers, TYPE_HEADER, &self.types[event.kind() as usize]);
            headers = with(headers, "ce_time", &self.time);
            headers = with(headers, "ce_subject", event.key());
            headers = with(headers, "content-type", "application/json");
        }
        Some(Draft { topic: self.topics.of(event.kind()), payload: &self.payload, headers })
    }
}

fn with<V: ToBytes + ?Sized>(headers: OwnedHeaders, key: &str, value: &V) -> OwnedHeaders {
    headers.insert(Header { key, value: Some(value) })
}

//! Events as messages of AMQP 0-9-1. Headers follow the AMQP binding of CloudEvents 1.0 in binary mode
//! (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/amqp-protocol-binding.md>): `cloudEvents_` before the name.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use onrush_core::write_rfc3339;
use onrush_sinks::{SinkEvent, Source};

use super::Settings;
use crate::{MessageFormat, event_id, event_type, source_uri};

const PERSISTENT: u8 = 2;

/// A message as it goes to the exchange.
pub(super) struct Publication {
    pub(super) offset: u64,
    pub(super) routing_key: ShortString,
    pub(super) payload: Vec<u8>,
    pub(super) properties: BasicProperties,
}

impl Publication {
    /// The message for an event, if the format has one for it.
    pub(super) fn of(event: &SinkEvent<'_>, settings: &Settings, source: &Source) -> Option<Self> {
        Some(Self {
            offset: event.offset,
            routing_key: routing_key(event, settings).into(),
            payload: payload(event, settings.message_format)?,
            properties: properties(event, settings.message_format, source),
        })
    }
}

/// What a message says, if the format has one for the event.
pub(super) fn payload(event: &SinkEvent<'_>, message_format: MessageFormat) -> Option<Vec<u8>> {
    let mut payload = Vec::with_capacity(256);
    message_format.write_payload(&mut payload, event).then_some(payload)
}

/// Where a message goes: the queue by its name in the default exchange, otherwise what people bind to.
pub(super) fn routing_key(event: &SinkEvent<'_>, settings: &Settings) -> String {
    if settings.exchange.is_empty() {
        return settings.queue.clone();
    }
    match settings.message_format {
        MessageFormat::Events => format!("{}.{}", event.kind().name(), event.key()),
        MessageFormat::Booking => "booking".into(),
        MessageFormat::Order => "order".into(),
    }
}

fn properties(event: &SinkEvent<'_>, message_format: MessageFormat, source: &Source) -> BasicProperties {
    let id = event_id(source, event);
    let kind = event_type(event);
    let mut headers = FieldTable::default();
    let mut put = |name: &str, value: &[u8]| {
        headers.insert(name.into(), AMQPValue::LongString(value.into()));
    };
    put("cloudEvents_id", id.as_bytes());
    put("cloudEvents_source", source_uri(source).as_bytes());
    if message_format == MessageFormat::Events {
        let mut time = Vec::with_capacity(24);
        write_rfc3339(&mut time, event.at);
        put("cloudEvents_specversion", b"1.0");
        put("cloudEvents_subject", event.key().as_bytes());
        put("cloudEvents_time", &time);
        put("cloudEvents_type", kind.as_bytes());
    }
    BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type("application/json".into())
        .with_app_id("onrush".into())
        .with_message_id(id.into())
        .with_type(kind.into())
        .with_timestamp(event.at / 1_000)
        .with_headers(headers)
}

//! A message as a broker gave it to a reader.

use anyhow::{Context as _, Result};

use super::{Stored, kind_of, offset_of};

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Received {
    /// The header `ce_source` of Kafka, `cloudEvents_source` of `RabbitMQ`.
    pub source: String,
    /// The header `ce_id`, the property `message_id`.
    pub id: String,
    /// The header `ce_type`, the property `type`; empty if there is none.
    pub event_type: String,
    /// The header `ce_time`, `cloudEvents_time`; empty if there is none.
    pub time: String,
    /// The key, the header `cloudEvents_subject`; empty if there is none.
    pub key: String,
    /// Whether the broker was asked to keep it over a restart, if it can be asked.
    pub is_persistent: Option<bool>,
    /// The payload.
    pub payload: Vec<u8>,
}

impl Received {
    /// The event of a message with form `events`.
    pub(crate) fn stored(&self) -> Result<Stored> {
        Ok(Stored {
            offset: offset_of(&self.id)?,
            kind: kind_of(&self.event_type)?,
            key: self.key.clone(),
            at: self.time.clone(),
            body: String::from_utf8(self.payload.clone()).context("read a payload")?,
        })
    }
}

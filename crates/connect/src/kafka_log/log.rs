//! The log: a topic that was looked at.

use std::sync::Arc;

use onrush_log::shared::{
    Acks, Extent, Finding, RecordNo, SharedAppender, SharedBounds, SharedError, SharedLog, SharedReader,
};
use onrush_log::{BATCH_BYTES_MAX, shared::RECORD_HEADER_BYTES};

use super::appender::KafkaAppender;
use super::reader::KafkaReader;
use super::settings::{KafkaLogSettings, OUTSTANDING_MAX};
use super::topic::Described;
use super::trimming;

/// Bytes of what Kafka takes that are left for its own headers and those of the client.
const MARGIN_BYTES: u64 = 4 << 10;

/// What a topic takes whose settings are not told, bytes: a little less than Kafka's default.
const MESSAGE_BYTES_UNTOLD: u64 = 1_000_000;

/// A topic as a log of several nodes. Nothing is kept open here: each appender and each reader has a client of its own, which reads the
/// password and the certificates anew.
pub struct KafkaLog {
    settings: KafkaLogSettings,
    bounds: SharedBounds,
}

impl KafkaLog {
    /// Looks at the topic, to learn how large its records may be.
    ///
    /// # Errors
    /// [`SharedError::Unreachable`], or [`SharedError::Absent`] if the topic is not there.
    pub fn open(settings: KafkaLogSettings) -> Result<Self, SharedError> {
        let described = Described::ask(&settings)?.ok_or_else(|| settings.absent())?;
        let told = described.values.ok();
        let told = told.and_then(|values| values.get("max.message.bytes")?.parse().ok());
        let bytes = told.unwrap_or(MESSAGE_BYTES_UNTOLD).saturating_sub(MARGIN_BYTES).max(1);
        let record_bytes_max = usize::try_from(bytes.min(BATCH_BYTES_MAX)).expect("some megabytes");
        let bounds = SharedBounds {
            record_bytes_max: record_bytes_max
                + if bytes > BATCH_BYTES_MAX { RECORD_HEADER_BYTES } else { 0 },
            outstanding_max: OUTSTANDING_MAX,
            numbers_are_dense: true,
        };
        Ok(Self { settings, bounds })
    }

    /// Which log it is.
    pub fn settings(&self) -> &KafkaLogSettings {
        &self.settings
    }
}

impl SharedLog for KafkaLog {
    fn bounds(&self) -> SharedBounds {
        self.bounds
    }

    fn inspect(&self) -> Result<Vec<Finding>, SharedError> {
        let described = Described::ask(&self.settings)?.ok_or_else(|| self.settings.absent())?;
        Ok(described.findings(&self.settings))
    }

    fn appender(&self, partition: u32, acks: Arc<dyn Acks>) -> Result<Box<dyn SharedAppender>, SharedError> {
        let bytes_max = self.bounds.record_bytes_max;
        Ok(Box::new(KafkaAppender::begin(&self.settings, partition, bytes_max, acks)?))
    }

    fn reader(&self, partition: u32, from: RecordNo) -> Result<Box<dyn SharedReader>, SharedError> {
        Ok(Box::new(KafkaReader::begin(&self.settings, partition, from)?))
    }

    fn extent(&self, partition: u32) -> Result<Extent, SharedError> {
        trimming::extent(&self.settings, partition)
    }

    fn trim(&self, partition: u32, before: RecordNo) -> Result<(), SharedError> {
        trimming::trim(&self.settings, partition, before)
    }
}

//! The way into the log: an idempotent producer, and a thread that takes what its brokers say. A producer that fails may go on behind
//! what it lost; whoever reads drops that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use onrush_log::shared::{Acked, Acks, RecordNo, SharedAppender, SharedError};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message as _, Timestamp};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};

use super::settings::{KafkaLogSettings, kafka_partition};
use crate::kafka::cluster;
use crate::kafka::reports::Reports;

/// Between two looks whether the appender was dropped. librdkafka spins for the last millisecond.
const LOOK: Duration = Duration::from_millis(250);

/// Bytes that librdkafka counts as part of a message beside the record.
const OVERHEAD_BYTES: usize = 2 << 10;

/// See the module.
pub(super) struct KafkaAppender {
    /// Nothing once it is dropped: what it waits for is left to the thread.
    producer: Option<Arc<BaseProducer<Deliveries>>>,
    is_dropped: Arc<AtomicBool>,
    topic: String,
    partition: i32,
    bytes_max: usize,
}

/// What one producer's brokers say.
struct Deliveries {
    reports: Reports,
    acks: Arc<dyn Acks>,
}

impl KafkaAppender {
    /// Begins with a client of its own; connects meanwhile.
    pub(super) fn begin(
        settings: &KafkaLogSettings,
        partition: u32,
        bytes_max: usize,
        acks: Arc<dyn Acks>,
    ) -> Result<Self, SharedError> {
        let message_bytes = u32::try_from(bytes_max + OVERHEAD_BYTES).expect("some megabytes");
        let config = settings.producer_config(message_bytes).map_err(SharedError::Unreachable)?;
        let producer: BaseProducer<Deliveries> =
            cluster::create_with(&settings.cluster, &config, |reports| Deliveries { reports, acks })
                .map_err(|error| SharedError::Unreachable(error.to_string()))?;
        let producer = Arc::new(producer);
        let is_dropped = Arc::new(AtomicBool::new(false));
        let (theirs, is_over) = (Arc::clone(&producer), Arc::clone(&is_dropped));
        let thread = std::thread::Builder::new().name("kafka-log-acks".to_owned());
        let started = thread.spawn(move || {
            while !is_over.load(Ordering::Acquire) || theirs.in_flight_count() > 0 {
                theirs.poll(LOOK);
            }
        });
        started.map_err(|error| SharedError::Unreachable(format!("start a thread: {error}")))?;
        Ok(Self {
            producer: Some(producer),
            is_dropped,
            topic: settings.topic.clone(),
            partition: kafka_partition(partition),
            bytes_max,
        })
    }
}

impl SharedAppender for KafkaAppender {
    fn append(&mut self, ticket: u64, _expected: RecordNo, record: &[u8]) -> Result<(), SharedError> {
        if record.len() > self.bytes_max {
            return Err(SharedError::TooLarge { bytes: record.len(), bytes_max: self.bytes_max });
        }
        let producer = self.producer.as_ref().expect("it is there until the appender is dropped");
        let opaque = usize::try_from(ticket).expect("tickets are as wide as pointers where this runs");
        let message: BaseRecord<'_, (), [u8], usize> =
            BaseRecord::with_opaque_to(&self.topic, opaque).partition(self.partition).payload(record);
        producer.send(message).map_err(|(error, _)| producer.context().unknown(&error))
    }
}

impl Drop for KafkaAppender {
    fn drop(&mut self) {
        // In this order, so that the thread is the last that has the producer: whoever is, waits until it is closed.
        self.producer = None;
        self.is_dropped.store(true, Ordering::Release);
    }
}

impl Deliveries {
    fn unknown(&self, error: &KafkaError) -> SharedError {
        SharedError::Unknown(self.reports.with_complaint(error.to_string()).into())
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.reports.log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.reports.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: usize) {
        let acked = match result {
            Ok(message) => Ok(Acked {
                // Without one the record is there, and the broker no longer knows where.
                no: u64::try_from(message.offset()).ok().map(RecordNo),
                appended_at_ms: match message.timestamp() {
                    Timestamp::LogAppendTime(ms) => u64::try_from(ms).ok(),
                    Timestamp::CreateTime(_) | Timestamp::NotAvailable => None,
                },
            }),
            Err((error, _)) => Err(self.unknown(error)),
        };
        self.acks.ack(ticket as u64, acked);
    }
}

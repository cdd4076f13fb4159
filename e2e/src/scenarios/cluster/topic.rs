//! The topic that the nodes share, as a client of Kafka sees it: it knows nothing of what its records mean.

use anyhow::{Context as _, Result, anyhow, ensure};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest wait for the cluster, which may have a broker to do without.
const TIMEOUT: Duration = Duration::from_mins(1);

/// What a stranger writes there. No node may take it for a record.
const JUNK: &[u8] = b"nobody's record";

/// The topic, read once from its beginning to its end.
pub(super) struct Topic {
    name: String,
    consumer: BaseConsumer,
    producer: BaseProducer<LastPlace>,
}

/// Where what was written last is.
#[derive(Default)]
struct LastPlace(Mutex<Option<Result<i64, String>>>);

impl ClientContext for LastPlace {}

impl ProducerContext for LastPlace {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let place = match result {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.to_string()),
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
    }
}

impl Topic {
    /// A topic that is there.
    pub(super) fn open(brokers: &str, name: &str) -> Result<Self> {
        let mut settings = ClientConfig::new();
        settings.set("bootstrap.servers", brokers);
        let producer = settings
            .clone()
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", TIMEOUT.as_millis().to_string())
            .create_with_context(LastPlace::default())
            .context("make a Kafka writer")?;
        let consumer: BaseConsumer = settings
            .set("group.id", "onrush-e2e")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error")
            .set("check.crcs", "true")
            .create()
            .context("make a Kafka reader")?;
        let mut assigned = TopicPartitionList::new();
        assigned.add_partition_offset(name, 0, Offset::Offset(0))?;
        consumer.assign(&assigned).context("assign the partition")?;
        Ok(Self { name: name.to_owned(), consumer, producer })
    }

    /// Visits every record from `next` on that is there now, with its number.
    ///
    /// What the brokers say of the end of a topic can be older than what they have acknowledged, so the end is where something lands that is
    /// written now.
    pub(super) fn read(&self, mut next: u64, mut visit: impl FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
        let end = self.write_junk()?;
        let mut quiet_since = Instant::now();
        while next <= end {
            ensure!(quiet_since.elapsed() < TIMEOUT, "Kafka gave nothing for {TIMEOUT:?}");
            let Some(Ok(message)) = self.consumer.poll(Duration::from_millis(200)) else { continue };
            quiet_since = Instant::now();
            let no = u64::try_from(message.offset()).context("a record number below 0")?;
            visit(no, message.payload().unwrap_or_default())?;
            next = no + 1;
        }
        Ok(())
    }

    /// Writes what is no record, and returns its number.
    fn write_junk(&self) -> Result<u64> {
        let context = self.producer.context();
        *context.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let record = BaseRecord::<(), [u8]>::to(&self.name).partition(0).payload(JUNK);
        self.producer.send(record).map_err(|(error, _)| error).context("send to Kafka")?;
        self.producer.flush(TIMEOUT).context("send to Kafka")?;
        let place = context.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let place = place.context("Kafka did not say where it is")?.map_err(|error| anyhow!(error))?;
        u64::try_from(place).context("a record number below 0")
    }
}

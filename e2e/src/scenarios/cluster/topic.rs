//! The topic that the nodes share, as a client of Kafka sees it: it knows nothing of what its records mean.

use anyhow::{Context as _, Result, anyhow, ensure};
use rdkafka::admin::{AdminClient, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::targets::kafka::{block_on, options};

/// Longest wait for the cluster, which may have a broker to do without.
const TIMEOUT: Duration = Duration::from_mins(1);

/// What a stranger writes there. No node may take it for a record.
const JUNK: &[u8] = b"nobody's record";

/// What the topic of a log has to say of itself. Whoever sets one of them sets all.
const SAFE: [(&str, &str); 7] = [
    ("cleanup.policy", "delete"),
    ("max.message.bytes", "1052672"),
    ("message.timestamp.type", "LogAppendTime"),
    ("min.insync.replicas", "2"),
    ("retention.bytes", "-1"),
    ("retention.ms", "-1"),
    ("unclean.leader.election.enable", "false"),
];

/// Records that are kept to be written once more.
const REPEATABLE_MAX: usize = 64;

/// The topic, read once from its beginning to its end.
pub(super) struct Topic {
    brokers: String,
    name: String,
    consumer: BaseConsumer,
    producer: BaseProducer<LastPlace>,
    admin: AdminClient<DefaultClientContext>,
    repeatable: Vec<Vec<u8>>,
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
        let admin = settings.create().context("make a Kafka client")?;
        let (brokers, name, repeatable) = (brokers.to_owned(), name.to_owned(), Vec::new());
        Ok(Self { brokers, name, consumer, producer, admin, repeatable })
    }

    /// The topic of the same name that is there now.
    pub(super) fn opened_again(&self) -> Result<Self> {
        Self::open(&self.brokers, &self.name)
    }

    /// Every record from `next` on that is there now.
    ///
    /// What the brokers say of the end of a topic can be older than what they have acknowledged, so the end is where something lands that is
    /// written now.
    pub(super) fn read(&mut self, mut next: u64) -> Result<Vec<Vec<u8>>> {
        let end = self.write(JUNK)?;
        let mut records = Vec::new();
        let mut quiet_since = Instant::now();
        while next <= end {
            ensure!(quiet_since.elapsed() < TIMEOUT, "Kafka gave nothing for {TIMEOUT:?}");
            let Some(Ok(message)) = self.consumer.poll(Duration::from_millis(200)) else { continue };
            quiet_since = Instant::now();
            let no = u64::try_from(message.offset()).context("a record number below 0")?;
            ensure!(no == next, "after record {} comes {no}", next.saturating_sub(1));
            records.push(message.payload().unwrap_or_default().to_vec());
            next = no + 1;
        }
        let kept = records.len().saturating_sub(REPEATABLE_MAX);
        self.repeatable.extend_from_slice(&records[kept..]);
        self.repeatable.drain(..self.repeatable.len().saturating_sub(REPEATABLE_MAX));
        Ok(records)
    }

    /// Writes a record once more that was read before, as a broker or a client does that repeats too much.
    pub(super) fn repeat(&self, chosen: u64) -> Result<()> {
        let record = usize::try_from(chosen)?.checked_rem(self.repeatable.len());
        record.map_or(Ok(()), |chosen| self.write(&self.repeatable[chosen]).map(drop))
    }

    /// Sets the topic as the nodes need it, but for these.
    pub(super) fn set(&self, others: &[(&str, &str)]) -> Result<()> {
        let mut altered = AlterConfig::new(ResourceSpecifier::Topic(&self.name));
        for (name, safe) in SAFE {
            let other = others.iter().find(|(other, _)| *other == name);
            altered = altered.set(name, other.map_or(safe, |(_, value)| value));
        }
        for result in block_on(self.admin.alter_configs([&altered], &options()))?? {
            result.map_err(|(_, error)| anyhow!("change the topic: {error}"))?;
        }
        Ok(())
    }

    /// Deletes the topic, and returns when no broker tells of it any more.
    pub(super) fn delete(&self) -> Result<()> {
        for result in block_on(self.admin.delete_topics(&[&self.name], &options()))?? {
            result.map_err(|(_, error)| anyhow!("delete the topic: {error}"))?;
        }
        let started = Instant::now();
        loop {
            let metadata = self.consumer.fetch_metadata(None, TIMEOUT).context("read metadata")?;
            if metadata.topics().iter().all(|topic| topic.name() != self.name) {
                return Ok(());
            }
            ensure!(started.elapsed() < TIMEOUT, "the topic is still there {TIMEOUT:?} after it was deleted");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Deletes all records before this one.
    pub(super) fn delete_records_before(&self, no: u64) -> Result<()> {
        let mut before = TopicPartitionList::new();
        before.add_partition_offset(&self.name, 0, Offset::Offset(i64::try_from(no)?))?;
        let deleted = block_on(self.admin.delete_records(&before, &options()))?.context("delete records")?;
        deleted.elements().iter().try_for_each(TopicPartitionListElem::error).context("delete records")
    }

    /// Writes something, and returns its number.
    fn write(&self, bytes: &[u8]) -> Result<u64> {
        let context = self.producer.context();
        *context.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let record = BaseRecord::<(), [u8]>::to(&self.name).partition(0).payload(bytes);
        self.producer.send(record).map_err(|(error, _)| error).context("send to Kafka")?;
        self.producer.flush(TIMEOUT).context("send to Kafka")?;
        let place = context.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let place = place.context("Kafka did not say where it is")?.map_err(|error| anyhow!(error))?;
        u64::try_from(place).context("a record number below 0")
    }
}

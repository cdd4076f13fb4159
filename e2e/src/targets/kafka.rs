//! A topic of Kafka, read from its beginning without a group.

use anyhow::{Context as _, Result, anyhow, ensure};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::runtime;

use super::received::Received;
use super::retried;
use crate::services::Services;

/// Partitions of a topic, so that the order of a key means something.
const PARTITION_COUNT: i32 = 3;

/// Longest wait for one answer of the broker.
const BROKER_TIMEOUT: Duration = Duration::from_secs(30);

/// Where a run writes.
#[derive(Debug)]
pub(crate) struct Topics {
    /// The topic.
    pub topic: String,
    /// What messages look like.
    pub message_format: &'static str,
    /// Where the sink connects to: the broker, or the listener whose address is a proxy's.
    pub brokers: SocketAddr,
    direct: SocketAddr,
    next: BTreeMap<i32, i64>,
}

impl Topics {
    /// A topic of this name.
    pub(crate) fn new(services: &Services, name: &str) -> Result<Self> {
        let direct = services.address("KAFKA_BROKERS")?;
        Ok(Self {
            topic: name.into(),
            message_format: "events",
            brokers: direct,
            direct,
            next: BTreeMap::new(),
        })
    }

    /// The settings of its sink.
    pub(crate) fn settings(&self) -> Vec<(String, String)> {
        vec![
            ("BROKERS".to_owned(), self.brokers.to_string()),
            ("TOPIC".to_owned(), self.topic.clone()),
            ("MESSAGE_FORMAT".to_owned(), self.message_format.to_owned()),
        ]
    }

    /// Creates the topic with several partitions.
    pub(crate) fn create(&self) -> Result<()> {
        let topic = NewTopic::new(&self.topic, PARTITION_COUNT, TopicReplication::Fixed(1));
        let results = block_on(self.admin()?.create_topics([&topic], &options()))??;
        results.into_iter().try_for_each(|result| match result {
            Ok(_) => Ok(()),
            Err((topic, error)) => Err(anyhow!("create the topic {topic}: {error}")),
        })
    }

    /// What came since the last call, up to what the topic holds now.
    pub(crate) fn read(&mut self) -> Result<Vec<Received>> {
        let consumer: BaseConsumer = self
            .client_config()
            .set("group.id", "onrush-e2e")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error")
            .create()
            .context("make a Kafka reader")?;
        let ends = retried("ask for the ends of a topic", || self.ends(&consumer))?;
        let mut assigned = TopicPartitionList::new();
        for partition in ends.keys() {
            let next = self.next.get(partition).copied().unwrap_or_default();
            assigned.add_partition_offset(&self.topic, *partition, Offset::Offset(next))?;
        }
        consumer.assign(&assigned).context("assign partitions")?;
        let mut received = Vec::new();
        let mut quiet_since = Instant::now();
        while ends.iter().any(|(partition, end)| self.next.get(partition).copied().unwrap_or_default() < *end)
        {
            ensure!(quiet_since.elapsed() < BROKER_TIMEOUT, "Kafka gave nothing for {BROKER_TIMEOUT:?}");
            let Some(Ok(message)) = consumer.poll(Duration::from_millis(200)) else { continue };
            quiet_since = Instant::now();
            let next = self.next.entry(message.partition()).or_default();
            ensure!(message.offset() >= *next, "Kafka gave {} after {}", message.offset(), *next - 1);
            *next = message.offset() + 1;
            received.push(read(&message)?);
        }
        Ok(received)
    }

    /// Sends a message as if it came from the sink.
    pub(crate) fn send(&self, message: &Received) -> Result<()> {
        let producer: BaseProducer = self.client_config().create().context("make a Kafka writer")?;
        let mut headers = OwnedHeaders::new();
        for (key, value) in [
            ("ce_source", &message.source),
            ("ce_id", &message.id),
            ("ce_type", &message.event_type),
            ("ce_time", &message.time),
        ] {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        let record = BaseRecord::to(&self.topic).key(&message.key).payload(&message.payload).headers(headers);
        producer.send(record).map_err(|(error, _)| error).context("send to Kafka")?;
        producer.flush(BROKER_TIMEOUT).context("send to Kafka")
    }

    /// Makes the topic demand more replicas than there are, or one.
    pub(crate) fn refuse(&self, refused: bool) -> Result<()> {
        let replicas = if refused { "2" } else { "1" };
        retried("change the topic", || {
            let topic = ResourceSpecifier::Topic(&self.topic);
            let altered = AlterConfig::new(topic).set("min.insync.replicas", replicas);
            for result in block_on(self.admin()?.alter_configs([&altered], &options()))?? {
                match result {
                    Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
                    Err((_, error)) => return Err(anyhow!("{error}")),
                }
            }
            Ok(())
        })
    }

    /// Removes the topic.
    pub(crate) fn clean(&self) -> Result<()> {
        for result in block_on(self.admin()?.delete_topics(&[&self.topic], &options()))?? {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
                Err((topic, error)) => return Err(anyhow!("delete the topic {topic}: {error}")),
            }
        }
        Ok(())
    }

    fn ends(&self, consumer: &BaseConsumer) -> Result<BTreeMap<i32, i64>> {
        let metadata = consumer.fetch_metadata(Some(&self.topic), BROKER_TIMEOUT).context("read metadata")?;
        let topic = metadata.topics().first().context("no topic")?;
        ensure!(!topic.partitions().is_empty(), "the topic has no partitions");
        topic
            .partitions()
            .iter()
            .map(|partition| {
                let (_, end) = consumer.fetch_watermarks(&self.topic, partition.id(), BROKER_TIMEOUT)?;
                Ok((partition.id(), end))
            })
            .collect()
    }

    fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.direct.to_string());
        config
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>> {
        self.client_config().create().context("make a Kafka client")
    }
}

/// How long the brokers are waited for.
pub(crate) fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(BROKER_TIMEOUT)).operation_timeout(Some(BROKER_TIMEOUT))
}

/// Waits for the end of something.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> Result<T> {
    Ok(runtime::Builder::new_current_thread().build().context("start an event loop")?.block_on(work))
}

fn read(message: &BorrowedMessage<'_>) -> Result<Received> {
    let header = |name: &str| {
        let found = message.headers()?.iter().find(|header| header.key == name);
        found.and_then(|header| header.value).map(|value| String::from_utf8_lossy(value).into_owned())
    };
    Ok(Received {
        source: header("ce_source").unwrap_or_default(),
        id: header("ce_id").context("a message without ce_id")?,
        event_type: header("ce_type").unwrap_or_default(),
        time: header("ce_time").unwrap_or_default(),
        key: String::from_utf8(message.key().unwrap_or_default().to_vec()).context("read a key")?,
        is_persistent: None,
        payload: message.payload().unwrap_or_default().to_vec(),
    })
}

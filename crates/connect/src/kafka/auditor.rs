//! The auditor: reads every partition from its first message to what was its last when it began, without joining a group or
//! storing a position.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use onrush_sinks::{EXCHANGE_TIMEOUT, SinkEvent, Skipped, Source, TargetError};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};

use super::murmur2::partition_of;
use super::reports::Reports;
use super::topics::Topics;
use super::writer::{ID_HEADER, SOURCE_HEADER, TYPE_HEADER};
use super::{Settings, cluster};
use crate::event_json::{kind_type, offset_in_id};
use crate::{Audit, Findings, Ledger, MessageFormat, StoredEvent, Tally, fingerprint, source_uri};

/// Longest wait for the bounds of a partition.
const BOUNDS_TIMEOUT: Duration = Duration::from_secs(10);

/// Compares the topics of a sink with the log. Keeps about 32 bytes per event and 16 per key while it does.
pub struct KafkaAuditor {
    settings: Settings,
    topics: Topics,
    source: String,
    partition: u32,
    range: std::ops::Range<u64>,
    ledger: Ledger,
    /// The newest event of each key, by partition.
    newest: HashMap<u64, u64>,
    disordered: Tally,
    foreign_count: u64,
    partition_counts: BTreeMap<String, u32>,
    /// Partitions that retention took messages from, and the smallest offset of an event that is left in each.
    trimmed: BTreeMap<(String, u32), u64>,
    unseen_count: u64,
    payload: Vec<u8>,
}

impl KafkaAuditor {
    /// An auditor for these settings, not connected.
    pub fn new(settings: Settings) -> Self {
        Self {
            topics: Topics::new(&settings.topic),
            settings,
            source: String::new(),
            partition: 0,
            range: 0..0,
            ledger: Ledger::default(),
            newest: HashMap::new(),
            disordered: Tally::default(),
            foreign_count: 0,
            partition_counts: BTreeMap::new(),
            trimmed: BTreeMap::new(),
            unseen_count: 0,
            payload: Vec::new(),
        }
    }

    fn read_topic(
        &mut self,
        consumer: &BaseConsumer<Reports>,
        topic: &str,
        partition_count: u32,
    ) -> Result<(), TargetError> {
        self.partition_counts.insert(topic.to_owned(), partition_count);
        for partition in 0..partition_count {
            let kafka_partition = i32::try_from(partition).expect("Kafka numbers partitions in 31 bits");
            let bounds = consumer.fetch_watermarks(topic, kafka_partition, BOUNDS_TIMEOUT);
            let (low, high) =
                bounds.map_err(|error| lost(consumer, "read the bounds of a partition", &error))?;
            if low > 0 {
                self.trimmed.insert((topic.to_owned(), partition), u64::MAX);
            }
            if low < high {
                self.read_partition(consumer, topic, kafka_partition, low..high)?;
            }
        }
        Ok(())
    }

    fn read_partition(
        &mut self,
        consumer: &BaseConsumer<Reports>,
        topic: &str,
        partition: i32,
        bounds: std::ops::Range<i64>,
    ) -> Result<(), TargetError> {
        let mut assignment = TopicPartitionList::new();
        let begun = assignment.add_partition_offset(topic, partition, Offset::Offset(bounds.start));
        begun
            .and_then(|()| consumer.assign(&assignment))
            .map_err(|error| lost(consumer, "read a partition", &error))?;
        loop {
            match consumer.poll(EXCHANGE_TIMEOUT) {
                Some(Ok(message)) => {
                    self.store(topic, &message);
                    if message.offset() + 1 >= bounds.end {
                        return Ok(());
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
                Some(Err(error)) => return Err(lost(consumer, "read a partition", &error)),
                None => return Err(lost(consumer, "read a partition", &KafkaError::NoMessageReceived)),
            }
        }
    }

    fn store(&mut self, topic: &str, message: &BorrowedMessage<'_>) {
        let Some(offset) = self.offset_of(message) else {
            self.foreign_count += 1;
            return;
        };
        let partition = u32::try_from(message.partition()).expect("a message that was read has a partition");
        if let Some(smallest) = self.trimmed.get_mut(&(topic.to_owned(), partition)) {
            *smallest = offset.min(*smallest);
        }
        if !self.range.contains(&offset) {
            return;
        }
        let key = message.key().unwrap_or_default();
        let kind = header(message, TYPE_HEADER).unwrap_or_default();
        let content = fingerprint(&[key, kind, message.payload().unwrap_or_default()]);
        if !self.ledger.store(StoredEvent { offset, fingerprint: content }) {
            return;
        }
        let place = fingerprint(&[topic.as_bytes(), &partition.to_le_bytes(), key]);
        let newest = self.newest.entry(place).or_insert(offset);
        if offset < *newest {
            self.disordered
                .add(format_args!("offset {offset} first stands behind offset {newest} of the same key"));
        } else {
            *newest = offset;
        }
    }

    /// The offset in a message's id, if it comes from this log.
    fn offset_of(&self, message: &BorrowedMessage<'_>) -> Option<u64> {
        if header(message, SOURCE_HEADER)? != self.source.as_bytes() {
            return None;
        }
        let id = std::str::from_utf8(header(message, ID_HEADER)?).ok()?;
        offset_in_id(self.partition, id)
    }

    /// Whether retention took what there was of an event that is not there.
    fn is_unseen(&self, event: &SinkEvent<'_>) -> bool {
        let topic = self.topics.of(event.kind());
        let Some(partition_count) = self.partition_counts.get(topic).filter(|count| **count > 0) else {
            return false;
        };
        let partition = partition_of(event.key().as_bytes(), *partition_count);
        let smallest = self.trimmed.get(&(topic.to_owned(), partition));
        smallest.is_some_and(|smallest| event.offset < *smallest) && !self.ledger.holds(event.offset)
    }
}

impl Audit for KafkaAuditor {
    fn open(&mut self, source: &Source, from: u64, to: u64) -> Result<u64, TargetError> {
        let config =
            self.settings.cluster.reader_config("onrush-reconcile").map_err(TargetError::Unavailable)?;
        *self = Self::new(self.settings.clone());
        self.source = source_uri(source);
        self.partition = source.partition;
        self.range = from..to;
        let client_config = self.settings.cluster.client_config().map_err(TargetError::Unavailable)?;
        let described = cluster::describe(&self.settings.cluster, &client_config)?;
        let consumer: BaseConsumer<Reports> = cluster::create(&self.settings.cluster, &config)?;
        let names: Vec<String> =
            self.topics.used_by(self.settings.message_format).into_iter().map(str::to_owned).collect();
        for name in names {
            // A topic that is not there holds nothing.
            if let Some(topic) = described.get(&name) {
                self.read_topic(&consumer, &name, topic.partition_count)?;
            }
        }
        Ok(to)
    }

    fn expect(&mut self, event: &SinkEvent<'_>) -> Result<(), TargetError> {
        self.payload.clear();
        if !self.settings.message_format.write_payload(&mut self.payload, event) {
            return Ok(());
        }
        if self.is_unseen(event) {
            self.unseen_count += 1;
            return Ok(());
        }
        let kind = if self.settings.message_format == MessageFormat::Events {
            kind_type(event.kind())
        } else {
            String::new()
        };
        let content = fingerprint(&[event.key().as_bytes(), kind.as_bytes(), &self.payload]);
        self.ledger.expect(StoredEvent { offset: event.offset, fingerprint: content });
        Ok(())
    }

    fn excuse(&mut self, skipped: &Skipped) -> Result<(), TargetError> {
        self.ledger.excuse(skipped.from, skipped.to);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Findings, TargetError> {
        let mut findings = self.ledger.finish(self.range.start, self.range.end);
        findings.different.merge(self.disordered);
        for ((topic, partition), smallest) in &self.trimmed {
            let rest = match smallest {
                &u64::MAX => "nothing of this log is left in it".to_owned(),
                smallest => format!("offset {smallest} is the oldest left in it"),
            };
            findings
                .notes
                .push(format!("messages were removed from topic {topic} partition {partition}; {rest}"));
        }
        if self.unseen_count > 0 {
            findings.notes.push(format!(
                "{} events were not compared, because they may be among those removed",
                self.unseen_count
            ));
        }
        if self.foreign_count > 0 {
            findings
                .notes
                .push(format!("{} messages are not of this log, and were not compared", self.foreign_count));
        }
        findings.notes.push("first appearances were checked to be in order per key and partition".to_owned());
        Ok(findings)
    }
}

fn header<'m>(message: &'m BorrowedMessage<'_>, name: &str) -> Option<&'m [u8]> {
    message.headers()?.iter().find(|header| header.key == name)?.value
}

fn lost(consumer: &BaseConsumer<Reports>, doing: &str, error: &KafkaError) -> TargetError {
    TargetError::Unavailable(consumer.context().with_complaint(format!("{doing}: {error}")))
}

//! The way out of the log: a consumer without a group, which is told where to begin.

use std::time::Duration;

use onrush_log::shared::{Progress, RecordNo, SharedError, SharedReader, VisitRecord};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::settings::{KafkaLogSettings, kafka_partition};
use crate::kafka::cluster;
use crate::kafka::reports::Reports;

/// Longest wait for an answer to what the topic has.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// Records after which a reading ends, so that whoever reads comes to other things too.
const RECORDS_PER_READ: usize = 1_000;

/// Times that the broker says that there is more, and nothing comes, until somebody is told.
const LOOKS_IN_VAIN_MAX: u32 = 100;

/// See the module.
pub(super) struct KafkaReader {
    consumer: BaseConsumer<Reports>,
    settings: KafkaLogSettings,
    partition: i32,
    next: RecordNo,
    doubt: Option<Doubt>,
    looks_in_vain: u32,
}

/// What librdkafka said of the log, and the broker has to confirm before it is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    /// It has no such record, or is not there.
    IsOther,
    /// It has other records than those that were read.
    WasTruncated,
}

/// What the broker says of the log.
enum Answer {
    /// The oldest record, and the number of the next one to come.
    Holds {
        oldest: RecordNo,
        end: RecordNo,
    },
    IsAbsent,
    /// It says nothing now.
    Silence,
}

impl KafkaReader {
    /// Begins with a client of its own; connects meanwhile.
    pub(super) fn begin(
        settings: &KafkaLogSettings,
        partition: u32,
        from: RecordNo,
    ) -> Result<Self, SharedError> {
        let config = settings.consumer_config().map_err(SharedError::Unreachable)?;
        let consumer: BaseConsumer<Reports> = cluster::create(&settings.cluster, &config)
            .map_err(|error| SharedError::Unreachable(error.to_string()))?;
        let partition = kafka_partition(partition);
        let (settings, doubt, looks_in_vain) = (settings.clone(), None, 0);
        let reader = Self { consumer, settings, partition, next: from, doubt, looks_in_vain };
        reader.assign()?;
        Ok(reader)
    }

    /// Lets the client go on, or begin, with the next record.
    fn assign(&self) -> Result<(), SharedError> {
        let mut assignment = TopicPartitionList::new();
        let offset = i64::try_from(self.next.0).expect("Kafka's offsets have 63 bits");
        assignment
            .add_partition_offset(&self.settings.topic, self.partition, Offset::Offset(offset))
            .and_then(|()| self.consumer.assign(&assignment))
            .map_err(|error| SharedError::Unknown(self.said(&error).into()))
    }

    fn said(&self, error: &KafkaError) -> String {
        self.consumer.context().with_complaint(format!("read topic {}: {error}", self.settings.topic))
    }

    /// What is to be done about what the client says.
    fn take_error(&mut self, error: &KafkaError) -> Result<(), SharedError> {
        use RDKafkaErrorCode::{
            AutoOffsetReset, BadMessage, GroupAuthorizationFailed, InvalidMessage, LogTruncation,
            OffsetOutOfRange, TopicAuthorizationFailed, UnknownPartition, UnknownTopic,
            UnknownTopicOrPartition,
        };
        match error.rdkafka_error_code() {
            Some(LogTruncation) => self.doubt = Some(Doubt::WasTruncated),
            Some(
                AutoOffsetReset
                | OffsetOutOfRange
                | UnknownPartition
                | UnknownTopic
                | UnknownTopicOrPartition,
            ) => self.doubt = self.doubt.or(Some(Doubt::IsOther)),
            Some(TopicAuthorizationFailed | GroupAuthorizationFailed) => {
                return Err(SharedError::Unreachable(self.said(error)));
            }
            // The bytes are not those that were written. Behind them there would be a gap.
            Some(BadMessage | InvalidMessage) => return Err(SharedError::Unknown(self.said(error).into())),
            _ if matches!(error, KafkaError::MessageConsumptionFatal(_)) => {
                return Err(SharedError::Unknown(self.said(error).into()));
            }
            // It tries again by itself.
            _ => tracing::debug!("{}", self.said(error)),
        }
        Ok(())
    }

    /// Asks the broker what it has.
    fn ask(&self) -> Answer {
        let topic = &self.settings.topic;
        match self.consumer.fetch_watermarks(topic, self.partition, ANSWER_TIMEOUT) {
            Ok((oldest, end)) => match (u64::try_from(oldest), u64::try_from(end)) {
                (Ok(oldest), Ok(end)) => Answer::Holds { oldest: RecordNo(oldest), end: RecordNo(end) },
                _ => Answer::Silence,
            },
            Err(error) => match error.rdkafka_error_code() {
                Some(
                    RDKafkaErrorCode::UnknownPartition
                    | RDKafkaErrorCode::UnknownTopic
                    | RDKafkaErrorCode::UnknownTopicOrPartition,
                ) if self.is_absent() => Answer::IsAbsent,
                _ => Answer::Silence,
            },
        }
    }

    /// Whether the cluster itself says that there is no such topic, which the client may only have heard of some time ago.
    fn is_absent(&self) -> bool {
        let metadata = self.consumer.fetch_metadata(Some(&self.settings.topic), ANSWER_TIMEOUT);
        let Ok(metadata) = metadata else { return false };
        metadata.topics().iter().any(|topic| {
            topic.name() == self.settings.topic
                && topic.error().is_some_and(|error| {
                    RDKafkaErrorCode::from(error) == RDKafkaErrorCode::UnknownTopicOrPartition
                })
        })
    }

    /// Whether there is nothing more to read, by the broker's word.
    fn look(&mut self) -> Result<bool, SharedError> {
        if self.consumer.context().is_refused() {
            let text = format!("no connection to {}", self.settings.cluster.brokers);
            return Err(SharedError::Unreachable(self.consumer.context().with_complaint(text)));
        }
        let next = self.next;
        let (oldest, end) = match self.ask() {
            Answer::Holds { oldest, end } => (oldest, end),
            Answer::IsAbsent => return Err(self.settings.absent()),
            Answer::Silence => return Ok(false),
        };
        if next < oldest {
            return Err(SharedError::Missing { next, found: oldest });
        }
        match self.doubt.take() {
            Some(Doubt::WasTruncated) => Err(SharedError::Truncated { next, end }),
            Some(Doubt::IsOther) if end < next => Err(SharedError::Truncated { next, end }),
            // It was another broker's word, and nothing is wrong.
            Some(Doubt::IsOther) => self.assign().map(|()| false),
            None => {
                self.count_in_vain(end);
                // A broker that has just become the leader may say too little.
                Ok(end == next)
            }
        }
    }

    /// What ends a transaction has a number and is no record. The next record shows the gap; until it comes, this is all that can be
    /// said.
    fn count_in_vain(&mut self, end: RecordNo) {
        self.looks_in_vain = if self.next < end { self.looks_in_vain + 1 } else { 0 };
        if self.looks_in_vain == LOOKS_IN_VAIN_MAX {
            let (topic, next, end) = (&self.settings.topic, self.next.0, end.0);
            tracing::warn!(
                "topic {topic}: the broker says that its next record is {end}, and record {next} does not come: is the line slow, or \
                 does anybody write transactions to it?"
            );
        }
    }
}

impl SharedReader for KafkaReader {
    fn read(&mut self, patience: Duration, visit: &mut VisitRecord<'_>) -> Result<Progress, SharedError> {
        let (mut wait, mut is_level, mut has_read) = (patience, false, false);
        for _ in 0..RECORDS_PER_READ {
            let found = match self.consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    let next = self.next;
                    let found = RecordNo(
                        u64::try_from(message.offset()).expect("a record that is read has a number"),
                    );
                    if found != next {
                        return Err(SharedError::Missing { next, found });
                    }
                    (is_level, has_read, self.looks_in_vain) = (false, true, 0);
                    self.next = RecordNo(next.0 + 1);
                    if visit(next, message.payload().unwrap_or_default()).is_break() {
                        return Ok(Progress { next: self.next, is_level: false });
                    }
                    None
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    is_level = true;
                    None
                }
                Some(Err(error)) => Some(error),
            };
            if let Some(error) = found {
                self.take_error(&error)?;
            }
            wait = Duration::ZERO;
        }
        // What the client heard of the end before is not news: it says it once.
        if !has_read || self.doubt.is_some() {
            is_level = self.look()?;
        }
        Ok(Progress { next: self.next, is_level })
    }
}

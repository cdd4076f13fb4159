//! Asking the cluster, again and again, where a topic ends.

use std::collections::BTreeMap;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use onrush_debezium::Known;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::ends::Question;
use super::moment::now;
use super::stopping::Stop;
use crate::kafka::reports::Reports;

/// Between two questions.
const INTERVAL: Duration = Duration::from_millis(100);

/// Between two looks how many partitions the topic has.
const PARTITIONS_INTERVAL: Duration = Duration::from_secs(5);

/// Longest wait for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// What whoever asks has to tell.
pub(super) enum Answer {
    Ends(Question<Known>),
    /// The topic has another number of partitions than before, or is not there.
    OtherPartitions,
    Failed(String),
}

/// The topic that is asked for.
pub(super) struct Asked {
    pub(super) consumer: Arc<BaseConsumer<Reports>>,
    pub(super) topic: String,
    pub(super) partition_count: i32,
    /// What is known of the source while it is asked.
    pub(super) known: Arc<Mutex<Known>>,
}

impl Asked {
    /// Asks until it is stopped, or nobody listens any more.
    pub(super) fn ask_on(&self, stop: &Stop, answers: &SyncSender<Answer>) {
        let mut looked_at = now();
        while !stop.wait(INTERVAL) {
            let asked_at = now();
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let answer = match self.ends() {
                Ok(ends) => Answer::Ends(Question { asked_at, known, ends }),
                Err(error) => Answer::Failed(format!("ask where topic {} ends: {error}", self.topic)),
            };
            let is_told = tell(answers, answer);
            let looks = asked_at.saturating_duration_since(looked_at) > PARTITIONS_INTERVAL;
            let is_other = looks && self.has_other_partitions();
            if looks {
                looked_at = asked_at;
            }
            if !is_told || (is_other && !tell(answers, Answer::OtherPartitions)) {
                return;
            }
        }
    }

    fn ends(&self) -> Result<BTreeMap<i32, i64>, KafkaError> {
        let mut wanted = TopicPartitionList::new();
        for partition in 0..self.partition_count {
            wanted.add_partition_offset(&self.topic, partition, Offset::End)?;
        }
        let found = self.consumer.offsets_for_times(wanted, ANSWER_TIMEOUT)?;
        let mut ends = BTreeMap::new();
        for element in found.elements() {
            element.error()?;
            if let Offset::Offset(end) = element.offset() {
                ends.insert(element.partition(), end);
            }
        }
        let is_whole = i32::try_from(ends.len()) == Ok(self.partition_count);
        if is_whole { Ok(ends) } else { Err(KafkaError::NoMessageReceived) }
    }

    fn has_other_partitions(&self) -> bool {
        let metadata = self.consumer.fetch_metadata(Some(&self.topic), ANSWER_TIMEOUT);
        let Ok(metadata) = metadata else { return false };
        let topic = metadata.topics().iter().find(|topic| topic.name() == self.topic);
        topic.is_none_or(|topic| {
            let is_gone = topic.error().is_some();
            is_gone || i32::try_from(topic.partitions().len()) != Ok(self.partition_count)
        })
    }
}

/// Whether somebody listens. An answer that nobody has taken yet says as much as the next one.
fn tell(answers: &SyncSender<Answer>, answer: Answer) -> bool {
    !matches!(answers.try_send(answer), Err(TrySendError::Disconnected(_)))
}

//! Which records a topic has, and dropping the oldest of them.

use std::time::Duration;

use onrush_log::shared::{Extent, RecordNo, SharedError};
use onrush_sinks::TargetError;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::settings::{KafkaLogSettings, kafka_partition};
use crate::kafka::cluster;
use crate::kafka::reports::Reports;
use crate::waiting::Waiter;

/// Longest wait for an answer of the cluster.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Asks the broker that leads the partition.
pub(super) fn extent(settings: &KafkaLogSettings, partition: u32) -> Result<Extent, SharedError> {
    let admin = admin(settings)?;
    let (topic, partition) = (&settings.topic, kafka_partition(partition));
    let (oldest, end) =
        admin.inner().fetch_watermarks(topic, partition, ANSWER_TIMEOUT).map_err(|error| {
            match error.rdkafka_error_code() {
                Some(
                    RDKafkaErrorCode::UnknownPartition
                    | RDKafkaErrorCode::UnknownTopic
                    | RDKafkaErrorCode::UnknownTopicOrPartition,
                ) => settings.absent(),
                _ => unknown(&format!("ask for the records of topic {topic}: {error}")),
            }
        })?;
    match (u64::try_from(oldest), u64::try_from(end)) {
        (Ok(oldest), Ok(end)) => Ok(Extent { oldest: RecordNo(oldest), end: RecordNo(end) }),
        _ => Err(unknown(&format!("the cluster does not say which records topic {topic} has"))),
    }
}

/// Drops records. Kafka refuses to drop one that is not there yet.
pub(super) fn trim(settings: &KafkaLogSettings, partition: u32, before: RecordNo) -> Result<(), SharedError> {
    let topic = &settings.topic;
    if before <= extent(settings, partition)?.oldest {
        return Ok(());
    }
    let admin = admin(settings)?;
    let offset = i64::try_from(before.0).expect("Kafka's offsets have 63 bits");
    let mut offsets = TopicPartitionList::new();
    let failed = |error: &KafkaError| {
        let cure = match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                ": allow Delete to the user of log.username, for this topic"
            }
            _ => "",
        };
        unknown(&format!("drop the records of topic {topic} before {}: {error}{cure}", before.0))
    };
    offsets
        .add_partition_offset(topic, kafka_partition(partition), Offset::Offset(offset))
        .map_err(|error| failed(&error))?;
    let options =
        AdminOptions::new().request_timeout(Some(ANSWER_TIMEOUT)).operation_timeout(Some(ANSWER_TIMEOUT));
    let waiter = Waiter::new().map_err(|error| unknown(&error.to_string()))?;
    let answered = waiter.wait("drop the oldest records", async {
        Ok::<_, TargetError>(admin.delete_records(&offsets, &options).await)
    });
    let answered = answered.map_err(|error| unknown(&error.to_string()))?.map_err(|error| failed(&error))?;
    let elements = answered.elements();
    elements.iter().try_for_each(TopicPartitionListElem::error).map_err(|error| failed(&error))
}

fn admin(settings: &KafkaLogSettings) -> Result<AdminClient<Reports>, SharedError> {
    let config = settings.cluster.client_config().map_err(SharedError::Unreachable)?;
    cluster::create(&settings.cluster, &config).map_err(|error| SharedError::Unreachable(error.to_string()))
}

fn unknown(text: &str) -> SharedError {
    SharedError::Unknown(text.to_owned().into())
}

//! Making the topic of a log.

use std::time::Duration;

use onrush_log::shared::SharedError;
use onrush_sinks::TargetError;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::types::RDKafkaErrorCode;

use super::settings::KafkaLogSettings;
use super::topic::{Described, EXACT, MESSAGE_BYTES_MIN};
use crate::kafka::cluster;
use crate::kafka::reports::Reports;
use crate::waiting::Waiter;

/// Longest wait for the cluster's answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two looks whether the topic is there that was made.
const LOOK: Duration = Duration::from_millis(100);

/// Looks until it is left to whoever uses it.
const LOOKS_MAX: usize = 100;

/// A record of 1 MiB, and what Kafka adds to it.
const MESSAGE_BYTES: u64 = MESSAGE_BYTES_MIN + (4 << 10);

/// Makes the topic with the settings that the log needs, unless it is there. Returns whether it was made. With fewer than 3
/// replicas the log is only as safe as they are.
///
/// # Errors
/// [`SharedError::Unreachable`], also if making it is refused.
pub fn create_topic(settings: &KafkaLogSettings, replica_count: u16) -> Result<bool, SharedError> {
    if Described::ask(settings)?.is_some() {
        return Ok(false);
    }
    let waiter = Waiter::new().map_err(|error| unreachable(&error))?;
    let is_made = waiter
        .wait("create the topic", create(settings, replica_count))
        .map_err(|error| unreachable(&error))?;
    // Brokers learn of it one after the other.
    for _ in 0..LOOKS_MAX {
        if Described::ask(settings)?.is_some() {
            break;
        }
        let pause = async {
            tokio::time::sleep(LOOK).await;
            Ok(())
        };
        waiter.wait("wait for the topic", pause).map_err(|error| unreachable(&error))?;
    }
    Ok(is_made)
}

async fn create(settings: &KafkaLogSettings, replica_count: u16) -> Result<bool, TargetError> {
    let (cluster, topic) = (&settings.cluster, &settings.topic);
    let config = cluster.client_config().map_err(TargetError::Unavailable)?;
    let admin: AdminClient<Reports> = cluster::create(cluster, &config)?;
    let partition_count =
        i32::try_from(settings.partition_count).expect("Kafka counts partitions in 31 bits");
    let message_bytes = MESSAGE_BYTES.to_string();
    // With one replica nothing would be acknowledged if two had to have it.
    let insync_min = replica_count.min(2).to_string();
    let mut new = NewTopic::new(topic, partition_count, TopicReplication::Fixed(replica_count.into()))
        .set("max.message.bytes", &message_bytes)
        .set("min.insync.replicas", &insync_min);
    for (name, value) in EXACT {
        new = new.set(name, value);
    }
    let options =
        AdminOptions::new().request_timeout(Some(ANSWER_TIMEOUT)).operation_timeout(Some(ANSWER_TIMEOUT));
    let refused = |code| {
        let cure = match code {
            RDKafkaErrorCode::InvalidReplicationFactor => "are there so many brokers?",
            RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed => {
                "allow Create to the user of log.username, or run this as another"
            }
            _ => "see the broker's log",
        };
        let text =
            format!("creating the topic {topic} with {replica_count} replicas is refused ({code}); {cure}");
        TargetError::Unavailable(text)
    };
    let answers = admin.create_topics(&[new], &options).await;
    let answers =
        answers.map_err(|error| TargetError::Unavailable(format!("create the topic {topic}: {error}")))?;
    match answers.into_iter().next() {
        Some(Ok(_)) => Ok(true),
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(false),
        Some(Err((_, code))) => Err(refused(code)),
        None => {
            Err(TargetError::Unavailable(format!("create the topic {topic}: the cluster says nothing of it")))
        }
    }
}

fn unreachable(error: &TargetError) -> SharedError {
    SharedError::Unreachable(error.to_string())
}

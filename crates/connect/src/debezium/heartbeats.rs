//! Reading the topic of heartbeats, over a client of its own: librdkafka tells the end of a partition without its topic.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::moment::this_moment;
use super::taking::Taker;
use crate::kafka::reports::Reports;
use crate::kafka::{ClusterSettings, cluster};

/// Heartbeats that are taken before something else is looked at.
const RECORDS_PER_TURN: usize = 64;

/// See the module.
pub(super) struct Heartbeats {
    consumer: BaseConsumer<Reports>,
    topic: String,
}

impl Heartbeats {
    /// Begins with the newest of each partition, which says all that earlier ones say.
    ///
    /// # Errors
    /// The client cannot be made, as a sentence.
    pub(super) fn open(
        cluster: &ClusterSettings,
        mut config: ClientConfig,
        topic: &str,
        partition_count: i32,
    ) -> Result<Self, String> {
        config.set("auto.offset.reset", "latest");
        let consumer: BaseConsumer<Reports> =
            cluster::create(cluster, &config).map_err(|error| error.to_string())?;
        let mut newest = TopicPartitionList::new();
        let listed = (0..partition_count)
            .try_for_each(|partition| newest.add_partition_offset(topic, partition, Offset::OffsetTail(1)));
        listed
            .and_then(|()| consumer.assign(&newest))
            .map_err(|error| format!("read topic {topic}: {error}"))?;
        Ok(Self { consumer, topic: topic.to_owned() })
    }

    /// Takes those that are there, and gives what is wrong with any of them, as a sentence, to `report`.
    pub(super) fn take(&self, taker: &mut Taker, report: impl Fn(String)) {
        for _ in 0..RECORDS_PER_TURN {
            let Some(polled) = self.consumer.poll(Duration::ZERO) else { return };
            let problem = match polled {
                Ok(message) => taker
                    .take_heartbeat(message.payload(), this_moment())
                    .map_err(|why| format!("topic {}, offset {}: {why}", self.topic, message.offset()))
                    .err(),
                Err(KafkaError::PartitionEOF(_)) => None,
                Err(error) => {
                    let doing = format!("read topic {}: {error}", self.topic);
                    Some(self.consumer.context().with_complaint(doing))
                }
            };
            if let Some(problem) = problem {
                report(problem);
            }
        }
    }
}

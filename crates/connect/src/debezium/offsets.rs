//! Reading how far a connector is, over a client of its own: librdkafka tells the end of a partition without its topic.

use std::time::Duration;

use onrush_debezium::Taker;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::moment::this_moment;
use super::settings::OffsetsSettings;
use crate::kafka::reports::Reports;
use crate::kafka::{ClusterSettings, cluster};

/// Records that are taken before something else is looked at.
const RECORDS_PER_TURN: usize = 1_024;

/// Records of a partition that are read at first, in the hope that one is of the connector. The next comes soon.
const TAIL: i64 = 64;

/// See the module.
pub(super) struct Offsets {
    consumer: BaseConsumer<Reports>,
    settings: OffsetsSettings,
}

impl Offsets {
    /// Begins with some records of each partition that are there.
    ///
    /// # Errors
    /// The client cannot be made, as a sentence.
    pub(super) fn open(
        cluster: &ClusterSettings,
        mut config: ClientConfig,
        settings: &OffsetsSettings,
        partition_count: i32,
    ) -> Result<Self, String> {
        config.set("auto.offset.reset", "latest");
        let consumer: BaseConsumer<Reports> =
            cluster::create(cluster, &config).map_err(|error| error.to_string())?;
        let mut newest = TopicPartitionList::new();
        let listed = (0..partition_count).try_for_each(|partition| {
            newest.add_partition_offset(&settings.topic, partition, Offset::OffsetTail(TAIL))
        });
        listed
            .and_then(|()| consumer.assign(&newest))
            .map_err(|error| format!("read topic {}: {error}", settings.topic))?;
        Ok(Self { consumer, settings: settings.clone() })
    }

    /// Takes those that are there, and gives what is wrong with any of them, as a sentence, to `report`.
    pub(super) fn take(&self, taker: &mut Taker, report: impl Fn(String)) {
        for _ in 0..RECORDS_PER_TURN {
            let Some(polled) = self.consumer.poll(Duration::ZERO) else { return };
            let problem = match polled {
                Ok(message) => {
                    let key = message.key().unwrap_or_default();
                    let is_own = onrush_debezium::Offset::is_of(key, &self.settings.connector);
                    match onrush_debezium::Offset::parse(message.payload().filter(|_| is_own)) {
                        Ok(Some(offset)) => {
                            taker.take_offset(offset, this_moment());
                            None
                        }
                        Ok(None) => None,
                        Err(why) => {
                            Some(format!("topic {}, offset {}: {why}", self.settings.topic, message.offset()))
                        }
                    }
                }
                Err(KafkaError::PartitionEOF(_)) => None,
                Err(error) => {
                    let doing = format!("read topic {}: {error}", self.settings.topic);
                    Some(self.consumer.context().with_complaint(doing))
                }
            };
            if let Some(problem) = problem {
                report(problem);
            }
        }
    }
}

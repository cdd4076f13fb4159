//! What can be set about topics that Debezium writes, and the check of it before anything connects.

use rdkafka::ClientConfig;

use crate::kafka::{ClusterSettings, check_topic};

/// Plain values of a collection whose rows come through Kafka.
#[derive(Clone, Debug)]
pub struct DebeziumSettings {
    /// Which cluster has the topics.
    pub cluster: ClusterSettings,
    /// The topic of one table.
    pub topic: String,
    /// The column whose value is the key of a row. It has to be the key of the topic's records, alone. If absent, it is whichever is.
    pub key: Option<String>,
    /// The topic that tells how far the connector is: that of its heartbeats, or that of the table which its `heartbeat.action.query`
    /// changes. If absent, only what Kafka has is known.
    pub heartbeat_topic: Option<String>,
}

impl DebeziumSettings {
    /// Whether all of this can be used; otherwise what cannot, as a sentence without credentials.
    pub fn check(&self) -> Result<(), String> {
        self.cluster.check()?;
        check_topic("topic", &self.topic)?;
        if let Some(topic) = &self.heartbeat_topic {
            check_topic("heartbeat_topic", topic)?;
            if *topic == self.topic {
                return Err("heartbeat_topic must be another topic than topic".to_owned());
            }
        }
        self.consumer_config().map(drop)
    }

    /// Reads what it is told to, joins no group, stores no position.
    pub(super) fn consumer_config(&self) -> Result<ClientConfig, String> {
        let mut config = self.cluster.reader_config("onrush-catalog")?;
        // When many messages wait to be taken, reading goes on soon after some were.
        config.set("fetch.queue.backoff.ms", "10");
        Ok(config)
    }
}

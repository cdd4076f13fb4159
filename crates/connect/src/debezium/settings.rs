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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TlsSettings;

    #[test]
    fn what_cannot_be_used_is_said() {
        type Change = fn(&mut DebeziumSettings);
        let cases: [(&str, Change); 6] = [
            ("", |_| {}),
            ("", |settings| settings.heartbeat_topic = None),
            ("topic must be letters", |settings| settings.topic = "a b".to_owned()),
            ("heartbeat_topic must be letters", |settings| settings.heartbeat_topic = Some(String::new())),
            ("must be another topic", |settings| settings.heartbeat_topic = Some(settings.topic.clone())),
            ("brokers must be", |settings| settings.cluster.brokers = "kafka".to_owned()),
        ];
        for (wanted, change) in cases {
            let mut settings = DebeziumSettings {
                cluster: ClusterSettings {
                    brokers: "kafka:9092".to_owned(),
                    username: None,
                    tls: TlsSettings::default(),
                    password: None,
                    properties_file: None,
                },
                topic: "shop.public.products".to_owned(),
                key: None,
                heartbeat_topic: Some("shop.public.beat".to_owned()),
            };
            change(&mut settings);
            let said = settings.check().err().unwrap_or_default();
            assert!(said.contains(wanted) && said.is_empty() == wanted.is_empty(), "{wanted}: {said}");
        }
    }
}

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
    /// Where Kafka Connect keeps how far the connector is. If absent, only what Kafka has is known.
    pub offsets: Option<OffsetsSettings>,
}

/// How far a connector is.
#[derive(Clone, Debug)]
pub struct OffsetsSettings {
    /// `offset.storage.topic` of Kafka Connect.
    pub topic: String,
    /// The name of the connector there.
    pub connector: String,
}

impl DebeziumSettings {
    /// Whether all of this can be used; otherwise what cannot, as a sentence without credentials.
    pub fn check(&self) -> Result<(), String> {
        self.cluster.check()?;
        check_topic("topic", &self.topic)?;
        if let Some(offsets) = &self.offsets {
            check_topic("offsets_topic", &offsets.topic)?;
            if offsets.topic == self.topic {
                return Err("offsets_topic must be another topic than topic".to_owned());
            }
            if offsets.connector.is_empty() {
                return Err("connector must be the name of the connector in Kafka Connect".to_owned());
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

    fn offsets(topic: &str, connector: &str) -> OffsetsSettings {
        OffsetsSettings { topic: topic.to_owned(), connector: connector.to_owned() }
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        type Change = fn(&mut DebeziumSettings);
        let cases: [(&str, Change); 7] = [
            ("", |_| {}),
            ("", |settings| settings.offsets = None),
            ("topic must be letters", |settings| settings.topic = "a b".to_owned()),
            ("offsets_topic must be letters", |settings| settings.offsets = Some(offsets("", "shop"))),
            ("must be another topic", |settings| {
                settings.offsets = Some(offsets("shop.public.products", "shop"));
            }),
            ("connector must be the name", |settings| {
                settings.offsets = Some(offsets("connect-offsets", ""));
            }),
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
                offsets: Some(offsets("connect-offsets", "shop")),
            };
            change(&mut settings);
            let said = settings.check().err().unwrap_or_default();
            assert!(said.contains(wanted) && said.is_empty() == wanted.is_empty(), "{wanted}: {said}");
        }
    }
}

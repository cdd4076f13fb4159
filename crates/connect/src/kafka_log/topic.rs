//! The topic as the cluster describes it, and what in it breaks a promise of the log.

use std::borrow::Cow;
use std::collections::BTreeMap;

use onrush_log::shared::{Finding, SharedError};

use super::settings::KafkaLogSettings;
use crate::kafka::cluster::{self, Topic};

/// Copies of each record, so that one broker may fail while another is being looked after.
const REPLICAS_MIN: usize = 3;

/// Of those, so many have a record before it is acknowledged.
const INSYNC_MIN: u64 = 2;

/// Bytes of a batch of records that the topic has to take.
pub(super) const MESSAGE_BYTES_MIN: u64 = 1 << 20;

/// Settings of the topic that have to have one value.
pub(super) const EXACT: [(&str, &str); 5] = [
    ("cleanup.policy", "delete"),
    ("message.timestamp.type", "LogAppendTime"),
    ("retention.bytes", "-1"),
    ("retention.ms", "-1"),
    ("unclean.leader.election.enable", "false"),
];

/// Settings that have to be so large.
const LEAST: [(&str, u64); 2] =
    [("max.message.bytes", MESSAGE_BYTES_MIN), ("min.insync.replicas", INSYNC_MIN)];

/// What the cluster says of a topic.
pub(super) struct Described {
    pub(super) topic: Topic,
    /// Its settings, or why they are not known.
    pub(super) values: Result<BTreeMap<String, String>, String>,
}

impl Described {
    /// Asks the cluster. Nothing if there is no such topic.
    pub(super) fn ask(settings: &KafkaLogSettings) -> Result<Option<Self>, SharedError> {
        let cluster = &settings.cluster;
        let config = cluster.client_config().map_err(SharedError::Unreachable)?;
        let unreachable = |error: onrush_sinks::TargetError| SharedError::Unreachable(error.to_string());
        let topics = cluster::describe(cluster, &config).map_err(unreachable)?;
        let Some(topic) = topics.get(&settings.topic).copied() else { return Ok(None) };
        let values = match cluster::topic_values_or_refusal(cluster, &config, &settings.topic) {
            Ok(values) => values.map_err(|code| code.to_string()),
            // A cluster that does not answer now says nothing of its settings.
            Err(error) => return Err(SharedError::Unknown(error.to_string().into())),
        };
        Ok(Some(Self { topic, values }))
    }

    /// What breaks a promise of the log, each with its cure.
    pub(super) fn findings(&self, settings: &KafkaLogSettings) -> Vec<Finding> {
        let mut findings = Vec::new();
        let anew = "name a new topic as log.topic and run `onrush cluster prepare`";
        if self.topic.replica_count < REPLICAS_MIN {
            findings.push(Finding {
                setting: "replication factor".into(),
                found: self.topic.replica_count.to_string(),
                wanted: format!("at least {REPLICAS_MIN}").into(),
                cure: format!("raise it with kafka-reassign-partitions.sh, or {anew}"),
            });
        }
        if self.topic.partition_count != settings.partition_count {
            findings.push(Finding {
                setting: "partitions".into(),
                found: self.topic.partition_count.to_string(),
                wanted: settings.partition_count.to_string().into(),
                cure: format!("{anew}: the number of partitions of a log never changes"),
            });
        }
        match &self.values {
            Ok(values) => findings.extend(findings_of_values(values, settings)),
            Err(why) => findings.push(Finding {
                setting: "DescribeConfigs".into(),
                found: why.clone(),
                wanted: "allowed".into(),
                cure: format!(
                    "allow it to the user of log.username, for the topic {}; until then nobody knows what else is wrong",
                    settings.topic
                ),
            }),
        }
        findings
    }
}

fn findings_of_values(values: &BTreeMap<String, String>, settings: &KafkaLogSettings) -> Vec<Finding> {
    let value = |name: &str| values.get(name).map_or("", String::as_str);
    let finding = |name: &'static str, wanted: Cow<'static, str>, better: String| Finding {
        setting: name.into(),
        found: if value(name).is_empty() { "nothing".to_owned() } else { value(name).to_owned() },
        wanted,
        cure: format!(
            "run: kafka-configs.sh --bootstrap-server {} --alter --entity-type topics --entity-name {} --add-config {name}={better}",
            settings.cluster.brokers, settings.topic
        ),
    };
    let exact = EXACT.into_iter().filter(|(name, wanted)| value(name) != *wanted);
    let exact = exact.map(|(name, wanted)| finding(name, wanted.into(), wanted.to_owned()));
    let least = LEAST.into_iter().filter(|(name, least)| {
        let number = value(name).parse::<u64>();
        number.is_ok_and(|number| number < *least) || value(name).is_empty()
    });
    let least =
        least.map(|(name, least)| finding(name, format!("at least {least}").into(), least.to_string()));
    exact.chain(least).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TlsSettings;
    use crate::kafka::ClusterSettings;

    fn settings() -> KafkaLogSettings {
        let cluster = ClusterSettings {
            brokers: "kafka-1:9092".to_owned(),
            username: None,
            tls: TlsSettings::default(),
            password: None,
            properties_file: None,
        };
        KafkaLogSettings { cluster, topic: "onrush.log".to_owned(), partition_count: 1 }
    }

    fn good() -> Described {
        let values = EXACT.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let least = [("max.message.bytes", "1048588"), ("min.insync.replicas", "2")];
        let least = least.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let topic = Topic { partition_count: 1, replica_count: 3 };
        Described { topic, values: Ok(values.chain(least).collect()) }
    }

    #[test]
    fn a_topic_that_keeps_every_promise_has_no_findings() {
        assert_eq!(good().findings(&settings()), []);
    }

    #[test]
    fn every_setting_that_breaks_a_promise_is_named_with_its_cure() {
        for (name, value) in [
            ("cleanup.policy", "compact"),
            ("cleanup.policy", "compact,delete"),
            ("message.timestamp.type", "CreateTime"),
            ("retention.bytes", "1073741824"),
            ("retention.ms", "604800000"),
            ("unclean.leader.election.enable", "true"),
            ("max.message.bytes", "1000000"),
            ("min.insync.replicas", "1"),
            ("min.insync.replicas", ""),
        ] {
            let mut described = good();
            described.values.as_mut().unwrap().insert(name.to_owned(), value.to_owned());
            let findings = described.findings(&settings());
            let [finding] = &findings[..] else { panic!("{name}={value}: {findings:?}") };
            assert_eq!(finding.setting, name);
            assert_eq!(finding.found, if value.is_empty() { "nothing" } else { value });
            let cure = format!(
                "run: kafka-configs.sh --bootstrap-server kafka-1:9092 --alter --entity-type topics \
                 --entity-name onrush.log --add-config {name}="
            );
            assert!(finding.cure.starts_with(&cure), "{finding:?}");
        }
        for (partition_count, replica_count, setting) in
            [(2, 3, "partitions"), (1, 2, "replication factor"), (1, 1, "replication factor")]
        {
            let described = Described { topic: Topic { partition_count, replica_count }, ..good() };
            let findings = described.findings(&settings());
            assert_eq!(findings.len(), 1);
            assert_eq!(findings[0].setting, setting);
        }
        let hidden = Described { values: Err("not told".to_owned()), ..good() };
        assert_eq!(hidden.findings(&settings())[0].setting, "DescribeConfigs");
    }
}

//! Looking at a cluster before anything is sent to it: whether it answers, and whether the topics are there.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use onrush_sinks::TargetError;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::KafkaError;
use rdkafka::metadata::Metadata;
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::types::RDKafkaErrorCode;

use super::ClusterSettings;
use super::properties;
use super::reports::Reports;
use crate::waiting::Waiter;

/// Longest wait for the cluster's description before the reports are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// So many looks, unless the reports say that there is no hope.
const LOOKS_MAX: usize = 5;

/// Longest wait for one answer of the cluster to what its admin client asks.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(10);

/// A topic as the cluster describes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Topic {
    pub(crate) partition_count: u32,
    /// Copies of the partition that has the fewest.
    pub(crate) replica_count: usize,
}

/// What is known of the topics' own settings; a cluster need not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// The smallest `max.message.bytes` of them.
    pub(crate) message_bytes_max: Option<u32>,
    /// The smallest `min.insync.replicas` of them.
    pub(crate) insync_count_min: Option<u32>,
}

/// A description of the cluster, of all topics that the user may see. Asking for one by name could create it.
pub(crate) fn describe(
    settings: &ClusterSettings,
    config: &ClientConfig,
) -> Result<BTreeMap<String, Topic>, TargetError> {
    let client: BaseProducer<Reports> = create(settings, config)?;
    let mut outcome = Err(KafkaError::Canceled);
    for _ in 0..LOOKS_MAX {
        outcome = client.client().fetch_metadata(None, LOOK);
        if outcome.is_ok() {
            break;
        }
        // One call takes one report.
        for _ in 0..64 {
            client.poll(Duration::ZERO);
        }
        if client.context().is_hopeless() {
            break;
        }
    }
    let metadata = outcome.map_err(|_| {
        let (brokers, reports) = (&settings.brokers, client.context());
        let text = if reports.is_refused() {
            format!("no connection to {brokers}")
        } else {
            format!("{brokers} does not answer")
        };
        TargetError::Unavailable(reports.with_complaint(text))
    })?;
    Ok(topics_of(&metadata))
}

fn topics_of(metadata: &Metadata) -> BTreeMap<String, Topic> {
    let healthy = metadata.topics().iter().filter(|topic| topic.error().is_none());
    healthy
        .map(|topic| {
            let partitions = topic.partitions();
            let described = Topic {
                partition_count: u32::try_from(partitions.len()).expect("Kafka counts partitions in 32 bits"),
                replica_count: partitions.iter().map(|part| part.replicas().len()).min().unwrap_or_default(),
            };
            (topic.name().to_owned(), described)
        })
        .collect()
}

/// Creates topics with as many partitions and replicas as the brokers choose.
pub(crate) fn create_topics(
    settings: &ClusterSettings,
    config: &ClientConfig,
    names: &[&str],
) -> Result<(), TargetError> {
    let admin: AdminClient<Reports> = create(settings, config)?;
    let new: Vec<_> = names.iter().map(|name| NewTopic::new(name, -1, TopicReplication::Fixed(-1))).collect();
    let options =
        AdminOptions::new().request_timeout(Some(ADMIN_TIMEOUT)).operation_timeout(Some(ADMIN_TIMEOUT));
    let answers = Waiter::new()?.wait("create the topics", async {
        admin.create_topics(&new, &options).await.map_err(|error| unavailable("create the topics", &error))
    })?;
    for answer in answers {
        match answer {
            Ok(topic) => tracing::info!(topic, "created a topic with the brokers' defaults"),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => {
                return Err(TargetError::Unavailable(format!(
                    "the topic {topic} does not exist or is hidden from this user, and creating it is refused ({code}); run: \
                     kafka-topics.sh --bootstrap-server {} --create --topic {topic}",
                    settings.brokers
                )));
            }
        }
    }
    Ok(())
}

/// Reads the topics' own settings. A cluster that does not tell is no reason not to go on.
pub(crate) fn terms(
    settings: &ClusterSettings,
    config: &ClientConfig,
    names: &[&str],
) -> Result<Terms, TargetError> {
    let admin: AdminClient<Reports> = create(settings, config)?;
    let topics: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    let options = AdminOptions::new().request_timeout(Some(ADMIN_TIMEOUT));
    let answers = Waiter::new()?.wait("read the topics' settings", async {
        let answers = admin.describe_configs(&topics, &options).await;
        answers.map_err(|error| unavailable("read the topics' settings", &error))
    })?;
    let smallest = |name: &str| {
        let values =
            answers.iter().flatten().filter_map(|topic| topic.get(name)?.value.as_ref()?.parse().ok());
        values.min()
    };
    Ok(Terms {
        message_bytes_max: smallest("max.message.bytes"),
        insync_count_min: smallest("min.insync.replicas"),
    })
}

/// Which settings of a topic make it forget the newest message of a key: what they are, or nothing. A cluster need not tell.
pub(crate) fn forgetting(
    settings: &ClusterSettings,
    config: &ClientConfig,
    topic: &str,
) -> Result<Option<String>, TargetError> {
    let described = topic_values(settings, config, topic)?;
    let value = |name: &str| described.get(name).cloned().unwrap_or_default();
    if !value("cleanup.policy").split(',').any(|policy| policy.trim() == "delete") {
        return Ok(None);
    }
    let bounds = ["retention.ms", "retention.bytes"].map(|name| (name, value(name)));
    let bounds = bounds.iter().filter(|(_, value)| !value.starts_with('-'));
    let bounds: Vec<_> = bounds.map(|(name, value)| format!("{name}={value}")).collect();
    Ok((!bounds.is_empty()).then(|| bounds.join(" and ")))
}

/// A topic's own settings, as far as the cluster tells them.
pub(crate) fn topic_values(
    settings: &ClusterSettings,
    config: &ClientConfig,
    topic: &str,
) -> Result<BTreeMap<String, String>, TargetError> {
    let doing = "read the topic's settings";
    let answer = topic_values_or_refusal(settings, config, topic)?;
    answer.map_err(|_| TargetError::Unavailable(format!("{doing}: the cluster does not tell them")))
}

/// The same, or why the cluster refuses to tell them.
pub(crate) fn topic_values_or_refusal(
    settings: &ClusterSettings,
    config: &ClientConfig,
    topic: &str,
) -> Result<Result<BTreeMap<String, String>, RDKafkaErrorCode>, TargetError> {
    use RDKafkaErrorCode::{ClusterAuthorizationFailed, TopicAuthorizationFailed};
    let doing = "read the topic's settings";
    let admin: AdminClient<Reports> = create(settings, config)?;
    let options = AdminOptions::new().request_timeout(Some(ADMIN_TIMEOUT));
    let answers = Waiter::new()?.wait(doing, async {
        let answers = admin.describe_configs(&[ResourceSpecifier::Topic(topic)], &options).await;
        answers.map_err(|error| unavailable(doing, &error))
    })?;
    let silence = || TargetError::Unavailable(format!("{doing}: the cluster does not tell them"));
    let described = match answers.into_iter().next() {
        Some(Ok(described)) => described,
        Some(Err(refusal @ (TopicAuthorizationFailed | ClusterAuthorizationFailed))) => {
            return Ok(Err(refusal));
        }
        Some(Err(_)) | None => return Err(silence()),
    };
    let values = described.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?)));
    Ok(Ok(values.collect()))
}

/// Creates a client; nothing is sent yet.
pub(crate) fn create<T>(settings: &ClusterSettings, config: &ClientConfig) -> Result<T, TargetError>
where
    T: rdkafka::config::FromClientConfigAndContext<Reports>,
{
    create_with(settings, config, |reports| reports)
}

/// The same for one whose context has the reports in it.
pub(crate) fn create_with<T, C>(
    settings: &ClusterSettings,
    config: &ClientConfig,
    context: impl FnOnce(Reports) -> C,
) -> Result<T, TargetError>
where
    T: rdkafka::config::FromClientConfigAndContext<C>,
    C: rdkafka::ClientContext,
{
    let password = settings.password.as_ref().map(|password| password.reveal().map(Cow::into_owned));
    let password = password.transpose().map_err(TargetError::Unavailable)?;
    let reports = Reports::new(password, settings.believed(config));
    config
        .create_with_context(context(reports))
        .map_err(|error| TargetError::Unavailable(properties::refusal(&error)))
}

fn unavailable(doing: &str, error: &KafkaError) -> TargetError {
    TargetError::Unavailable(format!("{doing}: {error}"))
}

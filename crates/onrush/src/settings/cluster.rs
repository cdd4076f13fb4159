//! A log that several nodes share: where it is, and which of them this one is.

use std::net::Ipv6Addr;
#[cfg(feature = "kafka")]
use std::path::PathBuf;
use std::time::Duration;

#[cfg(feature = "kafka")]
use onrush_connect::{TlsSettings, kafka::ClusterSettings};
use onrush_log::shared::NodeId;

use super::bounds;
use super::checks::{Checks, quoted};
use super::raw::{RawCluster, RawLog};
#[cfg(feature = "kafka")]
use super::sections::{TLS_CHOICES, password_of};

/// What is wrong with a key of a log that this server does not have.
const FOR_KAFKA: &str = "is for log.kind = \"kafka\" alone";

/// Partitions of the log, for ever.
#[cfg(feature = "kafka")]
const PARTITION_COUNT: u32 = 1;

/// One of several nodes, and the log that it shares with them. Not for printing: a password is in it.
#[derive(Clone)]
pub(crate) struct Cluster {
    /// Which one it is.
    pub(crate) node: NodeId,
    /// Where the others reach its public listener: `http://HOST:PORT`.
    pub(crate) url: String,
    /// How long nobody is heard of until another node leads.
    pub(crate) silence: Duration,
    /// It may lead although the topic can lose records.
    pub(crate) unsafe_topic: bool,
    /// Where the log is.
    pub(crate) log: SharedLogSettings,
}

#[cfg(feature = "kafka")]
pub(crate) type SharedLogSettings = onrush_connect::kafka_log::KafkaLogSettings;

/// There is none in this build.
#[cfg(not(feature = "kafka"))]
pub(crate) type SharedLogSettings = std::convert::Infallible;

/// What `log.kind` says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Kafka,
}

/// Nothing for a log in files, or after a problem.
pub(super) fn resolve(checks: &mut Checks<'_>) -> Option<Cluster> {
    let layers = checks.layers;
    let (log, cluster) = (&layers.raw.log, &layers.raw.cluster);
    let kinds = [("file", Kind::File), ("kafka", Kind::Kafka)];
    match checks.choice("log.kind", &log.kind, &kinds)? {
        Kind::File => {
            refuse_what_is_for_kafka(checks, log, cluster);
            None
        }
        Kind::Kafka => {
            let node = node(checks, cluster.node);
            let url = url(checks, cluster.url.as_deref());
            let silence = checks.timeout("cluster.silence_ms", cluster.silence_ms, &bounds::SILENCE_MS);
            let shared = shared_log(checks, log);
            let unsafe_topic = log.unsafe_topic;
            Some(Cluster { node: node?, url: url?, silence: silence?, unsafe_topic, log: shared? })
        }
    }
}

/// What a careful operator would change.
pub(super) fn warning(log: &RawLog) -> Option<String> {
    log.unsafe_topic.then(|| {
        "log.unsafe_topic is set: the server leads although the topic can lose what was acknowledged"
            .to_owned()
    })
}

fn refuse_what_is_for_kafka(checks: &mut Checks<'_>, log: &RawLog, cluster: &RawCluster) {
    let (plain_log, plain) = (RawLog::default(), RawCluster::default());
    let text = |value: Option<&str>| said(value).map(quoted);
    let other = |value: &str, plain: &str| (value != plain).then(|| quoted(value));
    let number = |value: i64, plain: i64| (value != plain).then(|| value.to_string());
    let typed = [
        ("log.brokers", text(log.brokers.as_deref())),
        ("log.topic", other(&log.topic, &plain_log.topic)),
        ("log.username", text(log.username.as_deref())),
        ("log.password_file", text(log.password_file.as_deref())),
        ("log.tls", other(&log.tls, &plain_log.tls)),
        ("log.tls_ca_file", text(log.tls_ca_file.as_deref())),
        ("log.properties_file", text(log.properties_file.as_deref())),
        ("log.unsafe_topic", log.unsafe_topic.then(|| "true".to_owned())),
        ("cluster.node", number(cluster.node, plain.node)),
        ("cluster.url", text(cluster.url.as_deref())),
        ("cluster.silence_ms", number(cluster.silence_ms, plain.silence_ms)),
    ];
    for (key, value) in typed {
        if let Some(value) = value {
            let _: Option<()> = checks.refuse(key, value, FOR_KAFKA);
        }
    }
    if let Some(variable) = checks.layers.log_password.variable() {
        checks.problems.push(format!("{variable} in the environment: {FOR_KAFKA}"));
    }
}

fn node(checks: &mut Checks<'_>, node: i64) -> Option<NodeId> {
    if node == RawCluster::default().node {
        return checks.refuse(
            "cluster.node",
            node,
            "a shared log needs the number of this node, another for each",
        );
    }
    checks.number("cluster.node", node, &bounds::NODE).map(NodeId)
}

fn url(checks: &mut Checks<'_>, url: Option<&str>) -> Option<String> {
    const RULE: &str =
        "must be where other nodes reach the public listener of this one, such as http://10.0.0.7:8080";
    match said(url) {
        None => checks.refuse("cluster.url", "nothing", RULE),
        Some(url) if is_url_of_node(url) => Some(url.to_owned()),
        Some(url) => checks.refuse("cluster.url", quoted(url), RULE),
    }
}

/// Whether it is `http://HOST:PORT` and nothing else.
fn is_url_of_node(url: &str) -> bool {
    let Some((host, port)) = url.strip_prefix("http://").and_then(|rest| rest.rsplit_once(':')) else {
        return false;
    };
    let is_v6 = |host: &str| {
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        inner.is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok())
    };
    let is_name = !host.is_empty()
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    url.len() <= bounds::NODE_URL_BYTES_MAX
        && (is_name || is_v6(host))
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(feature = "kafka")]
fn shared_log(checks: &mut Checks<'_>, log: &RawLog) -> Option<SharedLogSettings> {
    let path = |value: Option<&str>| said(value).map(PathBuf::from);
    let password_file = path(log.password_file.as_deref());
    let password = match password_of(password_file.as_deref(), checks.layers.log_password.typed()) {
        Ok(password) => Some(password),
        Err(problem) => {
            let file = log.password_file.as_deref().unwrap_or_default();
            checks.refuse("log.password_file", quoted(file), problem)
        }
    };
    let mode = checks.choice("log.tls", &log.tls, &TLS_CHOICES);
    let Some(brokers) = said(log.brokers.as_deref()) else {
        return checks.refuse(
            "log.brokers",
            "nothing",
            "log.kind = \"kafka\" needs it, such as kafka-1:9092,kafka-2:9092",
        );
    };
    let settings = SharedLogSettings {
        cluster: ClusterSettings {
            brokers: brokers.to_owned(),
            username: said(log.username.as_deref()).map(str::to_owned),
            tls: TlsSettings { mode: mode?, ca_file: path(log.tls_ca_file.as_deref()) },
            password: password?,
            properties_file: path(log.properties_file.as_deref()),
        },
        topic: log.topic.clone(),
        partition_count: PARTITION_COUNT,
    };
    match settings.check() {
        Ok(()) => Some(settings),
        Err(problem) => {
            checks.problems.push(format!("log: {problem}"));
            None
        }
    }
}

#[cfg(not(feature = "kafka"))]
fn shared_log(checks: &mut Checks<'_>, log: &RawLog) -> Option<SharedLogSettings> {
    let rule = "this onrush was built without Kafka: cargo build --release --features kafka";
    checks.refuse("log.kind", quoted(&log.kind), rule)
}

/// A text that may be absent; empty is the same.
fn said(value: Option<&str>) -> Option<&str> {
    value.filter(|text| !text.is_empty())
}

#[cfg(test)]
#[path = "cluster_tests.rs"]
mod tests;

//! Kafka: events as messages in one topic or a topic per kind, keyed by what they are about. An idempotent producer keeps the
//! order of each key; where a sink goes on after a failure, a run of messages comes again under the same ids.

mod auditor;
pub(crate) mod cluster;
mod cluster_settings;
mod complaint;
mod handshake;
mod murmur2;
mod progress;
mod properties;
pub(crate) mod reports;
mod sender;
mod settings;
mod target;
mod topics;
mod writer;

pub use auditor::KafkaAuditor;
pub use cluster_settings::ClusterSettings;
pub(crate) use properties::refusal;
pub use settings::Settings;
pub use target::Kafka;
pub(crate) use topics::check_plain_name as check_topic;

//! What a user may set about a Kafka sink, and what that means for librdkafka.

use super::cluster_settings::ClusterSettings;
use super::{properties, topics};
use crate::MessageFormat;
use rdkafka::ClientConfig;

/// Messages that may wait for their acknowledgement; then [`push`](onrush_sinks::Target::push) waits for room.
pub(super) const QUEUED_MESSAGES_MAX: u32 = 16_384;

/// KiB of messages that may wait for their acknowledgement; the same happens at it.
const QUEUED_KIB_MAX: u32 = 65_536;

/// Plain values of one Kafka sink.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which cluster it is.
    pub cluster: ClusterSettings,
    /// Where messages go; `{kind}` in it stands for the kind of the event, which gives a topic per kind.
    pub topic: String,
    /// What messages look like.
    pub message_format: MessageFormat,
}

impl Settings {
    /// What is wrong with the values, as a sentence without credentials. Reads `properties_file`; does not connect.
    pub fn check(&self) -> Result<(), String> {
        topics::check_name(&self.topic)?;
        self.cluster.check()?;
        let config = self.producer_config()?;
        config.create_native_config().map_err(|error| properties::refusal(&error)).map(drop)
    }

    /// For the one producer of a sink.
    pub(super) fn producer_config(&self) -> Result<ClientConfig, String> {
        let mut config = self.cluster.client_config()?;
        for (key, value) in [("linger.ms", "5"), ("compression.codec", "lz4")] {
            if config.get(key).is_none() {
                config.set(key, value);
            }
        }
        // A message never times out inside the producer, because the ones behind it would go on without it: whoever
        // waits for it gives the whole producer up instead.
        config.set("message.timeout.ms", "0");
        config.set("enable.idempotence", "true");
        config.set("enable.gapless.guarantee", "true");
        config.set("acks", "all");
        config.set("max.in.flight.requests.per.connection", "5");
        config.set("partitioner", "murmur2_random");
        config.set("queue.buffering.max.messages", QUEUED_MESSAGES_MAX.to_string());
        config.set("queue.buffering.max.kbytes", QUEUED_KIB_MAX.to_string());
        Ok(config)
    }
}

//! From the keys of a collection whose rows come through Kafka to what they mean.

use super::CollectionSource;
use super::bounded::CollectionKeys;
#[cfg(feature = "kafka")]
use super::bounded::bounds;

/// Written as `offsets_topic`, it says that nobody looks at how far the connector is.
#[cfg(feature = "kafka")]
const NO_TOPIC: &str = "none";

#[cfg(feature = "kafka")]
pub(super) fn source(keys: &mut CollectionKeys<'_>) -> Option<CollectionSource> {
    use onrush_connect::debezium::{DebeziumSettings, OffsetsSettings};
    use onrush_connect::kafka::ClusterSettings;
    use onrush_node::catalog::ToldSettings;

    let brokers = keys.text("brokers");
    let username = keys.optional("username");
    let password = keys.password();
    let tls = keys.tls();
    let properties_file = keys.path("properties_file");
    let topic = keys.text("topic");
    let offsets_topic = keys.text("offsets_topic");
    let connector = keys.optional("connector");
    let offsets = match (offsets_topic?, connector) {
        (topic, _) if topic == NO_TOPIC => None,
        (topic, Some(connector)) => Some(OffsetsSettings { topic, connector }),
        (_, None) => {
            let rule = "a collection of source debezium needs it: the name of the connector in Kafka Connect";
            return keys.refuse("connector", rule);
        }
    };
    let key = keys.optional("key");
    let bounds = bounds(keys);
    let connect = DebeziumSettings {
        cluster: ClusterSettings { brokers: brokers?, username, tls: tls?, password, properties_file },
        topic: topic?,
        key,
        offsets,
    };
    let (bytes_max, lag_max) = bounds?;
    Some(CollectionSource::Debezium(connect, ToldSettings { bytes_max, lag_max }))
}

#[cfg(not(feature = "kafka"))]
pub(super) fn source(keys: &mut CollectionKeys<'_>) -> Option<CollectionSource> {
    keys.refuse("source", "this onrush was built without Kafka: cargo build --release --features kafka")
}

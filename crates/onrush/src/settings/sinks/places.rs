//! What sinks must not share: a place that holds each event once, and the one replica that is read from.

use std::collections::BTreeMap;

use super::{Sink, TargetSettings};

/// Complains about sinks that would write into each other's tables or streams, and about a second replica.
pub(super) fn check(sinks: &[Sink], problems: &mut Vec<String>) {
    let mut taken: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    let mut replica_of = None;
    for Sink { node, target } in sinks {
        // Sinks may share a topic or an exchange: they may select different events.
        let (place, what) = match target {
            TargetSettings::Postgres(settings) => {
                ((settings.url.as_str(), settings.schema.as_str()), "schema")
            }
            TargetSettings::Redis(settings) => ((settings.url.as_str(), settings.stream.as_str()), "stream"),
            TargetSettings::RabbitMq(_) => continue,
            #[cfg(feature = "kafka")]
            TargetSettings::Kafka(_) => continue,
        };
        if let Some(other) = taken.insert(place, &node.name) {
            problems.push(format!(
                "sinks.{}.{what}: the sink {other} has the same; each needs a {what} of its own",
                node.name
            ));
        }
        if let TargetSettings::Postgres(settings) = target
            && settings.replica_url.is_some()
            && let Some(other) = replica_of.replace(&node.name)
        {
            problems.push(format!(
                "sinks.{}.replica_url: the sink {other} has one already; /web-counter/db/ reads from one replica",
                node.name
            ));
        }
    }
}

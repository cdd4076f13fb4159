//! The servers that sinks write to, each with the load generator that its users know: the peers of onrush's sinks.

mod copy;
mod kafka;
mod postgres;
mod rabbitmq;
mod redis;

use anyhow::Result;

pub(crate) use copy::Dump;
pub(crate) use kafka::{Kafka, ProducerSettings};
pub(crate) use postgres::Postgres;
pub(crate) use rabbitmq::{RabbitMq, UNCONFIRMED_COUNT_MAX};
pub(crate) use redis::{Pipelining, Redis};

/// One server. A *place* is a schema, topic, queue or stream of it; places are named by `a-z 0-9 _`.
pub(crate) trait SinkTarget {
    /// The kind of sink that writes to it, which is also the name of the sink here.
    fn kind(&self) -> &'static str;

    /// The server's processes, without their children.
    fn pids(&self) -> Vec<u32>;

    /// What a sink is to be told to write to a place, beside its kind: settings by their keys.
    fn settings(&self, place: &str) -> Vec<(&'static str, String)>;

    /// Makes what a sink expects to find, and brings the server to rest.
    fn prepare(&self, place: &str) -> Result<()>;

    /// How many events are in a place.
    fn event_count(&self, place: &str) -> Result<u64>;

    /// Removes a place with all that is in it.
    fn remove(&self, place: &str) -> Result<()>;

    /// Which server this is, and what it does before it says that it has something, as the server itself tells it.
    fn durability(&self) -> Result<String>;
}

/// The variables that give onrush a sink for a place.
pub(crate) fn environment(target: &dyn SinkTarget, place: &str) -> Vec<(String, String)> {
    let kind = target.kind();
    let variable = |key: &str| format!("ONRUSH_SINKS__{}__{}", kind.to_uppercase(), key.to_uppercase());
    let settings = target.settings(place);
    let settings = settings.into_iter().map(|(key, value)| (variable(key), value));
    std::iter::once((variable("kind"), kind.to_owned())).chain(settings).collect()
}

/// Works with a place and removes it afterwards, whatever became of the work.
pub(crate) fn with_place<T>(
    target: &dyn SinkTarget,
    run: &str,
    work: impl FnOnce(&str) -> Result<T>,
) -> Result<T> {
    let place = place(run);
    let done = work(&place);
    let removed = target.remove(&place);
    let done = done?;
    removed.map(|()| done)
}

/// The name of a place of this process; `run` tells it from the process's others.
pub(crate) fn place(run: &str) -> String {
    let run = run.trim_end_matches('-').replace('-', "_");
    format!("onrush_bench_{}_{run}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_identifiers() {
        assert!(place("r1c0-").ends_with("_r1c0"));
        assert!(place("a-b").bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
    }
}

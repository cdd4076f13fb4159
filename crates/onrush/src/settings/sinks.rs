//! The sinks of the settings: a section `[sinks.NAME]` for each, whose keys follow from its kind. Passwords come from the
//! environment or from files, and nothing here prints them.

mod keys;
mod places;
mod read;
mod resolve;
#[cfg(test)]
mod tests;
mod typed;

pub(super) use keys::{Absent, Key};
pub(super) use typed::{SECTION, TypedSinks, TypedValue};

use onrush_sinks::SinkSettings;
use std::collections::BTreeMap;

use keys::Kind;

/// Sinks of one server, each with a thread and a place in the log. One more is refused at start.
const SINKS_MAX: usize = 32;

/// One sink, checked.
#[derive(Clone)]
pub(crate) struct Sink {
    /// What it reads.
    pub(crate) node: SinkSettings,
    /// What it writes to.
    pub(crate) target: TargetSettings,
}

/// What a sink writes to. Not for printing: passwords are in it.
#[derive(Clone)]
pub(crate) enum TargetSettings {
    Postgres(onrush_connect::postgres::Settings),
    #[cfg(feature = "kafka")]
    Kafka(onrush_connect::kafka::Settings),
    RabbitMq(onrush_connect::rabbitmq::Settings),
    Redis(onrush_connect::redis::Settings),
}

/// Checks every sink; in alphabetical order of their names.
pub(super) fn resolve(typed: &TypedSinks, problems: &mut Vec<String>) -> Vec<Sink> {
    if typed.0.len() > SINKS_MAX {
        problems.push(format!("there are {} sinks; at most {SINKS_MAX} are possible", typed.0.len()));
    }
    let sinks: Vec<_> =
        typed.0.iter().filter_map(|(name, sink)| resolve::sink(name, sink, problems)).collect();
    places::check(&sinks, problems);
    sinks
}

/// The name of a sink as somebody types it.
pub(crate) fn parse_sink_name(text: &str) -> Result<String, String> {
    if typed::is_sink_name(text) { Ok(text.to_owned()) } else { Err(typed::name_rule()) }
}

/// What a printed section of a sink holds.
pub(super) struct PrintedSink<'a> {
    pub(super) name: &'a str,
    /// Every key of its kind, with what was typed if anything was.
    pub(super) keys: Vec<(&'static Key, Option<&'a TypedValue>)>,
    pub(super) password_variable: Option<&'a str>,
}

/// The sinks for printing; their settings were resolved before.
pub(super) fn printed(typed: &TypedSinks) -> impl Iterator<Item = PrintedSink<'_>> {
    typed.0.iter().map(|(name, sink)| {
        let values: &BTreeMap<String, TypedValue> = &sink.values;
        let kind = values.get("kind").and_then(|typed| Kind::named(typed.value.as_str()?));
        let kind = kind.expect("a sink that was resolved has a kind");
        PrintedSink {
            name,
            keys: Key::of(kind).map(|key| (key, values.get(key.name))).collect(),
            password_variable: sink.password_variable(),
        }
    })
}

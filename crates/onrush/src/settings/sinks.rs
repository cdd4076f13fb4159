//! The sinks of the settings: a section `[sinks.NAME]` for each, whose keys follow from its kind.

mod keys;
mod places;
mod resolve;
#[cfg(test)]
mod tests;
mod typed;

pub(super) use keys::SECTION;
pub(super) use typed::TypedSinks;

use onrush_sinks::SinkSettings;

use super::sections::PrintedSection;
use keys::{Kind, SORT};

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

/// The sinks for printing; their settings were resolved before.
pub(super) fn printed(typed: &TypedSinks) -> impl Iterator<Item = PrintedSection<'_>> {
    typed.0.iter().map(|(name, sink)| {
        let kind = sink.values.get("kind").and_then(|typed| Kind::named(typed.value.as_str()?));
        let kind = kind.expect("a sink that was resolved has a kind");
        PrintedSection::new(&SORT, kind, name, sink)
    })
}

//! From the keys of one sink to what they mean.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;

#[cfg(feature = "kafka")]
use onrush_connect::kafka;
use onrush_connect::postgres::{self, Rows};
use onrush_connect::rabbitmq::{self, QueueType};
use onrush_connect::{MessageFormat, Secret, redis};
use onrush_core::{NAME_RULE, is_name};
use onrush_sinks::{AtBacklogMax, EventKind, Selection, SinkSettings};

use super::keys::{Kind, SORT};
use super::{Sink, TargetSettings};
use crate::settings::sections::{SectionKeys, TypedSection};

/// The keys of a sink.
type SinkKeys<'a> = SectionKeys<'a, Kind>;

/// Log that may be kept for a sink: 1 MiB to 1 EiB.
const BACKLOG_BYTES: RangeInclusive<u64> = 1 << 20..=1 << 60;
/// Events a second; 0 is no ceiling.
const EVENTS_PER_SECOND: RangeInclusive<u64> = 0..=1_000_000_000;
/// Entries of a stream; 0 keeps all.
const LENGTH: RangeInclusive<u64> = 0..=1 << 48;

const MESSAGE_FORMATS: [(&str, MessageFormat); 3] =
    [("events", MessageFormat::Events), ("booking", MessageFormat::Booking), ("order", MessageFormat::Order)];

/// Checks one sink; every problem is added to `problems`, and then there is no sink.
pub(super) fn sink(name: &str, typed: &TypedSection, problems: &mut Vec<String>) -> Option<Sink> {
    let problems_before = problems.len();
    let mut keys = SinkKeys { sort: &SORT, name, typed, problems };
    let kind = kind(&mut keys)?;
    keys.check_names(kind);
    let node = node(&mut keys);
    let password = keys.password();
    let target = match kind {
        Kind::Postgres => postgres(&mut keys, password.clone()),
        Kind::Kafka => kafka(&mut keys, password.clone()),
        Kind::RabbitMq => rabbitmq(&mut keys, password.clone()),
        Kind::Redis => redis(&mut keys, password.clone()),
    };
    let sink = Sink { node: node?, target: target? };
    if problems.len() > problems_before {
        return None;
    }
    if let Err(problem) = sink.target.check() {
        problems.push(format!("{}.{name}: {problem}", SORT.section));
        return None;
    }
    Some(sink)
}

fn kind(keys: &mut SinkKeys<'_>) -> Option<Kind> {
    let choices = Kind::ALL.map(|kind| (kind.name(), kind));
    if !keys.typed.values.contains_key("kind") {
        let origin = keys
            .typed
            .origin()
            .map_or_else(String::new, |origin| format!(" (the sink is named by {origin})"));
        let kinds = choices.map(|(name, _)| format!("{name:?}")).join(", ");
        return keys.refuse("kind", format!("every sink needs one of {kinds}{origin}"));
    }
    keys.choice("kind", &choices)
}

fn node(keys: &mut SinkKeys<'_>) -> Option<SinkSettings> {
    let kinds = keys.names("events").map(|names| event_kinds(keys, &names));
    let sales = keys.names("sales");
    if let Some(sales) = &sales
        && let Some(wrong) = sales.iter().find(|sale| !is_name(sale))
    {
        keys.complain("sales", format!("{wrong:?} {NAME_RULE}"));
    }
    let backlog_bytes_max = keys.number("backlog_bytes_max", &BACKLOG_BYTES);
    let choices = [("keep", AtBacklogMax::Keep), ("let-go", AtBacklogMax::LetGo)];
    let at_backlog_max = keys.choice("at_backlog_max", &choices);
    let events_per_second_max = keys.number("events_per_second_max", &EVENTS_PER_SECOND)?;
    Some(SinkSettings {
        selection: Selection { kinds, sales },
        backlog_bytes_max: backlog_bytes_max?,
        at_backlog_max: at_backlog_max?,
        events_per_second_max: u32::try_from(events_per_second_max).ok().and_then(NonZeroU32::new),
        ..SinkSettings::new(keys.name)
    })
}

/// The kinds of event that are called one of these names, or whose group is.
fn event_kinds(keys: &mut SinkKeys<'_>, names: &BTreeSet<String>) -> BTreeSet<EventKind> {
    let group_of = |kind: EventKind| kind.name().split('.').next().unwrap_or_default();
    let takes = |name: &str, kind: EventKind| kind.name() == name || group_of(kind) == name;
    for name in names {
        if !EventKind::ALL.into_iter().any(|kind| takes(name, kind)) {
            let groups: BTreeSet<_> = EventKind::ALL.into_iter().map(group_of).collect();
            let groups: Vec<_> = groups.into_iter().collect();
            let all = EventKind::ALL.map(EventKind::name).join(", ");
            let rule = format!("{name:?} must be one of {}, or one of {all}", groups.join(", "));
            keys.complain("events", rule);
        }
    }
    EventKind::ALL.into_iter().filter(|kind| names.iter().any(|name| takes(name, *kind))).collect()
}

fn postgres(keys: &mut SinkKeys<'_>, password: Option<Secret>) -> Option<TargetSettings> {
    let primary_url = keys.required_url();
    let schema = keys.text("schema");
    let rows = keys.choice("rows", &[("batch", Rows::Batch), ("visit", Rows::Visit)]);
    let tls = keys.tls();
    let replica_url = keys.url("replica_url");
    Some(TargetSettings::Postgres(postgres::Settings {
        url: primary_url?,
        password,
        schema: schema?,
        rows: rows?,
        tls: tls?,
        replica_url,
    }))
}

#[cfg(feature = "kafka")]
fn kafka(keys: &mut SinkKeys<'_>, password: Option<Secret>) -> Option<TargetSettings> {
    let brokers = keys.text("brokers");
    let topic = keys.text("topic");
    let message_format = keys.choice("message_format", &MESSAGE_FORMATS);
    let tls = keys.tls();
    let username = keys.optional("username");
    let properties_file = keys.path("properties_file");
    let cluster =
        kafka::ClusterSettings { brokers: brokers?, username, tls: tls?, password, properties_file };
    Some(TargetSettings::Kafka(kafka::Settings { cluster, topic: topic?, message_format: message_format? }))
}

#[cfg(not(feature = "kafka"))]
fn kafka(keys: &mut SinkKeys<'_>, _: Option<Secret>) -> Option<TargetSettings> {
    keys.refuse("kind", "this onrush was built without Kafka: cargo build --release --features kafka")
}

fn rabbitmq(keys: &mut SinkKeys<'_>, password: Option<Secret>) -> Option<TargetSettings> {
    let url = keys.required_url();
    let tls = keys.tls();
    let exchange = keys.text("exchange");
    let queue = keys.text("queue");
    let choices =
        [("quorum", QueueType::Quorum), ("classic", QueueType::Classic), ("stream", QueueType::Stream)];
    let queue_type = keys.choice("queue_type", &choices);
    let message_format = keys.choice("message_format", &MESSAGE_FORMATS);
    Some(TargetSettings::RabbitMq(rabbitmq::Settings {
        url: url?,
        password,
        tls: tls?,
        exchange: exchange?,
        queue: queue?,
        queue_type: queue_type?,
        message_format: message_format?,
    }))
}

fn redis(keys: &mut SinkKeys<'_>, password: Option<Secret>) -> Option<TargetSettings> {
    let url = keys.required_url();
    let tls = keys.tls();
    let stream = keys.text("stream");
    let length_max = keys.number("length_max", &LENGTH);
    Some(TargetSettings::Redis(redis::Settings {
        url: url?,
        password,
        tls: tls?,
        stream: stream?,
        length_max: length_max?,
    }))
}

impl TargetSettings {
    fn check(&self) -> Result<(), String> {
        match self {
            Self::Postgres(settings) => settings.check(),
            #[cfg(feature = "kafka")]
            Self::Kafka(settings) => settings.check(),
            Self::RabbitMq(settings) => settings.check(),
            Self::Redis(settings) => settings.check(),
        }
    }
}

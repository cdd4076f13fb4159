//! Every key of a sink: which kinds of sink have it, of what type it is, and what it is if nobody typed it.

use std::fmt;

use onrush_sinks::BACKLOG_BYTES_MAX_DEFAULT;

use crate::settings::sections::{Absent, Key, Sort, ValueType};

/// What a sink writes to, as its `kind` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::settings) enum Kind {
    Postgres,
    Kafka,
    RabbitMq,
    Redis,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Postgres, Self::Kafka, Self::RabbitMq, Self::Redis];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Kafka => "kafka",
            Self::RabbitMq => "rabbitmq",
            Self::Redis => "redis",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

const EVERY: &[Kind] = &Kind::ALL;
const BROKERS: &[Kind] = &[Kind::Kafka, Kind::RabbitMq];
const SERVERS: &[Kind] = &[Kind::Postgres, Kind::RabbitMq, Kind::Redis];
const POSTGRES: &[Kind] = &[Kind::Postgres];
const KAFKA: &[Kind] = &[Kind::Kafka];
const RABBITMQ: &[Kind] = &[Kind::RabbitMq];
const REDIS: &[Kind] = &[Kind::Redis];

/// The section of the file that holds those of the sinks.
pub(in crate::settings) const SECTION: &str = "sinks";

/// The sections of sinks.
pub(in crate::settings) static SORT: Sort<Kind> =
    Sort { section: SECTION, one_of_kind: "a sink of kind", keys: &KEYS };

static KEYS: [Key<Kind>; 23] = [
    key("kind", ValueType::Text, Absent::Missing, EVERY),
    key("events", ValueType::Names, Absent::Unset, EVERY),
    key("sales", ValueType::Names, Absent::Unset, EVERY),
    key(
        "backlog_bytes_max",
        ValueType::Number,
        Absent::Number(BACKLOG_BYTES_MAX_DEFAULT.cast_signed()),
        EVERY,
    ),
    key("at_backlog_max", ValueType::Text, Absent::Text("keep"), EVERY),
    key("events_per_second_max", ValueType::Number, Absent::Number(0), EVERY),
    key("password_file", ValueType::Text, Absent::Unset, EVERY),
    key("url", ValueType::Text, Absent::Missing, SERVERS),
    key("schema", ValueType::Text, Absent::Text("onrush"), POSTGRES),
    key("rows", ValueType::Text, Absent::Text("batch"), POSTGRES),
    key("tls", ValueType::Text, Absent::Text("auto"), EVERY),
    key("tls_ca_file", ValueType::Text, Absent::Unset, EVERY),
    key("replica_url", ValueType::Text, Absent::Unset, POSTGRES),
    key("brokers", ValueType::Text, Absent::Missing, KAFKA),
    key("topic", ValueType::Text, Absent::Text("onrush"), KAFKA),
    key("username", ValueType::Text, Absent::Unset, KAFKA),
    key("properties_file", ValueType::Text, Absent::Unset, KAFKA),
    key("exchange", ValueType::Text, Absent::Text("onrush"), RABBITMQ),
    key("queue", ValueType::Text, Absent::Text("onrush"), RABBITMQ),
    key("queue_type", ValueType::Text, Absent::Text("quorum"), RABBITMQ),
    key("message_format", ValueType::Text, Absent::Text("events"), BROKERS),
    key("stream", ValueType::Text, Absent::Text("onrush"), REDIS),
    key("length_max", ValueType::Number, Absent::Number(0), REDIS),
];

/// Names that keys had in earlier versions, with those that they have now. They are read for ever.
const OLDER_NAMES: [(&str, &str); 1] = [("form", "message_format")];

const fn key(name: &'static str, value_type: ValueType, absent: Absent, kinds: &'static [Kind]) -> Key<Kind> {
    Key { name, value_type, absent, kinds }
}

/// What a key of this name is called now.
pub(super) fn name_now(typed: &str) -> &str {
    OLDER_NAMES.iter().find(|(older, _)| *older == typed).map_or(typed, |(_, now)| now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_every_kind_has_some() {
        for (at, key) in KEYS.iter().enumerate() {
            assert!(KEYS[..at].iter().all(|other| other.name != key.name), "{}", key.name);
        }
        for kind in Kind::ALL {
            assert!(SORT.keys_of(kind).count() > EVERY.len(), "{kind}");
            assert_eq!(Kind::named(kind.name()), Some(kind));
        }
        for (older, now) in OLDER_NAMES {
            assert!(SORT.key(older).is_none() && SORT.key(now).is_some(), "{older} was {now}");
        }
    }
}

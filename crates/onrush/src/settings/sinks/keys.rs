//! Every key of a sink: which kinds of sink have it, of what type it is, and what it is if nobody typed it.

use std::fmt;

use onrush_sinks::BACKLOG_BYTES_MAX_DEFAULT;

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

/// What the value of a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueType {
    Text,
    Number,
    /// A list of names; separated by commas in the environment.
    Names,
}

/// What a key means that nobody typed.
#[derive(Clone, Copy, Debug)]
pub(in crate::settings) enum Absent {
    Text(&'static str),
    Number(i64),
    /// It may be absent.
    Unset,
    /// It may not.
    Missing,
}

/// One key.
#[derive(Debug)]
pub(in crate::settings) struct Key {
    pub(in crate::settings) name: &'static str,
    pub(super) value_type: ValueType,
    pub(in crate::settings) absent: Absent,
    /// The kinds that have it.
    kinds: &'static [Kind],
}

const EVERY: &[Kind] = &Kind::ALL;
const BROKERS: &[Kind] = &[Kind::Kafka, Kind::RabbitMq];
const SERVERS: &[Kind] = &[Kind::Postgres, Kind::RabbitMq, Kind::Redis];
const POSTGRES: &[Kind] = &[Kind::Postgres];
const KAFKA: &[Kind] = &[Kind::Kafka];
const RABBITMQ: &[Kind] = &[Kind::RabbitMq];
const REDIS: &[Kind] = &[Kind::Redis];

/// All keys in the order in which they are printed.
const KEYS: [Key; 23] = [
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

const fn key(name: &'static str, value_type: ValueType, absent: Absent, kinds: &'static [Kind]) -> Key {
    Key { name, value_type, absent, kinds }
}

impl Key {
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        const { &KEYS }.iter().find(|key| key.name == name)
    }

    /// What a key of this name is called now.
    pub(super) fn name_now(typed: &str) -> &str {
        OLDER_NAMES.iter().find(|(older, _)| *older == typed).map_or(typed, |(_, now)| now)
    }

    /// The keys of a kind.
    pub(in crate::settings) fn of(kind: Kind) -> impl Iterator<Item = &'static Self> {
        const { &KEYS }.iter().filter(move |key| key.belongs_to(kind))
    }

    pub(super) fn belongs_to(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }
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
            assert!(Key::of(kind).count() > EVERY.len(), "{kind}");
            assert_eq!(Kind::named(kind.name()), Some(kind));
        }
        for (older, now) in OLDER_NAMES {
            assert!(Key::named(older).is_none() && Key::named(now).is_some(), "{older} was {now}");
        }
    }
}

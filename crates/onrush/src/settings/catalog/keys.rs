//! Every key of a collection: which sources have it, of what type it is, and what it is if nobody typed it.

use std::fmt;

use crate::settings::sections::{Absent, Key, Sort, ValueType};

/// Where the rows of a collection are from, as its `source` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Embedded,
    Postgres,
    Debezium,
}

impl Source {
    pub(super) const ALL: [Self; 3] = [Self::Embedded, Self::Postgres, Self::Debezium];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Postgres => "postgres",
            Self::Debezium => "debezium",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

const EVERY: &[Source] = &Source::ALL;
const POSTGRES: &[Source] = &[Source::Postgres];
const DEBEZIUM: &[Source] = &[Source::Debezium];
const BOTH: &[Source] = &[Source::Postgres, Source::Debezium];

/// The section of the file that holds those of the collections.
pub(in crate::settings) const SECTION: &str = "catalog";

/// The sections of collections.
pub(super) static SORT: Sort<Source> =
    Sort { section: SECTION, one_of_kind: "a collection of source", keys: &KEYS };

static KEYS: [Key<Source>; 24] = [
    key("source", ValueType::Text, Absent::Missing, EVERY),
    key("url", ValueType::Text, Absent::Missing, POSTGRES),
    key("brokers", ValueType::Text, Absent::Missing, DEBEZIUM),
    key("username", ValueType::Text, Absent::Unset, DEBEZIUM),
    key("password_file", ValueType::Text, Absent::Unset, BOTH),
    key("tls", ValueType::Text, Absent::Text("auto"), BOTH),
    key("tls_ca_file", ValueType::Text, Absent::Unset, BOTH),
    key("properties_file", ValueType::Text, Absent::Unset, DEBEZIUM),
    key("topic", ValueType::Text, Absent::Missing, DEBEZIUM),
    key("connector", ValueType::Text, Absent::Unset, DEBEZIUM),
    key("offsets_topic", ValueType::Text, Absent::Text("connect-offsets"), DEBEZIUM),
    key("table", ValueType::Text, Absent::Unset, POSTGRES),
    key("query", ValueType::Text, Absent::Unset, POSTGRES),
    key("key", ValueType::Text, Absent::Unset, BOTH),
    key("watch", ValueType::Section, Absent::Unset, POSTGRES),
    key("load", ValueType::Switch, Absent::Switch(true), POSTGRES),
    key("memory_bytes_max", ValueType::Number, Absent::Number(256 << 20), BOTH),
    key("lag_ms_max", ValueType::Number, Absent::Number(5_000), BOTH),
    key("read_through", ValueType::Switch, Absent::Switch(false), POSTGRES),
    key("absent_ms", ValueType::Number, Absent::Number(10_000), POSTGRES),
    key("absent_keys_max", ValueType::Number, Absent::Number(2_000_000), POSTGRES),
    key("connections", ValueType::Number, Absent::Number(4), POSTGRES),
    key("publication", ValueType::Text, Absent::OfName(name_in_postgres), POSTGRES),
    key("replication_slot", ValueType::Text, Absent::OfName(name_in_postgres), POSTGRES),
];

const fn key(
    name: &'static str,
    value_type: ValueType,
    absent: Absent,
    kinds: &'static [Source],
) -> Key<Source> {
    Key { name, value_type, absent, kinds }
}

/// What the publication and the replication slot of a collection are called: PostgreSQL takes letters, digits and `_` in both.
fn name_in_postgres(collection: &str) -> String {
    let plain = |sign: char| if sign.is_ascii_alphanumeric() { sign.to_ascii_lowercase() } else { '_' };
    format!("onrush_{}", collection.chars().map(plain).collect::<String>())
}

//! The keys of sections of one sort: which kinds have them, of what type they are, and what they are if nobody typed them.

use figment::value::Value;

/// What the value of a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::settings) enum ValueType {
    Text,
    Number,
    Switch,
    /// A list of names; separated by commas in the environment.
    Names,
    /// A section of its own, in the file alone.
    Section,
}

/// What a key means that nobody typed.
#[derive(Clone, Copy, Debug)]
pub(in crate::settings) enum Absent {
    Text(&'static str),
    /// A text that follows from the name of the section.
    OfName(fn(&str) -> String),
    Number(i64),
    Switch(bool),
    /// It may be absent.
    Unset,
    /// It may not.
    Missing,
}

/// One key of sections whose kind is a `K`.
#[derive(Debug)]
pub(in crate::settings) struct Key<K: 'static> {
    pub(in crate::settings) name: &'static str,
    pub(in crate::settings) value_type: ValueType,
    pub(in crate::settings) absent: Absent,
    /// The kinds that have it.
    pub(in crate::settings) kinds: &'static [K],
}

/// Sections of one sort.
pub(in crate::settings) struct Sort<K: 'static> {
    /// The section of the file that holds them.
    pub(in crate::settings) section: &'static str,
    /// What stands before the kind of one.
    pub(in crate::settings) one_of_kind: &'static str,
    /// All keys in the order in which they are printed.
    pub(in crate::settings) keys: &'static [Key<K>],
}

impl ValueType {
    /// The value of this type that a variable holds; text if it is of another, so that somebody complains.
    pub(super) fn parse(self, text: &str) -> Value {
        match self {
            Self::Number => text.trim().parse::<i64>().map_or_else(|_| Value::from(text), Value::from),
            Self::Switch => text.trim().parse::<bool>().map_or_else(|_| Value::from(text), Value::from),
            Self::Names => {
                let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
                Value::from(names.map(str::to_owned).collect::<Vec<_>>())
            }
            Self::Text | Self::Section => Value::from(text),
        }
    }
}

impl<K: Copy + PartialEq> Sort<K> {
    pub(in crate::settings) fn key(&self, name: &str) -> Option<&'static Key<K>> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The keys of a kind.
    pub(in crate::settings) fn keys_of(&self, kind: K) -> impl Iterator<Item = &'static Key<K>> {
        self.keys.iter().filter(move |key| key.belongs_to(kind))
    }
}

impl<K: Copy + PartialEq> Key<K> {
    pub(super) fn belongs_to(&self, kind: K) -> bool {
        self.kinds.contains(&kind)
    }
}

//! Reads the keys of one section: each value by its type and against its choices, every problem named with key and origin.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use figment::value::Value;

use super::keys::{Absent, Sort};
use super::typed::TypedSection;

/// The keys of one section. Whoever reads them looks at `problems` in the end: a key that has one reads as if it were absent.
pub(in crate::settings) struct SectionKeys<'a, K: 'static> {
    pub(in crate::settings) sort: &'static Sort<K>,
    pub(in crate::settings) name: &'a str,
    pub(in crate::settings) typed: &'a TypedSection,
    pub(in crate::settings) problems: &'a mut Vec<String>,
}

impl<K: Copy + PartialEq> SectionKeys<'_, K> {
    /// Adds a problem of a key. The value is not repeated, as it may hold what nobody should read.
    pub(in crate::settings) fn complain(&mut self, key: &str, rule: impl Display) {
        let typed = self.typed.values.get(key);
        let origin = typed.map(|typed| format!(" (from {})", typed.origin)).unwrap_or_default();
        let key = typed.map_or(key, |typed| typed.key.as_str());
        self.problems.push(format!("{}.{}.{key}{origin}: {rule}", self.sort.section, self.name));
    }

    /// The same for a key whose value is then unknown.
    pub(in crate::settings) fn refuse<T>(&mut self, key: &str, rule: impl Display) -> Option<T> {
        self.complain(key, rule);
        None
    }

    /// Complains about every key that the kind does not have, and every one that it needs.
    pub(in crate::settings) fn check_names(&mut self, kind: K)
    where
        K: Display,
    {
        let one = format!("{} {kind}", self.sort.one_of_kind);
        let known: Vec<_> = self.sort.keys_of(kind).map(|key| key.name).collect();
        let known = known.join(", ");
        let typed = self.typed;
        for name in typed.values.keys() {
            let rule = match self.sort.key(name) {
                Some(key) if key.belongs_to(kind) => continue,
                Some(_) => "has no such key; it has",
                None => "has no such key, nor has any other; it has",
            };
            self.complain(name, format!("{one} {rule} {known}"));
        }
        for key in self.sort.keys_of(kind) {
            if matches!(key.absent, Absent::Missing) && !typed.values.contains_key(key.name) {
                self.complain(key.name, format!("{one} needs it"));
            }
        }
    }

    /// A text or its default; nothing if there is neither, or after a problem.
    pub(in crate::settings) fn text(&mut self, name: &str) -> Option<String> {
        match self.value(name) {
            Some(Value::String(_, text)) => Some(text.clone()),
            Some(other) => {
                let found = type_of(other);
                self.refuse(name, format!("must be text in quotes, not {found}"))
            }
            None => match self.absent(name) {
                Absent::Text(text) => Some(text.to_owned()),
                Absent::OfName(text) => Some(text(self.name)),
                _ => None,
            },
        }
    }

    /// A text that may be absent; empty is the same.
    pub(in crate::settings) fn optional(&mut self, name: &str) -> Option<String> {
        self.text(name).filter(|text| !text.is_empty())
    }

    /// A path that may be absent.
    pub(in crate::settings) fn path(&mut self, name: &str) -> Option<PathBuf> {
        self.optional(name).map(PathBuf::from)
    }

    pub(in crate::settings) fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(name)?;
        if let Some((_, choice)) = choices.iter().find(|(choice, _)| *choice == text) {
            return Some(*choice);
        }
        let choices: Vec<_> = choices.iter().map(|(choice, _)| format!("{choice:?}")).collect();
        self.refuse(name, format!("must be one of {}, not {text:?}", choices.join(", ")))
    }

    pub(in crate::settings) fn number(&mut self, name: &str, bounds: &RangeInclusive<u64>) -> Option<u64> {
        let (least, most) = (bounds.start(), bounds.end());
        let number = match self.value(name) {
            Some(Value::Num(_, number)) => number.to_i128(),
            Some(other) => {
                let found = match other {
                    Value::String(_, text) => format!("{text:?}"),
                    other => type_of(other).to_owned(),
                };
                return self
                    .refuse(name, format!("must be a whole number from {least} to {most}, not {found}"));
            }
            None => match self.absent(name) {
                Absent::Number(number) => Some(number.into()),
                _ => None,
            },
        };
        match number.and_then(|number| u64::try_from(number).ok()).filter(|number| bounds.contains(number)) {
            Some(number) => Some(number),
            None => self.refuse(name, format!("must be a whole number from {least} to {most}")),
        }
    }

    /// A list of names, each once; nothing if there is no list, or after a problem.
    pub(in crate::settings) fn names(&mut self, name: &str) -> Option<BTreeSet<String>> {
        let items = self.value(name)?.as_array();
        let names =
            items.and_then(|items| items.iter().map(|item| item.as_str().map(str::to_owned)).collect());
        match names {
            Some(names) if BTreeSet::is_empty(&names) => {
                self.refuse(name, "must name at least one; leave the key out for all")
            }
            Some(names) => Some(names),
            None => self.refuse(name, "must be a list of texts, such as [\"a\", \"b\"]"),
        }
    }

    pub(in crate::settings) fn switch(&mut self, name: &str) -> Option<bool> {
        match self.value(name) {
            Some(Value::Bool(_, is_on)) => Some(*is_on),
            Some(other) => {
                let found = type_of(other);
                self.refuse(name, format!("must be true or false, not {found}"))
            }
            None => match self.absent(name) {
                Absent::Switch(is_on) => Some(is_on),
                _ => None,
            },
        }
    }

    pub(in crate::settings) fn value(&self, name: &str) -> Option<&Value> {
        self.typed.values.get(name).map(|typed| &typed.value)
    }

    fn absent(&self, name: &str) -> Absent {
        self.sort.key(name).expect("keys are read by names of the table").absent
    }
}

/// The type of a value in words, without the value.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::String(..) | Value::Char(..) => "text",
        Value::Bool(..) => "true or false",
        Value::Num(..) => "a number",
        Value::Empty(..) => "nothing",
        Value::Dict(..) => "a section",
        Value::Array(..) => "a list",
    }
}

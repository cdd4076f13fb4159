//! What was typed of every sink, and where: the sections `[sinks.NAME]` of the file, and `ONRUSH_SINKS__NAME__KEY` over them.

use std::collections::BTreeMap;

use figment::value::{Dict, Value};
use onrush_connect::Secret;
use onrush_sinks::SINK_NAME_BYTES_MAX;

use super::keys::{Key, ValueType};

/// The section of the file that holds those of the sinks.
pub(in crate::settings) const SECTION: &str = "sinks";

const PASSWORD: &str = "password";

/// Keys whose values are paths of files that may hold secrets.
const SECRET_FILES: [&str; 2] = ["password_file", "properties_file"];

/// All sinks by name.
#[derive(Default)]
pub(in crate::settings) struct TypedSinks(pub(super) BTreeMap<String, TypedSink>);

/// One sink.
#[derive(Default)]
pub(in crate::settings) struct TypedSink {
    pub(super) values: BTreeMap<String, TypedValue>,
    /// From the environment, with the name of the variable.
    pub(super) password: Option<(Secret, String)>,
}

/// A value and the file or variable that it came from.
pub(in crate::settings) struct TypedValue {
    pub(in crate::settings) value: Value,
    pub(in crate::settings) origin: String,
    /// What its key is called there: its name, or an older one.
    pub(super) key: String,
}

impl TypedSinks {
    /// Takes the section `[sinks]` of a file.
    pub(in crate::settings) fn take_section(
        &mut self,
        section: &Value,
        origin: &str,
        problems: &mut Vec<String>,
    ) {
        let Some(sinks) = section.as_dict() else {
            return problems
                .push(format!("{origin}: {SECTION} holds a section for each sink: write [{SECTION}.NAME]"));
        };
        for (sink, values) in sinks {
            match values.as_dict() {
                _ if !is_sink_name(sink) => {
                    problems.push(format!("{origin}: {SECTION}.{sink:?}: {}", name_rule()));
                }
                None => problems.push(format!(
                    "{origin}: {SECTION}.{sink} is a section: write [{SECTION}.{sink}] (one for each sink)"
                )),
                Some(values) => self.take_sink(sink, values, origin, problems),
            }
        }
    }

    fn take_sink(&mut self, sink: &str, values: &Dict, origin: &str, problems: &mut Vec<String>) {
        let typed = self.0.entry(sink.to_owned()).or_default();
        for (key, value) in values {
            if key == PASSWORD {
                problems.push(format!(
                    "{SECTION}.{sink}.{PASSWORD} (from {origin}): a password does not belong here: {}",
                    password_ways(sink)
                ));
                continue;
            }
            let now = Key::name_now(key);
            if now != key && values.contains_key(now) {
                problems.push(format!("{SECTION}.{sink}.{key} (from {origin}): {}", twice(now)));
            }
            typed.insert(key, value.clone(), origin);
        }
    }

    /// Takes a variable whose name, in lower case and without the prefix, is `path`; nothing if it speaks of no sink.
    pub(in crate::settings) fn take_variable(
        &mut self,
        path: &str,
        name: &str,
        text: &str,
    ) -> Option<Result<(), String>> {
        let (sink, key) = path.strip_prefix(SECTION)?.strip_prefix("__")?.rsplit_once("__")?;
        if !is_sink_name(sink) {
            return Some(Err(format!("{name} in the environment: {sink:?}: {}", name_rule())));
        }
        let typed = self.0.entry(sink.to_owned()).or_default();
        if key == PASSWORD {
            // Empty is how a container platform says that there is none.
            typed.password =
                Some(text).filter(|text| !text.is_empty()).map(|text| (Secret::new(text), name.to_owned()));
            return Some(Ok(()));
        }
        let now = Key::name_now(key);
        let value = match Key::named(now).map(|key| key.value_type) {
            Some(ValueType::Number) => {
                text.trim().parse::<i64>().map_or_else(|_| Value::from(text), Value::from)
            }
            Some(ValueType::Names) => {
                let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
                Value::from(names.map(str::to_owned).collect::<Vec<_>>())
            }
            Some(ValueType::Text) | None => Value::from(text),
        };
        let is_twice = typed.values.get(now).is_some_and(|other| {
            other.key != key
                && other.origin.to_ascii_lowercase().ends_with(&format!("{SECTION}__{sink}__{}", other.key))
        });
        typed.insert(key, value, name);
        Some(if is_twice { Err(format!("{name} in the environment: {}", twice(now))) } else { Ok(()) })
    }
}

impl TypedSinks {
    /// Key and path of every file that may hold a secret.
    pub(in crate::settings) fn secret_files(&self) -> impl Iterator<Item = (String, &str)> {
        self.0.iter().flat_map(|(sink, typed)| {
            SECRET_FILES.into_iter().filter_map(move |key| {
                let path = typed.values.get(key)?.value.as_str()?;
                Some((format!("{SECTION}.{sink}.{key}"), path))
            })
        })
    }
}

impl TypedSink {
    /// Takes the value of a key, which may have an older name, over one that was typed before.
    fn insert(&mut self, key: &str, value: Value, origin: &str) {
        let typed = TypedValue { value, origin: origin.to_owned(), key: key.to_owned() };
        self.values.insert(Key::name_now(key).to_owned(), typed);
    }

    /// The variable that its password came from.
    pub(in crate::settings) fn password_variable(&self) -> Option<&str> {
        self.password.as_ref().map(|(_, variable)| variable.as_str())
    }
}

/// What is wrong if a key is there under two names.
fn twice(now: &str) -> String {
    format!("{now} is there twice, once under a name of an earlier version: leave one of them out")
}

/// Where a sink's password belongs.
pub(super) fn password_ways(sink: &str) -> String {
    let variable = format!("ONRUSH_SINKS__{}__PASSWORD", sink.to_ascii_uppercase());
    format!("put it into a file and name that as password_file, or set {variable} in the environment")
}

pub(super) fn is_sink_name(name: &str) -> bool {
    name.len() <= SINK_NAME_BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

pub(super) fn name_rule() -> String {
    format!("a sink's name must be 1 to {SINK_NAME_BYTES_MAX} of a-z 0-9 _ - and begin with a letter")
}

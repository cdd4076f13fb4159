//! What was typed of every sink, and where: the sections `[sinks.NAME]` of the file, and `ONRUSH_SINKS__NAME__KEY` over them.

use std::collections::BTreeMap;

use figment::value::{Dict, Value};
use onrush_connect::Secret;
use onrush_sinks::SINK_NAME_BYTES_MAX;

use super::keys::{Form, Key};

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
            let value = TypedValue { value: value.clone(), origin: origin.to_owned() };
            typed.values.insert(key.clone(), value);
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
        let value = match Key::named(key).map(|key| key.form) {
            Some(Form::Number) => text.trim().parse::<i64>().map_or_else(|_| Value::from(text), Value::from),
            Some(Form::Names) => {
                let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
                Value::from(names.map(str::to_owned).collect::<Vec<_>>())
            }
            Some(Form::Text) | None => Value::from(text),
        };
        typed.values.insert(key.to_owned(), TypedValue { value, origin: name.to_owned() });
        Some(Ok(()))
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
    /// The variable that its password came from.
    pub(in crate::settings) fn password_variable(&self) -> Option<&str> {
        self.password.as_ref().map(|(_, variable)| variable.as_str())
    }
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

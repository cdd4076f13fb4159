//! What was typed of every sink, and where: the sections `[sinks.NAME]` of the file, and `ONRUSH_SINKS__NAME__KEY` over them.

use std::collections::BTreeMap;

use figment::value::{Dict, Value};
use onrush_sinks::SINK_NAME_BYTES_MAX;

use super::keys::{SECTION, SORT, name_now};
use crate::settings::sections::TypedSection;

/// Keys whose values are paths of files that may hold secrets.
const SECRET_FILES: [&str; 2] = ["password_file", "properties_file"];

/// All sinks by name.
#[derive(Default)]
pub(in crate::settings) struct TypedSinks(pub(super) BTreeMap<String, TypedSection>);

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
        for key in values.keys() {
            let now = name_now(key);
            if now != key && values.contains_key(now) {
                problems.push(format!("{SECTION}.{sink}.{key} (from {origin}): {}", twice(now)));
            }
        }
        let typed = self.0.entry(sink.to_owned()).or_default();
        typed.take_keys(&SORT, sink, values, name_now, origin, problems);
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
        let now = name_now(key);
        let is_twice = typed.values.get(now).is_some_and(|other| {
            other.key != key
                && other.origin.to_ascii_lowercase().ends_with(&format!("{SECTION}__{sink}__{}", other.key))
        });
        typed.take_text(&SORT, (key, now), name, text);
        Some(if is_twice { Err(format!("{name} in the environment: {}", twice(now))) } else { Ok(()) })
    }
}

impl TypedSinks {
    /// Key and path of every file that may hold a secret.
    pub(in crate::settings) fn secret_files(&self) -> impl Iterator<Item = (String, &str)> {
        self.0.iter().flat_map(|(sink, typed)| typed.paths(SECTION, sink, &SECRET_FILES))
    }
}

/// What is wrong if a key is there under two names.
fn twice(now: &str) -> String {
    format!("{now} is there twice, once under a name of an earlier version: leave one of them out")
}

pub(super) fn is_sink_name(name: &str) -> bool {
    name.len() <= SINK_NAME_BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

pub(super) fn name_rule() -> String {
    format!("a sink's name must be 1 to {SINK_NAME_BYTES_MAX} of a-z 0-9 _ - and begin with a letter")
}

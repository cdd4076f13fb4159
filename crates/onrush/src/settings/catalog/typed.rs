//! What was typed of every collection of the catalogue, and where: the sections `[catalog.NAME]` of the file, beside the keys of
//! `[catalog]` itself, and `ONRUSH_CATALOG__NAME__KEY` over them.

use std::collections::BTreeMap;

use figment::value::Value;
use onrush_core::{NEW_NAME_RULE, is_new_name};

use super::keys::{SECTION, SORT};
use crate::settings::sections::TypedSection;

/// The settings of `[catalog]` itself, whose names no collection may have.
const OWN_KEYS: [&str; 2] = ["wait_ms_max", "ready_when_coherent"];

/// Keys whose values are paths of files that hold secrets.
const SECRET_FILES: [&str; 2] = ["password_file", "properties_file"];

/// All collections by name.
#[derive(Default)]
pub(in crate::settings) struct TypedCollections(pub(super) BTreeMap<String, TypedSection>);

impl TypedCollections {
    /// Takes the sections of collections out of the section `[catalog]` of a file.
    pub(in crate::settings) fn take_section(
        &mut self,
        section: &mut Value,
        origin: &str,
        problems: &mut Vec<String>,
    ) {
        let Value::Dict(_, values) = section else { return };
        let names: Vec<_> = values
            .iter()
            .filter(|(_, value)| value.as_dict().is_some())
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            let Some(Value::Dict(_, keys)) = values.remove(&name) else { continue };
            if OWN_KEYS.contains(&name.as_str()) {
                problems.push(format!(
                    "{origin}: {SECTION}.{name} is a setting, so no collection can be called that"
                ));
                continue;
            }
            if !is_new_name(&name) {
                problems
                    .push(format!("{origin}: {SECTION}.{name:?}: the name of a collection {NEW_NAME_RULE}"));
                continue;
            }
            let typed = self.0.entry(name.clone()).or_default();
            typed.take_keys(&SORT, &name, &keys, |key| key, origin, problems);
        }
    }

    /// Takes a variable whose name, in lower case and without the prefix, is `path`; nothing if it speaks of no collection.
    pub(in crate::settings) fn take_variable(
        &mut self,
        path: &str,
        name: &str,
        text: &str,
    ) -> Option<Result<(), String>> {
        let (collection, key) = path.strip_prefix(SECTION)?.strip_prefix("__")?.rsplit_once("__")?;
        if !is_new_name(collection) {
            return Some(Err(format!("{name} in the environment: the name of a collection {NEW_NAME_RULE}")));
        }
        self.0.entry(collection.to_owned()).or_default().take_text(&SORT, (key, key), name, text);
        Some(Ok(()))
    }

    /// Key and path of every file that holds a secret.
    pub(in crate::settings) fn secret_files(&self) -> impl Iterator<Item = (String, &str)> {
        self.0.iter().flat_map(|(collection, typed)| typed.paths(SECTION, collection, &SECRET_FILES))
    }
}

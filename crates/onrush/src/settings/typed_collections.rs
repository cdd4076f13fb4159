//! What was typed of every collection of the catalogue, and where: the sections `[catalog.NAME]` of the file, beside the keys of
//! `[catalog]` itself, and `ONRUSH_CATALOG__NAME__SOURCE` over them.

use std::collections::BTreeMap;

use figment::value::Value;
use onrush_core::{NEW_NAME_RULE, is_new_name};

/// The section of the file that holds those of the collections.
pub(super) const SECTION: &str = "catalog";

/// The key that each of them has.
pub(super) const SOURCE: &str = "source";

/// The settings of `[catalog]` itself, whose names no collection may have.
const OWN_KEYS: [&str; 1] = ["wait_ms_max"];

/// All collections by name.
#[derive(Default)]
pub(super) struct TypedCollections(pub(super) BTreeMap<String, TypedSource>);

/// What was typed as the source of one, and the file or variable that it came from.
#[derive(Default)]
pub(super) struct TypedSource {
    pub(super) source: Option<Value>,
    pub(super) origin: String,
}

impl TypedCollections {
    /// Takes the sections of collections out of the section `[catalog]` of a file.
    pub(super) fn take_section(&mut self, section: &mut Value, origin: &str, problems: &mut Vec<String>) {
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
            origin.clone_into(&mut typed.origin);
            for (key, value) in keys {
                if key == SOURCE {
                    typed.source = Some(value);
                } else {
                    problems
                        .push(format!("{origin}: unknown key {SECTION}.{name}.{key} (known is {SOURCE})"));
                }
            }
        }
    }

    /// Takes a variable whose name, in lower case and without the prefix, is `path`; nothing if it speaks of no collection.
    pub(super) fn take_variable(&mut self, path: &str, name: &str, text: &str) -> Option<Result<(), String>> {
        let (collection, key) = path.strip_prefix(SECTION)?.strip_prefix("__")?.rsplit_once("__")?;
        if !is_new_name(collection) {
            return Some(Err(format!("{name} in the environment: the name of a collection {NEW_NAME_RULE}")));
        }
        if key != SOURCE {
            return Some(Err(format!(
                "unknown setting {name} in the environment (a collection has {SECTION}.{collection}.{SOURCE})"
            )));
        }
        let typed = TypedSource { source: Some(Value::from(text)), origin: name.to_owned() };
        self.0.insert(collection.to_owned(), typed);
        Some(Ok(()))
    }

    /// Names, sources and origins, for printing.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &TypedSource)> {
        self.0.iter().map(|(name, typed)| (name.as_str(), typed))
    }
}

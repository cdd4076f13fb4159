//! What was typed of one section, and where: in the file, and in variables over it.

use std::collections::BTreeMap;

use figment::value::{Dict, Value};
use onrush_connect::Secret;

use super::keys::Sort;

const PASSWORD: &str = "password";

/// One section.
#[derive(Default)]
pub(in crate::settings) struct TypedSection {
    pub(in crate::settings) values: BTreeMap<String, TypedValue>,
    /// From the environment, with the name of the variable.
    pub(super) password: Option<(Secret, String)>,
}

/// A value and the file or variable that it came from.
pub(in crate::settings) struct TypedValue {
    pub(in crate::settings) value: Value,
    pub(in crate::settings) origin: String,
    /// What its key is called there: its name, or an older one.
    pub(in crate::settings) key: String,
}

impl TypedSection {
    /// Takes the keys of a file, but for a password, which does not belong there.
    pub(in crate::settings) fn take_keys<K>(
        &mut self,
        sort: &Sort<K>,
        name: &str,
        keys: &Dict,
        name_now: fn(&str) -> &str,
        origin: &str,
        problems: &mut Vec<String>,
    ) {
        for (key, value) in keys {
            if key == PASSWORD {
                problems.push(format!(
                    "{}.{name}.{PASSWORD} (from {origin}): a password does not belong here: {}",
                    sort.section,
                    password_ways(sort.section, name)
                ));
            } else {
                self.insert(key, name_now(key), value.clone(), origin);
            }
        }
    }

    /// Takes the text of a variable whose key is called `key` there and `now` today.
    pub(in crate::settings) fn take_text<K: Copy + PartialEq>(
        &mut self,
        sort: &Sort<K>,
        (key, now): (&str, &str),
        variable: &str,
        text: &str,
    ) {
        if key == PASSWORD {
            // Empty is how a container platform says that there is none.
            self.password = Some(text)
                .filter(|text| !text.is_empty())
                .map(|text| (Secret::new(text), variable.to_owned()));
            return;
        }
        let value = sort.key(now).map_or_else(|| Value::from(text), |key| key.value_type.parse(text));
        self.insert(key, now, value, variable);
    }

    /// Takes the value of a key, which may have an older name, over one that was typed before.
    pub(in crate::settings) fn insert(&mut self, key: &str, now: &str, value: Value, origin: &str) {
        let typed = TypedValue { value, origin: origin.to_owned(), key: key.to_owned() };
        self.values.insert(now.to_owned(), typed);
    }

    /// The variable that its password came from.
    pub(in crate::settings) fn password_variable(&self) -> Option<&str> {
        self.password.as_ref().map(|(_, variable)| variable.as_str())
    }

    /// The keys of these names, as an operator writes them, and the paths that are their values.
    pub(in crate::settings) fn paths<'a>(
        &'a self,
        section: &'a str,
        name: &'a str,
        keys: &'static [&'static str],
    ) -> impl Iterator<Item = (String, &'a str)> {
        keys.iter().filter_map(move |key| {
            let path = self.values.get(*key)?.value.as_str()?;
            Some((format!("{section}.{name}.{key}"), path))
        })
    }

    /// Where any of it came from: a variable with a misspelt name makes a section of its own.
    pub(in crate::settings) fn origin(&self) -> Option<&str> {
        self.values.values().map(|typed| typed.origin.as_str()).next().or(self.password_variable())
    }
}

/// Where the password of a section belongs.
pub(super) fn password_ways(section: &str, name: &str) -> String {
    let variable =
        format!("ONRUSH_{}__{}__PASSWORD", section.to_ascii_uppercase(), name.to_ascii_uppercase());
    format!("put it into a file and name that as password_file, or set {variable} in the environment")
}

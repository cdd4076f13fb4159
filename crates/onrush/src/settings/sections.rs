//! Sections of the file whose names are the user's, such as `[sinks.NAME]`: what their keys are, what was typed of them, and how that is
//! read. Passwords come from the environment or from files, and nothing here prints them.

mod connection;
mod keys;
mod read;
mod typed;

#[cfg(feature = "kafka")]
pub(super) use connection::{TLS_CHOICES, password_of};
pub(super) use keys::{Absent, Key, Sort, ValueType};
pub(super) use read::SectionKeys;
pub(super) use typed::{TypedSection, TypedValue};

/// What a printed section holds.
pub(super) struct PrintedSection<'a> {
    /// The section that it is in.
    pub(super) section: &'static str,
    pub(super) name: &'a str,
    /// Every key of its kind.
    pub(super) keys: Vec<PrintedKey<'a>>,
    pub(super) password_variable: Option<&'a str>,
}

/// A key, with what was typed if anything was.
pub(super) struct PrintedKey<'a> {
    pub(super) name: &'static str,
    pub(super) absent: Absent,
    pub(super) typed: Option<&'a TypedValue>,
}

impl<'a> PrintedSection<'a> {
    /// Of a section whose values were checked before.
    pub(super) fn new<K: Copy + PartialEq>(
        sort: &'static Sort<K>,
        kind: K,
        name: &'a str,
        typed: &'a TypedSection,
    ) -> Self {
        let keys = sort.keys_of(kind).map(|key| PrintedKey {
            name: key.name,
            absent: key.absent,
            typed: typed.values.get(key.name),
        });
        Self {
            section: sort.section,
            name,
            keys: keys.collect(),
            password_variable: typed.password_variable(),
        }
    }
}

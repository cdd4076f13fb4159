//! Settings that are read again while the server runs: what can change does, and the rest is named.

use std::collections::BTreeMap;

use crate::environment;
use crate::logging::Messages;
use crate::settings::{self, Flags};

/// The only setting that a running server takes. Files of keys and passwords are read whenever they are used.
const LEVEL: &str = "logging.level";

/// The settings in force, by key.
pub(crate) struct Rereading<'a> {
    flags: &'a Flags,
    messages: &'a Messages,
    values: BTreeMap<String, String>,
}

impl<'a> Rereading<'a> {
    pub(crate) fn new(flags: &'a Flags, messages: &'a Messages, values: &BTreeMap<String, String>) -> Self {
        Self { flags, messages, values: values.clone() }
    }

    /// Reads the settings as a start would, takes what can change, and says what was done. Wrong settings change nothing.
    pub(crate) fn read(&mut self) {
        let read = match settings::load(self.flags, environment()) {
            Ok(read) => read,
            Err(error) => {
                tracing::error!("the settings were read again and are wrong, so nothing changes: {error}");
                return;
            }
        };
        read.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let changed = changed_keys(&self.values, &read.values);
        let (taken, restart): (Vec<_>, Vec<_>) = changed.into_iter().partition(|key| key == LEVEL);
        if taken.is_empty() && restart.is_empty() {
            tracing::info!("the settings were read again; nothing has changed");
        }
        if !taken.is_empty() {
            self.messages.set_level(&read.logging.level);
            let level = read.values[LEVEL].clone();
            // Said after the change, at a level that most settings let through.
            tracing::warn!("the settings were read again: {LEVEL} is {level} from now on");
            self.values.insert(LEVEL.to_owned(), level);
        }
        if !restart.is_empty() {
            tracing::warn!(
                "the settings were read again: {} changed, which needs a restart",
                restart.join(", ")
            );
        }
    }
}

/// Every key whose value is another, or that only one of both has.
fn changed_keys(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let mut keys: Vec<_> = before.keys().chain(after.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter().filter(|key| before.get(*key) != after.get(*key)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_named_once() {
        let values = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect::<BTreeMap<_, _>>()
        };
        let before = values(&[("a.same", "1"), ("b.other", "1"), ("c.gone", "1")]);
        let after = values(&[("a.same", "1"), ("b.other", "2"), ("d.new", "1")]);
        assert_eq!(changed_keys(&before, &after), ["b.other", "c.gone", "d.new"]);
        assert!(changed_keys(&before, &before).is_empty());
    }
}

//! Names of topics.

use onrush_sinks::EventKind;

use crate::MessageFormat;

/// Stands for the kind of an event.
const PLACEHOLDER: &str = "{kind}";

/// Length of a topic's name, bytes: `org.apache.kafka.common.internals.Topic`.
const NAME_BYTES_MAX: usize = 249;

/// The topic of each kind of event.
#[derive(Debug)]
pub(super) struct Topics {
    /// In the order of [`EventKind::ALL`].
    names: [String; EventKind::ALL.len()],
}

impl Topics {
    /// Those that `template` names.
    pub(super) fn new(template: &str) -> Self {
        Self { names: EventKind::ALL.map(|kind| template.replace(PLACEHOLDER, kind.name())) }
    }

    /// That of a kind.
    pub(super) fn of(&self, kind: EventKind) -> &str {
        &self.names[kind as usize]
    }

    /// Every one that messages of a format go to, once.
    pub(super) fn used_by(&self, message_format: MessageFormat) -> Vec<&str> {
        let kinds = EventKind::ALL.into_iter().filter(|kind| message_format.covers(*kind));
        let mut names: Vec<&str> = kinds.map(|kind| self.of(kind)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// What is wrong with the name of a topic, as a sentence.
pub(super) fn check_name(template: &str) -> Result<(), String> {
    let bare = template.replace(PLACEHOLDER, "");
    if template.is_empty() || !bare.bytes().all(is_allowed) {
        return Err("topic must be letters, digits, '.', '_', '-', and may contain {kind}".to_owned());
    }
    Topics::new(template).names.iter().try_for_each(|name| check_length("topic", name))
}

/// What is wrong with the name of one topic, which is the value of a setting, as a sentence.
pub(crate) fn check_plain_name(setting: &str, name: &str) -> Result<(), String> {
    if name.is_empty() || !name.bytes().all(is_allowed) {
        return Err(format!("{setting} must be letters, digits, '.', '_', '-'"));
    }
    check_length(setting, name)
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-".contains(&byte)
}

fn check_length(setting: &str, name: &str) -> Result<(), String> {
    if [".", ".."].contains(&name) {
        return Err(format!("{setting} must not be \".\" or \"..\""));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(format!("{setting} must be at most {NAME_BYTES_MAX} bytes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_topic() {
        let one = Topics::new("onrush");
        let each = Topics::new("shop.{kind}");
        for kind in EventKind::ALL {
            assert_eq!(one.of(kind), "onrush");
            assert_eq!(each.of(kind), format!("shop.{}", kind.name()));
        }
        assert_eq!(one.used_by(MessageFormat::Events), ["onrush"]);
        assert_eq!(each.used_by(MessageFormat::Events).len(), 9);
        assert_eq!(
            each.used_by(MessageFormat::Order),
            ["shop.reservation.confirmed", "shop.reservation.reserved"]
        );
    }

    #[test]
    fn names_are_those_that_kafka_takes() {
        let long = "x".repeat(250);
        for (name, is_taken) in [
            ("onrush", true),
            ("a.B_c-9.{kind}", true),
            ("{kind}", true),
            (&long[..249], true),
            ("", false),
            (".", false),
            ("..", false),
            ("a b", false),
            ("a/b", false),
            ("{sale}", false),
            (&long, false),
        ] {
            assert_eq!(check_name(name).is_ok(), is_taken, "{name}");
        }
    }
}

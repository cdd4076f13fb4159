//! Texts of `KEY=VALUE` lines: what was chosen for a service, and the file of variables that a shell can read.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use anyhow::{Context as _, Result, bail};

/// Keys with their values, in the order of the keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lines(BTreeMap<String, String>);

impl Lines {
    /// Reads what [`Lines::text`] wrote.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut lines = Self::default();
        for line in text.lines() {
            let (key, value) = line.split_once('=').context("a line is without `=`")?;
            let value = match value.strip_prefix('\'') {
                Some(quoted) => quoted.strip_suffix('\'').context("a value lacks its second quote")?,
                None => value,
            };
            lines.0.insert(key.to_owned(), value.to_owned());
        }
        Ok(lines)
    }

    /// The lines as a shell reads them. An error if a value cannot be written on a line between single quotes.
    pub(crate) fn text(&self) -> Result<String> {
        let mut text = String::new();
        for (key, value) in &self.0 {
            if value.contains(['\'', '\n']) {
                bail!("the value of {key} has a quote or the end of a line in it");
            }
            let quote = if value.chars().all(is_plain) { "" } else { "'" };
            writeln!(text, "{key}={quote}{value}{quote}").expect("a String takes every write");
        }
        Ok(text)
    }

    pub(crate) fn insert(&mut self, key: &str, value: impl Display) {
        self.0.insert(key.to_owned(), value.to_string());
    }

    pub(crate) fn get(&self, key: &str) -> Result<&str> {
        self.0.get(key).map(String::as_str).with_context(|| format!("the settings lack {key}"))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

/// Whether a shell takes a character as it is.
fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-_./:@,".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_writing_and_reading() {
        for (value, line) in [
            ("127.0.0.1:32001", "KEY=127.0.0.1:32001\n"),
            ("", "KEY=\n"),
            ("a=b", "KEY='a=b'\n"),
            ("/a directory/ca.pem", "KEY='/a directory/ca.pem'\n"),
            ("$(false)", "KEY='$(false)'\n"),
        ] {
            let mut lines = Lines::default();
            lines.insert("KEY", value);
            let text = lines.text().expect("the value can be written");
            assert_eq!(text, line);
            assert_eq!(Lines::parse(&text).expect("read what was written"), lines);
        }
    }

    #[test]
    fn what_a_line_cannot_hold_is_an_error() {
        for value in ["it's", "two\nlines"] {
            let mut lines = Lines::default();
            lines.insert("KEY", value);
            assert!(lines.text().is_err(), "{value:?} was written");
        }
        for text in ["KEY\n", "KEY='value\n", "\n"] {
            assert!(Lines::parse(text).is_err(), "{text:?} was read");
        }
    }
}

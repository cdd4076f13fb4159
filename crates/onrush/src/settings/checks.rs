//! Checks of single values: each problem is named with key, value, origin and rule.

use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::duration;
use super::layers::{Layers, ORIGIN_DEFAULT};

/// The problems found so far; every check that answers `None` has added one.
pub(super) struct Checks<'a> {
    pub(super) layers: &'a Layers,
    pub(super) problems: Vec<String>,
}

impl Checks<'_> {
    pub(super) fn refuse<T>(&mut self, key: &str, value: impl Display, rule: impl Display) -> Option<T> {
        let origin = self.layers.origin(key);
        let origin = if origin == ORIGIN_DEFAULT { String::new() } else { format!(" (from {origin})") };
        self.problems.push(format!("{key} = {value}{origin}: {rule}"));
        None
    }

    pub(super) fn number<T: TryFrom<i64>>(
        &mut self,
        key: &str,
        value: i64,
        bounds: &RangeInclusive<i64>,
    ) -> Option<T> {
        match T::try_from(value) {
            Ok(number) if bounds.contains(&value) => Some(number),
            _ => self.refuse(key, value, format!("must be {} to {}", bounds.start(), bounds.end())),
        }
    }

    pub(super) fn timeout(
        &mut self,
        key: &str,
        value: i64,
        bounds: &RangeInclusive<i64>,
    ) -> Option<Duration> {
        self.number(key, value, bounds).map(Duration::from_millis)
    }

    pub(super) fn address(&mut self, key: &str, value: &str) -> Option<SocketAddr> {
        match value.parse() {
            Ok(address) => Some(address),
            Err(_) => self.refuse(
                key,
                quoted(value),
                "must be IP:PORT, such as 127.0.0.1:8080, 0.0.0.0:80 or [::1]:8080",
            ),
        }
    }

    pub(super) fn choice<T: Copy>(&mut self, key: &str, value: &str, choices: &[(&str, T)]) -> Option<T> {
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == value) {
            return Some(*choice);
        }
        let names: Vec<_> = choices.iter().map(|(name, _)| quoted(name)).collect();
        self.refuse(key, quoted(value), format!("must be one of {}", names.join(", ")))
    }

    pub(super) fn duration_ms(&mut self, key: &str, value: &str) -> Option<u64> {
        match duration::parse_ms(value) {
            Ok(ms) => Some(ms),
            Err(problem) => self.refuse(key, quoted(value), problem),
        }
    }
}

pub(super) fn quoted(text: &str) -> String {
    format!("{text:?}")
}

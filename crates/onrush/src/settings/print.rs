//! The merged settings written as a settings file.

use std::collections::BTreeMap;
use std::fmt::Write;

use figment::value::Value;

use super::layers::{Layers, ORIGIN_DEFAULT};
use super::sections::{Absent, PrintedKey, PrintedSection};
use super::{catalog, sinks};

/// TOML that would give the same settings, with a comment behind every value that is not the default. Text is escaped
/// by the rules of TOML 1.0 for basic strings.
pub(super) fn toml(layers: &Layers) -> String {
    let mut text = String::from("# The settings in force; a comment says where a value came from.\n");
    for (section, values) in layers.values() {
        let keys = values.as_dict().expect("every section holds keys");
        write!(text, "\n[{section}]\n").expect("a String takes every write");
        for (key, value) in keys {
            let origin = layers.origin(&format!("{section}.{key}"));
            let value = written(value);
            let value =
                value.map_or_else(|| format!("# {key} is not set"), |value| format!("{key} = {value}"));
            line(&mut text, &value, origin);
        }
        if section == "log"
            && let Some(variable) = layers.log_password.variable()
        {
            line(&mut text, &format!("# password: from {variable}"), ORIGIN_DEFAULT);
        }
    }
    for printed in named_sections(layers) {
        section(&mut text, &printed);
    }
    text
}

/// Every setting and its value as TOML; empty where none is set. Passwords are not among them.
pub(super) fn values(layers: &Layers) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (section, values) in layers.values() {
        let keys = values.as_dict().expect("every section holds keys");
        all.extend(
            keys.iter().map(|(key, value)| (format!("{section}.{key}"), written(value).unwrap_or_default())),
        );
    }
    for printed in named_sections(layers) {
        let name = |key: &str| format!("{}.{}.{key}", printed.section, printed.name);
        all.extend(
            printed.keys.iter().map(|key| (name(key.name), key_value(&printed, key).unwrap_or_default())),
        );
    }
    all
}

/// The sections whose names are the user's.
fn named_sections(layers: &Layers) -> impl Iterator<Item = PrintedSection<'_>> {
    catalog::printed(&layers.collections).chain(sinks::printed(&layers.sinks))
}

/// One section; where its password comes from is told, and nothing else about it.
fn section(text: &mut String, printed: &PrintedSection<'_>) {
    let name = written_key(printed.name);
    write!(text, "\n[{}.{name}]\n", printed.section).expect("a String takes every write");
    for key in &printed.keys {
        let name = key.name;
        let value = key_value(printed, key)
            .map_or_else(|| format!("# {name} is not set"), |value| format!("{name} = {value}"));
        line(text, &value, key.typed.map_or(ORIGIN_DEFAULT, |typed| &typed.origin));
    }
    if let Some(variable) = printed.password_variable {
        line(text, &format!("# password: from {variable}"), ORIGIN_DEFAULT);
    }
}

/// What was typed, or the default; nothing if there is neither.
fn key_value(section: &PrintedSection<'_>, key: &PrintedKey<'_>) -> Option<String> {
    match (key.typed, key.absent) {
        (Some(typed), _) => written(&typed.value),
        (None, Absent::Text(text)) => Some(basic_string(text)),
        (None, Absent::OfName(text)) => Some(basic_string(&text(section.name))),
        (None, Absent::Number(number)) => Some(number.to_string()),
        (None, Absent::Switch(is_on)) => Some(is_on.to_string()),
        (None, Absent::Unset | Absent::Missing) => None,
    }
}

fn line(text: &mut String, line: &str, origin: &str) {
    text.push_str(line);
    if origin != ORIGIN_DEFAULT {
        write!(text, "  # {}", origin.escape_debug()).expect("a String takes every write");
    }
    text.push('\n');
}

/// A value as TOML; nothing if there is none.
fn written(value: &Value) -> Option<String> {
    match value {
        Value::String(_, value) => Some(basic_string(value)),
        Value::Num(_, number) => Some(number.to_i128().unwrap_or_default().to_string()),
        Value::Bool(_, value) => Some(value.to_string()),
        Value::Array(_, items) => {
            Some(format!("[{}]", items.iter().filter_map(written).collect::<Vec<_>>().join(", ")))
        }
        Value::Dict(_, members) => {
            let members = members
                .iter()
                .filter_map(|(key, value)| Some(format!("{} = {}", written_key(key), written(value)?)));
            Some(format!("{{ {} }}", members.collect::<Vec<_>>().join(", ")))
        }
        Value::Char(..) | Value::Empty(..) => None,
    }
}

/// A key as TOML, which takes most without quotes.
fn written_key(key: &str) -> String {
    let is_bare = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if is_bare { key.to_owned() } else { basic_string(key) }
}

fn basic_string(value: &str) -> String {
    let mut text = String::from("\"");
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            control if control.is_control() => {
                write!(text, "\\u{:04X}", u32::from(control)).expect("a String takes every write");
            }
            other => text.push(other),
        }
    }
    text.push('"');
    text
}

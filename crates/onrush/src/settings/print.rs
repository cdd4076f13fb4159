//! The merged settings written as a settings file.

use std::collections::BTreeMap;
use std::fmt::Write;

use figment::value::Value;

use super::layers::{Layers, ORIGIN_DEFAULT};
use super::sinks::{self, Absent, Key, PrintedSink, TypedValue};
use super::typed_collections::{self, TypedSource};

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
    }
    for (collection, typed) in layers.collections.iter() {
        let name = if is_bare(collection) { collection.to_owned() } else { basic_string(collection) };
        write!(text, "\n[{}.{name}]\n", typed_collections::SECTION).expect("a String takes every write");
        line(&mut text, &format!("source = {}", source(typed)), &typed.origin);
    }
    for sink in sinks::printed(&layers.sinks) {
        section(&mut text, &sink);
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
    let collections = layers.collections.iter();
    all.extend(
        collections
            .map(|(name, typed)| (format!("{}.{name}.source", typed_collections::SECTION), source(typed))),
    );
    for sink in sinks::printed(&layers.sinks) {
        let name = |key: &str| format!("{}.{}.{key}", sinks::SECTION, sink.name);
        all.extend(
            sink.keys
                .iter()
                .map(|(key, typed)| (name(key.name), sink_value(key, *typed).unwrap_or_default())),
        );
    }
    all
}

/// Where the rows of a collection are from.
fn source(typed: &TypedSource) -> String {
    typed.source.as_ref().and_then(written).unwrap_or_default()
}

/// One sink; where its password comes from is told, and nothing else about it.
fn section(text: &mut String, sink: &PrintedSink<'_>) {
    write!(text, "\n[{}.{}]\n", sinks::SECTION, sink.name).expect("a String takes every write");
    for (key, typed) in &sink.keys {
        let name = key.name;
        let value = sink_value(key, *typed)
            .map_or_else(|| format!("# {name} is not set"), |value| format!("{name} = {value}"));
        line(text, &value, typed.map_or(ORIGIN_DEFAULT, |typed| &typed.origin));
    }
    if let Some(variable) = sink.password_variable {
        line(text, &format!("# password: from {variable}"), ORIGIN_DEFAULT);
    }
}

/// What was typed, or the default; nothing if there is neither.
fn sink_value(key: &Key, typed: Option<&TypedValue>) -> Option<String> {
    match (typed, key.absent) {
        (Some(typed), _) => written(&typed.value),
        (None, Absent::Text(text)) => Some(basic_string(text)),
        (None, Absent::Number(number)) => Some(number.to_string()),
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
        Value::Char(..) | Value::Empty(..) | Value::Dict(..) => None,
    }
}

/// Whether TOML takes a key without quotes.
fn is_bare(key: &str) -> bool {
    key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
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

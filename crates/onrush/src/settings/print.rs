//! The merged settings written as a settings file.

use std::fmt::Write;

use figment::value::Value;

use super::layers::{Layers, ORIGIN_DEFAULT};
use super::sinks::{self, Absent, PrintedSink};

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
    for sink in sinks::printed(&layers.sinks) {
        section(&mut text, &sink);
    }
    text
}

/// One sink; where its password comes from is told, and nothing else about it.
fn section(text: &mut String, sink: &PrintedSink<'_>) {
    write!(text, "\n[{}.{}]\n", sinks::SECTION, sink.name).expect("a String takes every write");
    for (key, typed) in &sink.keys {
        let value = match (typed, key.absent) {
            (Some(typed), _) => written(&typed.value),
            (None, Absent::Text(text)) => Some(basic_string(text)),
            (None, Absent::Number(number)) => Some(number.to_string()),
            (None, Absent::Unset | Absent::Missing) => None,
        };
        let name = key.name;
        let value = value.map_or_else(|| format!("# {name} is not set"), |value| format!("{name} = {value}"));
        line(text, &value, typed.map_or(ORIGIN_DEFAULT, |typed| &typed.origin));
    }
    if let Some(variable) = sink.password_variable {
        line(text, &format!("# password: from {variable}"), ORIGIN_DEFAULT);
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

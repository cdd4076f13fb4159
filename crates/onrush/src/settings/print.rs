//! The merged settings written as a settings file.

use std::fmt::Write;

use figment::value::Value;

use super::layers::{Layers, ORIGIN_DEFAULT};

/// TOML that would give the same settings, with a comment behind every value that is not the default. Text is escaped
/// by the rules of TOML 1.0 for basic strings.
pub(super) fn toml(layers: &Layers) -> String {
    let mut text = String::from("# The settings in force; a comment says where a value came from.\n");
    for (section, values) in layers.values() {
        let keys = values.as_dict().expect("every section holds keys");
        write!(text, "\n[{section}]\n").expect("a String takes every write");
        for (key, value) in keys {
            let origin = layers.origin(&format!("{section}.{key}"));
            let line = match value {
                Value::String(_, value) => format!("{key} = {}", basic_string(value)),
                Value::Num(_, number) => format!("{key} = {}", number.to_i128().unwrap_or_default()),
                Value::Bool(_, value) => format!("{key} = {value}"),
                _ => format!("# {key} is not set"),
            };
            text.push_str(&line);
            if origin != ORIGIN_DEFAULT {
                write!(text, "  # {}", origin.escape_debug()).expect("a String takes every write");
            }
            text.push('\n');
        }
    }
    text
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

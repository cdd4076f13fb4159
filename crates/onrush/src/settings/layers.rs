//! The layers under the settings and where each value came from: defaults, a TOML file, the environment, flags.

use std::fmt::Display;
use std::path::PathBuf;

use figment::error::Actual;
use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Map, Num, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::SettingsError;
use super::catalog::{self, TypedCollections};
use super::log_password::LogPassword;
use super::raw::RawSettings;
use super::sinks::{self, TypedSinks};

/// The origin of a value that nobody typed.
pub(super) const ORIGIN_DEFAULT: &str = "default";

const ENVIRONMENT_PREFIX: &str = "ONRUSH_";

/// What was typed on the command line; `None` and `false` leave the layers below alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags {
    pub(crate) config: Option<PathBuf>,
    pub(crate) listen: Option<String>,
    pub(crate) operator_listen: Option<String>,
    pub(crate) operator_key_file: Option<String>,
    pub(crate) data: Option<String>,
    pub(crate) demo: bool,
    pub(crate) persistence_timeframe: Option<String>,
    pub(crate) precision: Option<String>,
}

/// All layers, merged, with the origin of every value.
pub(super) struct Layers {
    figment: Figment,
    pub(super) raw: RawSettings,
    /// Beside the figment, because their names are the user's.
    pub(super) sinks: TypedSinks,
    /// Likewise.
    pub(super) collections: TypedCollections,
    /// Beside the figment, because it is printed nowhere.
    pub(super) log_password: LogPassword,
    pub(super) demo: bool,
    /// What is wrong with what was typed: keys that do not exist and values of the wrong kind, which are left out.
    pub(super) problems: Vec<String>,
}

/// Sections whose names are the user's, and what is not for printing.
#[derive(Default)]
struct Named {
    sinks: TypedSinks,
    collections: TypedCollections,
    log_password: LogPassword,
}

impl Named {
    /// Takes a variable; nothing if it speaks of none of these.
    fn take_variable(&mut self, path: &str, name: &str, text: &str) -> Option<Result<(), String>> {
        if self.log_password.take_variable(path, name, text) {
            return Some(Ok(()));
        }
        let of_sink = self.sinks.take_variable(path, name, text);
        of_sink.or_else(|| self.collections.take_variable(path, name, text))
    }
}

/// One origin and the values that it gives.
struct Layer {
    origin: String,
    values: Dict,
}

impl Layers {
    /// Reads the file that the flags name and merges every layer over the one below it. Goes on after a problem, so that all
    /// of them can be told at once. Only without its file nothing is known.
    pub(super) fn read(
        flags: &Flags,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let defaults =
            Layer { origin: ORIGIN_DEFAULT.to_owned(), values: values_of(&RawSettings::default()) };
        let mut layers = Vec::new();
        let mut problems = Vec::new();
        let mut named = Named::default();
        let mut file_is_read = true;
        if let Some(path) = &flags.config {
            match file_layer(path, &defaults.values, &mut named, &mut problems) {
                Ok(layer) => layers.push(layer),
                Err(problem) => {
                    problems.push(problem);
                    file_is_read = false;
                }
            }
        }
        let mut variables: Vec<_> =
            environment.filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX)).collect();
        variables.sort();
        for (name, text) in variables {
            let path = name[ENVIRONMENT_PREFIX.len()..].to_ascii_lowercase();
            if let Some(taken) = named.take_variable(&path, &name, &text) {
                problems.extend(taken.err());
                continue;
            }
            match variable_layer(&path, &name, &text, &defaults.values) {
                Ok(layer) => layers.push(layer),
                Err(problem) => problems.push(problem),
            }
        }
        layers.extend(flag_layers(flags));
        for layer in &mut layers {
            layer.leave_out_wrong_kinds(&defaults.values, &mut problems);
        }
        if !file_is_read {
            return Err(SettingsError { problems });
        }
        let figment = layers.into_iter().fold(Figment::from(defaults), Figment::merge);
        let raw = figment.extract().expect("every value has the kind of its default");
        let Named { sinks, collections, log_password } = named;
        Ok(Self { figment, raw, sinks, collections, log_password, demo: flags.demo, problems })
    }

    /// Where the value of `section.key` came from: [`ORIGIN_DEFAULT`], the path of a file, the name of a variable or a
    /// flag.
    pub(super) fn origin(&self, key: &str) -> &str {
        self.figment.find_metadata(key).map_or(ORIGIN_DEFAULT, |metadata| &metadata.name)
    }

    /// Every value by section and key, both in alphabetical order.
    pub(super) fn values(&self) -> Dict {
        values_of(&self.raw)
    }
}

impl Layer {
    /// Every value of another kind than its default is a problem, and the layer goes on without it. So does a key that does
    /// not exist, which is a problem already.
    fn leave_out_wrong_kinds(&mut self, defaults: &Dict, problems: &mut Vec<String>) {
        let origin = &self.origin;
        self.values.retain(|section, _| defaults.contains_key(section));
        for (section, value) in &mut self.values {
            let (Some(known), Value::Dict(_, typed)) = (defaults[section].as_dict(), &mut *value) else {
                *value = Value::from(Dict::new());
                continue;
            };
            typed.retain(|key, value| {
                let Some(default) = known.get(key) else { return false };
                let problem = kind_problem(default, value);
                problems.extend(problem.iter().map(|rule| format!("{section}.{key} (from {origin}) {rule}")));
                problem.is_none()
            });
        }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

fn values_of(raw: &RawSettings) -> Dict {
    Serialized::defaults(raw)
        .data()
        .expect("settings are plain values")
        .remove(&Profile::Default)
        .expect("settings are in the default profile")
}

fn file_layer(
    path: &PathBuf,
    defaults: &Dict,
    named: &mut Named,
    problems: &mut Vec<String>,
) -> Result<Layer, String> {
    let origin = path.display().to_string();
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("read the settings file {origin}: {error}"))?;
    let mut values: Dict = Toml::from_str(&text).map_err(|error: <Toml as Format>::Error| {
        // Its own words repeat the line, and a password that somebody typed there with it.
        let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
        format!("the settings file {origin} is not TOML: line {line}: {}", error.message())
    })?;
    if let Some(section) = values.remove(sinks::SECTION) {
        named.sinks.take_section(&section, &origin, problems);
    }
    if let Some(section) = values.get_mut(catalog::SECTION) {
        named.collections.take_section(section, &origin, problems);
    }
    LogPassword::leave_out(&mut values, &origin, problems);
    for (section, value) in &values {
        match (defaults.get(section).and_then(Value::as_dict), value.as_dict()) {
            (None, _) => problems.push(format!(
                "{origin}: unknown key {section} (the sections are {})",
                listed(defaults.keys().map(String::as_str).chain([sinks::SECTION]))
            )),
            (Some(_), None) => problems.push(format!("{origin}: {section} is a section: write [{section}]")),
            (Some(known), Some(typed)) => {
                problems.extend(typed.keys().filter(|key| !known.contains_key(*key)).map(|key| {
                    format!("{origin}: unknown key {section}.{key} (known are {})", listed(known.keys()))
                }));
            }
        }
    }
    Ok(Layer { origin, values })
}

/// `ONRUSH_SECTION__KEY`. The text is taken as it is where the setting is text, so that a directory may be called `7`. Where it
/// is a list, commas separate its items.
fn variable_layer(path: &str, name: &str, text: &str, defaults: &Dict) -> Result<Layer, String> {
    let known = path.split_once("__").and_then(|(section, key)| {
        let value = defaults.get(section)?.as_dict()?.get(key)?;
        Some((section, key, value))
    });
    let Some((section, key, default)) = known else {
        return Err(format!(
            "unknown setting {name} in the environment (settings are ONRUSH_SECTION__KEY, such as \
             ONRUSH_SERVER__LISTEN; `onrush config print` lists them all)"
        ));
    };
    let value = match default {
        Value::Num(..) | Value::Bool(..) => {
            let Ok(value) = text.trim().parse::<Value>();
            value
        }
        Value::Array(..) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::from(items.map(Value::from).collect::<Vec<_>>())
        }
        _ => Value::from(text),
    };
    Ok(Layer { origin: name.to_owned(), values: one_value(section, key, value) })
}

fn flag_layers(flags: &Flags) -> Vec<Layer> {
    let texts = [
        ("--listen", "server", "listen", &flags.listen),
        ("--operator-listen", "operator", "listen", &flags.operator_listen),
        ("--operator-key-file", "operator", "key_file", &flags.operator_key_file),
        ("--data", "log", "directory", &flags.data),
        ("--persistence-timeframe", "request_window", "persistence_timeframe", &flags.persistence_timeframe),
        ("--precision", "request_window", "precision", &flags.precision),
    ];
    let mut layers: Vec<Layer> = texts
        .into_iter()
        .filter_map(|(flag, section, key, text)| {
            let values = one_value(section, key, Value::from(text.as_ref()?.as_str()));
            Some(Layer { origin: flag.to_owned(), values })
        })
        .collect();
    if flags.demo {
        let on = values_of(&RawSettings::default())["scenarios"]
            .as_dict()
            .expect("scenarios is a section")
            .keys()
            .map(|key| (key.clone(), Value::from(true)))
            .collect::<Dict>();
        let mut values = Dict::from([("scenarios".to_owned(), Value::from(on))]);
        values.extend(one_value("gate", "accounts", Value::from(true)));
        layers.push(Layer { origin: "--demo".to_owned(), values });
    }
    layers
}

fn one_value(section: &str, key: &str, value: Value) -> Dict {
    Dict::from([(section.to_owned(), Value::from(Dict::from([(key.to_owned(), value)])))])
}

/// What a value of another kind than the default must be; nothing if it is of that kind.
fn kind_problem(default: &Value, value: &Value) -> Option<String> {
    let expected = match (default, value) {
        (Value::Num(..), Value::Num(_, number)) if is_i64(*number) => return None,
        (Value::Bool(..), Value::Bool(..)) | (Value::String(..) | Value::Empty(..), Value::String(..)) => {
            return None;
        }
        (Value::Array(..), Value::Array(_, items)) if items.iter().all(|item| item.as_str().is_some()) => {
            return None;
        }
        (Value::Array(..), _) => "a list of texts in quotes",
        (Value::Num(..), _) => "a whole number",
        (Value::Bool(..), _) => "true or false",
        _ => "text in quotes",
    };
    let actual = match value.to_actual() {
        Actual::Signed(number) => number.to_string(),
        Actual::Unsigned(number) => number.to_string(),
        other => other.to_string(),
    };
    Some(format!("must be {expected}, not {actual}"))
}

/// Whether a number is whole and a setting can hold it.
fn is_i64(number: Num) -> bool {
    let unsigned = || number.to_u128().is_some_and(|number| i64::try_from(number).is_ok());
    number.to_i128().is_some_and(|number| i64::try_from(number).is_ok()) || unsigned()
}

fn listed(names: impl Iterator<Item = impl Display>) -> String {
    names.map(|name| name.to_string()).collect::<Vec<_>>().join(", ")
}

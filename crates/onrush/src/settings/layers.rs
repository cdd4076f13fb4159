//! The layers under the settings and where each value came from: defaults, a TOML file, the environment, flags.

use std::fmt::Display;
use std::path::PathBuf;

use figment::error::{Actual, Kind};
use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::SettingsError;
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
    pub(super) demo: bool,
}

/// One origin and the values that it gives.
struct Layer {
    origin: String,
    values: Dict,
}

impl Layers {
    /// Reads the file that the flags name and merges every layer over the one below it. A key that no section has is an
    /// error that names it, wherever it was typed.
    pub(super) fn read(
        flags: &Flags,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let defaults =
            Layer { origin: ORIGIN_DEFAULT.to_owned(), values: values_of(&RawSettings::default()) };
        let mut layers = Vec::new();
        let mut problems = Vec::new();
        let mut sinks = TypedSinks::default();
        if let Some(path) = &flags.config {
            layers.push(file_layer(path, &defaults.values, &mut sinks, &mut problems)?);
        }
        let mut variables: Vec<_> =
            environment.filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX)).collect();
        variables.sort();
        for (name, text) in variables {
            let path = name[ENVIRONMENT_PREFIX.len()..].to_ascii_lowercase();
            if let Some(taken) = sinks.take_variable(&path, &name, &text) {
                problems.extend(taken.err());
                continue;
            }
            match variable_layer(&path, &name, &text, &defaults.values) {
                Ok(layer) => layers.push(layer),
                Err(problem) => problems.push(problem),
            }
        }
        layers.extend(flag_layers(flags));
        if !problems.is_empty() {
            return Err(SettingsError { problems });
        }
        let figment = layers.into_iter().fold(Figment::from(defaults), Figment::merge);
        let raw = figment.extract().map_err(|error| SettingsError {
            problems: error.into_iter().map(|one| kind_problem(&one)).collect(),
        })?;
        Ok(Self { figment, raw, sinks, demo: flags.demo })
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
    sinks: &mut TypedSinks,
    problems: &mut Vec<String>,
) -> Result<Layer, SettingsError> {
    let origin = path.display().to_string();
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("read the settings file {origin}: {error}"))?;
    let mut values: Dict = Toml::from_str(&text).map_err(|error: <Toml as Format>::Error| {
        // Its own words repeat the line, and a password that somebody typed there with it.
        let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
        format!("the settings file {origin} is not TOML: line {line}: {}", error.message())
    })?;
    if let Some(section) = values.remove(sinks::SECTION) {
        sinks.take_section(&section, &origin, problems);
    }
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

/// `ONRUSH_SECTION__KEY`. The text is taken as it is where the setting is text, so that a directory may be called `7`.
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
        layers.push(Layer {
            origin: "--demo".to_owned(),
            values: Dict::from([("scenarios".to_owned(), Value::from(on))]),
        });
    }
    layers
}

fn one_value(section: &str, key: &str, value: Value) -> Dict {
    Dict::from([(section.to_owned(), Value::from(Dict::from([(key.to_owned(), value)])))])
}

/// A value of the wrong kind, in one sentence that names the key and where it was typed.
fn kind_problem(error: &figment::Error) -> String {
    let key = error.path.join(".");
    let origin = error.metadata.as_ref().map_or(ORIGIN_DEFAULT, |metadata| &metadata.name);
    match &error.kind {
        Kind::InvalidType(actual, expected) | Kind::InvalidValue(actual, expected) => {
            let expected = match expected.as_str() {
                "i64" => "a whole number",
                "a boolean" => "true or false",
                "a string" => "text in quotes",
                other => other,
            };
            let actual = match actual {
                Actual::Signed(number) => number.to_string(),
                Actual::Unsigned(number) => number.to_string(),
                other => other.to_string(),
            };
            format!("{key} (from {origin}) must be {expected}, not {actual}")
        }
        other => format!("{key} (from {origin}): {other}"),
    }
}

fn listed(names: impl Iterator<Item = impl Display>) -> String {
    names.map(|name| name.to_string()).collect::<Vec<_>>().join(", ")
}

//! Real records of Debezium, as the README beside tells them.

use serde::Deserialize;

/// One record of a topic.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Golden {
    key: Option<String>,
    value: Option<String>,
}

impl Golden {
    pub(crate) fn key(&self) -> Option<&[u8]> {
        self.key.as_deref().map(str::as_bytes)
    }

    pub(crate) fn value(&self) -> Option<&[u8]> {
        self.value.as_deref().map(str::as_bytes)
    }
}

/// The records of the file of this name.
pub(crate) fn golden(name: &str) -> Vec<Golden> {
    let path = format!("{}/src/samples/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
}

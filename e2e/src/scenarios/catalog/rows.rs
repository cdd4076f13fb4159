//! The rows of the scenario: their keys, their targets, and what stands in them.

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::http::{self, Response, request};
use crate::ledger::rows::{Counters, Key};

/// The collection that is written and read as fast as it goes.
pub(super) const PRODUCTS: &str = "products";

/// The collection on which single requests are tried.
pub(super) const PARTS: &str = "parts";

/// Keys of the products.
pub(super) const KEY_COUNT: Key = 40;

/// A key, which a path has to encode in most cases.
pub(super) fn key_name(key: Key) -> String {
    match key % 4 {
        0 => format!("k-{key}"),
        1 => format!("Stück {key}"),
        2 => format!("a,b/{key}"),
        _ => format!("{key}%&+?#"),
    }
}

/// Text as a segment of a path or as a part of a query.
pub(super) fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// Where a product is.
pub(super) fn target(key: Key) -> String {
    format!("/v1/catalog/{PRODUCTS}/{}", encoded(&key_name(key)))
}

/// Where several products are.
pub(super) fn target_of_many(keys: &[Key]) -> String {
    let keys = keys.iter().map(|key| encoded(&key_name(*key))).collect::<Vec<_>>();
    format!("/v1/catalog/{PRODUCTS}?keys={}", keys.join(","))
}

/// The row of a key with this counter: always the same bytes, with blanks where JSON may have them.
pub(super) fn row(key: Key, counter: u64) -> String {
    let padding = "x".repeat(usize::try_from(counter % 97).expect("a small number") * 5);
    format!("{{\"key\": {}, \"counter\":{counter},\t\"padding\":\"{padding}\"}}", json!(key_name(key)))
}

/// The counter of a row, which must have the bytes that were put.
pub(super) fn counter_of(key: Key, json: &str) -> Result<u64> {
    #[derive(Deserialize)]
    struct Row {
        counter: u64,
    }
    let Row { counter } = serde_json::from_str(json).with_context(|| format!("read the row {json}"))?;
    ensure!(json == row(key, counter), "key {key} has {json}, and {} was put", row(key, counter));
    Ok(counter)
}

/// What an answer to a read of several keys shows, and its version.
pub(super) fn read_many(keys: &[Key], answer: &Response) -> Result<(Counters, u64)> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Found {
        rows: BTreeMap<String, Box<RawValue>>,
        missing: BTreeSet<String>,
        version: String,
    }
    let Found { rows, missing, version } = answer.expect(200)?;
    ensure!(rows.len() + missing.len() == keys.len(), "{keys:?} were asked for: {}", answer.text());
    let counters = keys.iter().map(|key| {
        let name = key_name(*key);
        let counter = rows.get(&name).map(|row| counter_of(*key, row.get())).transpose()?;
        ensure!(counter.is_some() || missing.contains(&name), "nothing is said of {name}: {}", answer.text());
        Ok((*key, counter))
    });
    let counters = counters.collect::<Result<_>>()?;
    let told = version_of(answer)?;
    ensure!(version == told.to_string(), "the body says version {version}, the field {told}");
    Ok((counters, told))
}

/// The version that an answer has in its field, beside which stands how old it may be.
pub(super) fn version_of(answer: &Response) -> Result<u64> {
    let number = |name: &str| -> Result<u64> {
        let value = answer.header(name).with_context(|| format!("no {name}: {:?}", answer.headers))?;
        value.parse().with_context(|| format!("{name}: {value}"))
    };
    number("onrush-lag-ms")?;
    number("age")?;
    number("onrush-version")
}

/// One collection as the operator is shown it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shown {
    pub(super) collection: String,
    pub(super) source: String,
    pub(super) state: String,
    pub(super) lag_ms: u64,
    pub(super) version: String,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) reads_found: u64,
    pub(super) reads_missing: u64,
    pub(super) hit_rate: Option<f64>,
    pub(super) last_error: Option<Value>,
}

/// A collection as the operator is shown it, which must be sound.
pub(super) fn shown(operator: SocketAddr, collection: &str) -> Result<Shown> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct List {
        collections: Vec<Shown>,
    }
    let List { collections } = http::once(operator, &request("GET", "/v1/catalog"))?.expect(200)?;
    let names = collections.iter().map(|shown| shown.collection.as_str()).collect::<Vec<_>>();
    ensure!(names == [PARTS, PRODUCTS], "the collections are {names:?}");
    let found = collections.iter().find(|shown| shown.collection == collection);
    let shown = found.cloned().with_context(|| format!("no collection {collection}"))?;
    let is_sound = shown.source == "embedded" && shown.state == "coherent" && shown.lag_ms == 0;
    ensure!(is_sound && shown.last_error.is_none(), "a collection is not sound: {shown:?}");
    let is_rate = |rate: f64| (0.0..=1.0).contains(&rate);
    ensure!(shown.hit_rate.is_none_or(is_rate), "the hit rate is no rate: {shown:?}");
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_its_counter_and_another_row_is_noticed() {
        for key in 0..KEY_COUNT {
            assert_eq!(counter_of(key, &row(key, 7)).expect("its own row"), 7);
        }
        assert!(counter_of(1, &row(2, 7)).is_err(), "the row of another key");
        assert!(counter_of(1, &row(1, 7).replace('\t', "")).is_err(), "a row written anew");
        assert!(counter_of(1, "{}").is_err());
    }

    #[test]
    fn keys_are_encoded() {
        assert_eq!(encoded("k-1"), "k-1");
        assert_eq!(encoded("a,b/ü%"), "a%2Cb%2F%C3%BC%25");
    }
}

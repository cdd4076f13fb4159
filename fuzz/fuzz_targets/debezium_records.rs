//! Any lines as records of Debezium and as words of how far its connector is, in the form of `crates/debezium/src/samples`: never a panic; a row is what
//! its record says; what cannot be read leaves no row; and what is told twice in a row changes nothing.

#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use onrush_debezium::{Moment, Offset, Taker};
use onrush_node::catalog::{ToldRows, ToldSettings};
use serde::Deserialize;
use serde_json::Value;

/// A record of a topic.
#[derive(Deserialize)]
struct Record {
    #[serde(default)]
    topic: String,
    key: Option<String>,
    value: Option<String>,
}

/// Some time in 2026, when the samples were recorded.
static MOMENT: LazyLock<Moment> =
    LazyLock::new(|| Moment { now: Instant::now(), wall_ms: 1_795_900_000_000 });

fuzz_target!(|text: &str| {
    let (rows, mut taker) = empty(text.len() % 2 == 0);
    for line in text.lines() {
        let Ok(record) = serde_json::from_str::<Record>(line) else { continue };
        if record.topic == "connect-offsets" {
            take_offset(&mut taker, &record);
        } else {
            check_alone(&record);
            check_twice(&rows, &mut taker, &record);
        }
        let _ = taker.reach(MOMENT.now);
    }
});

fn empty(has_offsets: bool) -> (Arc<ToldRows>, Taker) {
    let settings = ToldSettings { bytes_max: 1 << 20, lag_max: Duration::from_secs(5) };
    let rows = Arc::new(ToldRows::new(settings, 1));
    (Arc::clone(&rows), Taker::new(rows, None, has_offsets))
}

fn take(taker: &mut Taker, record: &Record) -> Result<(), String> {
    let bytes = |text: &'_ Option<String>| text.as_ref().map(|text| text.as_bytes().to_vec());
    taker.take(0, bytes(&record.key).as_deref(), bytes(&record.value).as_deref(), *MOMENT)
}

fn take_offset(taker: &mut Taker, record: &Record) {
    let _ = Offset::is_of(record.key.as_deref().unwrap_or_default().as_bytes(), "shop");
    if let Ok(Some(offset)) = Offset::parse(record.value.as_deref().map(str::as_bytes)) {
        taker.take_offset(offset, *MOMENT);
        assert!(taker.known().as_of.is_none_or(|as_of| as_of <= MOMENT.now));
    }
}

/// What a record says if it is the only one.
fn check_alone(record: &Record) {
    let (rows, mut taker) = empty(false);
    let taken = take(&mut taker, record);
    let Some(key) = key(record) else { return };
    let row = rows.newest(&key);
    assert_eq!(rows.row_count(), usize::from(row.is_some()));
    let Some(row) = row else { return };
    assert_eq!(taken, Ok(()));
    let envelope = record.value.as_deref().and_then(|value| serde_json::from_str::<Value>(value).ok());
    let Some(envelope) = envelope.map(payload) else { return };
    assert!(["c", "u", "r"].map(Value::from).contains(&envelope["op"]), "{envelope}");
    let told: Value = serde_json::from_slice(row.json()).expect("a row is JSON");
    assert!(told.is_object());
    assert_eq!(told, envelope["after"]);
}

/// What a record changes after others, and that it changes nothing more when it is told again.
fn check_twice(rows: &ToldRows, taker: &mut Taker, record: &Record) {
    let taken = take(taker, record);
    // A second tombstone is one without the change that it belongs to.
    let is_tombstone = record.value.as_deref().is_none_or(|value| value.trim() == "null");
    let Some(key) = key(record).filter(|_| !is_tombstone) else { return };
    let state = |rows: &ToldRows| (rows.row_count(), rows.newest(&key).map(|row| row.json().to_vec()));
    let before = state(rows);
    assert_eq!(take(taker, record), taken);
    assert_eq!(state(rows), before);
}

/// The key of the only column, if that is not a number that can be written in several ways.
fn key(record: &Record) -> Option<String> {
    let columns: Value = serde_json::from_str(record.key.as_deref()?).ok()?;
    let columns = payload(columns);
    let (_, value) = columns.as_object().filter(|columns| columns.len() == 1)?.iter().next()?;
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_f64() => None,
        other => Some(other.to_string()),
    }
}

/// A record without its schema.
fn payload(mut record: Value) -> Value {
    let has_schema =
        record.as_object().is_some_and(|record| record.len() == 2 && record.contains_key("schema"));
    match record.get_mut("payload").filter(|_| has_schema) {
        Some(payload) => payload.take(),
        None => record,
    }
}

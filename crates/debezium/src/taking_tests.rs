//! What streams of records make of the rows, told once, told again and told in pieces.

use std::time::Duration;

use std::collections::BTreeMap;
use std::sync::mpsc::sync_channel;

use onrush_node::catalog::{FetchFailure, ToldSettings};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::envelope::samples::{Golden, golden};
use super::*;

const UNKNOWN: &str = "__debezium_unavailable_value";

/// A taker, its rows and a clock that stands still. Unix time is one million seconds then.
struct Scene {
    taker: Taker,
    rows: Arc<ToldRows>,
    start: Instant,
    /// Milliseconds since the start.
    ms: u64,
}

const START_MS: u64 = 1_000_000_000;

impl Scene {
    fn new() -> Self {
        Self::by(false)
    }

    /// With a connector that says how far it is.
    fn with_offsets() -> Self {
        Self::by(true)
    }

    #[allow(clippy::disallowed_methods, reason = "the only way to have any time of this clock")]
    fn by(has_offsets: bool) -> Self {
        let settings = ToldSettings { bytes_max: 1 << 30, lag_max: Duration::from_hours(1) };
        let rows = Arc::new(ToldRows::new(settings, 7));
        rows.begin_load();
        let (taker, start) = (Taker::new(Arc::clone(&rows), None, has_offsets), Instant::now());
        Self { taker, rows, start, ms: 0 }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.ms)
    }

    fn moment(&self) -> Moment {
        Moment { now: self.now(), wall_ms: START_MS + self.ms }
    }

    fn take_bytes(&mut self, key: Option<&[u8]>, value: Option<&[u8]>) -> Result<(), String> {
        self.taker.take(0, key, value, self.moment())
    }

    fn take_golden(&mut self, record: &Golden) {
        self.take_bytes(record.key(), record.value()).expect("a record of a row");
    }

    fn take(&mut self, key: &str, record: &Record) {
        self.take_in(0, key, record);
    }

    fn take_in(&mut self, partition: i32, key: &str, record: &Record) {
        let key = json!({ "id": key }).to_string();
        let value = record.0.as_ref().map(Value::to_string);
        let value = value.as_deref().map(str::as_bytes);
        let taken = self.taker.take(partition, Some(key.as_bytes()), value, self.moment());
        taken.expect("a record of a row");
    }

    /// The connector says that it is at this place, whose change was committed at this time.
    fn offset(&mut self, position: u64, at: u64) {
        let committed_ms = START_MS + at;
        let offset = Offset { position, gtids: None, committed_ms, is_in_snapshot: false };
        self.taker.take_offset(offset, self.moment());
    }

    /// A question that is asked some milliseconds later and answered at once.
    fn reach_after(&mut self, ms: u64) -> bool {
        self.ms += ms;
        self.taker.reach(self.now())
    }

    /// The rows as they are shown, if they are.
    fn shown(&self) -> BTreeMap<String, Value> {
        self.rows.end_load();
        self.rows.publish();
        let parse = |row: &Row| serde_json::from_slice(row.json()).expect("a row is JSON");
        let shown = self.rows.shown();
        shown.rows.sorted().into_iter().map(|row| (row.key().to_owned(), parse(row))).collect()
    }

    /// The keys of the rows with the value of their column `v`.
    fn values(&self) -> String {
        let values = self.shown().into_iter().map(|(key, row)| format!("{key}={}", row["v"]));
        values.collect::<Vec<_>>().join(" ")
    }

    /// What whoever wants a row is answered: its column `v`, that it is not there, or that nobody can say.
    fn wanted(&self, key: &str) -> Result<Option<Value>, FetchFailure> {
        self.rows.end_load();
        self.rows.reach(self.now(), 1, None);
        let (sender, receiver) = sync_channel(1);
        let waiter = move |answer| sender.send(answer).expect("somebody waits");
        self.rows.want([(key.into(), Box::new(waiter) as _)], self.now());
        let row: Option<Row> = receiver.recv().expect("it is answered at once")?;
        Ok(row.map(|row| serde_json::from_slice::<Value>(row.json()).expect("a row is JSON")["v"].clone()))
    }

    fn last_error(&self) -> String {
        self.rows.state(self.now()).last_error.unwrap_or_default()
    }

    fn as_of_ms(&self) -> Option<i64> {
        let ms = |time: Duration| i64::try_from(time.as_millis()).expect("some milliseconds");
        let before = |as_of| -ms(self.start.saturating_duration_since(as_of));
        let after = |as_of: Instant| ms(as_of.saturating_duration_since(self.start));
        self.taker.known().as_of.map(|as_of| before(as_of) + after(as_of))
    }
}

/// The value of a record, or none.
#[derive(Clone, Debug)]
struct Record(Option<Value>);

/// A change at this place, which is its time as well, that leaves this in the column `v`.
fn change(op: &str, at: u64, v: impl Into<Value>) -> Record {
    let source = json!({
        "connector": "postgresql", "lsn": at, "sequence": format!("[\"1\",\"{at}\"]"), "ts_ms": START_MS + at, "snapshot": "false",
    });
    let after = if op == "d" { Value::Null } else { json!({ "v": v.into() }) };
    Record(Some(json!({ "op": op, "after": after, "source": source, "ts_ms": START_MS + at })))
}

fn put(at: u64, v: impl Into<Value>) -> Record {
    change("u", at, v)
}

fn remove(at: u64) -> Record {
    change("d", at, Value::Null)
}

fn tombstone() -> Record {
    Record(None)
}

/// A row of a snapshot of the log up to this place.
fn snapshot(part: &str, at: u64, v: u64) -> Record {
    change("r", at, v).with("snapshot", part).with("sequence", format!("[null,\"{at}\"]"))
}

impl Record {
    /// With this in its source.
    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.as_mut().expect("a value")["source"][name] = value.into();
        self
    }

    /// Written down by the connector at this time.
    fn told(mut self, at: u64) -> Self {
        self.0.as_mut().expect("a value")["ts_ms"] = json!(START_MS + at);
        self
    }
}

/// What a stream says of rows whose key is one column, by the plainest reading of it.
fn apply(model: &mut BTreeMap<String, Value>, record: &Golden) {
    let parse = |bytes| serde_json::from_slice::<Value>(bytes).expect("JSON");
    let payload = |value: Value| if value["payload"].is_null() { value } else { value["payload"].clone() };
    let key = record.key().map(|bytes| {
        let columns = payload(parse(bytes));
        let key = columns.as_object().and_then(|columns| columns.values().next()).expect("a column");
        key.as_str().map_or_else(|| key.to_string(), str::to_owned)
    });
    let Some(bytes) = record.value() else {
        model.remove(&key.expect("a key"));
        return;
    };
    let value = payload(parse(bytes));
    match (value["op"].as_str(), value["after"].as_object()) {
        (_, Some(after)) => {
            let mut after = after.clone();
            let key = key.expect("a key");
            for (column, value) in after.iter_mut().filter(|(_, value)| **value == UNKNOWN) {
                *value = model[&key][column].clone();
            }
            model.insert(key, after.into());
        }
        (Some("t"), None) => model.clear(),
        _ => drop(model.remove(&key.expect("a key"))),
    }
}

#[test]
fn the_rows_are_as_the_last_records_say() {
    for name in [
        "postgres-orders",
        "postgres-orders-full",
        "postgres-orders-schemas",
        "postgres-wiped",
        "postgres-wiped-schemas",
        "mariadb-orders",
        "mariadb-orders-schemas",
        "mariadb-wiped",
        "mariadb-wiped-schemas",
    ] {
        let (mut scene, mut model) = (Scene::new(), BTreeMap::new());
        for record in golden(name) {
            scene.take_golden(&record);
            apply(&mut model, &record);
            assert_eq!(scene.shown(), model, "{name}: {record:?}");
            assert!(scene.rows.shown().is_whole, "{name}: {record:?}");
        }
        assert_eq!(scene.last_error(), "", "{name}");
    }
    // The seventh record does not tell the large value, which the sixth does.
    let mut scene = Scene::new();
    golden("postgres-orders")[..7].iter().for_each(|record| scene.take_golden(record));
    assert_eq!(scene.shown()["11"]["big"], "a long text, number 1");
}

#[test]
fn a_key_of_two_columns_is_an_error() {
    for name in ["postgres-two-keys", "mariadb-two-keys", "postgres-copy", "postgres-killed-worker"] {
        for record in golden(name) {
            let why = Scene::new().take_bytes(record.key(), record.value()).expect_err("two columns");
            assert!(why.contains("the columns code, shop"), "{why}");
        }
    }
}

/// Records whose key is of two columns, with the column code alone, as `message.key.columns` makes it.
fn with_code(name: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let code = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).expect("JSON")["code"].clone();
    let with = |record: &Golden| {
        let key = json!({ "code": code(record.key().expect("a key")) }).to_string().into_bytes();
        (key, record.value().expect("a value").to_vec())
    };
    golden(name).iter().map(with).collect()
}

#[test]
fn a_killed_worker_and_copied_rows_do_no_harm() {
    for name in ["postgres-killed-worker", "mariadb-killed-worker", "postgres-copy"] {
        let records = with_code(name);
        let mut scene = Scene::new();
        let mut newest = BTreeMap::new();
        for (key, value) in &records {
            scene.take_bytes(Some(key), Some(value)).expect("a record of a row");
            let after = serde_json::from_slice::<Value>(value).expect("JSON")["after"].clone();
            newest.insert(after["code"].as_str().expect("a code").to_owned(), after);
            assert_eq!(scene.shown(), newest, "{name}");
        }
    }
}

proptest! {
    /// The connector is killed now and then, and goes back to a change that it told before.
    #[test]
    fn what_is_told_again_never_brings_an_earlier_row_back(
        name in prop::sample::select(vec!["postgres-orders", "postgres-wiped", "mariadb-orders", "mariadb-wiped"]),
        restarts in prop::collection::vec((1..5_usize, 1..20_usize), 0..5),
    ) {
        let records = golden(name);
        let begins = |at: usize| {
            let text = String::from_utf8_lossy(records[at].value().unwrap_or_default());
            text.contains(r#""snapshot":"false""#)
        };
        let (mut scene, mut model) = (Scene::new(), BTreeMap::new());
        let (mut next, mut newest) = (0, 0);
        let mut restarts = restarts.into_iter().peekable();
        let mut since = 0;
        while next < records.len() {
            scene.take_golden(&records[next]);
            if next >= newest {
                apply(&mut model, &records[next]);
                newest = next + 1;
            }
            prop_assert_eq!(&scene.shown(), &model, "after record {} of {}", next, name);
            (next, since) = (next + 1, since + 1);
            if let Some((_, back)) = restarts.next_if(|(after, _)| since >= *after) {
                let to = next.saturating_sub(back);
                (next, since) = ((to..next).find(|at| begins(*at)).unwrap_or(next), 0);
            }
        }
    }
}

#[test]
fn a_tombstone_alone_removes_the_row() {
    let mut scene = Scene::new();
    scene.take("a", &put(5, 1));
    scene.take("b", &put(6, 2));
    scene.take("a", &tombstone());
    scene.take("never", &tombstone());
    assert_eq!(scene.values(), "b=2");
    assert_eq!(scene.wanted("a"), Ok(None));
    scene.take("a", &put(4, 0));
    assert_eq!(scene.values(), "b=2");
    scene.take("a", &put(7, 3));
    assert_eq!(scene.values(), "a=3 b=2");
}

#[test]
fn the_tombstone_of_a_repeated_delete_leaves_the_newer_row() {
    let mut scene = Scene::new();
    scene.take("a", &put(9, 2));
    for record in [&remove(5), &tombstone()] {
        scene.take("a", record);
        assert_eq!(scene.values(), "a=2");
    }
    // The next one has no delete of its own.
    scene.take("a", &tombstone());
    assert_eq!(scene.values(), "");

    scene.take("a", &put(20, 3));
    scene.take_in(0, "a", &remove(5));
    scene.take_in(1, "b", &remove(21));
    scene.take_in(1, "b", &tombstone());
    scene.take_in(0, "a", &tombstone());
    assert_eq!(scene.values(), "a=3", "another partition came between");
}

#[test]
fn a_changed_key_is_another_row() {
    let mut scene = Scene::new();
    scene.take("2", &put(5, 1));
    for (key, record) in [("2", &remove(7)), ("2", &tombstone()), ("12", &change("c", 7, 1))] {
        scene.take(key, record);
    }
    assert_eq!(scene.values(), "12=1");
    // And back.
    for (key, record) in [("12", &remove(9)), ("12", &tombstone()), ("2", &change("c", 9, 1))] {
        scene.take(key, record);
    }
    assert_eq!(scene.values(), "2=1");
}

#[test]
fn a_truncated_table_has_no_rows() {
    let mut scene = Scene::new();
    scene.take("a", &put(5, 1));
    let Record(value) = change("t", 6, 0);
    let value = value.expect("a value").to_string();
    scene.take_bytes(None, Some(value.as_bytes())).expect("it needs no key");
    assert_eq!(scene.wanted("a"), Ok(None));
    scene.take("a", &put(5, 1));
    assert_eq!(scene.wanted("a"), Ok(None), "it was told again");
    scene.take("a", &put(7, 2));
    assert_eq!(scene.wanted("a"), Ok(Some(json!(2))));
    assert_eq!(scene.taker.known().position, 7);
}

#[test]
fn values_that_a_change_does_not_tell_are_those_of_the_row() {
    let mut scene = Scene::new();
    scene.take("a", &put(5, "long"));
    for at in 6..9 {
        scene.take("a", &put(at, UNKNOWN));
        assert_eq!(scene.wanted("a"), Ok(Some(json!("long"))));
    }
    scene.take("a", &put(9, "longer"));
    scene.take("a", &put(7, UNKNOWN));
    scene.take("a", &put(9, "longer"));
    scene.take("a", &put(10, UNKNOWN));
    assert_eq!(scene.wanted("a"), Ok(Some(json!("longer"))));
    assert!(scene.rows.shown().is_whole);
}

#[test]
fn a_row_without_a_known_value_cannot_be_read_until_it_is_whole() {
    let mut scene = Scene::new();
    scene.take("b", &put(4, 1));
    for at in 5..7 {
        scene.take("a", &put(at, UNKNOWN));
        assert_eq!(scene.wanted("a"), Err(FetchFailure::Unavailable));
        assert!(!scene.rows.shown().is_whole);
    }
    assert_eq!((scene.wanted("b"), scene.wanted("c")), (Ok(Some(json!(1))), Ok(None)));
    let why = scene.last_error();
    assert!(why.contains("the row of \"a\" cannot be read") && why.contains("the value of v"), "{why}");
    scene.take("a", &put(4, "earlier"));
    assert_eq!(scene.wanted("a"), Err(FetchFailure::Unavailable), "it was told again");
    scene.take("a", &put(8, "long"));
    assert_eq!(scene.wanted("a"), Ok(Some(json!("long"))));
    assert!(scene.rows.shown().is_whole);

    // Whether a row is there that was removed is known.
    scene.take("d", &put(9, UNKNOWN));
    scene.take("d", &remove(10));
    scene.take("d", &tombstone());
    assert_eq!(scene.wanted("d"), Ok(None));
    // A new row of the key has no value of the one before.
    scene.take("a", &remove(11));
    scene.take("a", &put(12, UNKNOWN));
    assert_eq!(scene.wanted("a"), Err(FetchFailure::Unavailable));
}

#[test]
fn a_row_that_is_too_large_cannot_be_read() {
    let mut scene = Scene::new();
    scene.take("a", &put(5, 1));
    let text = |bytes: usize| "x".repeat(bytes - r#"{"v":""}"#.len());
    scene.take("a", &put(6, text(ROW_JSON_BYTES_MAX)));
    assert!(scene.wanted("a").is_ok_and(|row| row.is_some()));
    scene.take("a", &put(7, text(ROW_JSON_BYTES_MAX + 1)));
    assert_eq!(scene.wanted("a"), Err(FetchFailure::Unavailable));
    assert!(scene.last_error().contains("more than 1048576 bytes"), "{}", scene.last_error());
    scene.take("a", &put(8, 2));
    assert_eq!(scene.wanted("a"), Ok(Some(json!(2))));
}

#[test]
fn a_record_whose_value_cannot_be_read_spoils_only_its_row() {
    let mut scene = Scene::new();
    scene.take("b", &put(4, 1));
    scene.take("a", &put(5, 1));
    for value in [r#"{"id":1}"#, "Struct{id=1}", r#"{"op":"x"}"#] {
        scene.take_bytes(Some(br#"{"id":"a"}"#), Some(value.as_bytes())).expect("the key is known");
        assert_eq!(scene.wanted("a"), Err(FetchFailure::Unavailable));
        assert!(scene.last_error().starts_with("the row of \"a\" cannot be read: the record"));
    }
    assert_eq!((scene.wanted("b"), scene.wanted("c")), (Ok(Some(json!(1))), Ok(None)));
    scene.take("a", &put(6, 2));
    assert_eq!(scene.wanted("a"), Ok(Some(json!(2))));
    scene.take_bytes(Some(br#"{"id":"new"}"#), Some(b"?")).expect("the key is known");
    assert_eq!(scene.wanted("new"), Err(FetchFailure::Unavailable));
    scene.take("new", &tombstone());
    assert_eq!(scene.wanted("new"), Ok(None));
}

#[test]
fn a_record_whose_key_cannot_be_read_is_an_error() {
    let Record(value) = put(5, 1);
    let value = value.expect("a value").to_string();
    for value in [Some(value.as_bytes()), None, Some(b"?".as_slice())] {
        for (key, expected) in [
            (None, "the record has no key: the table needs a primary key"),
            (Some(b"a".as_slice()), "the key of the record is not a JSON object"),
            (Some(br#"{"id":null}"#), "the column id is neither"),
            (Some(br#"{"id":1,"b":2}"#), "the columns b, id"),
        ] {
            let why = Scene::new().take_bytes(key, value).expect_err(expected);
            assert!(why.contains(expected), "{why}");
        }
    }
    let mut scene = Scene::new();
    scene.taker = Taker::new(Arc::clone(&scene.rows), Some("code".to_owned()), false);
    let why = scene.take_bytes(Some(br#"{"id":1}"#), None).expect_err("another column");
    assert!(why.contains("the key of the record is id: set key to that"), "{why}");
    let message = &golden("postgres-message")[0];
    assert_eq!(scene.take_bytes(message.key(), message.value()), Ok(()));
    assert_eq!(scene.take_bytes(None, message.value()), Ok(()));
}

#[path = "taking_snapshot_tests.rs"]
mod snapshots;

#[path = "taking_order_tests.rs"]
mod order;

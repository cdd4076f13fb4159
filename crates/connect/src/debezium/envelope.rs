//! What a record of a topic says that Debezium writes, with the schema in it and without
//! (<https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-events>, and the same of MySQL and MariaDB).

use std::borrow::Cow;
use std::collections::BTreeMap;

use compact_str::CompactString;
use onrush_core::{ROW_KEY_RULE, is_row_key};
use onrush_node::catalog::{ChangePlace, binlog_position};
use serde::Deserialize;
use serde_json::value::RawValue;

/// One record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told<'a> {
    /// The row is this JSON object from now on.
    Put { json: &'a str, stamp: Stamp },
    /// There is no such row from now on.
    Remove { stamp: Stamp },
    /// The same, said to Kafka, which forgets earlier records of the key then.
    Tombstone,
    /// There is no row at all.
    Empty { stamp: Stamp },
    /// Nothing of rows.
    Nothing,
}

/// When a change was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) place: ChangePlace,
    pub(super) origin: Origin,
    /// When the connector wrote it down, in milliseconds of Unix time by its clock.
    pub(super) told_ms: u64,
}

/// Why a connector tells a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// It was changed.
    Change,
    /// All rows are told.
    Snapshot,
    /// All rows were told, this being the last.
    SnapshotEnd,
    /// Some rows are told again among the changes.
    Reread,
}

/// A record, or the payload of one with its schema.
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    schema: Option<&'a RawValue>,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
    #[serde(borrow, default)]
    op: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    after: Option<&'a RawValue>,
    #[serde(borrow, default)]
    source: Option<WireSource<'a>>,
    #[serde(default)]
    ts_ms: Option<u64>,
}

#[derive(Deserialize)]
struct WireSource<'a> {
    #[serde(borrow, default)]
    connector: Cow<'a, str>,
    #[serde(default)]
    ts_ms: u64,
    #[serde(borrow, default)]
    snapshot: Option<WireSnapshot<'a>>,
    #[serde(default)]
    lsn: Option<u64>,
    #[serde(borrow, default)]
    sequence: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    file: Option<Cow<'a, str>>,
    #[serde(default)]
    pos: Option<u64>,
    #[serde(default)]
    row: Option<u32>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WireSnapshot<'a> {
    Switch(bool),
    #[serde(borrow)]
    Part(Cow<'a, str>),
}

/// What the heartbeat of a connector says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heartbeat {
    /// The connector was there at this time, in milliseconds of Unix time by its clock.
    Alive(u64),
    /// A change came through the source.
    Change(Stamp),
}

/// The text of the key of a row, from the key of a record: the column of this name, or the only one.
pub(super) fn key(bytes: &[u8], column: Option<&str>) -> Result<CompactString, String> {
    type Columns<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;
    let parse = |bytes| serde_json::from_slice::<Columns<'_>>(bytes);
    let unreadable = "the key of the record is not a JSON object: key.converter must be \
        org.apache.kafka.connect.json.JsonConverter, and the table needs a primary key or message.key.columns";
    let mut columns = parse(bytes).map_err(|_| unreadable.to_owned())?;
    if columns.len() == 2
        && columns.contains_key("schema")
        && let Some(payload) = columns.get("payload")
    {
        columns = parse(payload.get().as_bytes()).map_err(|_| unreadable.to_owned())?;
    }
    let names = columns.keys().map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    let (1, Some((name, value))) = (columns.len(), columns.first_key_value()) else {
        return Err(format!(
            "the key of the record has the columns {names}: make it one with message.key.columns of the connector"
        ));
    };
    if column.is_some_and(|column| column != name) {
        return Err(format!(
            "the key of the record is {names}: set key to that, or message.key.columns of the connector"
        ));
    }
    let text = match serde_json::from_str(value.get()) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => value.get().to_owned(),
        _ => return Err(format!("the column {name} is neither a text nor a number")),
    };
    if is_row_key(&text) { Ok(text.into()) } else { Err(format!("the value of {name} {ROW_KEY_RULE}")) }
}

/// What a record says of its row; nothing as bytes if it is a tombstone.
pub(super) fn told(bytes: Option<&[u8]>) -> Result<Told<'_>, String> {
    let Some(bytes) = bytes else { return Ok(Told::Tombstone) };
    let Some(wire) = envelope(bytes)? else { return Ok(Told::Tombstone) };
    let op = wire.op.as_deref().ok_or_else(not_an_envelope)?;
    if op == "m" {
        return Ok(Told::Nothing);
    }
    let stamp = stamp(wire.source.as_ref(), wire.ts_ms)?;
    match op {
        "c" | "u" | "r" => match wire.after.map(RawValue::get) {
            Some(json) if json.starts_with('{') => Ok(Told::Put { json, stamp }),
            _ => Err(format!("the record has no row in after, though its op is {op}")),
        },
        "d" => Ok(Told::Remove { stamp }),
        "t" => Ok(Told::Empty { stamp }),
        _ => Err(format!("nobody knows the op {op:.40}")),
    }
}

/// What a record of the topic of heartbeats says; nothing if it says nothing.
pub(super) fn heartbeat(bytes: Option<&[u8]>) -> Result<Option<Heartbeat>, String> {
    let Some(wire) = bytes.map(envelope).transpose()?.flatten() else { return Ok(None) };
    match (wire.op, wire.source, wire.ts_ms) {
        (Some(_), source @ Some(_), told_ms) => Ok(Some(Heartbeat::Change(stamp(source.as_ref(), told_ms)?))),
        (None, None, Some(told_ms)) => Ok(Some(Heartbeat::Alive(told_ms))),
        _ => Err("the record is neither a heartbeat of Debezium nor a change of a table".to_owned()),
    }
}

/// The envelope, without its schema if it has one; nothing if the payload is null.
fn envelope(bytes: &[u8]) -> Result<Option<Wire<'_>>, String> {
    let unreadable = |error: serde_json::Error| {
        let (line, column) = (error.line(), error.column());
        format!(
            "the record is not JSON of Debezium (line {line}, column {column}): value.converter must be \
             org.apache.kafka.connect.json.JsonConverter"
        )
    };
    let wire: Wire<'_> = serde_json::from_slice(bytes).map_err(unreadable)?;
    if wire.op.is_some() || (wire.schema.is_none() && wire.payload.is_none()) {
        return Ok(Some(wire));
    }
    wire.payload.map(|payload| serde_json::from_str(payload.get()).map_err(unreadable)).transpose()
}

fn not_an_envelope() -> String {
    "the record is not an envelope of Debezium, with op, source and after: the connector must not flatten it with \
     ExtractNewRecordState"
        .to_owned()
}

fn stamp(source: Option<&WireSource<'_>>, told_ms: Option<u64>) -> Result<Stamp, String> {
    let source = source.ok_or_else(not_an_envelope)?;
    let position = match &*source.connector {
        "postgresql" => source.lsn.or_else(|| last_position(source.sequence.as_deref()?)),
        "mysql" | "mariadb" => source.file.as_deref().and_then(|file| binlog_position(file, source.pos?)),
        other => {
            return Err(format!(
                "the connector is {other:.40}: only postgresql, mysql and mariadb are known"
            ));
        }
    };
    let position = position.ok_or("the record does not say where in the source's log it is")?;
    let place = ChangePlace { position, index: source.row.unwrap_or_default(), committed_ms: source.ts_ms };
    let origin = match &source.snapshot {
        None | Some(WireSnapshot::Switch(false)) => Origin::Change,
        Some(WireSnapshot::Switch(true)) => Origin::Snapshot,
        Some(WireSnapshot::Part(part)) => match &**part {
            "false" => Origin::Change,
            "incremental" => Origin::Reread,
            "last" | "last_in_data_collection" => Origin::SnapshotEnd,
            _ => Origin::Snapshot,
        },
    };
    Ok(Stamp { place, origin, told_ms: told_ms.unwrap_or(source.ts_ms) })
}

/// The second number of `["1","2"]`: how far PostgreSQL's log had been read when rows were told again.
fn last_position(sequence: &str) -> Option<u64> {
    let parts: Vec<Option<Cow<'_, str>>> = serde_json::from_str(sequence).ok()?;
    parts.last()?.as_deref()?.parse().ok()
}

#[cfg(test)]
#[path = "envelope_tests.rs"]
mod tests;

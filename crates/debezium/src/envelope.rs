//! What a record of a topic says that Debezium writes, with the schema in it and without
//! (<https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-events>, and the same of MySQL and MariaDB).

use std::borrow::Cow;
use std::collections::BTreeMap;

use compact_str::CompactString;
use onrush_core::{ROW_KEY_RULE, is_row_key};
use onrush_node::catalog::{ChangePlace, TransactionNumber, binlog_position};
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
    /// It is of the first transaction that the connector tells after all rows, though its place may be before theirs.
    pub(super) is_of_first: bool,
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

/// A record with its schema.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireWithSchema<'a> {
    #[serde(borrow, rename = "schema")]
    _schema: &'a RawValue,
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// A record without it.
#[derive(Deserialize)]
struct Wire<'a> {
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
    #[serde(borrow, default)]
    gtid: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WireSnapshot<'a> {
    Switch(bool),
    #[serde(borrow)]
    Part(Cow<'a, str>),
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

/// The envelope, without its schema if it has one; nothing if the payload is null.
fn envelope(bytes: &[u8]) -> Result<Option<Wire<'_>>, String> {
    let unreadable = |error: serde_json::Error| {
        let (line, column) = (error.line(), error.column());
        if error.is_data() {
            return format!("{} (line {line}, column {column})", not_an_envelope());
        }
        format!(
            "the record is not JSON of Debezium (line {line}, column {column}): value.converter must be \
             org.apache.kafka.connect.json.JsonConverter"
        )
    };
    match serde_json::from_slice::<WireWithSchema<'_>>(bytes).map(|wire| wire.payload.get()) {
        Ok("null") => Ok(None),
        Ok(payload) => serde_json::from_str(payload).map(Some).map_err(unreadable),
        Err(_) => serde_json::from_slice(bytes).map(Some).map_err(unreadable),
    }
}

fn not_an_envelope() -> String {
    "the record is not an envelope of Debezium, with op, source and after: the connector must not flatten it with \
     ExtractNewRecordState"
        .to_owned()
}

fn stamp(source: Option<&WireSource<'_>>, told_ms: Option<u64>) -> Result<Stamp, String> {
    let source = source.ok_or_else(not_an_envelope)?;
    let mut origin = match &source.snapshot {
        None | Some(WireSnapshot::Switch(false)) => Origin::Change,
        Some(WireSnapshot::Switch(true)) => Origin::Snapshot,
        Some(WireSnapshot::Part(part)) => match &**part {
            "false" => Origin::Change,
            "incremental" => Origin::Reread,
            "last" | "last_in_data_collection" => Origin::SnapshotEnd,
            _ => Origin::Snapshot,
        },
    };
    let is_snapshot = matches!(origin, Origin::Snapshot | Origin::SnapshotEnd);
    let mut is_of_first = false;
    let found = match &*source.connector {
        "postgresql" => {
            let [committed, last] = sequence(source.sequence.as_deref());
            is_of_first = committed.is_none() && last.is_some() && origin == Origin::Change;
            // A connector that has told changes before may tell some rows only, as an operator asked it.
            if is_snapshot && committed.is_some() {
                origin = Origin::Reread;
            }
            // Transactions are told in the order of their commits, and one may have written rows before the last commit.
            // All rows of a snapshot were read before any change that comes after it.
            let index = |lsn| if is_snapshot { 0 } else { lsn };
            let place = |lsn: u64| (lsn.max(committed.unwrap_or_default()), index(lsn));
            source.lsn.or(last).map(place)
        }
        "mysql" | "mariadb" => {
            let position = source.file.as_deref().and_then(|file| binlog_position(file, source.pos?));
            position.map(|position| (position, u64::from(source.row.unwrap_or_default())))
        }
        other => {
            return Err(format!(
                "the connector is {other:.40}: only postgresql, mysql and mariadb are known"
            ));
        }
    };
    let (position, index) = found.ok_or("the record does not say where in the source's log it is")?;
    // Of MySQL a lower number can be that of a later transaction.
    let number = source.gtid.as_deref().and_then(TransactionNumber::parse);
    let place = ChangePlace { position, index, committed_ms: source.ts_ms, number };
    Ok(Stamp { place, origin, told_ms: told_ms.unwrap_or(source.ts_ms), is_of_first })
}

/// The numbers of `["1","2"]`: where the last commit is that PostgreSQL's connector had told, and how far it had read the log.
fn sequence(text: Option<&str>) -> [Option<u64>; 2] {
    let parts: Option<[Option<Cow<'_, str>>; 2]> = text.and_then(|text| serde_json::from_str(text).ok());
    parts.unwrap_or_default().map(|part| part?.parse().ok())
}

#[cfg(test)]
#[path = "samples/golden.rs"]
pub(super) mod samples;

#[cfg(test)]
#[path = "envelope_tests.rs"]
mod tests;

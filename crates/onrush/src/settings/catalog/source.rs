//! From the keys of one collection to what they mean.

use std::ops::RangeInclusive;
use std::time::Duration;

use figment::value::{Dict, Value};
use onrush_connect::source::{CONNECTIONS_MAX, SourceSettings, Watch};
use onrush_node::catalog::{self, CacheBounds};

use super::bounded::{CollectionKeys, bounds};
use super::keys::{SORT, Source};
use super::{CollectionSource, SourcedCollection, debezium};
use crate::settings::sections::TypedSection;

/// How long it is remembered that there is no row: up to an hour.
const ABSENT_MS: RangeInclusive<u64> = 0..=3_600_000;
/// Of how many keys: at most 4 GB of memory.
const ABSENT_KEYS: RangeInclusive<u64> = 0..=100_000_000;
const CONNECTIONS: RangeInclusive<u64> = 1..=CONNECTIONS_MAX as u64;

/// The columns of a watched table, and how they are written.
const WATCH_FORM: &str =
    "a watched table is written { column = \"id\" }, or { column = \"id\", keys = \"SELECT …\" }";

/// Where the rows of a collection are from.
pub(super) enum Resolved {
    Embedded,
    Sourced(Box<SourcedCollection>),
}

/// Checks one collection; every problem is added to `problems`, and then there is no collection.
pub(super) fn collection(name: &str, typed: &TypedSection, problems: &mut Vec<String>) -> Option<Resolved> {
    let problems_before = problems.len();
    let mut keys = CollectionKeys { sort: &SORT, name, typed, problems };
    let source = source(&mut keys)?;
    keys.check_names(source);
    match source {
        Source::Embedded => Some(Resolved::Embedded),
        Source::Postgres => {
            let (connect, rows) = (postgres(&mut keys), rows(&mut keys));
            let source = CollectionSource::Postgres(connect?, rows?);
            sourced(name, source, problems_before, problems)
        }
        Source::Debezium => {
            let source = debezium::source(&mut keys);
            sourced(name, source?, problems_before, problems)
        }
    }
}

/// The collection, if there is no problem with it.
fn sourced(
    name: &str,
    source: CollectionSource,
    problems_before: usize,
    problems: &mut Vec<String>,
) -> Option<Resolved> {
    if problems.len() > problems_before {
        return None;
    }
    if let Err(problem) = source.check() {
        problems.push(format!("{}.{name}: {problem}", SORT.section));
        return None;
    }
    Some(Resolved::Sourced(Box::new(SourcedCollection { name: name.into(), source })))
}

fn source(keys: &mut CollectionKeys<'_>) -> Option<Source> {
    let choices = Source::ALL.map(|source| (source.name(), source));
    if !keys.typed.values.contains_key("source") {
        let origin = keys.typed.origin();
        let origin = origin.map_or_else(String::new, |origin| format!(" (it is named by {origin})"));
        let names = choices.map(|(name, _)| format!("{name:?}")).join(", ");
        return keys.refuse("source", format!("every collection needs one of {names}{origin}"));
    }
    keys.choice("source", &choices)
}

fn postgres(keys: &mut CollectionKeys<'_>) -> Option<SourceSettings> {
    let url = keys.required_url();
    let password = keys.password();
    let tls = keys.tls();
    let is_missing = !keys.typed.values.contains_key("key");
    let key = if is_missing {
        keys.refuse("key", "a collection of source postgres needs it")
    } else {
        keys.text("key")
    };
    let rows = query(keys, key.as_deref());
    let connections = keys.number("connections", &CONNECTIONS);
    let publication = keys.text("publication");
    let replication_slot = keys.text("replication_slot");
    let loads = keys.switch("load");
    let (query, watches) = rows?;
    Some(SourceSettings {
        url: url?,
        password,
        tls: tls?,
        query,
        key: key?,
        watches,
        publication: publication?,
        replication_slot: replication_slot?,
        connections: u8::try_from(connections?).ok()?,
        loads: loads?,
    })
}

/// The query of the rows, and the tables whose changes change them: those that were typed, or those that follow from one table.
fn query(keys: &mut CollectionKeys<'_>, key: Option<&str>) -> Option<(String, Vec<Watch>)> {
    let has_watch = keys.typed.values.contains_key("watch");
    match (keys.optional("table"), keys.optional("query")) {
        (Some(_), Some(_)) => keys.refuse("query", "table says what is read already; keep one of them"),
        (None, None) => keys
            .refuse("table", "a collection of source postgres needs a table, or a query and what to watch"),
        (Some(_), None) if has_watch => {
            keys.refuse("watch", "the table is what is watched: leave this out, or write a query")
        }
        (Some(table), None) => {
            let watch = Watch { table, column: key?.to_owned(), keys: None };
            Some((watch.all_rows(), vec![watch]))
        }
        (None, Some(_)) if !has_watch => keys
            .refuse("watch", format!("a query needs the tables whose changes change its rows; {WATCH_FORM}")),
        (None, Some(query)) => Some((query, watches(keys)?)),
    }
}

fn watches(keys: &mut CollectionKeys<'_>) -> Option<Vec<Watch>> {
    let Some(tables) = keys.value("watch").and_then(Value::as_dict) else {
        let rule = format!("is a section, in the file alone: write [catalog.NAME.watch]; {WATCH_FORM}");
        return keys.refuse("watch", rule);
    };
    let tables = tables.clone();
    let watches: Vec<_> = tables.iter().map(|(table, watch)| one_watch(keys, table, watch)).collect();
    watches.into_iter().collect()
}

fn one_watch(keys: &mut CollectionKeys<'_>, table: &str, watch: &Value) -> Option<Watch> {
    let Some(members) = watch.as_dict() else {
        return keys.refuse("watch", format!("{table:?}: {WATCH_FORM}"));
    };
    let text = |members: &Dict, name: &str| match members.get(name) {
        Some(value) => value.as_str().map(|text| Some(text.to_owned())).ok_or(()),
        None => Ok(None),
    };
    let is_known = members.keys().all(|name| matches!(name.as_str(), "column" | "keys"));
    match (text(members, "column"), text(members, "keys")) {
        (Ok(Some(column)), Ok(selected)) if is_known => {
            Some(Watch { table: table.to_owned(), column, keys: selected })
        }
        _ => keys.refuse("watch", format!("{table:?}: {WATCH_FORM}")),
    }
}

fn rows(keys: &mut CollectionKeys<'_>) -> Option<catalog::SourceSettings> {
    let (bytes_max, lag_max) = bounds(keys)?;
    let reads_through = keys.switch("read_through");
    let absent_ms = keys.number("absent_ms", &ABSENT_MS);
    let absent_keys_max = keys.number("absent_keys_max", &ABSENT_KEYS);
    Some(catalog::SourceSettings {
        bounds: CacheBounds {
            bytes_max,
            absent_for: Duration::from_millis(absent_ms?),
            absent_count_max: usize::try_from(absent_keys_max?).ok()?,
        },
        lag_max,
        reads_through: reads_through?,
    })
}

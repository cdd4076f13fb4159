//! The statements that read rows of a source.

use onrush_core::{Row, RowLine, is_row_key};
use onrush_node::catalog::Snapshot;
use onrush_sinks::TargetError;
use tokio_postgres::types::Type;

use super::settings::SourceSettings;

/// Bytes of the JSON of one row.
pub(crate) const ROW_JSON_BYTES_MAX: usize = 1024 * 1024;

/// What a key is in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyType {
    Integer { min: i64, max: i64, name: &'static str },
    Uuid,
    Text,
}

impl KeyType {
    /// The kind of keys of this type, if there can be any.
    pub(super) fn of(found: &Type) -> Option<Self> {
        let integer = |min, max, name| Self::Integer { min, max, name };
        Some(match *found {
            Type::INT2 => integer(i16::MIN.into(), i16::MAX.into(), "int2"),
            Type::INT4 => integer(i32::MIN.into(), i32::MAX.into(), "int4"),
            Type::INT8 => integer(i64::MIN, i64::MAX, "int8"),
            Type::UUID => Self::Uuid,
            Type::TEXT | Type::VARCHAR => Self::Text,
            _ => return None,
        })
    }

    /// Whether a row can have this key, which is then exactly how PostgreSQL writes it. Others are not asked for.
    pub(super) fn can_be(self, key: &str) -> bool {
        match self {
            Self::Integer { min, max, .. } => key
                .parse::<i64>()
                .is_ok_and(|number| (min..=max).contains(&number) && number.to_string() == key),
            Self::Uuid => {
                let is_dash = |at| matches!(at, 8 | 13 | 18 | 23);
                let digit = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
                key.len() == 36
                    && key
                        .bytes()
                        .enumerate()
                        .all(|(at, byte)| if is_dash(at) { byte == b'-' } else { digit(byte) })
            }
            Self::Text => true,
        }
    }

    /// Whether values of these types are written alike, so that the one as text is found by the other.
    pub(super) fn is_like(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Integer { name, .. } => name,
            Self::Uuid => "uuid",
            Self::Text => "text",
        }
    }
}

/// Finds out the type of the key, and reads nothing.
pub(super) fn key_type(settings: &SourceSettings) -> String {
    format!("SELECT q.{} FROM ({}\n) AS q LIMIT 0", quoted(&settings.key), settings.query)
}

/// All rows: keys and JSON, which is null if it is too large.
pub(super) fn load(settings: &SourceSettings) -> String {
    let (key, query) = (quoted(&settings.key), &settings.query);
    format!(
        "SELECT r.key, {JSON} FROM (SELECT q.{key}::text AS key, row_to_json(q)::text AS json FROM ({query}\n) AS q) AS r"
    )
}

/// The rows of the keys in the text array `$1`: what the statement sees, and key and JSON of each row, as [`load`] has them. There is a
/// line even if there are no rows.
pub(super) fn fetch(settings: &SourceSettings, key_type: KeyType) -> String {
    let (key, query, name) = (quoted(&settings.key), &settings.query, key_type.name());
    format!(
        "SELECT s.seen, r.key, {JSON} FROM (SELECT pg_current_snapshot()::text AS seen) AS s LEFT JOIN \
         (SELECT q.{key}::text AS key, row_to_json(q)::text AS json FROM ({query}\n) AS q \
         WHERE q.{key} = ANY($1::text[]::{name}[])) AS r ON true"
    )
}

/// What is too large does not even leave the server.
const JSON: &str = "CASE WHEN octet_length(r.json) <= 1048576 THEN r.json END";

const _: () = assert!(ROW_JSON_BYTES_MAX == 1_048_576, "the statement says this number");

/// The keys that depend on the values in the text array `$1`, by a query of the operator, as [`fetch`] has them.
pub(super) fn dependent_keys(query: &str) -> String {
    format!(
        "SELECT s.seen, r.key FROM (SELECT pg_current_snapshot()::text AS seen) AS s LEFT JOIN \
         (SELECT d.key::text AS key FROM ({query}\n) AS d(key)) AS r ON true"
    )
}

/// Where the next record of the source will begin, the bytes of a segment of its log, and what a statement sees now. All that was
/// committed before the question stands before that place.
pub(super) const PROBE: &str = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint, \
     pg_size_bytes(current_setting('wal_segment_size')), pg_current_snapshot()::text";

/// What a statement sees now.
pub(super) const SNAPSHOT: &str = "SELECT pg_current_snapshot()::text";

/// What the statement saw whose lines these are, as its first column says.
pub(super) fn snapshot_of(lines: &[tokio_postgres::Row]) -> Result<Snapshot, TargetError> {
    let text = lines.first().map(|line| line.get::<_, &str>(0));
    text.and_then(Snapshot::parse)
        .ok_or_else(|| TargetError::Unavailable("the server did not tell what a statement saw".to_owned()))
}

/// A name in SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The row that a line is; nothing if it has no key.
///
/// # Errors
/// Why it is left out, as a sentence.
pub(super) fn row(key: Option<&str>, json: Option<&str>) -> Result<Option<Row>, String> {
    let Some(key) = key else { return Ok(None) };
    if !is_row_key(key) {
        return Err("a key of the query is not 1 to 128 printable characters; its row is left out".to_owned());
    }
    let json = json.ok_or_else(|| {
        format!("the row of {key:?} has more than {ROW_JSON_BYTES_MAX} bytes of JSON; it is left out")
    })?;
    Ok(Some(Row::new(RowLine { key, json: json.as_bytes() })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_that_can_be_are_asked_for() {
        let int2 = KeyType::of(&Type::INT2).expect("a key");
        for (key_type, can, cannot) in [
            (int2, vec!["0", "-32768", "32767"], vec!["", "007", "+1", "32768", "1.0", "x", " 1"]),
            (
                KeyType::Uuid,
                vec!["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
                vec!["A0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc999c0b4ef8bb6d6bb9bd380a11", "é"],
            ),
            (KeyType::Text, vec!["", "x", "é"], vec![]),
        ] {
            assert!(can.iter().all(|key| key_type.can_be(key)), "{key_type:?}");
            assert!(!cannot.iter().any(|key| key_type.can_be(key)), "{key_type:?}");
        }
        assert_eq!(KeyType::of(&Type::FLOAT8), None);
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    }
}

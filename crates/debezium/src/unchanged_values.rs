//! Values that PostgreSQL keeps outside of the row, and that a change does not tell unless it changed them.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// What Debezium writes instead of such a value, as a text, as bytes and as the only element of an array.
/// (<https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-toasted-values>)
const PLACEHOLDERS: [&str; 3] = [
    r#""__debezium_unavailable_value""#,
    r#""X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==""#,
    r#"["__debezium_unavailable_value"]"#,
];

/// Whether a row lacks values.
pub(super) fn lacks_values(json: &str) -> bool {
    PLACEHOLDERS[..2].iter().any(|placeholder| json.contains(placeholder))
        && members(json).is_some_and(|members| members.0.iter().any(|(_, value)| is_placeholder(value)))
}

/// The row with the values that it lacks taken from the row before; otherwise the name of a column whose value nobody knows.
pub(super) fn complete(json: &str, before: Option<&[u8]>) -> Result<String, String> {
    let before = before.and_then(|before| members(std::str::from_utf8(before).ok()?));
    let known = |column: &str| {
        let found = before.iter().flat_map(|before| &before.0).find(|(name, _)| name == column);
        found.map(|(_, value)| *value).filter(|value| !is_placeholder(value))
    };
    let members = members(json).ok_or("the row")?;
    let mut complete = String::with_capacity(json.len());
    for (column, value) in &members.0 {
        let value = if is_placeholder(value) { known(column).ok_or(&**column)? } else { value };
        complete.push(if complete.is_empty() { '{' } else { ',' });
        complete.push_str(&serde_json::to_string(column).expect("a text is JSON"));
        complete.push(':');
        complete.push_str(value.get());
    }
    complete.push('}');
    Ok(complete)
}

fn is_placeholder(value: &RawValue) -> bool {
    PLACEHOLDERS.contains(&value.get())
}

/// Columns and values, in order.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

fn members(json: &str) -> Option<Members<'_>> {
    serde_json::from_str(json).ok()
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(Name(name)) = map.next_key()? {
                    members.push((name, map.next_value()?));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// A name that is borrowed where it has no escapes.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_did_not_change_are_those_of_the_row_before() {
        let before: &[u8] = br#"{"id":1,"big":"long \"text\"","raw":"AAAA","tags":["a"],"gone":1}"#;
        let row = r#"{"id":1,"big":"__debezium_unavailable_value","raw":"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==","tags":["__debezium_unavailable_value"],"n\"":2}"#;
        assert!(lacks_values(row));
        assert_eq!(
            complete(row, Some(before)).unwrap(),
            r#"{"id":1,"big":"long \"text\"","raw":"AAAA","tags":["a"],"n\"":2}"#
        );
        assert_eq!(complete(row, None).unwrap_err(), "big");
        assert_eq!(complete(row, Some(row.as_bytes())).unwrap_err(), "big");
    }

    #[test]
    fn a_text_that_speaks_of_it_is_a_value() {
        for row in [
            r#"{"id":1,"big":"no"}"#,
            r#"{"id":1,"big":"the \"__debezium_unavailable_value\""}"#,
            r#"{"id":1,"big":{"a":"__debezium_unavailable_value"}}"#,
            "{}",
        ] {
            assert!(!lacks_values(row), "{row}");
        }
    }
}

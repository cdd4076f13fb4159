//! Rows and collections as JSON.

use std::borrow::Cow;

use onrush_core::{
    ROW_BYTES_MAX, ROW_KEY_RULE, ROWS_BYTES_MAX, ROWS_PER_PUT_MAX, is_row_key, row_line_bytes,
};
use onrush_node::RowCall;
use onrush_node::catalog::SourceState;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::catalog::{CollectionFigures, CollectionState};
use crate::http::json::parse_json;
use crate::problem::Problem;
use crate::text::{write_json_string, write_number};

/// The body of `PUT /v1/catalog/{collection}/{key}`, without the blanks around it.
pub fn parse_row(body: &[u8]) -> Result<&[u8], Problem> {
    check_object(body)?;
    Ok(body.trim_ascii())
}

/// Reads all of an object, so that whoever reads it later can: escapes, numbers, and how deep it is.
fn check_object(json: &[u8]) -> Result<(), Problem> {
    parse_json::<Map<String, Value>>(json).map(|_| ())
}

/// One line of `POST /v1/catalog/{collection}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RowLine<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow)]
    row: &'a RawValue,
}

/// The body of `POST /v1/catalog/{collection}`: a line for each row, at least one. Empty lines count for nothing.
///
/// # Errors
/// What is wrong with the first line that is wrong, by its number from 1.
pub fn parse_rows(body: &[u8]) -> Result<Vec<RowCall>, Problem> {
    let (mut rows, mut bytes) = (Vec::new(), 0);
    let lines = (1..).zip(body.split(|byte| *byte == b'\n'));
    for (number, line) in lines.filter(|(_, line)| !line.trim_ascii().is_empty()) {
        let row = parse_line(line)
            .map_err(|problem| Problem::malformed(format!("Line {number}: {}", problem.detail())))?;
        bytes += row_line_bytes(&onrush_core::RowLine { key: &row.key, json: &row.json });
        if rows.len() == ROWS_PER_PUT_MAX || bytes > ROWS_BYTES_MAX {
            return Err(Problem::too_many_rows());
        }
        rows.push(row);
    }
    if rows.is_empty() {
        return Err(Problem::malformed("The body is missing; send a line of JSON for each row."));
    }
    Ok(rows)
}

fn parse_line(line: &[u8]) -> Result<RowCall, Problem> {
    let RowLine { key, row } = parse_json(line)?;
    if !is_row_key(&key) {
        return Err(Problem::invalid("key", ROW_KEY_RULE));
    }
    let json = row.get();
    if !json.starts_with('{') || json.len() > ROW_BYTES_MAX {
        let rule = format!("must be a JSON object of at most {ROW_BYTES_MAX} bytes");
        return Err(Problem::invalid("row", &rule));
    }
    check_object(json.as_bytes())?;
    Ok(RowCall { key: key.into(), json: json.as_bytes().into() })
}

/// Appends `{"collection":"products","key":"1","version":"7"}`. The name of a collection needs no escapes.
pub(super) fn write_put(out: &mut Vec<u8>, collection: &str, key: &str, version: u64) {
    out.extend_from_slice(format!("{{\"collection\":\"{collection}\",\"key\":").as_bytes());
    write_json_string(out, key);
    out.extend_from_slice(format!(",\"version\":\"{version}\"}}").as_bytes());
}

/// Appends `{"rows":2,"version":"7"}`.
pub(super) fn write_puts(out: &mut Vec<u8>, row_count: usize, version: u64) {
    out.extend_from_slice(format!("{{\"rows\":{row_count},\"version\":\"{version}\"}}").as_bytes());
}

/// Appends `{"collections":[…]}`.
pub(super) fn write_collections<'a>(
    out: &mut Vec<u8>,
    collections: impl Iterator<Item = CollectionFigures<'a>>,
) {
    out.extend_from_slice(b"{\"collections\":[");
    for (at, figures) in collections.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_collection(out, &figures);
    }
    out.extend_from_slice(b"]}");
}

fn write_collection(out: &mut Vec<u8>, figures: &CollectionFigures<'_>) {
    let CollectionFigures { name, rows_at, version, row_count, json_bytes, found_count, .. } = figures;
    let state = rows_at.state();
    let lag_ms = state.lag().map_or_else(|| "null".to_owned(), |lag| lag.as_millis().to_string());
    let head = format!(
        "{{\"collection\":\"{name}\",\"source\":\"{}\",\"state\":\"{}\",\"lag_ms\":{lag_ms},\"version\":\"{version}\",\"rows\":",
        rows_at.as_str(),
        state.as_str(),
    );
    out.extend_from_slice(head.as_bytes());
    write_number(out, *row_count);
    for (member, number) in
        [("bytes", *json_bytes), ("reads_found", *found_count), ("reads_missing", figures.missing_count)]
    {
        write_member(out, member, number);
    }
    let read_count = found_count + figures.missing_count;
    match (figures.in_memory_count * 1_000).checked_div(read_count) {
        Some(rate) => {
            out.extend_from_slice(format!(",\"hit_rate\":{}.{:03}", rate / 1_000, rate % 1_000).as_bytes());
        }
        None => out.extend_from_slice(b",\"hit_rate\":null"),
    }
    if let CollectionState::Loading(row_count) = state {
        write_member(out, "loading_rows", row_count);
    }
    if let Some(SourceState { bytes, fetch_count, fetched_count, .. }) = rows_at.source() {
        for (member, number) in
            [("memory_bytes", *bytes), ("fetches", *fetch_count), ("fetched_rows", *fetched_count)]
        {
            write_member(out, member, number);
        }
    }
    out.extend_from_slice(b",\"last_error\":");
    match rows_at.source().and_then(|state| state.last_error.as_deref()) {
        Some(error) => write_json_string(out, error),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
}

fn write_member(out: &mut Vec<u8>, member: &str, number: u64) {
    out.extend_from_slice(format!(",\"{member}\":{number}").as_bytes());
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use onrush_node::catalog::Freshness;

    use super::*;
    use crate::catalog::RowsAt;

    #[test]
    fn a_row_is_an_object_and_stays_as_it_came() {
        assert_eq!(parse_row(b" {\"a\": [1,\n2]}\n").unwrap(), b"{\"a\": [1,\n2]}");
        for wrong in [&b""[..], b"[]", b"1", b"null", b"{", b"{}{}", b"{\"a\":\xff}"] {
            assert!(parse_row(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_many_readers_could_not_read_is_no_row() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        for wrong in [r#"{"a":"\ud800"}"#, r#"{"\ud800":1}"#, r#"{"a":1e999}"#, &deep] {
            assert!(parse_row(wrong.as_bytes()).is_err(), "{wrong}");
            assert!(parse_rows(format!("{{\"key\":\"1\",\"row\":{wrong}}}").as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lines_are_rows_and_the_wrong_one_is_named() {
        let rows =
            parse_rows(b"{\"key\":\"1\",\"row\":{}}\r\n\n{\"row\": {\"a\": 1} ,\"key\":\"\\u00e9\"}\n")
                .unwrap();
        let shown: Vec<_> =
            rows.iter().map(|row| (&*row.key, std::str::from_utf8(&row.json).unwrap())).collect();
        assert_eq!(shown, [("1", "{}"), ("é", "{\"a\": 1}")]);
        let good = "{\"key\":\"1\",\"row\":{}}\n";
        for (line, said) in [
            ("{\"key\":\"\",\"row\":{}}", "Line 2: `key` must be 1 to 128 printable characters."),
            ("{\"key\":\"1\",\"row\":[]}", "Line 2: `row` must be a JSON object of at most 16384 bytes."),
            ("{\"key\":\"1\"}", "Line 2: `row` is missing."),
            ("{\"key\":\"1\",\"row\":{},\"x\":1}", "Line 2: `x` is not a known field."),
            ("[]", "Line 2: The body must be a JSON object."),
        ] {
            let problem = parse_rows(format!("{good}{line}\n{good}").as_bytes()).unwrap_err();
            assert_eq!(problem.detail(), said, "{line}");
        }
        assert!(parse_rows(b" \n\n").is_err());
        let most = "{\"key\":\"1\",\"row\":{}}\n".repeat(ROWS_PER_PUT_MAX);
        assert_eq!(parse_rows(most.as_bytes()).unwrap().len(), ROWS_PER_PUT_MAX);
        assert_eq!(parse_rows(format!("{most}{good}").as_bytes()).unwrap_err().status(), 413);
        let long = format!("{{\"key\":\"1\",\"row\":{{\"a\":\"{}\"}}}}\n", "x".repeat(16_000)).repeat(100);
        assert_eq!(parse_rows(long.as_bytes()).unwrap_err().status(), 413);
    }

    fn shown(rows_at: RowsAt) -> String {
        let figures = CollectionFigures {
            name: "products",
            rows_at,
            version: 7,
            row_count: 2,
            json_bytes: 30,
            found_count: 2,
            in_memory_count: 1,
            missing_count: 1,
        };
        let mut out = Vec::new();
        write_collections(&mut out, [figures].into_iter());
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn a_collection_for_operators() {
        let figures =
            r#""version":"7","rows":2,"bytes":30,"reads_found":2,"reads_missing":1,"hit_rate":0.333"#;
        let expected = format!(
            r#"{{"collections":[{{"collection":"products","source":"embedded","state":"coherent","lag_ms":0,{figures},"last_error":null}}]}}"#
        );
        assert_eq!(shown(RowsAt::Embedded), expected);
        let state = SourceState {
            freshness: Freshness::Incoherent,
            loading_count: Some(9),
            bytes: 300,
            fetch_count: 4,
            fetched_count: 5,
            last_error: Some("\"no\"".to_owned()),
        };
        let of_source = r#""memory_bytes":300,"fetches":4,"fetched_rows":5"#;
        let expected = format!(
            r#"{{"collections":[{{"collection":"products","source":"postgres","state":"loading","lag_ms":null,{figures},"loading_rows":9,{of_source},"last_error":"\"no\""}}]}}"#
        );
        assert_eq!(shown(RowsAt::Source("postgres", state.clone())), expected);
        let incoherent = SourceState { loading_count: None, last_error: None, ..state.clone() };
        let said = shown(RowsAt::Source("postgres", incoherent));
        assert!(said.contains(r#""state":"incoherent","lag_ms":null"#), "{said}");
        let lag = Duration::from_micros(1_999);
        let coherent = SourceState { freshness: Freshness::Coherent(lag), ..state };
        let said = shown(RowsAt::Source("postgres", coherent));
        assert!(said.contains(r#""state":"coherent","lag_ms":1,"#), "{said}");
    }
}

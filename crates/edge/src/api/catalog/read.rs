//! Rows as everybody reads them: one by its key, told by its bytes before any router, or many at once.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::State;
use compact_str::{CompactString, ToCompactString};
use http::{HeaderMap, StatusCode, Uri};
use onrush_core::Row;
use onrush_node::catalog::{GtidSet, binlog_position};

use super::{VERSION, collection_at, key_at, parse_key};
use crate::api::answer::{Answer, WithoutBody, json, of_ready};
use crate::api::app::App;
use crate::catalog::{Age, Catalog, Look, MinVersion, Rows};
use crate::hot::{Head, Hot, Ready, Sender};
use crate::http::etag::is_known;
use crate::http::media_type::JSON;
use crate::http::query::{encoded_parameters, parameters};
use crate::http::request::Request;
use crate::limits::ROWS_PER_READ_MAX;
use crate::problem::Problem;
use crate::text::{decode_segment, write_json_string};

/// A request for one row whose key needs no decoding, and whose client has nothing yet.
pub(super) fn decode(request: &Request<'_>, segment: &[u8], sender: &Sender<'_>) -> Hot {
    let Some((collection, key)) = plain_key(segment).filter(|_| request.body.is_empty()) else {
        return Hot::Routed;
    };
    if request.fields.all("if-none-match").next().is_some() {
        return Hot::Routed;
    }
    answer_hot(sender, collection, key, |age, row| Ok(ready(age, row)))
}

/// The answer that `answer` makes of the row of this key.
pub(crate) fn answer_hot(
    sender: &Sender<'_>,
    collection: &str,
    key: &str,
    answer: impl FnOnce(Age, &Row) -> Result<Ready, Problem>,
) -> Hot {
    let read = |age, row: Option<&Row>| row.map(|row| answer(age, row));
    match sender.catalog.look(collection, key, sender.clock, read) {
        Look::Told(Some(Ok(ready))) => Hot::Ready(Box::new(ready)),
        Look::Told(Some(Err(problem))) => Hot::Problem(Box::new(problem)),
        Look::Told(None) => Hot::Problem(Box::new(Problem::row_not_found())),
        Look::Unknown => Hot::Routed,
        Look::NoCollection => Hot::Problem(Box::new(Problem::collection_not_found())),
    }
}

/// Collection and key, if neither needs decoding.
fn plain_key(segment: &[u8]) -> Option<(&str, &str)> {
    let (collection, key) = std::str::from_utf8(segment).ok()?.split_once('/')?;
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'%' | b'/');
    // Dot segments mean something else in a path (RFC 3986, section 5.2.4); the router says what.
    let is_key = (1..=onrush_core::ROW_KEY_CHARACTERS_MAX).contains(&key.len())
        && key.bytes().all(is_plain)
        && !matches!(key, "." | "..");
    (is_key && onrush_core::is_new_name(collection)).then_some((collection, key))
}

/// A row as an answer. Whoever got it may keep it, and asks with its tag whether it is still so.
fn ready(age: Age, row: &Row) -> Ready {
    let mut head = Head { content_type: Some(JSON), ..Head::default() };
    head.fields.push(("etag", etag(row)));
    head.fields.push(("cache-control", CompactString::const_new("no-cache")));
    head.fields.extend(freshness(age));
    Ready { head, body: row.json().to_vec() }
}

/// How old an answer can be.
fn freshness(age: Age) -> impl Iterator<Item = (&'static str, CompactString)> {
    let version = age.version.map(|version| (VERSION, version.to_compact_string()));
    let lag = [("onrush-lag-ms", age.lag_ms()), ("age", age.lag.as_secs())];
    version.into_iter().chain(lag.map(|(name, number)| (name, number.to_compact_string())))
}

/// Bytes of a tag: 16 digits and the quotes.
pub(crate) const ETAG_BYTES: usize = 18;

/// Stands for the bytes of a row.
pub(crate) fn etag(row: &Row) -> CompactString {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let (mut etag, mut rest) = ([b'"'; ETAG_BYTES], row.tag());
    for digit in etag[1..ETAG_BYTES - 1].iter_mut().rev() {
        *digit = DIGITS[(rest & 15) as usize];
        rest >>= 4;
    }
    CompactString::from_utf8(etag).expect("ASCII")
}

/// `GET /v1/catalog/{collection}/{key}`
pub(super) async fn one(State(app): State<Arc<App>>, request: WithoutBody) -> Answer {
    let [min_version] = parameters(request.uri.query(), ["min_version"])?;
    let (collection, key) = (collection_at(&app, &request.uri)?, key_at(&request.uri)?);
    await_version(&app.catalog, &collection, min_version).await?;
    let Rows { age, rows } = app.catalog.rows(&collection, &[key]).await?;
    let row = rows.into_iter().next().flatten().ok_or_else(Problem::row_not_found)?;
    Ok(of_ready(answer_one(&request.fields, age, &row)))
}

fn answer_one(fields: &HeaderMap, age: Age, row: &Row) -> Ready {
    let mut ready = ready(age, row);
    if is_known(fields, &etag(row)) {
        ready.head = Head { status: 304, content_type: None, ..ready.head };
        ready.body.clear();
    }
    ready
}

/// `GET /v1/catalog/{collection}?keys=a,b,c`
pub(super) async fn many(State(app): State<Arc<App>>, request: WithoutBody) -> Answer {
    let (keys, min_version) = parse_many(&request.uri)?;
    let collection = collection_at(&app, &request.uri)?;
    await_version(&app.catalog, &collection, min_version).await?;
    let rows = app.catalog.rows(&collection, &keys).await?;
    let mut response = json(StatusCode::OK, |out| write_rows(out, &keys, &rows));
    for (name, value) in freshness(rows.age) {
        response = crate::api::answer::with_header(response, name.parse().expect("a field's name"), &value);
    }
    Ok(response)
}

/// Keys, each once, and the version to wait for. Commas stand between keys before they are decoded, so a key may have one.
fn parse_many(uri: &Uri) -> Result<(Vec<String>, Option<Cow<'_, str>>), Problem> {
    let [keys, min_version] = encoded_parameters(uri.query(), ["keys", "min_version"])?;
    let rule = format!("must be 1 to {ROWS_PER_READ_MAX} keys with commas between them");
    let Some(text) = keys else { return Err(Problem::invalid("keys", &rule)) };
    let decode = |version: Cow<'_, str>| decode_segment(&version).map(|version| version.into_owned().into());
    let min_version = min_version.map(|version| decode(version).ok_or_else(invalid_version)).transpose()?;
    Ok((each_once("keys", text.split(',').map(parse_key))?, min_version))
}

/// What is asked for in the field, each once; not more than one request may ask for.
pub(crate) fn each_once<T: PartialEq>(
    field: &'static str,
    asked: impl IntoIterator<Item = Result<T, Problem>>,
) -> Result<Vec<T>, Problem> {
    let mut once = Vec::new();
    for item in asked {
        let item = item?;
        if !once.contains(&item) {
            once.push(item);
        }
        if once.len() > ROWS_PER_READ_MAX {
            return Err(Problem::invalid(field, &format!("must have at most {ROWS_PER_READ_MAX} entries")));
        }
    }
    Ok(once)
}

/// Appends `{"rows":{"a":{…}},"missing":["b"],"version":"…"}`.
fn write_rows(out: &mut Vec<u8>, keys: &[String], rows: &Rows) {
    let found = || keys.iter().zip(&rows.rows).filter_map(|(key, row)| Some((key, row.as_ref()?)));
    let missing = || keys.iter().zip(&rows.rows).filter(|(_, row)| row.is_none()).map(|(key, _)| key);
    out.extend_from_slice(b"{\"rows\":{");
    for (at, (key, row)) in found().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_json_string(out, key);
        out.push(b':');
        out.extend_from_slice(row.json());
    }
    out.extend_from_slice(b"},\"missing\":[");
    for (at, key) in missing().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_json_string(out, key);
    }
    let version = rows.age.version.map_or_else(|| "null".to_owned(), |version| format!("\"{version}\""));
    out.extend_from_slice(format!("],\"version\":{version}}}").as_bytes());
}

/// Whether this may be a read that waits: for a version, or for rows of a source.
pub(crate) fn may_wait(catalog: &Catalog, uri: &Uri) -> bool {
    let rest = uri.path().strip_prefix("/v1/catalog/");
    rest.is_some_and(|rest| {
        let collection = rest.split('/').next().unwrap_or(rest);
        catalog.has_source(collection) || uri.query().is_some_and(|query| query.contains("min_version"))
    })
}

/// Waits until the collection has this version, as long as a read may.
async fn await_version(
    catalog: &Catalog,
    collection: &str,
    min_version: Option<Cow<'_, str>>,
) -> Result<(), Problem> {
    let Some(text) = min_version else { return Ok(()) };
    let min_version = parse_version(&text, catalog.has_source(collection)).ok_or_else(invalid_version)?;
    if catalog.await_version(collection, min_version).await { Ok(()) } else { Err(Problem::incoherent()) }
}

fn invalid_version() -> Problem {
    Problem::invalid("min_version", "must be a version that this server or the source of the rows gave out")
}

/// A version as the server writes it, or, if the rows are of a source, as that writes a place in its log: `16/B374D848` as PostgreSQL does,
/// `mysql-bin.000003:4711` as MySQL and MariaDB name file and position; or transactions as these name them.
fn parse_version(text: &str, is_of_source: bool) -> Option<MinVersion> {
    let gtids = || GtidSet::parse(text).filter(|gtids| is_of_source && !gtids.is_empty());
    let place = parse_place(text, is_of_source).map(MinVersion::Number);
    place.or_else(|| gtids().map(MinVersion::Transactions))
}

fn parse_place(text: &str, is_of_source: bool) -> Option<u64> {
    let half = |digits: &str| {
        let is_hex = (1..=8).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
    };
    let number = |digits: &str| {
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
    };
    if let Some((high, low)) = text.split_once('/').filter(|_| is_of_source) {
        return Some(half(high)? << 32 | half(low)?);
    }
    if let Some((file, position)) = text.rsplit_once(':').filter(|_| is_of_source) {
        return binlog_position(file, number(position)?);
    }
    number(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_key_needs_no_decoding() {
        let long = format!("products/{}", "x".repeat(129));
        for (segment, expected) in [
            ("products/1", Some(("products", "1"))),
            ("p/a,b+c=d;e", Some(("p", "a,b+c=d;e"))),
            ("products", None),
            ("products/", None),
            ("/1", None),
            ("products/1/2", None),
            ("products/a%20b", None),
            ("products/..", None),
            ("../1", None),
            ("a%20b/1", None),
            ("products/é", None),
            (long.as_str(), None),
        ] {
            assert_eq!(plain_key(segment.as_bytes()), expected, "{segment}");
        }
    }

    #[test]
    fn a_version_is_a_number_or_a_place_of_the_source() {
        for (text, of_source, of_embedded) in [
            ("0", Some(0), Some(0)),
            ("18446744073709551615", Some(u64::MAX), Some(u64::MAX)),
            ("16/B374D848", Some(0x16_b374_d848), None),
            ("0/0", Some(0), None),
            ("ffffffff/ffffffff", Some(u64::MAX), None),
            ("", None, None),
            ("18446744073709551616", None, None),
            ("-1", None, None),
            ("16/", None, None),
            ("/1", None, None),
            ("1/2/3", None, None),
            ("1/123456789", None, None),
            ("1/+1", None, None),
            ("B374D848", None, None),
            ("mysql-bin.000003:4711", Some((3 << 32) + 4_711), None),
            ("mysql-bin.000003:", None, None),
            ("mysql-bin.000003", None, None),
            (":4711", None, None),
        ] {
            assert_eq!(parse_version(text, true), of_source.map(MinVersion::Number), "{text}");
            assert_eq!(parse_version(text, false), of_embedded.map(MinVersion::Number), "{text}");
        }
        let uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        let (own, executed) = (format!("{uuid}:23"), format!("{uuid}:1-5:7,\n{uuid}:9"));
        for text in ["0-1-4711", "0-1-4711,7-2-9", "0-1-4711,", &own, &executed] {
            let gtids = GtidSet::parse(text).expect("a set");
            assert_eq!(parse_version(text, true), Some(MinVersion::Transactions(gtids)), "{text}");
            assert_eq!(parse_version(text, false), None, "{text}");
        }
        for text in [",", " ", &format!("{uuid}:5-1"), "binlog.000001:4,0-1-4711"] {
            assert_eq!(parse_version(text, true), None, "{text}");
        }
    }

    #[test]
    fn many_keys_are_told_apart_before_they_are_decoded() {
        let parse = |query: &str| {
            let uri: Uri = format!("/v1/catalog/products?{query}").parse().expect("a URI");
            parse_many(&uri).map(|(keys, _)| keys).map_err(|problem| problem.detail().to_owned())
        };
        assert_eq!(parse("keys=a"), Ok(vec!["a".to_owned()]));
        assert_eq!(parse("keys=b,a%2Cc,b,%C3%A9"), Ok(["b", "a,c", "é"].map(String::from).to_vec()));
        let hundred: Vec<_> = (0..100).map(|key| key.to_string()).collect();
        assert_eq!(parse(&format!("keys={}", hundred.join(","))).map(|keys| keys.len()), Ok(100));
        assert!(parse(&format!("keys={},x", hundred.join(","))).is_err());
        for wrong in ["", "keys=", "keys=a,", "keys=,a", "keys=%ff", "keys=a%0A", "keys=a&keys=b", "key=a"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}

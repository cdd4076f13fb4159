//! Rows of the catalogue for a rush: calls that are taken apart, looked up and answered as bytes. What is out of the ordinary, or wrong, or not in
//! memory goes to the service, which answers alike.

use onrush_core::{Row, is_row_key};
use smallvec::SmallVec;

use super::wire::{answer, field_bytes, plain_message, read_texts, write_bytes, write_length, write_uint};
use crate::api::catalog::{ETAG_BYTES, answer_hot, etag};
use crate::catalog::{Age, Look};
use crate::hot::{Hot, Ready, Sender};
use crate::http::request::Request;
use crate::limits::ROWS_PER_READ_MAX;
use crate::problem::Problem;

/// Keys that are read without an allocation.
const KEYS_INLINE: usize = 32;

/// Bytes of an answer that are neither of rows nor of keys, at most: two numbers with their keys.
const NUMBERS_BYTES: usize = 2 * 11;

/// `onrush.v1.GetRowRequest` without a version.
#[derive(Debug)]
pub struct RowAsked<'a> {
    /// Any text.
    pub collection: &'a str,
    /// One that a row may have.
    pub key: &'a str,
}

/// `onrush.v1.GetRowsRequest` without a version.
#[derive(Debug)]
pub struct RowsAsked<'a> {
    /// Any text.
    pub collection: &'a str,
    /// 1 to 100 that rows may have, each once.
    pub keys: SmallVec<[&'a str; KEYS_INLINE]>,
}

/// `onrush.v1.Catalog/GetRow`
pub(super) fn decode_one(request: &Request<'_>, _: &[u8], sender: &Sender<'_>) -> Hot {
    match plain_message(request).and_then(RowAsked::read) {
        Some(RowAsked { collection, key }) => {
            answer_hot(sender, collection, key, |age, row| Ok(answer_one(age, key, row)))
        }
        None => Hot::Routed,
    }
}

/// `onrush.v1.Catalog/GetRows`
pub(super) fn decode_many(request: &Request<'_>, _: &[u8], sender: &Sender<'_>) -> Hot {
    let Some(RowsAsked { collection, keys }) = plain_message(request).and_then(RowsAsked::read) else {
        return Hot::Routed;
    };
    let read = |age, rows: &[Option<&Row>]| answer_many(age, &keys, rows);
    match sender.catalog.look_all(collection, &keys, sender.clock, read) {
        Look::Told(ready) => Hot::Ready(Box::new(ready)),
        Look::Unknown => Hot::Routed,
        Look::NoCollection => Hot::Problem(Box::new(Problem::collection_not_found())),
    }
}

impl<'a> RowAsked<'a> {
    /// Takes a message apart. Nothing if it is wrong, or has anything out of the ordinary: the service answers that.
    pub fn read(message: &'a [u8]) -> Option<Self> {
        let (mut collection, mut key) = ("", "");
        read_texts(message, |number, text| {
            match number {
                1 => collection = text,
                2 => key = text,
                _ => return None,
            }
            Some(())
        })?;
        is_row_key(key).then_some(Self { collection, key })
    }
}

impl<'a> RowsAsked<'a> {
    /// As [`RowAsked::read`].
    pub fn read(message: &'a [u8]) -> Option<Self> {
        let (mut collection, mut keys) = ("", SmallVec::<[&str; KEYS_INLINE]>::new());
        read_texts(message, |number, text| {
            match number {
                1 => collection = text,
                2 if is_row_key(text) && keys.len() < ROWS_PER_READ_MAX => {
                    if !is_among(&keys, text) {
                        keys.push(text);
                    }
                }
                _ => return None,
            }
            Some(())
        })?;
        (!keys.is_empty()).then_some(Self { collection, keys })
    }
}

/// Whether a key is one of these. Each is compared with all before it, and most differ in their last byte.
fn is_among(keys: &[&str], key: &str) -> bool {
    let last = key.as_bytes().last();
    keys.iter().any(|known| known.as_bytes().last() == last && *known == key)
}

/// `onrush.v1.GetRowResponse`
fn answer_one(age: Age, key: &str, row: &Row) -> Ready {
    answer(field_bytes(row_bytes(key, row)) + NUMBERS_BYTES, |out| {
        write_row(out, key, row);
        write_uint(out, 2, age.version.unwrap_or_default());
        write_uint(out, 3, age.lag_ms());
    })
}

/// `onrush.v1.GetRowsResponse`
fn answer_many(age: Age, keys: &[&str], rows: &[Option<&Row>]) -> Ready {
    let each = || keys.iter().zip(rows);
    let bytes = each().map(|(key, row)| field_bytes(row.map_or(key.len(), |row| row_bytes(key, row))));
    answer(bytes.sum::<usize>() + NUMBERS_BYTES, |out| {
        for (key, row) in each() {
            if let Some(row) = row {
                write_row(out, key, row);
            }
        }
        for (key, _) in each().filter(|(_, row)| row.is_none()) {
            write_bytes(out, 2, key.as_bytes());
        }
        write_uint(out, 3, age.version.unwrap_or_default());
        write_uint(out, 4, age.lag_ms());
    })
}

/// Appends `onrush.v1.Row` as field 1.
fn write_row(out: &mut Vec<u8>, key: &str, row: &Row) {
    write_length(out, 1, row_bytes(key, row));
    write_bytes(out, 1, key.as_bytes());
    write_bytes(out, 2, row.json());
    write_bytes(out, 3, etag(row).as_bytes());
}

/// Bytes of the message of a row.
fn row_bytes(key: &str, row: &Row) -> usize {
    field_bytes(key.len()) + field_bytes(row.json().len()) + field_bytes(ETAG_BYTES)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use onrush_core::RowLine;
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;
    use crate::grpc::generated::onrush::v1::{
        GetRowRequest, GetRowResponse, GetRowsRequest, GetRowsResponse, Row as RowMessage,
    };

    fn message(row: &Row) -> RowMessage {
        RowMessage { key: row.key().to_owned(), json: row.json().to_vec(), etag: etag(row).into() }
    }

    fn rows_asked(message: &GetRowsRequest) -> Option<Vec<String>> {
        let message = message.encode_to_vec();
        let RowsAsked { keys, .. } = RowsAsked::read(&message)?;
        Some(keys.into_iter().map(str::to_owned).collect())
    }

    #[test]
    fn only_what_a_look_can_answer_is_read() {
        let asked = |keys: &[&str], min_version| {
            let keys = keys.iter().map(|key| (*key).to_owned()).collect();
            rows_asked(&GetRowsRequest { collection: "products".into(), keys, min_version })
        };
        let read = |keys: &[&str]| Some(keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>());
        assert_eq!(asked(&["2", "1", "2", "é"], 0), read(&["2", "1", "é"]));
        assert_eq!(asked(&["2"], 1), None, "a version is waited for");
        assert_eq!(asked(&[], 0), None);
        assert_eq!(asked(&["1", ""], 0), None);
        assert_eq!(asked(&["1", "a\nb"], 0), None);
        let hundred: Vec<_> = (0..=ROWS_PER_READ_MAX).map(|key| key.to_string()).collect();
        let hundred: Vec<_> = hundred.iter().map(String::as_str).collect();
        assert_eq!(asked(&hundred[1..], 0), read(&hundred[1..]));
        assert_eq!(asked(&hundred, 0), None);
        let one = |key: &str, min_version| {
            let message = GetRowRequest { collection: "products".into(), key: key.into(), min_version };
            RowAsked::read(&message.encode_to_vec())
                .map(|asked| (asked.collection.to_owned(), asked.key.to_owned()))
        };
        assert_eq!(one("1", 0), Some(("products".into(), "1".into())));
        assert_eq!((one("1", 1), one("", 0), one("a\nb", 0)), (None, None, None));
    }

    proptest! {
        /// The last of several collections or keys counts, as the library has it.
        #[test]
        fn one_key_is_read_as_the_library_reads_it(
            texts in proptest::collection::vec((1..3_u8, "[a-c\\n]{0,2}"), 0..5),
        ) {
            let mut written = Vec::new();
            for (number, text) in &texts {
                write_bytes(&mut written, *number, text.as_bytes());
            }
            let read = RowAsked::read(&written).map(|asked| (asked.collection.to_owned(), asked.key.to_owned()));
            let message = GetRowRequest::decode(&*written).expect("texts");
            let expected = is_row_key(&message.key).then_some((message.collection, message.key));
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn answers_are_those_of_the_library(
            rows in proptest::collection::vec(
                ("\\PC{1,128}", proptest::option::of(proptest::collection::vec(any::<u8>(), 1..300))),
                0..8,
            ),
            version in proptest::option::of(any::<u64>()),
            lag_us in 0..10_000_000_u64,
        ) {
            let age = Age { version, lag: Duration::from_micros(lag_us) };
            let (version, lag_ms) = (version.unwrap_or_default(), age.lag_ms());
            let keys: Vec<_> = rows.iter().map(|(key, _)| key.as_str()).collect();
            let made = |(key, json): &(String, Option<Vec<u8>>)| {
                json.as_ref().map(|json| Row::new(RowLine { key, json }))
            };
            let made: Vec<_> = rows.iter().map(made).collect();
            let found: Vec<_> = made.iter().map(Option::as_ref).collect();
            let is_missing = rows.iter().filter(|(_, json)| json.is_none());
            let missing = is_missing.map(|(key, _)| key.clone()).collect();
            let messages = made.iter().flatten().map(message).collect();
            let expected = GetRowsResponse { rows: messages, missing, version, lag_ms }.encode_to_vec();
            let body = answer_many(age, &keys, &found).body;
            prop_assert_eq!(&body[5..], &*expected);
            prop_assert_eq!(&body[..5], [&[0][..], &u32::try_from(expected.len()).expect("it is short").to_be_bytes()].concat());
            prop_assert!(body.capacity() < body.len() + NUMBERS_BYTES, "it did not grow");
            for row in made.iter().flatten() {
                let expected = GetRowResponse { row: Some(message(row)), version, lag_ms }.encode_to_vec();
                prop_assert_eq!(&answer_one(age, row.key(), row).body[5..], &*expected);
            }
        }
    }
}

//! Any bytes as the body of a gRPC call that reads rows: never a panic; what is read of them before any router is what the library of messages
//! reads, within the bounds of the contract; and what that library writes in the usual form is read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use onrush_core::is_row_key;
use onrush_edge::{RowAsked, RowsAsked, whole_message};
use prost::Message;

/// Rows that one call may ask for.
const ROWS_MAX: usize = 100;

/// `onrush.v1.GetRowRequest`
#[derive(Clone, PartialEq, Message)]
struct RowMessage {
    #[prost(string, tag = "1")]
    collection: String,
    #[prost(string, tag = "2")]
    key: String,
    #[prost(uint64, tag = "3")]
    min_version: u64,
}

/// `onrush.v1.GetRowsRequest`
#[derive(Clone, PartialEq, Message)]
struct RowsMessage {
    #[prost(string, tag = "1")]
    collection: String,
    #[prost(string, repeated, tag = "2")]
    keys: Vec<String>,
    #[prost(uint64, tag = "3")]
    min_version: u64,
}

fuzz_target!(|bytes: &[u8]| {
    if let Some(message) = whole_message(bytes) {
        let length = u32::try_from(message.len()).expect("a short body");
        assert_eq!([&[0][..], &length.to_be_bytes(), message].concat(), bytes);
    }
    let framed = [&[0][..], &u32::try_from(bytes.len()).expect("a short body").to_be_bytes(), bytes].concat();
    assert_eq!(whole_message(&framed), Some(bytes));
    check_one(bytes);
    check_many(bytes);
});

fn check_one(bytes: &[u8]) {
    let message = RowMessage::decode(bytes);
    if let Some(RowAsked { collection, key }) = RowAsked::read(bytes) {
        let expected = RowMessage { collection: collection.into(), key: key.into(), min_version: 0 };
        assert_eq!(message, Ok(expected));
        assert!(is_row_key(key));
    }
    if let Ok(message) = message {
        let is_usual = message.min_version == 0 && is_row_key(&message.key);
        assert_eq!(RowAsked::read(&message.encode_to_vec()).is_some(), is_usual);
    }
}

fn check_many(bytes: &[u8]) {
    let message = RowsMessage::decode(bytes);
    if let Some(RowsAsked { collection, keys }) = RowsAsked::read(bytes) {
        let message = message.as_ref().expect("what is read is a message");
        let mut once: Vec<&str> = Vec::new();
        for key in &message.keys {
            if !once.contains(&key.as_str()) {
                once.push(key);
            }
        }
        assert_eq!((collection, &*keys, 0), (message.collection.as_str(), &*once, message.min_version));
        assert!((1..=ROWS_MAX).contains(&keys.len()) && keys.iter().all(|key| is_row_key(key)));
    }
    if let Ok(message) = message
        && message.min_version == 0
        && (1..=ROWS_MAX).contains(&message.keys.len())
    {
        let is_usual = message.keys.iter().all(|key| is_row_key(key));
        assert_eq!(RowsAsked::read(&message.encode_to_vec()).is_some(), is_usual);
    }
}

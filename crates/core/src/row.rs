//! Rows of the catalogue: which keys and which bytes one may have, and a row as whoever reads it takes it.

use std::fmt;

use triomphe::Arc;
use xxhash_rust::xxh3::xxh3_64;

use crate::{ROW_BYTES_MAX, ROW_KEY_CHARACTERS_MAX};

/// What [`is_row_key`] asks for, in words that finish the sentence "`key` …".
pub const ROW_KEY_RULE: &str = "must be 1 to 128 printable characters";

const _: () = assert!(ROW_KEY_CHARACTERS_MAX == 128, "the rule says this number");

/// Whether a row may have this key: 1 to [`ROW_KEY_CHARACTERS_MAX`] characters, none of them a control character.
pub fn is_row_key(key: &str) -> bool {
    // A character has at most 4 bytes, so what has more bytes is not counted.
    (1..=4 * ROW_KEY_CHARACTERS_MAX).contains(&key.len())
        && key.chars().count() <= ROW_KEY_CHARACTERS_MAX
        && !key.chars().any(char::is_control)
}

/// Whether a row may be these bytes.
pub(crate) fn is_row_json(json: &[u8]) -> bool {
    (1..=ROW_BYTES_MAX).contains(&json.len())
}

/// A key and a JSON object, as they come in a command and stand in an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowLine<'a> {
    /// As [`is_row_key`] has it.
    pub key: &'a str,
    /// 1 to [`ROW_BYTES_MAX`] bytes. That they are a JSON object is for whoever takes them from outside to check.
    pub json: &'a [u8],
}

/// Bytes of a row among those that one command puts: key, JSON and the lengths of both, at their widest.
pub fn row_line_bytes(row: &RowLine<'_>) -> usize {
    row.key.len() + row.json.len() + 8
}

/// One row of a collection. A copy is a reference to the same bytes, which are counted without the second count of the standard library: there
/// may be millions of rows.
///
/// All of it is one block: the length of the key in 2 bytes, little-endian; the key; the JSON.
#[derive(Clone)]
pub struct Row(Arc<[u8]>);

/// Where the key begins.
const KEY_AT: usize = 2;

impl Row {
    /// A row of its own.
    ///
    /// # Panics
    /// The key is longer than a key may be.
    pub fn new(RowLine { key, json }: RowLine<'_>) -> Self {
        let key_length = u16::try_from(key.len()).expect("a key has fewer than 2^16 bytes");
        Self([&key_length.to_le_bytes(), key.as_bytes(), json].concat().into())
    }

    /// Names it in its collection.
    pub fn key(&self) -> &str {
        std::str::from_utf8(self.key_bytes()).expect("it was made of text")
    }

    /// The key where only its bytes matter: they have the order of the text, and need no check that they are text.
    pub(crate) fn key_bytes(&self) -> &[u8] {
        &self.0[KEY_AT..self.json_at()]
    }

    /// The JSON object, as it came.
    pub fn json(&self) -> &[u8] {
        &self.0[self.json_at()..]
    }

    /// The XXH3-64 (seed 0) of the JSON: another for other bytes, as far as 64 bits can tell.
    pub fn tag(&self) -> u64 {
        xxh3_64(self.json())
    }

    /// Bytes of the block.
    pub(crate) fn block_bytes(&self) -> usize {
        self.0.len()
    }

    fn json_at(&self) -> usize {
        KEY_AT + usize::from(u16::from_le_bytes([self.0[0], self.0[1]]))
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = String::from_utf8_lossy(self.json());
        write!(formatter, "Row {{ key: {:?}, json: {json} }}", self.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_short_and_printable() {
        for key in ["1", "a b", "é", "a/b,c%", &"x".repeat(128), &"\u{10348}".repeat(128)] {
            assert!(is_row_key(key), "{key}");
        }
        for key in ["", "a\nb", "\0", "\u{7f}", "\u{85}", &"x".repeat(129), &"\u{10348}".repeat(129)] {
            assert!(!is_row_key(key), "{key:?}");
        }
    }

    #[test]
    fn a_row_is_what_it_was_made_of() {
        for key in ["k", "schlüssel", &"\u{10348}".repeat(128)] {
            for json in [&b"{}"[..], br#"{"a":1}"#, &[b' '; ROW_BYTES_MAX]] {
                let row = Row::new(RowLine { key, json });
                assert_eq!((row.key(), row.json()), (key, json));
                assert_eq!(row.tag(), xxh3_64(json));
            }
        }
    }
}

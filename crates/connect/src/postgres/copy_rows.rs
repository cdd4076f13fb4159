//! Rows in the binary format of COPY (PostgreSQL's manual, "COPY", section "Binary Format"), encoded into one buffer.

use onrush_core::TimeMs;

use super::numbers::bigint;
use super::time::Timestamp;

/// Signature, flags and length of the header extension.
const HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What begins every binary jsonb.
const JSONB_VERSION: u8 = 1;

/// Rows of one table. Fields come in the order of the columns that the statement names.
#[derive(Debug, Default)]
pub(super) struct CopyRows {
    bytes: Vec<u8>,
}

impl CopyRows {
    /// Rows in this buffer, whose content is dropped and whose memory is used.
    pub(super) fn reusing(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Self { bytes }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The rows as the server takes them, leaving none here; empty if there are none.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.bytes);
        if !bytes.is_empty() {
            bytes.extend_from_slice(&(-1_i16).to_be_bytes());
        }
        bytes
    }

    /// Begins a row of so many fields.
    pub(super) fn begin(&mut self, fields: i16) {
        if self.bytes.is_empty() {
            self.bytes.extend_from_slice(HEADER);
        }
        self.bytes.extend_from_slice(&fields.to_be_bytes());
    }

    /// Fields that were encoded elsewhere.
    pub(super) fn encoded(&mut self, fields: &[u8]) {
        self.bytes.extend_from_slice(fields);
    }

    pub(super) fn put(&mut self, field: Field<'_>) {
        field.encode(&mut self.bytes);
    }

    /// A jsonb that `write` appends as text.
    pub(super) fn put_jsonb(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        encode_jsonb(&mut self.bytes, write);
    }
}

/// A field of a row.
#[derive(Clone, Copy, Debug)]
pub(super) enum Field<'a> {
    Null,
    Bigint(u64),
    Text(&'a str),
    Time(TimeMs),
}

impl Field<'_> {
    /// Appends length and value.
    pub(super) fn encode(self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(&(-1_i32).to_be_bytes()),
            Self::Bigint(number) => encode_eight(out, bigint(number)),
            Self::Time(time) => encode_eight(out, Timestamp::at(time).microseconds()),
            Self::Text(text) => {
                let length = i32::try_from(text.len()).expect("texts are far below 2 GiB");
                out.extend_from_slice(&length.to_be_bytes());
                out.extend_from_slice(text.as_bytes());
            }
        }
    }

    /// Text, or null if it is empty.
    pub(super) fn text_or_null(text: &str) -> Field<'_> {
        if text.is_empty() { Field::Null } else { Field::Text(text) }
    }

    pub(super) fn time_or_null(time: Option<TimeMs>) -> Field<'static> {
        time.map_or(Field::Null, Field::Time)
    }
}

/// Appends a jsonb field whose text `write` appends.
pub(super) fn encode_jsonb(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let length_at = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, JSONB_VERSION]);
    write(out);
    let length = i32::try_from(out.len() - length_at - 4).expect("documents are far below 2 GiB");
    out[length_at..length_at + 4].copy_from_slice(&length.to_be_bytes());
}

fn encode_eight(out: &mut Vec<u8>, value: i64) {
    let mut field = [0; 12];
    field[3] = 8;
    field[4..].copy_from_slice(&value.to_be_bytes());
    out.extend_from_slice(&field);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_framed_as_the_manual_says() {
        let mut rows = CopyRows::default();
        assert_eq!(rows.take(), b"", "no rows, no COPY");
        rows.begin(5);
        rows.put(Field::Bigint(258));
        rows.put(Field::Text("ab"));
        rows.put(Field::Null);
        rows.put(Field::Time(946_684_800_001));
        rows.put_jsonb(|out| out.extend_from_slice(b"{}"));
        let mut wanted = b"PGCOPY\n\xff\r\n\0".to_vec();
        wanted.extend_from_slice(&[0; 8]);
        wanted.extend_from_slice(&[0, 5]);
        wanted.extend_from_slice(&[0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 1, 2]);
        wanted.extend_from_slice(b"\0\0\0\x02ab\xff\xff\xff\xff");
        wanted.extend_from_slice(&[0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 3, 232]);
        wanted.extend_from_slice(b"\0\0\0\x03\x01{}\xff\xff");
        assert_eq!(rows.take(), wanted);
        assert_eq!(rows.len(), 0);
    }
}

//! Calls as bytes, for those that are answered before any router: the one message of a request, the texts in it, and an answer
//! (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>, <https://protobuf.dev/programming-guides/encoding>).

use crate::hot::{Head, Ready};
use crate::http::request::{Fields, Request};

/// What a body of messages is, as every client says it.
pub(super) const CONTENT_TYPE: &str = "application/grpc";

const PLAIN_CONTENT_TYPES: [&[u8]; 2] = [CONTENT_TYPE.as_bytes(), b"application/grpc+proto"];

/// Before each message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// How the key of a field says that its length follows.
const WITH_LENGTH: u8 = 2;

/// The message of a call over HTTP/2 that has one, whole and not compressed. How long the client waits for the answer does not matter
/// to one that is there at once.
pub(crate) fn plain_message<'a>(request: &Request<'a>) -> Option<&'a [u8]> {
    let Fields::Mapped(fields) = request.fields else { return None };
    let is_plain = request.fields.content_type().is_some_and(|value| PLAIN_CONTENT_TYPES.contains(&value));
    if !is_plain || fields.contains_key("grpc-encoding") {
        return None;
    }
    whole_message(request.body)
}

/// The one message of a body that has no more and no less, if it is not compressed.
pub fn whole_message(body: &[u8]) -> Option<&[u8]> {
    let ([0, length @ ..], message) = body.split_first_chunk::<PREFIX_BYTES>()? else { return None };
    (usize::try_from(u32::from_be_bytes(*length)) == Ok(message.len())).then_some(message)
}

/// Gives each field of a message to `take`, with its number. Nothing if one is not a text with a number below 16, or `take` has no use for it.
pub(super) fn read_texts<'a>(
    mut message: &'a [u8],
    mut take: impl FnMut(u8, &'a str) -> Option<()>,
) -> Option<()> {
    while let Some((key, rest)) = message.split_first() {
        // Three bits say what follows, and the highest that the number has more.
        if key & 0b1000_0111 != WITH_LENGTH {
            return None;
        }
        message = rest;
        let length = prost::decode_length_delimiter(&mut message).ok()?;
        let (text, rest) = message.split_at_checked(length)?;
        take(key >> 3, std::str::from_utf8(text).ok()?)?;
        message = rest;
    }
    Some(())
}

/// The answer to a call that went well, whose message of about `bytes` is what `write` appends.
pub(crate) fn answer(bytes: usize, write: impl FnOnce(&mut Vec<u8>)) -> Ready {
    let mut body = Vec::with_capacity(PREFIX_BYTES + bytes);
    body.extend_from_slice(&[0; PREFIX_BYTES]);
    write(&mut body);
    let length = u32::try_from(body.len() - PREFIX_BYTES).expect("answers are far below 4 GiB");
    body[1..PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
    Ready { head: Head { trailer: Some(("grpc-status", "0")), ..Head::ok(CONTENT_TYPE) }, body }
}

/// Appends the key and the length of a field with a number below 16 whose `length` bytes follow.
pub(super) fn write_length(out: &mut Vec<u8>, number: u8, length: usize) {
    out.push(number << 3 | WITH_LENGTH);
    write_varint(out, length as u64);
}

/// Appends a field of text or bytes that are not empty, with a number below 16.
pub(super) fn write_bytes(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    write_length(out, number, bytes.len());
    out.extend_from_slice(bytes);
}

/// Bytes that [`write_bytes`] appends for so many.
pub(super) fn field_bytes(length: usize) -> usize {
    1 + prost::length_delimiter_len(length) + length
}

/// Appends a field of a whole number, with a number below 16. Zero is not written.
pub(super) fn write_uint(out: &mut Vec<u8>, number: u8, value: u64) {
    if value > 0 {
        out.push(number << 3);
        write_varint(out, value);
    }
}

/// Seven bits in each byte, the lowest first; the highest bit says that more follow.
fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;
    use crate::grpc::generated::onrush::v1::{GetRowsRequest, Row};

    /// What `read_texts` finds, in the form of the type that was made for it.
    fn read(message: &[u8]) -> Option<GetRowsRequest> {
        let mut read = GetRowsRequest::default();
        read_texts(message, |number, text| {
            match number {
                1 => read.collection = text.to_owned(),
                2 => read.keys.push(text.to_owned()),
                _ => return None,
            }
            Some(())
        })?;
        Some(read)
    }

    #[test]
    fn what_is_no_text_is_not_read() {
        for message in [
            // Keys: number 0, number 16, a whole number, a group.
            &b"\x02\x00"[..],
            b"\x82\x01\x00",
            b"\x18\x01",
            b"\x0b\x0c",
            // Lengths: none, more than follows, more than a length can be.
            b"\x0a",
            b"\x0a\x02a",
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01a",
            b"\x0a\x81",
            // Not UTF-8.
            b"\x0a\x01\xff",
            b"\x0a\x01a\x03",
        ] {
            assert_eq!(read(message), None, "{message:?}");
        }
        assert_eq!(read(b""), Some(GetRowsRequest::default()));
        // A length of more bytes than it needs is one.
        let read = read(b"\x0a\x81\x00a\x12\x00").expect("two texts");
        assert_eq!((&*read.collection, read.keys), ("a", vec![String::new()]));
    }

    proptest! {
        #[test]
        fn texts_are_read_as_the_library_reads_them(
            collection in "\\PC{0,20}",
            keys in proptest::collection::vec("\\PC{0,200}", 0..20),
        ) {
            let message = GetRowsRequest { collection, keys, min_version: 0 };
            prop_assert_eq!(read(&message.encode_to_vec()), Some(message));
        }

        /// Bytes of few kinds, of which many are keys and lengths.
        #[test]
        fn whatever_is_read_the_library_reads_alike(
            message in proptest::collection::vec(
                prop_oneof![
                    3 => prop_oneof![Just(0x0a_u8), Just(0x12)],
                    3 => 0..4_u8,
                    2 => 0x60..0x64_u8,
                    1 => any::<u8>(),
                ],
                0..24,
            ),
        ) {
            if let Some(read) = read(&message) {
                prop_assert_eq!(GetRowsRequest::decode(&*message).ok(), Some(read));
            }
        }

        #[test]
        fn fields_are_written_as_the_library_writes_them(
            key in "\\PC{1,128}",
            json in proptest::collection::vec(any::<u8>(), 1..70_000),
            number in any::<u64>(),
        ) {
            let mut written = Vec::new();
            write_bytes(&mut written, 1, key.as_bytes());
            write_bytes(&mut written, 2, &json);
            prop_assert_eq!(written.len(), field_bytes(key.len()) + field_bytes(json.len()));
            let message = Row { key, json, etag: String::new() };
            prop_assert_eq!(written, message.encode_to_vec());
            for number in [number, number >> 32, number >> 57, 0] {
                let mut written = Vec::new();
                write_uint(&mut written, 3, number);
                let message = GetRowsRequest { min_version: number, ..GetRowsRequest::default() };
                prop_assert_eq!(written, message.encode_to_vec());
            }
        }
    }
}

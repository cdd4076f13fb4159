//! Text forms that requests and answers share: dates, JSON strings, numbers and percent-encoded path segments.
//!
//! Writers append to a byte buffer and allocate nothing else, because they run once per answer.

use std::borrow::Cow;

use onrush_core::parse_rfc3339;

/// Whether `text` is a date as in `2021-05-16` that exists.
pub fn is_date(text: &str) -> bool {
    let mut time = *b"0000-00-00T00:00:00Z";
    text.len() == 10 && {
        time[..10].copy_from_slice(text.as_bytes());
        std::str::from_utf8(&time).ok().and_then(parse_rfc3339).is_some()
    }
}

/// Appends `text` as a JSON string with its quotes (RFC 8259 section 7).
pub fn write_json_string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..=0x1f => &[b'\\', b'u', b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]],
            _ => continue,
        };
        out.extend_from_slice(&text.as_bytes()[plain_from..at]);
        out.extend_from_slice(escape);
        plain_from = at + 1;
    }
    out.extend_from_slice(&text.as_bytes()[plain_from..]);
    out.push(b'"');
}

/// Appends a whole number in decimal.
pub fn write_number(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Undoes percent-encoding (RFC 3986 section 2.1) of one path segment or query value; nothing if an escape is broken, which
/// the library would leave as it stands, or if the bytes are not UTF-8. A `+` stays a `+`.
pub fn decode_segment(segment: &str) -> Option<Cow<'_, str>> {
    let bytes = segment.as_bytes();
    let is_escape =
        |at: usize| bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    if !memchr::memchr_iter(b'%', bytes).all(is_escape) {
        return None;
    }
    percent_encoding::percent_decode(bytes).decode_utf8().ok()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use onrush_core::{TERMS_TIME_MS_MAX, write_rfc3339};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_exist_or_not() {
        for text in ["2021-05-16", "2024-02-29"] {
            assert!(is_date(text), "{text}");
        }
        for text in ["20210516", "2021-02-29", "2021-5-16", "2021-05-16T", "PWTC", ""] {
            assert!(!is_date(text), "{text}");
        }
    }

    #[test]
    fn segments_decode() {
        for (encoded, decoded) in [
            ("home", Some("home")),
            ("a%20b", Some("a b")),
            ("%C3%a9", Some("é")),
            ("a+b", Some("a+b")),
            ("%2F", Some("/")),
            ("%00", Some("\0")),
            ("", Some("")),
            ("%", None),
            ("%2", None),
            ("%zz", None),
            ("%ff", None),
        ] {
            assert_eq!(decode_segment(encoded).as_deref(), decoded, "{encoded}");
        }
    }

    proptest! {
        /// The other calendar reads a clock's time, which nothing in core may.
        #[test]
        fn a_time_agrees_with_another_calendar(time in 0..=TERMS_TIME_MS_MAX) {
            let other = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(time));
            let [_, day, month, year, in_day, _] = other.split(' ').collect::<Vec<_>>()[..] else { panic!("{other}") };
            let month = 1 + "JanFebMarAprMayJunJulAugSepOctNovDec".find(month).unwrap() / 3;
            let expected = format!("{year}-{month:02}-{day}T{in_day}.{:03}Z", time % 1_000);
            let mut written = Vec::new();
            write_rfc3339(&mut written, time);
            prop_assert_eq!(String::from_utf8(written).unwrap(), expected);
        }

        #[test]
        fn no_text_breaks_the_parsers(text in "\\PC*|[0-9-]{0,12}|[a-z%0-9]{0,12}") {
            let _ = is_date(&text);
            let _ = decode_segment(&text);
        }

        #[test]
        fn a_json_string_reads_back(text in any::<String>()) {
            let mut out = Vec::new();
            write_json_string(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}

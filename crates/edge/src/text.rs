//! Text forms that requests and answers share: RFC 3339 times, JSON strings and percent-encoded path segments.
//!
//! Writers append to a byte buffer and allocate nothing else, because they run once per answer.

use std::borrow::Cow;

use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::fmt::temporal::DateTimePrinter;
use onrush_core::{NAME_BYTES_MAX, TERMS_TIME_MS_MAX, TimeMs};

/// What a name must be, in words that finish the sentence "`field` …".
pub const NAME_RULE: &str = "must be 1 to 64 characters of A-Z a-z 0-9 . _ ~ : @ -, and not . or ..";

const _: () = assert!(NAME_BYTES_MAX == 64, "the rule says this number");

/// Times are civil times since then: a `Timestamp` of jiff leaves room for time zones and ends hours before the year 9999.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// Appends `time` as `2021-05-16T08:00:00.000Z`. Later times than [`TERMS_TIME_MS_MAX`] are written as that.
///
/// # Panics
///
/// Never: every such time has a civil time, and memory takes the text.
pub fn write_rfc3339(out: &mut Vec<u8>, time: TimeMs) {
    const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
    let since_epoch = SignedDuration::from_millis(time.min(TERMS_TIME_MS_MAX).cast_signed());
    let time = EPOCH.checked_add(since_epoch).expect("the year 9999 is a civil time");
    PRINTER.print_datetime(&time, &mut *out).expect("memory takes the text");
    out.push(b'Z');
}

/// Reads an RFC 3339 time with `Z` or an offset, between 1970 and [`TERMS_TIME_MS_MAX`]. Digits beyond milliseconds are
/// dropped. A leap second (`:60`) is not a time here.
///
/// The form is checked here because jiff reads more than RFC 3339 (`20210516T08Z`, `:60`, `[UTC]`); the calendar is jiff's.
pub fn parse_rfc3339(text: &str) -> Option<TimeMs> {
    let bytes = text.as_bytes();
    let (date_time, rest) = bytes.split_at_checked(19)?;
    let punctuated = date_time[4] == b'-'
        && date_time[7] == b'-'
        && matches!(date_time[10], b'T' | b't')
        && date_time[13] == b':'
        && date_time[16] == b':';
    if !punctuated {
        return None;
    }
    let year = i16::from(digits(&date_time[0..2])?) * 100 + i16::from(digits(&date_time[2..4])?);
    let [month, day] = [digits(&date_time[5..7])?, digits(&date_time[8..10])?];
    let [hour, minute, second] =
        [digits(&date_time[11..13])?, digits(&date_time[14..16])?, digits(&date_time[17..19])?];
    let (fraction_ms, rest) = take_fraction(rest)?;
    let offset_ms = offset_ms(rest)?;
    let [month, day, hour, minute, second] = [month, day, hour, minute, second].map(u8::cast_signed);
    let civil = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    let time = civil.duration_since(EPOCH).as_millis() + i128::from(fraction_ms) - i128::from(offset_ms);
    u64::try_from(time).ok().filter(|time| *time <= TERMS_TIME_MS_MAX)
}

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

/// Milliseconds of an optional fraction, and what follows it.
fn take_fraction(text: &[u8]) -> Option<(u64, &[u8])> {
    let Some(after_point) = text.strip_prefix(b".") else { return Some((0, text)) };
    let count = after_point.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return None;
    }
    let fraction_ms = (0..3).fold(0, |sum, at| {
        sum * 10 + after_point.get(at).filter(|_| at < count).map_or(0, |digit| u64::from(digit - b'0'))
    });
    Some((fraction_ms, &after_point[count..]))
}

/// Milliseconds that `Z` or `+08:00` is ahead of UTC.
fn offset_ms(text: &[u8]) -> Option<i64> {
    match text {
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] => {
            let (hours, minutes) = (digits(&[*h0, *h1])?, digits(&[*m0, *m1])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let ms = (i64::from(hours) * 60 + i64::from(minutes)) * 60_000;
            Some(if *sign == b'-' { -ms } else { ms })
        }
        _ => None,
    }
}

/// Two digits.
fn digits(text: &[u8]) -> Option<u8> {
    text.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + (byte - b'0')))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;

    fn written(time: TimeMs) -> String {
        let mut out = Vec::new();
        write_rfc3339(&mut out, time);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn times_are_written() {
        for (time, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1, "1970-01-01T00:00:00.001Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_621_152_000_000, "2021-05-16T08:00:00.000Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (TERMS_TIME_MS_MAX, "9999-12-31T23:59:59.999Z"),
            (u64::MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(written(time), text);
        }
    }

    #[test]
    fn times_are_read() {
        for (text, time) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1970-01-01t00:00:00.5z", Some(500)),
            ("1970-01-01T00:00:00.1239999999Z", Some(123)),
            ("1970-01-01T08:00:00+08:00", Some(0)),
            ("1969-12-31T23:30:00-00:30", Some(0)),
            ("1969-12-31T23:59:59Z", None),
            ("1970-01-01T00:00:00+00:01", None),
            ("9999-12-31T23:59:59Z", Some(TERMS_TIME_MS_MAX - 999)),
            ("9999-12-31T23:59:59.999999Z", Some(TERMS_TIME_MS_MAX)),
            ("9999-12-31T23:59:59Z-00:01", None),
            ("9999-12-31T23:59:59-00:01", None),
            ("2000-02-29T00:00:00Z", Some(951_782_400_000)),
            ("2100-02-29T00:00:00Z", None),
            ("2021-04-31T00:00:00Z", None),
            ("2021-13-01T00:00:00Z", None),
            ("2021-00-01T00:00:00Z", None),
            ("2021-01-00T00:00:00Z", None),
            ("2021-01-01T24:00:00Z", None),
            ("2021-01-01T00:60:00Z", None),
            ("2021-01-01T00:00:60Z", None),
            ("2021-01-01T00:00:00", None),
            ("2021-01-01T00:00:00.Z", None),
            ("2021-01-01T00:00:00+0800", None),
            ("2021-01-01T00:00:00+24:00", None),
            ("2021-01-01 00:00:00Z", None),
            ("0000-01-01T00:00:00Z", None),
            ("2021-01-01T00:00:00Zé", None),
            ("é021-01-01T00:00:00Z", None),
            ("", None),
        ] {
            assert_eq!(parse_rfc3339(text), time, "{text}");
        }
    }

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
        #[test]
        fn a_time_reads_back_as_written(time in 0..=TERMS_TIME_MS_MAX) {
            prop_assert_eq!(parse_rfc3339(&written(time)), Some(time));
        }

        #[test]
        fn a_date_agrees_with_another_calendar(time in 0..=TERMS_TIME_MS_MAX) {
            let other = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(time));
            let [_, day, month, year, in_day, _] = other.split(' ').collect::<Vec<_>>()[..] else { panic!("{other}") };
            let month = 1 + "JanFebMarAprMayJunJulAugSepOctNovDec".find(month).unwrap() / 3;
            let expected = format!("{year}-{month:02}-{day}T{in_day}.{:03}Z", time % 1_000);
            prop_assert_eq!(written(time), expected);
        }

        #[test]
        fn no_text_breaks_the_parsers(text in "\\PC*|[0-9TZ:.+-]{0,40}|[a-z%0-9]{0,12}") {
            let _ = parse_rfc3339(&text);
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

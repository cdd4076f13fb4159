//! Text forms that requests and answers share: RFC 3339 times, JSON strings and percent-encoded path segments.
//!
//! Writers append to a byte buffer and allocate nothing else, because they run once per answer.

use std::borrow::Cow;

use onrush_core::{NAME_BYTES_MAX, TERMS_TIME_MS_MAX, TimeMs};

/// What a name must be, in words that finish the sentence "`field` …".
pub const NAME_RULE: &str = "must be 1 to 64 characters of A-Z a-z 0-9 . _ ~ : @ -, and not . or ..";

const _: () = assert!(NAME_BYTES_MAX == 64, "the rule says this number");

const DAY_MS: u64 = 86_400_000;
/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_EPOCH: u64 = 719_468;
const DAYS_PER_ERA: u64 = 146_097;

/// Appends `time` as `2021-05-16T08:00:00.000Z`. Later times than [`TERMS_TIME_MS_MAX`] are written as that.
pub fn write_rfc3339(out: &mut Vec<u8>, time: TimeMs) {
    let time = time.min(TERMS_TIME_MS_MAX);
    let (year, month, day) = civil_from_days(time / DAY_MS);
    let in_day = time % DAY_MS;
    let mut text = *b"0000-00-00T00:00:00.000Z";
    put_digits(&mut text[0..4], year);
    put_digits(&mut text[5..7], month);
    put_digits(&mut text[8..10], day);
    put_digits(&mut text[11..13], in_day / 3_600_000);
    put_digits(&mut text[14..16], in_day / 60_000 % 60);
    put_digits(&mut text[17..19], in_day / 1_000 % 60);
    put_digits(&mut text[20..23], in_day % 1_000);
    out.extend_from_slice(&text);
}

/// Reads an RFC 3339 time with `Z` or an offset, between 1970 and [`TERMS_TIME_MS_MAX`]. Digits beyond milliseconds are
/// dropped. A leap second (`:60`) is not a time here.
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
    let [year, month, day] =
        [digits(&date_time[0..4])?, digits(&date_time[5..7])?, digits(&date_time[8..10])?];
    let [hour, minute, second] =
        [digits(&date_time[11..13])?, digits(&date_time[14..16])?, digits(&date_time[17..19])?];
    if !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (fraction_ms, rest) = take_fraction(rest)?;
    let offset_ms = offset_ms(rest)?;
    let days = i64::try_from(days_from_civil(year, month, day)).ok()? - i64::try_from(DAYS_TO_EPOCH).ok()?;
    let in_day_ms = i64::try_from(((hour * 60 + minute) * 60 + second) * 1_000 + fraction_ms).ok()?;
    let time = days * i64::try_from(DAY_MS).ok()? + in_day_ms - offset_ms;
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

/// Undoes percent-encoding (RFC 3986 section 2.1) of one path segment or query value; nothing if an escape is broken or the
/// bytes are not UTF-8. A `+` stays a `+`.
pub fn decode_segment(segment: &str) -> Option<Cow<'_, str>> {
    let Some(first) = memchr::memchr(b'%', segment.as_bytes()) else {
        return Some(Cow::Borrowed(segment));
    };
    let mut decoded = Vec::with_capacity(segment.len());
    decoded.extend_from_slice(&segment.as_bytes()[..first]);
    let mut rest = &segment.as_bytes()[first..];
    while let [byte, after @ ..] = rest {
        if *byte == b'%' {
            let [high, low, after @ ..] = after else { return None };
            decoded.push((hex_value(*high)? << 4) | hex_value(*low)?);
            rest = after;
        } else {
            decoded.push(*byte);
            rest = after;
        }
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

/// The value of one hexadecimal digit in either case.
pub fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Year, month and day of the day that many days after 1970-01-01, by `civil_from_days` of Howard Hinnant's
/// "chrono-Compatible Low-Level Date Algorithms", for days that are not negative.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let days = days + DAYS_TO_EPOCH;
    let era = days / DAYS_PER_ERA;
    let day_of_era = days % DAYS_PER_ERA;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// Days from 0000-03-01, by `days_from_civil` of the same source. January and February of year 0 count as day 0.
fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let Some(year) = year.checked_sub(u64::from(month <= 2)) else { return 0 };
    let year_of_era = year % 400;
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    year / 400 * DAYS_PER_ERA + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year
}

fn days_in_month(year: u64, month: u64) -> u64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
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
            let ms = i64::try_from((hours * 60 + minutes) * 60_000).ok()?;
            Some(if *sign == b'-' { -ms } else { ms })
        }
        _ => None,
    }
}

fn digits(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0')))
}

#[allow(clippy::cast_possible_truncation, reason = "a remainder of 10")]
fn put_digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
            let other = jiff::Timestamp::from_millisecond(i64::try_from(time).unwrap()).unwrap();
            prop_assert_eq!(written(time), format!("{other:.3}"));
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

//! Times as text, by RFC 3339: written in one form, read in every form of that RFC, and in no other.

use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::fmt::temporal::DateTimePrinter;

use crate::{TERMS_TIME_MS_MAX, TimeMs};

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

    proptest! {
        #[test]
        fn a_time_reads_back_as_written(time in 0..=TERMS_TIME_MS_MAX) {
            prop_assert_eq!(parse_rfc3339(&written(time)), Some(time));
        }

        #[test]
        fn no_text_breaks_the_parser(text in "\\PC*|[0-9TZ:.+-]{0,40}") {
            let _ = parse_rfc3339(&text);
        }
    }
}

//! How often something may be asked for, as an operator writes it.

use std::str::FromStr;

/// Time is counted in ticks of 100 ns from any start that is the same for all callers.
pub const TICKS_PER_S: u64 = 10_000_000;

/// Of a bucket that is empty: it is full again within an hour.
const FILL_TICKS_MAX: u64 = 3_600 * TICKS_PER_S;
/// Ten ticks for each request: more in a second are not told apart well.
const PER_S_MAX: u64 = 1_000_000;
const COUNT_MAX: u64 = 1_000_000;
const BURST_MAX: u64 = 1_000_000;

/// So many requests at once, and then one in each interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    interval: u64,
    burst: u32,
}

/// Why a text is no [`Rate`]; each ends a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRate {
    /// It has another form.
    #[error("must be off, or a rate and a burst, such as 1/ms burst 1000, 20/s burst 100 or 30/m burst 5")]
    Malformed,
    /// A number is out of its range.
    #[error(
        "must have 1 to 1,000,000 requests for each ms, s, m or h, at most 1,000,000 a second, and a burst of 1 to 1,000,000"
    )]
    OutOfRange,
    /// The burst takes too long at this rate.
    #[error("must have a burst that the rate gives back within an hour")]
    TooSlow,
}

impl Rate {
    /// `count` requests in each `unit` ticks, and `burst` of them at once. The interval is rounded to whole ticks.
    ///
    /// # Errors
    /// A number is out of its range, or it takes more than an hour until a whole burst is possible again.
    pub fn new(count: u64, unit: u64, burst: u64) -> Result<Self, InvalidRate> {
        let is_in_range = (1..=COUNT_MAX).contains(&count) && (1..=BURST_MAX).contains(&burst);
        if !is_in_range || count.saturating_mul(TICKS_PER_S) > unit.saturating_mul(PER_S_MAX) {
            return Err(InvalidRate::OutOfRange);
        }
        let rate = Self {
            interval: (unit + count / 2) / count,
            burst: u32::try_from(burst).map_err(|_| InvalidRate::OutOfRange)?,
        };
        if rate.depth() > FILL_TICKS_MAX { Err(InvalidRate::TooSlow) } else { Ok(rate) }
    }

    /// Ticks from one request to the next, once the burst is used up.
    pub fn interval(self) -> u64 {
        self.interval
    }

    /// Requests at once.
    pub fn burst(self) -> u32 {
        self.burst
    }

    /// Ticks in which a whole burst comes back.
    pub fn depth(self) -> u64 {
        self.interval * u64::from(self.burst)
    }
}

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let mut words = text.split_ascii_whitespace();
        let (Some(rate), Some("burst"), Some(burst), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(InvalidRate::Malformed);
        };
        let (count, unit) = rate.split_once('/').ok_or(InvalidRate::Malformed)?;
        let unit = match unit {
            "ms" => TICKS_PER_S / 1_000,
            "s" => TICKS_PER_S,
            "m" => 60 * TICKS_PER_S,
            "h" => 3_600 * TICKS_PER_S,
            _ => return Err(InvalidRate::Malformed),
        };
        let number = |text: &str| {
            if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(InvalidRate::Malformed);
            }
            text.parse::<u64>().map_err(|_| InvalidRate::OutOfRange)
        };
        Self::new(number(count)?, unit, number(burst)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_with_its_burst() {
        for (text, interval, burst) in [
            ("1/ms burst 1000", 10_000, 1_000),
            ("1000/s burst 1000", 10_000, 1_000),
            (" 30/m  burst 5 ", 20_000_000, 5),
            ("1/h burst 1", 36_000_000_000, 1),
            ("3/s burst 1", 3_333_333, 1),
            ("1000000/s burst 1000000", 10, 1_000_000),
            ("1000/ms burst 1", 10, 1),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.interval(), rate.burst()), (interval, burst), "{text}");
        }
    }

    #[test]
    fn what_is_no_rate_is_refused_with_the_reason() {
        for (text, error) in [
            ("", InvalidRate::Malformed),
            ("1/ms", InvalidRate::Malformed),
            ("1/ms burst", InvalidRate::Malformed),
            ("1/ms burst 1 2", InvalidRate::Malformed),
            ("1/day burst 1", InvalidRate::Malformed),
            ("+1/s burst 1", InvalidRate::Malformed),
            ("/s burst 1", InvalidRate::Malformed),
            ("1 s burst 1", InvalidRate::Malformed),
            ("1/s burst -1", InvalidRate::Malformed),
            ("0/s burst 1", InvalidRate::OutOfRange),
            ("1/s burst 0", InvalidRate::OutOfRange),
            ("1/s burst 1000001", InvalidRate::OutOfRange),
            ("1000001/s burst 1", InvalidRate::OutOfRange),
            ("1001/ms burst 1", InvalidRate::OutOfRange),
            ("99999999999999999999/s burst 1", InvalidRate::OutOfRange),
            ("1/h burst 2", InvalidRate::TooSlow),
            ("1/s burst 3601", InvalidRate::TooSlow),
        ] {
            assert_eq!(text.parse::<Rate>(), Err(error), "{text}");
        }
    }
}

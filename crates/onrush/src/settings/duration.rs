//! Durations as people type them: `60s`, `100ms`, `1m30s`, `1.5h`. The form is that of Go's `time.ParseDuration`
//! without a sign.

/// Milliseconds of a duration. It must be a whole number of them; the error is a phrase that ends a sentence.
pub(super) fn parse_ms(text: &str) -> Result<u64, String> {
    let nanoseconds = parse_ns(text).ok_or_else(|| {
        "is not a duration: numbers with the units ns, us, ms, s, m or h, such as 60s, 100ms or 1m30s"
            .to_owned()
    })?;
    if nanoseconds % 1_000_000 != 0 {
        return Err("is not a whole number of milliseconds".to_owned());
    }
    u64::try_from(nanoseconds / 1_000_000).map_err(|_| "is too long".to_owned())
}

/// Nanoseconds of the sum of all terms; `None` if the text is not such a sum or overflows.
fn parse_ns(text: &str) -> Option<u128> {
    if text.is_empty() {
        return None;
    }
    let mut total: u128 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(number_end);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_end);
        total = total.checked_add(term_ns(number, unit_ns(unit)?)?)?;
        rest = next;
    }
    Some(total)
}

fn unit_ns(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// `number` is digits with at most one point, as in `1`, `1.5`, `.5` or `1.`. What is finer than a nanosecond is cut off.
fn term_ns(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let whole_ns = if whole.is_empty() { 0 } else { whole.parse::<u128>().ok()?.checked_mul(unit)? };
    // Beyond 15 digits a fraction of an hour is less than a nanosecond.
    let digits = &fraction[..fraction.len().min(15)];
    let fraction_ns = if digits.is_empty() {
        0
    } else {
        digits.parse::<u128>().ok()? * unit / 10u128.pow(u32::try_from(digits.len()).ok()?)
    };
    whole_ns.checked_add(fraction_ns)
}

#[cfg(test)]
mod tests {
    use super::parse_ms;

    #[track_caller]
    fn check(rows: &str) {
        for row in rows.lines().map(str::trim).filter(|row| !row.is_empty()) {
            let (text, expected) = row.split_once("->").expect("a row is `text -> expected`");
            let answer = parse_ms(text.trim()).map_or_else(|problem| problem, |ms| ms.to_string());
            assert!(answer.starts_with(expected.trim()), "{row}: {answer}");
        }
    }

    #[test]
    fn durations_add_up() {
        check(
            "60s       -> 60000
             100ms     -> 100
             1m30s     -> 90000
             1h2m3s4ms -> 3723004
             1.5s      -> 1500
             .5s       -> 500
             1.s       -> 1000
             0s        -> 0
             1000us    -> 1
             1000µs    -> 1
             1000000ns -> 1
             24h       -> 86400000
             0.001s    -> 1
             2562047h  -> 9223369200000",
        );
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        check(
            "          -> is not a duration
             60        -> is not a duration
             s         -> is not a duration
             -1s       -> is not a duration
             +1s       -> is not a duration
             1 s       -> is not a duration
             1s 2s     -> is not a duration
             1d        -> is not a duration
             1S        -> is not a duration
             1.2.3s    -> is not a duration
             .s        -> is not a duration
             1e3s      -> is not a duration
             ∞         -> is not a duration
             99999999999999999999999999999999999999999h -> is not a duration
             999999999999999999999h -> is too long
             1500us    -> is not a whole number of milliseconds
             2ns       -> is not a whole number of milliseconds
             0.0005s   -> is not a whole number of milliseconds",
        );
    }
}

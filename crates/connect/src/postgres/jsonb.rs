//! What PostgreSQL's jsonb and text cannot take, though it is valid JSON, and what is stored instead: any client can send it, and
//! it must not stop a sink. Such details and titles become a JSON string that holds the exact text.

use std::borrow::Cow;

use onrush_core::SaleTerms;
use onrush_sinks::{Change, Claim, SinkEvent};

/// Nesting from which on details are kept as text; the server's limit hangs on its stack.
const DEPTH_MAX: u32 = 64;
/// Exponents beyond this are kept as text. Doubles end at 324; PostgreSQL's numeric at 131,072 digits before the point
/// and 16,383 behind it.
const EXPONENT_MAX: u32 = 400;

/// Calls `then` with the event in a form that jsonb takes.
pub(super) fn with_storable<R>(event: &SinkEvent<'_>, then: impl FnOnce(&SinkEvent<'_>) -> R) -> R {
    let mut mended = event.clone();
    match &mut mended.change {
        Change::Reserved { claim, .. }
        | Change::Confirmed { claim, .. }
        | Change::Expired { claim, .. }
        | Change::Released { claim: Some(claim), .. }
            if !fits_jsonb(claim.details) =>
        {
            let text = String::from_utf8_lossy(claim.details);
            let details = quoted(&text).into_bytes();
            *claim = Claim { details: &details, ..*claim };
            then(&mended)
        }
        Change::SalePut { sale_no, sale, terms, stock_nos } if has_nul(terms) => {
            let terms = storable_terms(terms);
            let change = Change::SalePut { sale_no: *sale_no, sale, terms: &terms, stock_nos };
            then(&SinkEvent { change, ..event.clone() })
        }
        _ => then(event),
    }
}

/// A text that a text column takes.
pub(super) fn storable_text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(quoted(text)) } else { Cow::Borrowed(text) }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("texts are JSON strings")
}

fn has_nul(terms: &SaleTerms) -> bool {
    terms.title.contains('\0') || terms.stocks.iter().any(|stock| stock.title.contains('\0'))
}

fn storable_terms(terms: &SaleTerms) -> SaleTerms {
    let mut terms = terms.clone();
    terms.title = storable_text(&terms.title).into_owned();
    for stock in &mut terms.stocks {
        stock.title = storable_text(&stock.title).into_owned();
    }
    terms
}

/// Whether jsonb takes this JSON text without a complaint. May err on the side of no.
pub(super) fn fits_jsonb(json: &[u8]) -> bool {
    let mut rest = json;
    let mut depth = 0;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match byte {
            b'"' => match after_string(rest) {
                Some(tail) => rest = tail,
                None => return false,
            },
            b'{' | b'[' => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return false;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            // Outside strings an e follows a digit only in an exponent.
            b'e' | b'E' if is_exponent_too_large(rest) => return false,
            _ => {}
        }
    }
    true
}

/// What follows the string whose opening quote was read; `None` if the string has what jsonb cannot take.
fn after_string(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        match rest {
            [b'"', tail @ ..] => return Some(tail),
            [b'\\', b'u', tail @ ..] => match utf16_unit(tail)? {
                0 | 0xdc00..=0xdfff => return None,
                0xd800..=0xdbff => {
                    let low = tail.get(4..)?.strip_prefix(b"\\u")?;
                    if !(0xdc00..=0xdfff).contains(&utf16_unit(low)?) {
                        return None;
                    }
                    rest = &low[4..];
                }
                _ => rest = &tail[4..],
            },
            [b'\\', _, tail @ ..] | [_, tail @ ..] => rest = tail,
            [] => return None,
        }
    }
}

fn utf16_unit(hex: &[u8]) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(hex.get(..4)?).ok()?, 16).ok()
}

/// Whether the number behind an `e` is too large; the words `true` and `false` have no digits there.
fn is_exponent_too_large(rest: &[u8]) -> bool {
    let digits = rest.strip_prefix(b"+").or_else(|| rest.strip_prefix(b"-")).unwrap_or(rest);
    let exponent = digits.iter().take_while(|byte| byte.is_ascii_digit());
    exponent.fold(0_u32, |sum, digit| sum.saturating_mul(10).saturating_add(u32::from(digit - b'0')))
        > EXPONENT_MAX
}

#[cfg(test)]
mod tests {
    use super::fits_jsonb;

    #[test]
    fn only_what_jsonb_cannot_take_is_kept_as_text() {
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        for (json, fits) in [
            ("{}", true),
            (r#"{"a":"b\"\\u0000"}"#, true),
            (r#"{"a":"\u0000"}"#, false),
            (r#"{"\u0000":1}"#, false),
            (r#"{"a":"\\\u0000"}"#, false),
            (r#"{"a":"\u0001\u00e9\ufffe"}"#, true),
            (r#"{"a":"\ud83d\ude00"}"#, true),
            (r#"{"a":"\uD83D\uDE00"}"#, true),
            (r#"{"a":"\ud83d"}"#, false),
            (r#"{"a":"\ud83dx"}"#, false),
            (r#"{"a":"\ud83d\n"}"#, false),
            (r#"{"a":"\ud83d\ud83d"}"#, false),
            (r#"{"a":"\ude00"}"#, false),
            (r#"{"a":[true,false,null,1e400,-1.5E-400]}"#, true),
            (r#"{"a":1e401}"#, false),
            (r#"{"a":1E+99999999999999999999}"#, false),
            (r#"{"a":1e-20000}"#, false),
            (r#"{"a":"1e99999"}"#, true),
            (r#"{"a":12345678901234567890123456789012345678901234567890}"#, true),
            (&nested(64), true),
            (&nested(65), false),
        ] {
            assert_eq!(fits_jsonb(json.as_bytes()), fits, "{json}");
        }
    }
}

//! Which page of the denylist is asked for.

use onrush_core::DenialKind;
use onrush_node::Name;

use crate::http::query::{parameters, whole_number};
use crate::limits::LIST_LIMIT_MAX;
use crate::problem::Problem;

/// Denials on one page if the request does not say.
pub(super) const LIST_LIMIT_DEFAULT: u16 = 20;

/// The query of `GET /v1/denylist`: behind which denial the page begins, and how many it has at most.
pub(super) fn parse_page(query: Option<&str>) -> Result<(Option<(DenialKind, Name)>, u16), Problem> {
    let [limit, cursor] = parameters(query, ["limit", "cursor"])?;
    let limit = match limit {
        Some(limit) => whole_number("limit", &limit, u32::from(LIST_LIMIT_MAX))?,
        None => u32::from(LIST_LIMIT_DEFAULT),
    };
    let after = cursor.map(|cursor| read_cursor(&cursor)).transpose()?;
    Ok((after, u16::try_from(limit).unwrap_or(LIST_LIMIT_MAX)))
}

/// Appends the cursor of the page behind a denial: the first letter of its kind and its value in hexadecimal.
pub(super) fn write_cursor(out: &mut Vec<u8>, kind: DenialKind, value: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(letter(kind));
    for byte in value.bytes() {
        out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}

fn letter(kind: DenialKind) -> u8 {
    kind.as_str().as_bytes()[0]
}

fn read_cursor(cursor: &str) -> Result<(DenialKind, Name), Problem> {
    let read = || {
        let (first, hex) = cursor.as_bytes().split_first()?;
        let kind = DenialKind::ALL.into_iter().find(|kind| letter(*kind) == *first)?;
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
        let bytes: Option<Vec<u8>> = hex
            .chunks(2)
            .map(|pair| match pair {
                [high, low] => Some((digit(*high)? << 4) | digit(*low)?),
                _ => None,
            })
            .collect();
        let value = String::from_utf8(bytes?).ok().filter(|value| kind.takes(value))?;
        Some((kind, Name::from(value)))
    };
    read().ok_or_else(|| Problem::invalid("cursor", "must be the next_cursor of an earlier page"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nothing_else_is_one() {
        for (kind, value) in [(DenialKind::Customer, "ada"), (DenialKind::Address, "2001:db8::/32")] {
            let mut cursor = Vec::new();
            write_cursor(&mut cursor, kind, value);
            let read = read_cursor(std::str::from_utf8(&cursor).unwrap()).unwrap();
            assert_eq!((read.0, read.1.as_str()), (kind, value));
        }
        for cursor in ["", "c", "x616461", "c61646", "a616461", "c20", "czz"] {
            assert!(read_cursor(cursor).is_err(), "{cursor}");
        }
    }
}

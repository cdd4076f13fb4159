//! Which page of the list of sales is asked for.

use onrush_core::is_name;
use onrush_node::Name;

use crate::http::query::{parameters, whole_number};
use crate::limits::LIST_LIMIT_MAX;
use crate::problem::Problem;

/// Sales on one page if the request does not say.
pub(crate) const LIST_LIMIT_DEFAULT: u16 = 20;

/// The first byte of a cursor, so that a later form can be told from this one.
const CURSOR_VERSION: u8 = 1;

/// Which page of a list is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ListQuery {
    /// The last name of the page before.
    pub after: Option<Name>,
    /// 1 to [`LIST_LIMIT_MAX`].
    pub limit: u16,
}

/// The query of `GET /v1/sales`: `limit` and `cursor`.
pub(crate) fn parse_list(query: Option<&str>) -> Result<ListQuery, Problem> {
    let [limit, cursor] = parameters(query, ["limit", "cursor"])?;
    let limit = match limit {
        Some(limit) => whole_number("limit", &limit, u32::from(LIST_LIMIT_MAX))?,
        None => u32::from(LIST_LIMIT_DEFAULT),
    };
    let after = cursor.map(|cursor| read_cursor(&cursor)).transpose()?;
    Ok(ListQuery { after, limit: u16::try_from(limit).unwrap_or(LIST_LIMIT_MAX) })
}

/// Appends the cursor of the page after the one that ends with `name`: a version byte and the name, in hexadecimal.
pub(crate) fn write_cursor(out: &mut Vec<u8>, name: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for byte in std::iter::once(CURSOR_VERSION).chain(name.bytes()) {
        out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}

fn hex_value(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn read_cursor(cursor: &str) -> Result<Name, Problem> {
    let bytes: Option<Vec<u8>> = cursor
        .as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some((hex_value(*high)? << 4) | hex_value(*low)?),
            _ => None,
        })
        .collect();
    bytes
        .as_deref()
        .and_then(|bytes| bytes.strip_prefix(&[CURSOR_VERSION]))
        .and_then(|name| std::str::from_utf8(name).ok())
        .filter(|name| is_name(name))
        .map(Name::from)
        .ok_or_else(|| Problem::invalid("cursor", "must be the next_cursor of an earlier page"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages() {
        let list = |after: Option<&str>, limit| Some(ListQuery { after: after.map(Name::from), limit });
        for (query, expected) in [
            (None, list(None, LIST_LIMIT_DEFAULT)),
            (Some("limit=1"), list(None, 1)),
            (Some("limit=100&cursor=0150575443"), list(Some("PWTC"), 100)),
            (Some("limit=0"), None),
            (Some("limit=101"), None),
            (Some("cursor="), None),
            (Some("cursor=01"), None),
            (Some("cursor=0250575443"), None),
            (Some("cursor=015057544"), None),
            (Some("cursor=0120"), None),
            (Some("cursor=xyz"), None),
            (Some("page=2"), None),
        ] {
            assert_eq!(parse_list(query).ok(), expected, "{query:?}");
        }
    }

    #[test]
    fn a_cursor_reads_back() {
        for name in ["a", "~:@-", &"x".repeat(64)] {
            let mut cursor = Vec::new();
            write_cursor(&mut cursor, name);
            assert_eq!(read_cursor(std::str::from_utf8(&cursor).unwrap()).unwrap(), name);
        }
    }
}

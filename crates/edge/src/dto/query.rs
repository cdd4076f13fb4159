//! Query parameters. Unknown and repeated ones are errors, as unknown fields of a body are.

use std::borrow::Cow;

use onrush_core::{ADD_MAX, is_name};
use onrush_node::Name;

use crate::problem::Problem;
use crate::text::{decode_segment, hex_value};

/// Sales on one page of the list.
pub const LIST_LIMIT_MAX: u16 = 100;

/// Sales on one page if the request does not say.
pub const LIST_LIMIT_DEFAULT: u16 = 20;

/// The first byte of a cursor, so that a later form can be told from this one.
const CURSOR_VERSION: u8 = 1;

/// Which page of a list is asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// The last name of the page before.
    pub after: Option<Name>,
    /// 1 to [`LIST_LIMIT_MAX`].
    pub limit: u16,
}

/// The query of a call that takes no parameters.
pub fn parse_no_query(query: Option<&str>) -> Result<(), Problem> {
    parameters(query, []).map(|[]| ())
}

/// The query of `POST /v1/counters/{counter}`: `by`, 1 to [`ADD_MAX`], or 1.
pub fn parse_by(query: Option<&str>) -> Result<u32, Problem> {
    let [by] = parameters(query, ["by"])?;
    by.map_or(Ok(1), |by| whole_number("by", &by, ADD_MAX))
}

/// The query of `GET /v1/sales`: `limit` and `cursor`.
pub fn parse_list(query: Option<&str>) -> Result<ListQuery, Problem> {
    let [limit, cursor] = parameters(query, ["limit", "cursor"])?;
    let limit = match limit {
        Some(limit) => whole_number("limit", &limit, u32::from(LIST_LIMIT_MAX))?,
        None => u32::from(LIST_LIMIT_DEFAULT),
    };
    let after = cursor.map(|cursor| read_cursor(&cursor)).transpose()?;
    Ok(ListQuery { after, limit: u16::try_from(limit).unwrap_or(LIST_LIMIT_MAX) })
}

/// Appends the cursor of the page after the one that ends with `name`: a version byte and the name, in hexadecimal.
pub fn write_cursor(out: &mut Vec<u8>, name: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for byte in std::iter::once(CURSOR_VERSION).chain(name.bytes()) {
        out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
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

/// The decoded values of the parameters that are `known`, in that order.
fn parameters<'a, const N: usize>(
    query: Option<&'a str>,
    known: [&'static str; N],
) -> Result<[Option<Cow<'a, str>>; N], Problem> {
    let mut values = [const { None }; N];
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decoded = decode_segment(name).zip(decode_segment(value));
        let Some((name, value)) = decoded else {
            return Err(Problem::malformed("The query is not percent-encoded UTF-8."));
        };
        let Some(at) = known.iter().position(|known| *known == name) else {
            let rule = match known.as_slice() {
                [] => "is not a query parameter of this call, which takes none".to_owned(),
                known => {
                    format!("is not a query parameter of this call, which takes {}", known.join(" and "))
                }
            };
            return Err(Problem::invalid(name.into_owned(), &rule));
        };
        if values[at].replace(value).is_some() {
            return Err(Problem::invalid(known[at], "is given twice"));
        }
    }
    Ok(values)
}

fn whole_number(field: &'static str, text: &str, max: u32) -> Result<u32, Problem> {
    Some(text)
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .filter(|number| (1..=max).contains(number))
        .ok_or_else(|| Problem::invalid(field, &format!("must be a whole number from 1 to {max}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn additions_on_both_sides_of_their_bounds() {
        for (query, by) in [
            (None, Some(1)),
            (Some(""), Some(1)),
            (Some("by=1"), Some(1)),
            (Some("by=1000000"), Some(1_000_000)),
            (Some("b%79=%37&"), Some(7)),
            (Some("by=0"), None),
            (Some("by=1000001"), None),
            (Some("by=-1"), None),
            (Some("by=+1"), None),
            (Some("by=1.0"), None),
            (Some("by="), None),
            (Some("by"), None),
            (Some("by=1&by=1"), None),
            (Some("bye=1"), None),
            (Some("by=99999999999999999999"), None),
            (Some("by=%ff"), None),
        ] {
            assert_eq!(parse_by(query).ok(), by, "{query:?}");
        }
    }

    #[test]
    fn calls_without_parameters() {
        for query in [None, Some(""), Some("&&")] {
            parse_no_query(query).unwrap();
        }
        for (query, field) in [("a", "a"), ("dry_run=true", "dry_run"), ("%61=1", "a"), ("=1", "")] {
            let problem = parse_no_query(Some(query)).unwrap_err();
            assert!(problem.detail().starts_with(&format!("`{field}` is not a query parameter")), "{query}");
        }
    }

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

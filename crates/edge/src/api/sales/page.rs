//! Which page of the list of sales is asked for.

use onrush_core::is_name;
use onrush_node::Name;

use crate::http::page::{checked_page, parse_page, read_hex, write_hex};
use crate::problem::Problem;

/// The first byte of a cursor, so that a later form can be told from this one.
const CURSOR_VERSION: u8 = 1;

/// Which page of a list is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ListQuery {
    /// The last name of the page before.
    pub after: Option<Name>,
    /// 1 to [`crate::limits::LIST_LIMIT_MAX`].
    pub limit: u16,
}

/// The query of `GET /v1/sales`: `limit` and `cursor`.
pub(crate) fn parse_list(query: Option<&str>) -> Result<ListQuery, Problem> {
    let (after, limit) = parse_page(query, read_cursor)?;
    Ok(ListQuery { after, limit })
}

/// The same of what was asked for in a message, where a limit of 0 and an empty cursor are none.
pub(crate) fn check_list(limit: u32, cursor: &str) -> Result<ListQuery, Problem> {
    let cursor = Some(cursor).filter(|cursor| !cursor.is_empty());
    let (after, limit) = checked_page(limit, cursor, read_cursor)?;
    Ok(ListQuery { after, limit })
}

/// Appends the cursor of the page after the one that ends with `name`: a version byte and the name, in hexadecimal.
pub(crate) fn write_cursor(out: &mut Vec<u8>, name: &str) {
    write_hex(out, &[CURSOR_VERSION]);
    write_hex(out, name.as_bytes());
}

fn read_cursor(cursor: &str) -> Option<Name> {
    let bytes = read_hex(cursor.as_bytes())?;
    let name = std::str::from_utf8(bytes.strip_prefix(&[CURSOR_VERSION])?).ok()?;
    is_name(name).then(|| Name::from(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::page::LIST_LIMIT_DEFAULT;

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

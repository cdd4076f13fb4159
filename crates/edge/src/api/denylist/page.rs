//! Which page of the denylist is asked for.

use onrush_core::DenialKind;
use onrush_node::Name;

use crate::http::page::{parse_page, read_hex, write_hex};
use crate::problem::Problem;

/// The query of `GET /v1/denylist`: behind which denial the page begins, and how many it has at most.
pub(super) fn parse_list(query: Option<&str>) -> Result<(Option<(DenialKind, Name)>, u16), Problem> {
    parse_page(query, read_cursor)
}

/// Appends the cursor of the page behind a denial: the first letter of its kind and its value in hexadecimal.
pub(super) fn write_cursor(out: &mut Vec<u8>, kind: DenialKind, value: &str) {
    out.push(letter(kind));
    write_hex(out, value.as_bytes());
}

fn letter(kind: DenialKind) -> u8 {
    kind.as_str().as_bytes()[0]
}

fn read_cursor(cursor: &str) -> Option<(DenialKind, Name)> {
    let (first, hex) = cursor.as_bytes().split_first()?;
    let kind = DenialKind::ALL.into_iter().find(|kind| letter(*kind) == *first)?;
    let value = String::from_utf8(read_hex(hex)?).ok().filter(|value| kind.takes(value))?;
    Some((kind, Name::from(value)))
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
            assert!(read_cursor(cursor).is_none(), "{cursor}");
        }
    }
}

//! Which page of a list is asked for, and the form of the cursor of the next one. What a cursor holds is the list's own.

use crate::http::query::{parameters, whole_number};
use crate::limits::LIST_LIMIT_MAX;
use crate::problem::Problem;

/// Entries on one page if the request does not say.
pub(crate) const LIST_LIMIT_DEFAULT: u16 = 20;

/// The query of a list, `limit` and `cursor`: what `read` makes of the cursor, and how many entries the page has at most, 1
/// to [`LIST_LIMIT_MAX`].
///
/// # Errors
/// There are other parameters, the limit is out of bounds, or `read` makes nothing of the cursor.
pub(crate) fn parse_page<T>(
    query: Option<&str>,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<(Option<T>, u16), Problem> {
    let [limit, cursor] = parameters(query, ["limit", "cursor"])?;
    let limit = match limit {
        Some(limit) => whole_number("limit", &limit, u32::from(LIST_LIMIT_MAX))?,
        None => 0,
    };
    checked_page(limit, cursor.as_deref(), read)
}

/// The same of what was asked for in another way; a limit of 0 stands for [`LIST_LIMIT_DEFAULT`].
///
/// # Errors
/// The limit is out of bounds, or `read` makes nothing of the cursor.
pub(crate) fn checked_page<T>(
    limit: u32,
    cursor: Option<&str>,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<(Option<T>, u16), Problem> {
    let limit = match u16::try_from(limit) {
        Ok(0) => LIST_LIMIT_DEFAULT,
        Ok(limit @ ..=LIST_LIMIT_MAX) => limit,
        _ => return Err(Problem::invalid("limit", &format!("must be at most {LIST_LIMIT_MAX}"))),
    };
    let after = cursor.map(|cursor| {
        let read = read(cursor);
        read.ok_or_else(|| Problem::invalid("cursor", "must be the next_cursor of an earlier page"))
    });
    Ok((after.transpose()?, limit))
}

/// Appends bytes in hexadecimal.
pub(crate) fn write_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}

/// The bytes that a text in hexadecimal stands for.
pub(crate) fn read_hex(text: &[u8]) -> Option<Vec<u8>> {
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some((value(*high)? << 4) | value(*low)?),
        _ => None,
    };
    text.chunks(2).map(byte).collect()
}

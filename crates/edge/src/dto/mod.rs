//! The bodies of requests and answers, with types of their own. Parsers check every bound and name the field and the limit
//! that was missed; writers append JSON in the contract's order of fields without going through a serializer.

mod json;
mod query;
mod reservation;
mod sale;
mod sale_terms;
pub(crate) mod sink;
mod tally;

pub use json::{Object, parse_json};
pub use query::{
    LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX, ListQuery, parse_by, parse_list, parse_no_query, write_cursor,
};
pub use reservation::{
    parse_reservation, reservation_status_text, write_reservation, write_reservations, write_reserved,
};
pub use sale::{sale_etag, sale_status_text, sales_etag, write_sale, write_sales};
pub use sale_terms::{parse_sale, parse_sale_change};
pub use sink::{parse_skip, write_sink, write_sinks};
pub use tally::{parse_window_shape, write_counter, write_window, write_window_shape};

use std::borrow::Cow;

use onrush_core::{KEY_BYTES_MAX, NAME_BYTES_MAX, is_name};
use onrush_node::Name;

use crate::problem::Problem;
use crate::text::decode_segment;

/// What a name must be, in words that finish the sentence "`field` …".
pub const NAME_RULE: &str = "must be 1 to 64 characters of A-Z a-z 0-9 . _ ~ : @ -, and not . or ..";

/// The media type of a change of single fields.
pub const MERGE_PATCH: &str = "application/merge-patch+json";

const KEY_RULE: &str = "must be 1 to 128 printable ASCII characters";

const _: () = assert!(NAME_BYTES_MAX == 64 && KEY_BYTES_MAX == 128, "the rules say these numbers");

/// The name in a percent-encoded path segment; `field` is what the path calls it.
pub fn parse_name(segment: &str, field: &'static str) -> Result<Name, Problem> {
    decode_segment(segment)
        .filter(|name| is_name(name))
        .map(|name| Name::from(&*name))
        .ok_or_else(|| Problem::invalid(field, NAME_RULE))
}

/// The text of an `Idempotency-Key` header field: 1 to [`KEY_BYTES_MAX`] bytes between space and `~`.
pub fn parse_idempotency_key(value: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(value)
        .ok()
        .filter(|key| {
            (1..=KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        })
        .ok_or_else(|| Problem::invalid("Idempotency-Key", KEY_RULE))
}

/// Whether a `Content-Type` header field says JSON. Parameters such as a charset are not looked at.
pub fn is_json(content_type: Option<&[u8]>) -> bool {
    has_media_type(content_type, b"application/json")
}

/// Whether a `Content-Type` header field says JSON merge patch (RFC 7396).
pub fn is_merge_patch(content_type: Option<&[u8]>) -> bool {
    has_media_type(content_type, MERGE_PATCH.as_bytes())
}

fn has_media_type(content_type: Option<&[u8]>, wanted: &[u8]) -> bool {
    let Some(value) = content_type else { return false };
    let media_type = value.split(|byte| *byte == b';').next().unwrap_or_default();
    media_type.trim_ascii().eq_ignore_ascii_case(wanted)
}

/// A checked name of a JSON field; `field` is its path.
fn name_field(text: &str, field: impl FnOnce() -> Cow<'static, str>) -> Result<Name, Problem> {
    if is_name(text) { Ok(Name::from(text)) } else { Err(Problem::invalid(field(), NAME_RULE)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types() {
        for value in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            " application/json ;x",
        ] {
            assert!(is_json(Some(value.as_bytes())), "{value}");
        }
        for value in ["", "text/plain", "application/jsonx", "application/x-www-form-urlencoded", "json"] {
            assert!(!is_json(Some(value.as_bytes())), "{value}");
        }
        assert!(!is_json(None));
    }

    #[test]
    fn idempotency_keys() {
        for key in ["k", "a b", "~", &"x".repeat(128)] {
            assert_eq!(parse_idempotency_key(key.as_bytes()).unwrap(), key);
        }
        for key in [&b""[..], b"\t", b"\x7f", "é".as_bytes(), b"\xff", "x".repeat(129).as_bytes()] {
            let problem = parse_idempotency_key(key).unwrap_err();
            assert_eq!((problem.status(), problem.detail().contains("128")), (400, true), "{key:?}");
        }
    }

    #[test]
    fn names_in_paths() {
        for (segment, name) in
            [("home", Some("home")), ("a%3Ab", Some("a:b")), ("a%20b", None), ("", None), ("%", None)]
        {
            assert_eq!(parse_name(segment, "counter").ok().as_deref(), name, "{segment}");
        }
    }
}

//! Names in paths and bodies.

use std::borrow::Cow;

use onrush_core::{NEW_NAME_RULE, is_name};
use onrush_node::Name;

use crate::problem::Problem;
use crate::text::decode_segment;

/// The name in a percent-encoded path segment; `field` is what the path calls it.
pub(crate) fn parse_name(segment: &str, field: &'static str) -> Result<Name, Problem> {
    decode_segment(segment)
        .filter(|name| is_name(name))
        .map(|name| Name::from(&*name))
        .ok_or_else(|| Problem::invalid(field, NEW_NAME_RULE))
}

/// A checked name of a JSON field; `field` is its path.
pub(crate) fn name_field(text: &str, field: impl FnOnce() -> Cow<'static, str>) -> Result<Name, Problem> {
    if is_name(text) { Ok(Name::from(text)) } else { Err(Problem::invalid(field(), NEW_NAME_RULE)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_paths() {
        for (segment, name) in
            [("home", Some("home")), ("a%3Ab", Some("a:b")), ("a%20b", None), ("", None), ("%", None)]
        {
            assert_eq!(parse_name(segment, "counter").ok().as_deref(), name, "{segment}");
        }
    }
}

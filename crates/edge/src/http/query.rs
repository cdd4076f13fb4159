//! Query parameters. Unknown and repeated ones are errors, as unknown fields of a body are.

use std::borrow::Cow;

use super::pairs::Pairs;
use crate::problem::Problem;
use crate::text::decode_segment;

const QUERY: Pairs = Pairs {
    decode: decode_segment,
    malformed: "The query is not percent-encoded UTF-8.",
    unknown: |known| match known {
        [] => "is not a query parameter of this call, which takes none".to_owned(),
        known => format!("is not a query parameter of this call, which takes {}", known.join(" and ")),
    },
};

/// The query of a call that takes no parameters.
pub(crate) fn parse_no_query(query: Option<&str>) -> Result<(), Problem> {
    parameters(query, []).map(|[]| ())
}

/// The decoded values of the parameters that are `known`, in that order.
pub(crate) fn parameters<'a, const N: usize>(
    query: Option<&'a str>,
    known: [&'static str; N],
) -> Result<[Option<Cow<'a, str>>; N], Problem> {
    QUERY.values(query.unwrap_or_default(), known)
}

/// The same for a call that decodes the values itself.
pub(crate) fn encoded_parameters<'a, const N: usize>(
    query: Option<&'a str>,
    known: [&'static str; N],
) -> Result<[Option<Cow<'a, str>>; N], Problem> {
    const ENCODED: Pairs = Pairs { decode: |text| Some(Cow::Borrowed(text)), ..QUERY };
    ENCODED.values(query.unwrap_or_default(), known)
}

/// The query of a call that takes one parameter, which is true or false, and false if it is absent.
pub(crate) fn flag(query: Option<&str>, name: &'static str) -> Result<bool, Problem> {
    let [value] = parameters(query, [name])?;
    match value.as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Problem::invalid(name, "must be true or false")),
    }
}

/// A whole number from 1 to `max` in the value `text` of the parameter `field`.
pub(crate) fn whole_number(field: &'static str, text: &str, max: u32) -> Result<u32, Problem> {
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
    fn a_flag_is_said_in_full() {
        for (query, expected) in [
            (None, Some(false)),
            (Some("force=false"), Some(false)),
            (Some("force=true"), Some(true)),
            (Some("force"), None),
            (Some("force=1"), None),
            (Some("force=TRUE"), None),
            (Some("force=true&force=true"), None),
            (Some("forced=true"), None),
        ] {
            assert_eq!(flag(query, "force").ok(), expected, "{query:?}");
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
}

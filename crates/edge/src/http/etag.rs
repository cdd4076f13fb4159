//! Entity tags in fields of preconditions (RFC 9110, sections 8.8.3 and 13.1).

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::problem::Problem;

const TAGS_RULE: &str = "must be * or a list of entity tags in double quotes";

/// What a field of preconditions names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Tags {
    Any,
    These(Vec<Tag>),
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) is_weak: bool,
    /// With its quotes.
    pub(crate) quoted: Vec<u8>,
}

/// Whether a client that sends this `If-None-Match` has what this tag stands for. What is no list of tags names none.
pub(crate) fn is_known(fields: &HeaderMap, etag: &str) -> bool {
    match read_tags(fields, &header::IF_NONE_MATCH) {
        Ok(Some(Tags::Any)) => true,
        Ok(Some(Tags::These(tags))) => tags.iter().any(|tag| tag.quoted == etag.as_bytes()),
        Ok(None) | Err(_) => false,
    }
}

/// All tags of all fields of this name; nothing if there is none.
pub(crate) fn read_tags(fields: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>, Problem> {
    let values: Vec<&[u8]> = fields.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    if values.is_empty() {
        return Ok(None);
    }
    let list = values.join(&b", "[..]);
    if list.trim_ascii() == b"*" {
        return Ok(Some(Tags::Any));
    }
    let field = if *name == header::IF_MATCH { "If-Match" } else { "If-None-Match" };
    let tags = split_tags(&list).filter(|tags| !tags.is_empty());
    tags.map(|tags| Some(Tags::These(tags))).ok_or_else(|| Problem::invalid(field, TAGS_RULE))
}

/// The tags of a list, in which empty entries count for nothing (RFC 9110, section 5.6.1).
fn split_tags(list: &[u8]) -> Option<Vec<Tag>> {
    let mut tags = Vec::new();
    let mut rest = list.trim_ascii_start();
    while let Some(first) = rest.first() {
        if *first != b',' {
            let (is_weak, quoted) = rest.strip_prefix(b"W/").map_or((false, rest), |quoted| (true, quoted));
            let end = memchr::memchr(b'"', quoted.strip_prefix(b"\"")?)? + 2;
            let (quoted, behind) = quoted.split_at(end);
            tags.push(Tag { is_weak, quoted: quoted.to_vec() });
            rest = behind.trim_ascii_start();
            if rest.is_empty() {
                break;
            }
        }
        rest = rest.strip_prefix(b",")?.trim_ascii_start();
    }
    Some(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_has_is_known_by_any_of_its_tags() {
        for (value, known) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", \"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("\"b,\"a\"", false),
            ("a", false),
            ("", false),
        ] {
            let mut fields = HeaderMap::new();
            fields.insert("if-none-match", HeaderValue::from_static(value));
            assert_eq!(is_known(&fields, "\"a\""), known, "{value}");
        }
        assert!(!is_known(&HeaderMap::new(), "\"a\""));
    }
}

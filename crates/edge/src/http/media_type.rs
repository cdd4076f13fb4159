//! Media types of bodies.

/// The media type of JSON.
pub(crate) const JSON: &str = "application/json";

/// The media type of a change of single fields.
pub(crate) const MERGE_PATCH: &str = "application/merge-patch+json";

/// The media type of lines of JSON.
pub(crate) const JSON_LINES: &str = "application/x-ndjson";

/// The media type of an HTML form.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// Whether a `Content-Type` header field says JSON. Parameters such as a charset are not looked at.
pub(crate) fn is_json(content_type: Option<&[u8]>) -> bool {
    has_media_type(content_type, JSON.as_bytes())
}

/// Whether a `Content-Type` header field says JSON merge patch (RFC 7396).
pub(crate) fn is_merge_patch(content_type: Option<&[u8]>) -> bool {
    has_media_type(content_type, MERGE_PATCH.as_bytes())
}

/// Whether a `Content-Type` header field says that each line of the body is JSON, in any of its usual names.
pub(crate) fn is_json_lines(content_type: Option<&[u8]>) -> bool {
    [JSON_LINES, "application/ndjson", "application/jsonl", "application/json-lines"]
        .iter()
        .any(|wanted| has_media_type(content_type, wanted.as_bytes()))
}

/// Whether a `Content-Type` header field says that the body is an HTML form.
pub(crate) fn is_form(content_type: Option<&[u8]>) -> bool {
    has_media_type(content_type, FORM.as_bytes())
}

fn has_media_type(content_type: Option<&[u8]>, wanted: &[u8]) -> bool {
    let Some(value) = content_type else { return false };
    let media_type = value.split(|byte| *byte == b';').next().unwrap_or_default();
    media_type.trim_ascii().eq_ignore_ascii_case(wanted)
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
}

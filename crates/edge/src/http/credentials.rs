//! What a request carries to say who sends it: `Authorization` (RFC 6750, RFC 7617) and cookies (RFC 6265).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::request::Fields;

/// The token of the first `Authorization` if that is of scheme `Bearer`.
pub(crate) fn bearer<'a>(fields: &Fields<'a>) -> Option<&'a [u8]> {
    let credentials = fields.all("authorization").next()?;
    let (scheme, token) = credentials.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

/// The password of the first `Authorization` if that is of scheme `Basic`, whatever the name before it.
pub(crate) fn basic_password(fields: &Fields<'_>) -> Option<Vec<u8>> {
    let credentials = fields.all("authorization").next()?;
    let (scheme, pair) = credentials.split_at_checked("Basic ".len())?;
    let pair = STANDARD.decode(pair.trim_ascii()).ok().filter(|_| scheme.eq_ignore_ascii_case(b"Basic "))?;
    let colon = memchr::memchr(b':', &pair)?;
    Some(pair[colon + 1..].to_vec())
}

/// The value of the first cookie of this name.
pub(crate) fn cookie<'a>(fields: &Fields<'a>, name: &str) -> Option<&'a [u8]> {
    find_cookie(fields.all("cookie"), name)
}

/// The same of the values of all fields `Cookie` of a request, in their order. A value in quotes is told without them.
pub fn find_cookie<'a>(fields: impl Iterator<Item = &'a [u8]>, name: &str) -> Option<&'a [u8]> {
    fields.flat_map(|cookies| cookies.split(|byte| *byte == b';')).find_map(|pair| {
        let value = pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        // A value may be in quotes.
        Some(value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value))
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn fields(values: &[(&'static str, &'static str)]) -> HeaderMap {
        values.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn bearer_tokens() {
        for (value, expected) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Bearer ", Some("")),
            ("Bearer", None),
            ("Bearerabc", None),
            ("Basic abc", None),
            ("", None),
        ] {
            let fields = fields(&[("authorization", value)]);
            assert_eq!(bearer(&Fields::Mapped(&fields)), expected.map(str::as_bytes), "{value}");
        }
    }

    #[test]
    fn passwords() {
        for (value, expected) in [
            ("Basic YTpi", Some("b")),
            ("basic  Ojpi ", Some(":b")),
            ("Basic YTo=", Some("")),
            ("Basic YQ==", None),
            ("Basic !", None),
            ("Basic", None),
            ("Bearer YTpi", None),
        ] {
            let fields = fields(&[("authorization", value)]);
            let password = basic_password(&Fields::Mapped(&fields));
            assert_eq!(password.as_deref(), expected.map(str::as_bytes), "{value}");
        }
    }

    #[test]
    fn cookies() {
        for (values, expected) in [
            (&["s=1"][..], Some("1")),
            (&["a=0; s=1; s=2"], Some("1")),
            (&["a=0", "s=2"], Some("2")),
            (&["a=0;s=\"1\""], Some("1")),
            (&["s="], Some("")),
            (&["s=a=b"], Some("a=b")),
            (&["s"], None),
            (&["ss=1; xs=2; S=3"], None),
            (&[";;=;"], None),
            (&[], None),
        ] {
            let fields = fields(&values.iter().map(|value| ("cookie", *value)).collect::<Vec<_>>());
            assert_eq!(cookie(&Fields::Mapped(&fields), "s"), expected.map(str::as_bytes), "{values:?}");
        }
    }
}

//! Origins of pages, as an operator lists them and as browsers send them in `Origin` (RFC 6454, section 6.2).

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use super::authority::is_authority;

/// Where a page is from: a scheme, a host, and a port if it is not the scheme's own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin(String);

/// Why a text is no [`Origin`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidOrigin {
    /// It has a star.
    Wildcard,
    /// It is `null`.
    Null,
    /// It is none at all.
    Malformed,
    /// It means this origin, and no browser writes it so.
    NotAsSent(Origin),
}

impl Origin {
    /// As browsers send it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        if text.contains('*') {
            return Err(InvalidOrigin::Wildcard);
        }
        if text == "null" {
            return Err(InvalidOrigin::Null);
        }
        let origin = serialized(text).map(Self).ok_or(InvalidOrigin::Malformed)?;
        if origin.0 == text { Ok(origin) } else { Err(InvalidOrigin::NotAsSent(origin)) }
    }
}

/// The origin that a text means, which may have capital letters, the scheme's own port and a slash behind it.
fn serialized(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let own_port = match scheme.as_str() {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if !is_authority(authority.as_bytes()) {
        return None;
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let host = match host.strip_prefix('[').and_then(|literal| literal.strip_suffix(']')) {
        Some(literal) => format!("[{}]", literal.parse::<Ipv6Addr>().ok()?),
        None => host.to_ascii_lowercase(),
    };
    let is_host_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[:]".contains(&byte);
    if host.is_empty() || !host.bytes().all(is_host_byte) {
        return None;
    }
    match port.map(str::parse::<u16>) {
        None => Some(format!("{scheme}://{host}")),
        Some(Ok(port)) if port == own_port => Some(format!("{scheme}://{host}")),
        Some(Ok(port @ 1..)) => Some(format!("{scheme}://{host}:{port}")),
        Some(Ok(0) | Err(_)) => None,
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for InvalidOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wildcard => f.write_str(
                "has a star, which would let pages of anybody act with the sessions of customers: list each origin",
            ),
            Self::Null => f.write_str(
                "is what browsers send for pages whose origin they hide, whoever made them: list origins by name",
            ),
            Self::Malformed => f.write_str(
                "must be the origin of pages, such as https://shop.example or http://localhost:3000, with other letters than ASCII as xn--…",
            ),
            Self::NotAsSent(origin) => write!(f, "is not as browsers send it: write {origin}"),
        }
    }
}

impl std::error::Error for InvalidOrigin {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_send_it() {
        for good in [
            "https://shop.example",
            "http://localhost:3000",
            "https://shop.example:8443",
            "http://shop.example:443",
            "http://127.0.0.1:8080",
            "http://[::1]:3000",
            "https://[2001:db8::7]",
            "https://xn--bcher-kva.example",
            "https://shop",
        ] {
            assert_eq!(good.parse::<Origin>().map(|origin| origin.to_string()), Ok(good.to_owned()));
        }
        for (text, origin) in [
            ("HTTPS://Shop.Example", "https://shop.example"),
            ("https://shop.example/", "https://shop.example"),
            ("https://shop.example:443", "https://shop.example"),
            ("http://shop.example:80/", "http://shop.example"),
            ("http://shop.example:08080", "http://shop.example:8080"),
            ("http://[0:0:0:0:0:0:0:1]:3000", "http://[::1]:3000"),
        ] {
            assert_eq!(text.parse::<Origin>(), Err(InvalidOrigin::NotAsSent(Origin(origin.to_owned()))));
        }
    }

    #[test]
    fn what_is_no_origin() {
        for star in ["*", "https://*", "https://*.shop.example", "*://shop.example"] {
            assert_eq!(star.parse::<Origin>(), Err(InvalidOrigin::Wildcard), "{star}");
        }
        assert_eq!("null".parse::<Origin>(), Err(InvalidOrigin::Null));
        for bad in [
            "",
            "shop.example",
            "//shop.example",
            "https:shop.example",
            "https://",
            "https:///",
            "https://:8443",
            "https://shop.example/path",
            "https://shop.example//",
            "https://shop.example?x",
            "https://shop.example#x",
            "https://ann@shop.example",
            "https://shop.example:",
            "https://shop.example:0",
            "https://shop.example:65536",
            "https://shop.example:x",
            "https://shop example",
            " https://shop.example",
            "https://shop.example\n",
            "https://a,https://b",
            "https://shop.example https://other.example",
            "https://bücher.example",
            "https://shop%2eexample",
            "https://[::1",
            "https://[shop]",
            "ftp://shop.example",
            "file://",
            "Null",
        ] {
            assert_eq!(bad.parse::<Origin>(), Err(InvalidOrigin::Malformed), "{bad:?}");
        }
    }
}

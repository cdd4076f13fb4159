//! The target of a request, taken apart (RFC 9112, section 3.2; RFC 9113, section 8.3.1).

use super::authority::is_authority;

/// A target's parts, none of them decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    /// From its first slash; empty if an absolute target has none, which means `/`. `*` stands for the server.
    pub(crate) path: &'a str,
    /// Behind the first question mark.
    pub(crate) query: Option<&'a str>,
    /// What an absolute target names; it counts in place of `Host`.
    pub(crate) authority: Option<&'a str>,
}

/// Why a target cannot be served, as a sentence for the client.
pub(crate) type NoTarget = &'static str;

/// Takes a request line's target apart.
///
/// # Errors
/// It is in none of the forms that the method may have.
pub(crate) fn read<'a>(method: &str, target: &'a str) -> Result<Target<'a>, NoTarget> {
    if method == "CONNECT" {
        return Err("CONNECT is not served here: this is no proxy");
    }
    if target.starts_with('/') {
        let (path, query) = split(target)?;
        return Ok(Target { path, query, authority: None });
    }
    if target == "*" {
        let asks_for_server = method == "OPTIONS";
        let whole = Target { path: target, query: None, authority: None };
        return asks_for_server.then_some(whole).ok_or("the target * belongs to OPTIONS");
    }
    let rest = after_scheme(target).ok_or("the target is neither a path nor an http URI")?;
    let end = memchr::memchr3(b'/', b'?', b'#', rest.as_bytes()).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    if authority.is_empty() || !is_authority(authority.as_bytes()) {
        return Err("the target names no valid host");
    }
    let (path, query) = split(rest)?;
    Ok(Target { path, query, authority: Some(authority) })
}

/// What is behind `http://` or `https://`: a gateway in front may have taken TLS off.
fn after_scheme(target: &str) -> Option<&str> {
    ["http://", "https://"].into_iter().find_map(|scheme| {
        let (found, rest) = target.split_at_checked(scheme.len())?;
        found.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

fn split(path_and_query: &str) -> Result<(&str, Option<&str>), NoTarget> {
    let Some(at) = memchr::memchr2(b'?', b'#', path_and_query.as_bytes()) else {
        return Ok((path_and_query, None));
    };
    let (path, query) = (&path_and_query[..at], &path_and_query[at + 1..]);
    if path_and_query.as_bytes()[at] == b'#' || query.contains('#') {
        return Err("a fragment is not part of a target");
    }
    Ok((path, Some(query)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_taken_apart() {
        for (method, target, expected) in [
            ("GET", "/", Ok(("/", None, None))),
            ("GET", "/a/b?c=/d?e", Ok(("/a/b", Some("c=/d?e"), None))),
            ("GET", "/a?", Ok(("/a", Some(""), None))),
            ("GET", "//a", Ok(("//a", None, None))),
            ("GET", "http://x", Ok(("", None, Some("x")))),
            ("GET", "HTTP://x:80/a", Ok(("/a", None, Some("x:80")))),
            ("GET", "https://x/a", Ok(("/a", None, Some("x")))),
            ("GET", "http://x?a=/v1/counters/smug", Ok(("", Some("a=/v1/counters/smug"), Some("x")))),
            ("GET", "http://x/?a=/v1/counters/smug", Ok(("/", Some("a=/v1/counters/smug"), Some("x")))),
            ("OPTIONS", "*", Ok(("*", None, None))),
            ("GET", "*", Err(())),
            ("GET", "", Err(())),
            ("GET", "a", Err(())),
            ("GET", "?a=/b", Err(())),
            ("GET", "x:80", Err(())),
            ("CONNECT", "x:80", Err(())),
            ("CONNECT", "/a", Err(())),
            ("CONNECT", "http://x/", Err(())),
            ("GET", "http://", Err(())),
            ("GET", "http:///a", Err(())),
            ("GET", "http://?a", Err(())),
            ("GET", "http:/a", Err(())),
            ("GET", "ftp://x/a", Err(())),
            ("GET", "http://user@x/a", Err(())),
            ("GET", "http://x:port/a", Err(())),
            ("GET", "http://x#/a", Err(())),
            ("GET", "/a#b", Err(())),
            ("GET", "/a?b#c", Err(())),
        ] {
            let read =
                read(method, target).map(|read| (read.path, read.query, read.authority)).map_err(|_| ());
            assert_eq!(read, expected, "{method} {target}");
        }
    }
}

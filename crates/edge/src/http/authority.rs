//! Who a request is for, and which site it comes from (RFC 9110, section 7.2; RFC 6454; Fetch, section 3.5).

use std::net::{Ipv4Addr, Ipv6Addr};

/// Whether `value` is a host with or without a port, as `Host` and `:authority` have it (RFC 3986, section 3.2.2). An
/// empty one is: it says that the target has no authority.
pub(crate) fn is_authority(value: &[u8]) -> bool {
    if let Some(literal) = value.strip_prefix(b"[") {
        let Some(end) = memchr::memchr(b']', literal) else { return false };
        let address = std::str::from_utf8(&literal[..end]).unwrap_or_default();
        return address.parse::<Ipv6Addr>().is_ok() && is_port(&literal[end + 1..]);
    }
    let end = value.iter().position(|byte| !IS_NAME_BYTE[usize::from(*byte)]).unwrap_or(value.len());
    is_port(&value[end..])
}

/// Whether `rest` is nothing, or a colon and digits.
fn is_port(rest: &[u8]) -> bool {
    match rest {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// [`is_name_byte`] of each byte: every request has a host, whose bytes are looked at one by one.
static IS_NAME_BYTE: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < u8::MAX {
        table[byte as usize] = is_name_byte(byte);
        byte += 1;
    }
    table
};

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'%' | b'!' | b'$' | b'&'..=b',' | b';' | b'=')
}

/// Whether `authority` is this machine as a browser names it: `localhost` or a loopback address, at any port. A name that
/// somebody owns is none of these, even if it leads here.
pub(crate) fn is_loopback(authority: &[u8]) -> bool {
    if !is_authority(authority) {
        return false;
    }
    let Ok(authority) = std::str::from_utf8(authority) else { return false };
    if let Some((literal, _)) = authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return literal.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback());
    }
    let host = authority.split(':').next().unwrap_or_default();
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

/// Whether an `Origin` is a page that this machine itself serves.
pub(crate) fn is_loopback_origin(origin: &[u8]) -> bool {
    let authority = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
    authority.is_some_and(is_loopback)
}

/// Whether an `Origin` is that of pages which `authority` serves. Which scheme a proxy in front of us takes is not known here.
pub(crate) fn is_of_origin(authority: &[u8], origin: &[u8]) -> bool {
    let own = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
    own.is_some_and(|own| !own.is_empty() && own.eq_ignore_ascii_case(authority))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities() {
        for good in [
            "",
            "a",
            "a.example",
            "A-b_c~1:80",
            "a:",
            "127.0.0.1:8081",
            "[::1]",
            "[::1]:8081",
            "a%20b",
            "(a)*+,;=",
        ] {
            assert!(is_authority(good.as_bytes()), "{good:?}");
        }
        for bad in [
            "a b",
            "a/b",
            "a?b",
            "a#b",
            "a@b",
            "user:pass@a",
            "a:b",
            "a:80:80",
            "a:123456",
            "[::1",
            "[a]",
            "[::1]x",
            "::1",
            "ü",
            "a\\b",
            "\"a\"",
            "<a>",
            "a,b c",
            "{a}",
            "a|b",
            "a^b",
            "a`b",
        ] {
            assert!(!is_authority(bad.as_bytes()), "{bad:?}");
        }
    }

    #[test]
    fn loopback_is_told_from_names_that_lead_there() {
        for ours in
            ["localhost", "LocalHost:8081", "127.0.0.1", "127.255.0.7:1", "[::1]:8081", "[0:0:0:0:0:0:0:1]"]
        {
            assert!(is_loopback(ours.as_bytes()), "{ours:?}");
        }
        for foreign in [
            "",
            ":8081",
            "evil.example",
            "localhost.evil.example",
            "localhost.",
            "127.0.0.1.evil.example",
            "127.1",
            "2130706433",
            "0x7f.0.0.1",
            "0.0.0.0",
            "10.0.0.1",
            "[::]",
            "[::ffff:10.0.0.1]",
            "localhost@evil.example",
            "a localhost",
        ] {
            assert!(!is_loopback(foreign.as_bytes()), "{foreign:?}");
        }
        for ours in ["http://localhost:3000", "https://127.0.0.1", "http://[::1]:8081"] {
            assert!(is_loopback_origin(ours.as_bytes()), "{ours:?}");
        }
        for foreign in [
            "null",
            "",
            "localhost",
            "http://evil.example",
            "file://",
            "http://localhost/",
            "HTTP://localhost x",
        ] {
            assert!(!is_loopback_origin(foreign.as_bytes()), "{foreign:?}");
        }
    }
}

//! Whom a request comes from when proxies stand between: the chain of addresses that they wrote down, read from the right to
//! the first that is not a trusted proxy. Everything left of that may be a client's invention.

use std::net::{IpAddr, SocketAddr};
use std::ops::ControlFlow;

use smallvec::SmallVec;

use crate::network::{Network, canonical};

/// The field in which the trusted proxies write down whom they were asked by. One field counts, and not the other: a proxy
/// that writes one of them passes the other on as the client sent it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedField {
    /// `X-Forwarded-For`: addresses, separated by commas.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239), of which `for` counts.
    Forwarded,
    /// `X-Real-IP`: one address, which the proxy sets in place of what its client sent.
    XRealIp,
}

/// One place of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hop {
    Address(IpAddr),
    /// The proxy does not say who it was.
    Hidden,
}

type Hops = SmallVec<[Hop; 4]>;

impl ForwardedField {
    /// Its name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
            Self::XRealIp => "x-real-ip",
        }
    }

    /// Follows the hops of a line from the right. Goes on to the line before it only if all of them are trusted.
    fn follow(self, line: &[u8], step: &mut impl FnMut(Hop) -> ControlFlow<()>) -> ControlFlow<()> {
        match self {
            Self::XForwardedFor => {
                let mut items = line.rsplit(|byte| *byte == b',').map(<[u8]>::trim_ascii);
                items.try_for_each(
                    |item| if item.is_empty() { ControlFlow::Continue(()) } else { step(node(item)) },
                )
            }
            // Of two lines the nearest proxy wrote the last, and there is no chain behind it.
            Self::XRealIp => {
                let _ = step(node(line.trim_ascii()));
                ControlFlow::Break(())
            }
            Self::Forwarded => match (Elements { rest: line }).read() {
                Some(hops) => hops.into_iter().rev().try_for_each(step),
                None => ControlFlow::Break(()),
            },
        }
    }
}

/// The address that a request comes from. `peer` is whoever is connected, `lines` are the values of all fields of the name, in
/// the order in which they came. The chain ends at the first address that is not `trusted`, or at the last trusted one if
/// what stands left of it is missing, hidden or malformed.
pub fn client_address<'a>(
    peer: IpAddr,
    trusted: &[Network],
    field: ForwardedField,
    lines: impl Iterator<Item = &'a [u8]>,
) -> IpAddr {
    let mut client = canonical(peer);
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(client) {
        return client;
    }
    let lines: SmallVec<[&[u8]; 2]> = lines.collect();
    let mut step = |hop| {
        let Hop::Address(address) = hop else { return ControlFlow::Break(()) };
        client = address;
        if is_trusted(client) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    // Whether it stopped or came to the end makes no difference.
    let _ = lines.iter().rev().try_for_each(|line| field.follow(line, &mut step));
    client
}

/// What a proxy calls a node: an address with or without a port, in brackets if it is of IPv6. Some proxies leave the
/// brackets out where there is no port.
fn node(text: &[u8]) -> Hop {
    let address = std::str::from_utf8(text).ok().and_then(|text| {
        let bare = || text.parse::<IpAddr>().ok();
        let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
        let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
        bare().or_else(with_port).or_else(in_brackets)
    });
    address.map_or(Hop::Hidden, |address| Hop::Address(canonical(address)))
}

/// The elements of `Forwarded` (RFC 7239, section 4): pairs of a name and a value, separated by semicolons, and between
/// elements commas. The grammar is kept strictly, so that nothing a client opens, such as a quote, hides what a proxy added.
struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    fn read(mut self) -> Option<Hops> {
        let mut hops = Hops::new();
        loop {
            self.skip_blanks();
            match self.rest.first() {
                None => return Some(hops),
                Some(b',') => self.rest = &self.rest[1..],
                Some(_) => hops.push(self.element()?),
            }
        }
    }

    /// Reads as far as the comma behind the element, or the end.
    fn element(&mut self) -> Option<Hop> {
        let mut hop = None;
        loop {
            let name = self.token()?;
            self.rest = self.rest.strip_prefix(b"=")?;
            let value = self.value()?;
            if name.eq_ignore_ascii_case(b"for") && hop.replace(node(&value)).is_some() {
                return None;
            }
            self.skip_blanks();
            match self.rest.first() {
                None | Some(b',') => return Some(hop.unwrap_or(Hop::Hidden)),
                Some(b';') => self.rest = &self.rest[1..],
                Some(_) => return None,
            }
            self.skip_blanks();
            if matches!(self.rest.first(), None | Some(b',')) {
                return Some(hop.unwrap_or(Hop::Hidden));
            }
        }
    }

    fn value(&mut self) -> Option<SmallVec<[u8; 48]>> {
        let Some(quoted) = self.rest.strip_prefix(b"\"") else { return Some(self.token()?.into()) };
        let mut value = SmallVec::new();
        let mut bytes = quoted.iter();
        loop {
            match bytes.next()? {
                b'"' => break,
                b'\\' => value.push(*bytes.next()?),
                byte => value.push(*byte),
            }
        }
        self.rest = bytes.as_slice();
        Some(value)
    }

    /// One or more characters of a token (RFC 9110, section 5.6.2). Colons and brackets, which a node must quote, are taken
    /// without quotes as well, because proxies that leave them out exist.
    fn token(&mut self) -> Option<&'a [u8]> {
        let is_of_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:[]".contains(byte);
        let length = self.rest.iter().take_while(|byte| is_of_token(byte)).count();
        let (token, rest) = self.rest.split_at(length);
        self.rest = rest;
        (length > 0).then_some(token)
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `lines` are separated by `|`.
    #[track_caller]
    fn check(field: ForwardedField, peer: &str, lines: &str, expected: &str) {
        let trusted: Vec<Network> =
            ["10.0.0.0/8", "2001:db8:aa::/48"].iter().map(|text| text.parse().unwrap()).collect();
        let lines = lines.split('|').filter(|line| !line.is_empty()).map(str::as_bytes);
        let found = client_address(peer.parse().unwrap(), &trusted, field, lines.clone());
        let shown: Vec<_> = lines.map(String::from_utf8_lossy).collect();
        assert_eq!(found.to_string(), expected, "{peer}: {shown:?}");
    }

    #[test]
    fn the_chain_is_read_from_the_right_to_the_first_that_is_not_trusted() {
        for (peer, lines, expected) in [
            ("192.0.2.1", "", "192.0.2.1"),
            ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7"),
            ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
            ("10.0.0.1", "203.0.113.9, 198.51.100.7", "198.51.100.7"),
            ("10.0.0.1", "203.0.113.9, 198.51.100.7, 10.0.0.2,10.0.0.3", "198.51.100.7"),
            ("10.0.0.1", "203.0.113.9|198.51.100.7|10.0.0.2", "198.51.100.7"),
            ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
            ("10.0.0.1", "198.51.100.7:4711", "198.51.100.7"),
            ("10.0.0.1", "2001:db8::7", "2001:db8::7"),
            ("10.0.0.1", "[2001:db8::7]", "2001:db8::7"),
            ("10.0.0.1", "[2001:db8::7]:80", "2001:db8::7"),
            ("2001:db8:aa::1", "::ffff:198.51.100.7", "198.51.100.7"),
            ("10.0.0.1", "198.51.100.7, unknown", "10.0.0.1"),
            ("10.0.0.1", "198.51.100.7, unknown, 10.0.0.2", "10.0.0.2"),
            ("10.0.0.1", "198.51.100.7, , 10.0.0.2,", "198.51.100.7"),
            ("10.0.0.1", "\",\u{fffd};=, 198.51.100.7", "198.51.100.7"),
            ("10.0.0.1", ",,,", "10.0.0.1"),
            ("10.0.0.1", "\u{fffd}", "10.0.0.1"),
        ] {
            check(ForwardedField::XForwardedFor, peer, lines, expected);
        }
    }

    #[test]
    fn one_address_is_no_chain() {
        for (peer, lines, expected) in [
            ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
            ("10.0.0.1", " 2001:db8::7 ", "2001:db8::7"),
            ("10.0.0.1", "10.0.0.2", "10.0.0.2"),
            ("10.0.0.1", "203.0.113.9|198.51.100.7", "198.51.100.7"),
            ("10.0.0.1", "203.0.113.9|10.0.0.2", "10.0.0.2"),
            ("10.0.0.1", "203.0.113.9, 198.51.100.7", "10.0.0.1"),
            ("10.0.0.1", "203.0.113.9|unknown", "10.0.0.1"),
        ] {
            check(ForwardedField::XRealIp, peer, lines, expected);
        }
    }

    #[test]
    fn elements_of_forwarded_are_read_by_its_grammar() {
        for (lines, expected) in [
            ("for=198.51.100.7", "198.51.100.7"),
            ("For=198.51.100.7;proto=https;by=10.0.0.1", "198.51.100.7"),
            ("proto=http; FOR=\"198.51.100.7:80\"", "198.51.100.7"),
            ("for=\"[2001:db8::7]:4711\"", "2001:db8::7"),
            ("for=\"\\[2001:db8::7\\]\"", "2001:db8::7"),
            ("for=[2001:db8::7]", "2001:db8::7"),
            ("for=203.0.113.9, for=198.51.100.7 , for=10.0.0.2", "198.51.100.7"),
            ("for=203.0.113.9|for=198.51.100.7|for=10.0.0.2", "198.51.100.7"),
            ("for=198.51.100.7;", "198.51.100.7"),
            ("for=203.0.113.9, for=_hidden", "10.0.0.1"),
            ("for=203.0.113.9, for=unknown, for=10.0.0.2", "10.0.0.2"),
            ("for=203.0.113.9, proto=http", "10.0.0.1"),
            // What is malformed says nothing, whatever stands beside it.
            ("for=203.0.113.9;for=198.51.100.7", "10.0.0.1"),
            ("for=203.0.113.9;x=\", for=198.51.100.7", "10.0.0.1"),
            ("for=203.0.113.9;x=\", for=\"[2001:db8::7]\"", "10.0.0.1"),
            ("for=203.0.113.9;x=\", for=\"198.51.100.7", "10.0.0.1"),
            ("for=\"203.0.113.9\\", "10.0.0.1"),
            ("for = 203.0.113.9", "10.0.0.1"),
            ("for", "10.0.0.1"),
            ("=203.0.113.9", "10.0.0.1"),
            ("for=203.0.113.9 x", "10.0.0.1"),
            ("for=203.0.113.9|for=\"", "10.0.0.1"),
        ] {
            check(ForwardedField::Forwarded, "10.0.0.1", lines, expected);
        }
    }
}

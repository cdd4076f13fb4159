//! Addresses and networks as an operator writes them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// An address, or all addresses that begin alike: `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network(IpNet);

/// Why a text is no [`Network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNetwork {
    /// It is neither an address nor an address and a length.
    #[error("is neither an IP address nor a network such as 192.0.2.0/24")]
    Malformed,
    /// Bits behind its length are set, so that it is not clear which network is meant.
    #[error("has bits set behind its length: write {0} if that is the network")]
    HostBits(Network),
}

impl Network {
    /// The network of one address.
    pub fn of(address: IpAddr) -> Self {
        Self(IpNet::from(canonical(address)))
    }

    /// The network of all addresses that share `length` bits with this one; all bits if it is longer than an address.
    pub fn around(address: IpAddr, length: u8) -> Self {
        let address = canonical(address);
        let longest = IpNet::from(address).max_prefix_len();
        let network = IpNet::new(address, length.min(longest)).expect("no length is longer than the longest");
        Self(network.trunc())
    }

    /// Whether the address is one of its.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&canonical(address))
    }

    /// Its first address.
    pub fn address(&self) -> IpAddr {
        self.0.network()
    }

    /// How many bits its addresses share.
    pub fn length(&self) -> u8 {
        self.0.prefix_len()
    }

    /// Whether it is one address.
    pub fn is_single(&self) -> bool {
        self.0.prefix_len() == self.0.max_prefix_len()
    }
}

/// An IPv4 address that a socket of both families writes as an IPv6 address is that IPv4 address.
pub fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::of(address));
        }
        let network: IpNet = text.parse().map_err(|_| InvalidNetwork::Malformed)?;
        if network.trunc() != network {
            return Err(InvalidNetwork::HostBits(Self(network.trunc())));
        }
        let is_mapped = network.network().to_canonical() != network.network();
        // A network of mapped addresses is one of IPv4 if it is no larger than all of IPv4.
        Ok(match network.prefix_len().checked_sub(96) {
            Some(length) if is_mapped => Self::around(network.network(), length),
            _ => Self(network),
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_single() { self.address().fmt(f) } else { self.0.fmt(f) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_has_one_form() {
        for (text, form) in [
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7/32", "192.0.2.7"),
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("2001:DB8:0:0::/32", "2001:db8::/32"),
            ("2001:db8::1", "2001:db8::1"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(network(text).to_string(), form, "{text}");
            assert_eq!(network(form), network(text), "{text}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused_with_the_reason() {
        for text in
            ["", "a", "192.0.2", "192.0.2.7/33", "192.0.2.7/", "192.0.2.7/-1", "2001:db8::/129", "192.0.2.7 "]
        {
            assert_eq!(text.parse::<Network>(), Err(InvalidNetwork::Malformed), "{text}");
        }
        let error = "192.0.2.7/24".parse::<Network>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "has bits set behind its length: write 192.0.2.0/24 if that is the network"
        );
    }

    #[test]
    fn a_network_has_the_addresses_that_begin_alike() {
        for (of, address, is_in) in [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.0/24", "::ffff:192.0.2.1", true),
            ("2001:db8::/64", "2001:db8::ffff", true),
            ("2001:db8::/64", "2001:db8:0:1::", false),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "192.0.2.1", false),
            ("192.0.2.7", "192.0.2.7", true),
        ] {
            assert_eq!(network(of).contains(address.parse().unwrap()), is_in, "{address} in {of}");
        }
        assert_eq!(Network::around("2001:db8::7".parse().unwrap(), 64), network("2001:db8::/64"));
        assert_eq!(Network::around("::ffff:192.0.2.7".parse().unwrap(), 64), network("192.0.2.7"));
    }
}

//! What is drawn by chance for a service: its ports and its password.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

use anyhow::{Context as _, Result, bail};

/// How many ports there are to draw from.
const PORT_COUNT: u16 = 760;
/// Below this, the ports under those of outgoing connections are few and often taken.
const LOWEST_PORT: u16 = 12_000;

/// Draws free ports of the loopback interface, each once.
pub(crate) struct Ports {
    range: Range<u16>,
    taken: BTreeSet<u16>,
}

impl Ports {
    /// Leaves out those in `taken`.
    ///
    /// The ports lie just below those of outgoing connections: a service that was killed finds its port free when it starts
    /// again, and a client that tries a port where nobody listens never gets connected to itself.
    pub(crate) fn besides(taken: BTreeSet<u16>) -> Self {
        let outgoing = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
        Self { range: below(&outgoing), taken }
    }

    pub(crate) fn draw(&mut self) -> Result<u16> {
        let first = u16::from_be_bytes(random_bytes()?) % PORT_COUNT;
        for step in 0..PORT_COUNT {
            let port = self.range.start + (first + step) % PORT_COUNT;
            if !self.taken.contains(&port) && is_free(port) {
                self.taken.insert(port);
                return Ok(port);
            }
        }
        bail!("no port from {} to {} is free", self.range.start, self.range.end)
    }
}

/// The ports below the range that Linux shows as two numbers.
fn below(outgoing: &str) -> Range<u16> {
    let first_outgoing = outgoing.split_whitespace().next().and_then(|first| first.parse().ok());
    let end = first_outgoing.filter(|&end| end > LOWEST_PORT).unwrap_or(32_768);
    end - PORT_COUNT..end
}

/// Whether a server could listen on the port.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// A password of 160 random bits, all letters and digits, so that it needs no quoting anywhere.
pub(crate) fn password() -> Result<String> {
    let mut password = String::new();
    for byte in random_bytes::<20>()? {
        write!(password, "{byte:02x}").expect("a String takes every write");
    }
    Ok(password)
}

fn random_bytes<const COUNT: usize>() -> Result<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    getrandom::fill(&mut bytes).context("draw random bytes")?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_lie_below_those_of_outgoing_connections() {
        for (outgoing, expected) in [
            ("32768\t60999\n", 32_008..32_768),
            ("40000 65535", 39_240..40_000),
            ("1024\t65535\n", 32_008..32_768),
            ("", 32_008..32_768),
        ] {
            assert_eq!(below(outgoing), expected, "{outgoing:?}");
        }
    }

    #[test]
    fn no_port_is_drawn_twice() {
        let mut ports = Ports::besides(BTreeSet::new());
        let drawn: BTreeSet<_> = (0..50).map(|_| ports.draw().expect("fifty ports are free")).collect();
        assert_eq!(drawn.len(), 50);
        let mut others = Ports::besides(drawn.clone());
        for _ in 0..50 {
            assert!(!drawn.contains(&others.draw().expect("fifty more are free")));
        }
    }
}

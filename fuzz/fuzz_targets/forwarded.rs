//! Arbitrary values of the fields by which proxies say whom they were asked by: nothing panics, the client is the peer or an
//! address that stands there, and what stands left of an address that is not trusted changes nothing.
#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use onrush_gate::{ForwardedField, Network, client_address};

fuzz_target!(|bytes: &[u8]| {
    let peer: IpAddr = [10, 0, 0, 1].into();
    let trusted = [Network::around(peer, 8)];
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    for field in [ForwardedField::XForwardedFor, ForwardedField::Forwarded, ForwardedField::XRealIp] {
        let found = client_address(peer, &trusted, field, lines.iter().copied());
        assert!(found == peer || !lines.is_empty());
        let nobody = client_address(peer, &[], field, lines.iter().copied());
        assert_eq!(nobody, peer, "without trust nothing is read");
        let added: &[u8] = match field {
            ForwardedField::XForwardedFor | ForwardedField::XRealIp => b"192.0.2.7",
            ForwardedField::Forwarded => b"for=192.0.2.7",
        };
        let behind = client_address(peer, &trusted, field, lines.iter().copied().chain([added]));
        assert_eq!(behind.to_string(), "192.0.2.7", "a line that the proxy added is read first");
    }
    // A proxy that adds to the line itself: its word is found, or nothing is.
    for line in lines {
        let list = [line, b", 192.0.2.7"].concat();
        let found = client_address(peer, &trusted, ForwardedField::XForwardedFor, [list.as_slice()].into_iter());
        assert!(["192.0.2.7", "10.0.0.1"].contains(&found.to_string().as_str()), "{found}");
        let elements = [line, b", for=192.0.2.7"].concat();
        let found = client_address(peer, &trusted, ForwardedField::Forwarded, [elements.as_slice()].into_iter());
        assert!(["192.0.2.7", "10.0.0.1"].contains(&found.to_string().as_str()), "{found}");
    }
});

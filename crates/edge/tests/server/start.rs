//! How a server starts, and why it does not.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use onrush_edge::Server;

use crate::support::{Http1, Rig, Settings, settings, why_not_started};

/// Nothing starts there, and the words name the address.
fn check_taken(settings: &Settings, address: SocketAddr) {
    let checked = Server::check_addresses(settings).expect_err("an address that is taken");
    for error in [checked, why_not_started(settings.clone())] {
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
        assert!(error.to_string().contains(&format!("cannot listen on {address}: ")), "{error}");
    }
}

/// An address that is free, unless somebody is quick.
fn free_address() -> SocketAddr {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    taken.local_addr().expect("an address")
}

#[test]
fn an_address_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address");
    let free = free_address();
    check_taken(&Settings { listen: address, operator_listen: free, ..settings() }, address);
    check_taken(&Settings { listen: free, operator_listen: address, ..settings() }, address);
    TcpListener::bind(free).expect("whoever does not start lets go of both addresses");
}

#[test]
fn both_listeners_have_addresses_of_their_own() {
    let one = free_address();
    check_taken(&Settings { listen: one, operator_listen: one, ..settings() }, one);
    // All addresses of the machine are also this one.
    let all = SocketAddr::from(([0, 0, 0, 0], one.port()));
    check_taken(&Settings { listen: all, operator_listen: one, ..settings() }, one);
    let rig = Rig::start(settings());
    assert_ne!(rig.public(), rig.operator());
}

#[test]
fn a_second_server_does_not_share_the_addresses_of_the_first() {
    let rig = Rig::start(settings());
    for address in [rig.public(), rig.operator()] {
        check_taken(&Settings { listen: address, ..settings() }, address);
        check_taken(&Settings { operator_listen: address, ..settings() }, address);
    }
}

#[test]
fn all_threads_share_one_address() {
    for threads in [0, 1, 3] {
        let rig = Rig::start(Settings { threads, ..settings() });
        // The system spreads connections over the threads by chance.
        let mut clients: Vec<Http1> = (0..30).map(|_| Http1::connect(rig.public())).collect();
        for (number, client) in clients.iter_mut().enumerate() {
            let answer = client.call(b"POST /v1/counters/a HTTP/1.1\r\nHost: x\r\n\r\n").expect("an answer");
            assert!(answer.body.contains(&format!("\"value\":{}}}", number + 1)), "{answer:?}");
        }
        assert_eq!(rig.metric("onrush_connections"), 31, "those, and the one that asks");
        rig.stop();
    }
}

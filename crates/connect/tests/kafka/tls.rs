//! Encrypted connections, and what is said when they cannot be.

use std::path::Path;

use onrush_connect::kafka::{ClusterSettings, Kafka, Settings};
use onrush_connect::{Tls, TlsSettings};
use onrush_proxy::Proxy;
use onrush_sinks::{Target as _, TargetError};

use crate::place::{Place, harness};
use crate::{offsets, service, source, write};

fn settings(place: &Place, brokers: String, mode: Tls, ca_file: Option<&Path>) -> Settings {
    let tls = TlsSettings { mode, ca_file: ca_file.map(Into::into) };
    place.settings_by(ClusterSettings { brokers, tls, ..place.cluster() })
}

/// Why the target could not be opened.
fn refusal(settings: Settings) -> String {
    settings.check().unwrap();
    match Kafka::new(settings).open(&source()) {
        Err(TargetError::Unavailable(reason)) => reason,
        outcome => panic!("{outcome:?}"),
    }
}

#[test]
fn connections_are_encrypted_by_certificate() {
    let Some(place) = harness() else { return };
    let authority = service("CA");
    let authority = Some(Path::new(&authority));
    let port = service("TLS_BROKERS").rsplit_once(':').unwrap().1.to_owned();
    let mut end = 0;
    for (host, mode, ca_file) in [
        ("127.0.0.1", Tls::Auto, authority),
        ("localhost", Tls::Verify, authority),
        ("127.0.0.1", Tls::UnsafeNoVerify, None),
    ] {
        let mut target = Kafka::new(settings(&place, format!("{host}:{port}"), mode, ca_file));
        write(&mut target, end..end + 10);
        end += 10;
    }
    assert_eq!(offsets(&place), (0..end).collect::<Vec<_>>());
}

#[test]
fn a_certificate_that_is_not_believed_is_told_with_what_can_be_done() {
    let Some(place) = harness() else { return };
    let (authority, encrypted) = (service("CA"), service("TLS_BROKERS"));
    let (authority, other) = (Path::new(&authority), Path::new("../onrush/tests/ca.pem"));
    let own = authority.with_file_name("server.crt");
    // The certificate is for 127.0.0.1 and localhost.
    let elsewhere = Proxy::start_on("127.0.0.2:0".parse().unwrap(), encrypted.parse().unwrap()).unwrap();
    for (brokers, ca_file, told) in [
        (encrypted.clone(), Some(other), "name that of its authority as tls_ca_file"),
        (encrypted.clone(), None, "name that of its authority as tls_ca_file"),
        (encrypted.clone(), Some(&*own), "tls_ca_file must have the certificate of its authority"),
        (service("EXPIRED_BROKERS"), Some(authority), "the server's certificate has expired"),
        (elsewhere.address().to_string(), Some(authority), "is for other names than 127.0.0.2"),
    ] {
        let reason = refusal(settings(&place, brokers, Tls::Verify, ca_file));
        assert!(reason.starts_with("no connection to ") && reason.contains(told), "{ca_file:?}: {reason}");
    }
    let absent = settings(&place, encrypted, Tls::Verify, Some(Path::new("/absent/ca.pem")));
    match Kafka::new(absent).open(&source()) {
        Err(TargetError::Unavailable(reason)) => assert!(reason.contains("read tls_ca_file: "), "{reason}"),
        outcome => panic!("{outcome:?}"),
    }
}

#[test]
fn a_listener_is_told_that_is_encrypted_where_the_settings_are_not_and_the_other_way_round() {
    let Some(place) = harness() else { return };
    for mode in [Tls::Off, Tls::Auto] {
        let reason = refusal(settings(&place, service("TLS_BROKERS"), mode, None));
        assert!(reason.contains("does the listener want TLS? Then set tls"), "{reason}");
    }
    let reason = refusal(settings(&place, place.brokers.clone(), Tls::UnsafeNoVerify, None));
    assert!(reason.contains("does the port speak TLS?"), "{reason}");
}

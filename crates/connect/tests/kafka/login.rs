//! Users with passwords, over TLS.

use onrush_connect::kafka::{ClusterSettings, Kafka, Settings};
use onrush_connect::{Secret, Tls, TlsSettings};
use onrush_sinks::{Target as _, TargetError};

use crate::harness::WRONG_PASSWORD;
use crate::place::{Place, harness};
use crate::{offsets, properties, service, source, write};

/// The settings of a user who logs in over TLS.
fn user(place: &Place) -> ClusterSettings {
    ClusterSettings {
        brokers: service("LOGIN_BROKERS"),
        username: Some(service("USER")),
        password: Some(Secret::new(service("PASSWORD"))),
        tls: TlsSettings { mode: Tls::Auto, ca_file: Some(service("CA").into()) },
        ..place.cluster()
    }
}

/// Why the target could not be opened, without secrets.
fn refusal(settings: Settings) -> String {
    settings.check().unwrap();
    match Kafka::new(settings).open(&source()) {
        Err(TargetError::Unavailable(reason)) => {
            assert!(!reason.contains(WRONG_PASSWORD) && !reason.contains(&service("PASSWORD")), "{reason}");
            reason
        }
        outcome => panic!("{outcome:?}"),
    }
}

#[test]
fn a_user_logs_in_over_tls_by_plain_and_by_scram() {
    let Some(place) = harness() else { return };
    let mut end = 0;
    for mechanism in ["", "sasl.mechanism=SCRAM-SHA-256"] {
        let file = properties(mechanism);
        let properties_file = Some(file.path().to_owned());
        let mut target = Kafka::new(place.settings_by(ClusterSettings { properties_file, ..user(&place) }));
        write(&mut target, end..end + 10);
        end += 10;
    }
    assert_eq!(offsets(&place), (0..end).collect::<Vec<_>>());
}

#[test]
fn a_refused_login_is_told_with_what_can_be_done() {
    let Some(place) = harness() else { return };
    for (mechanism, username, cure) in [
        ("", service("USER"), "mend username or password"),
        ("", "nobody".to_owned(), "mend username or password"),
        ("sasl.mechanism=SCRAM-SHA-256", service("USER"), "mend username or password"),
        ("sasl.mechanism=SCRAM-SHA-512", service("USER"), "set sasl.mechanism"),
    ] {
        let file = properties(mechanism);
        let reason = refusal(place.settings_by(ClusterSettings {
            username: Some(username),
            password: Some(Secret::new(WRONG_PASSWORD)),
            properties_file: Some(file.path().to_owned()),
            ..user(&place)
        }));
        let is_told = reason.starts_with("no connection to ") && reason.contains(cure);
        assert!(is_told, "{mechanism}: {reason}");
    }
}

#[test]
fn a_listener_that_wants_a_login_says_so_to_one_who_brings_none() {
    let Some(place) = harness() else { return };
    let reason =
        refusal(place.settings_by(ClusterSettings { username: None, password: None, ..user(&place) }));
    assert!(reason.contains("does the listener want a login? Then set username"), "{reason}");
}

//! A password that is changed while a sink runs.

use std::fs;
use std::process::Command;

use onrush_connect::kafka::{ClusterSettings, Kafka};
use onrush_connect::{Secret, Tls, TlsSettings};
use onrush_proxy::Proxy;
use onrush_sinks::{Target as _, TargetError};

use crate::place::{Place, harness, unique};
use crate::{counter, offsets, properties, service, source, write};

/// Sets the password of a user; the broker takes it for logins from then on.
fn set_password(place: &Place, user: &str, password: &str) {
    let libraries = service("LIBS");
    let done = Command::new("java")
        .args(["-XX:-UsePerfData", "-XX:TieredStopAtLevel=1", "-classpath", &format!("{libraries}/*")])
        .args(["kafka.admin.ConfigCommand", "--bootstrap-server", &place.brokers])
        .args(["--alter", "--entity-type", "users", "--entity-name", user])
        .args(["--add-config", &format!("SCRAM-SHA-256=[password={password}]")])
        .output()
        .expect("java is installed");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn a_sink_goes_on_with_the_password_that_is_in_the_file_when_its_connection_was_cut() {
    let Some(place) = harness() else { return };
    let brokers = service("PROXIED_LOGIN_BROKERS");
    let behind = service("LOGIN_PROXY_TARGET").parse().unwrap();
    let proxy = Proxy::start_on(brokers.parse().unwrap(), behind).unwrap();
    let user = unique("rotation");
    set_password(&place, &user, "old-one");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    fs::write(&file, "old-one\n").unwrap();
    let mechanism = properties("sasl.mechanism=SCRAM-SHA-256\n");
    let mut target = Kafka::new(place.settings_by(ClusterSettings {
        brokers,
        username: Some(user.clone()),
        password: Some(Secret::in_file(&file)),
        tls: TlsSettings { mode: Tls::Off, ca_file: None },
        properties_file: Some(mechanism.path().to_owned()),
    }));
    let assert_refused = |outcome: Result<(), TargetError>| match outcome {
        Err(TargetError::Unavailable(reason)) => {
            let is_told =
                reason.starts_with("no connection to ") && reason.contains("mend username or password");
            assert!(is_told && !reason.contains("old-one"), "{reason}");
        }
        outcome => panic!("the old password is no longer one: {outcome:?}"),
    };

    write(&mut target, 0..50);
    set_password(&place, &user, "new-one");
    proxy.cut();
    (50..100).for_each(|offset| target.push(&counter(offset)).unwrap());
    target.send(100).unwrap();
    assert_refused(target.wait_until_durable().map(drop));
    assert_refused(target.open(&source()).map(drop));
    fs::write(&file, "new-one\n").unwrap();
    write(&mut target, 50..100);
    assert_eq!(offsets(&place), (0..100).collect::<Vec<_>>());
}

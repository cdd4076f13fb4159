//! Encrypted connections, and what is said when they cannot be.

use std::path::Path;

use onrush_connect::rabbitmq::{RabbitMq, Settings};
use onrush_connect::{Tls, TlsSettings};
use onrush_sinks::{Source, Target, TargetError};

use crate::broker::Broker;

fn open(settings: &Settings) -> Result<(), TargetError> {
    settings.check().expect("the settings are good");
    let source = Source { log_id: "L".repeat(26), partition: 0, sink: settings.queue.clone() };
    RabbitMq::new(settings.clone()).open(&source).map(drop)
}

#[test]
fn connections_are_encrypted_by_certificate() {
    let Some(broker) = Broker::new() else { return };
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let (url, authority) =
        (variable("ONRUSH_SERVICES_RABBITMQ_TLS_URL"), variable("ONRUSH_SERVICES_RABBITMQ_CA"));
    let own = Path::new(&authority).with_file_name("server.crt");
    let plain = broker.settings("tls");
    let with = |mode, ca_file: Option<&Path>| Settings {
        url: url.clone(),
        tls: TlsSettings { mode, ca_file: ca_file.map(Into::into) },
        ..plain.clone()
    };
    open(&with(Tls::Auto, Some(Path::new(&authority)))).unwrap();
    open(&with(Tls::Verify, Some(&own))).unwrap();
    open(&with(Tls::UnsafeNoVerify, None)).unwrap();
    match open(&with(Tls::Verify, None)) {
        Err(TargetError::Unavailable(reason)) => assert!(reason.contains("tls_ca_file"), "{reason}"),
        outcome => panic!("{outcome:?}"),
    }
    let url = plain.url.replacen("amqp:", "amqps:", 1);
    let outcome = open(&Settings { url, tls: with(Tls::UnsafeNoVerify, None).tls, ..plain.clone() });
    assert!(matches!(outcome, Err(TargetError::Unavailable(_))), "{outcome:?}");
}

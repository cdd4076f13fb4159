//! Encrypted connections, and what is said when they cannot be.

use std::path::Path;
use std::process::{Command, Stdio};

use onrush_connect::redis::{Redis, Settings};
use onrush_connect::{Tls, TlsSettings};
use onrush_sinks::{Source, Target, TargetError};

use crate::server::Server;

/// Makes a certificate as most people do, who sign it themselves: it calls itself an authority.
fn make_self_signed(directory: &Path) {
    let made = Command::new("openssl")
        .args(
            "req -x509 -newkey rsa:2048 -noenc -days 2 -subj /CN=redis -keyout key.pem -out own.pem"
                .split(' '),
        )
        .current_dir(directory)
        .stderr(Stdio::null())
        .status();
    assert!(made.expect("openssl is installed").success());
}

fn open(settings: &Settings) -> Result<(), TargetError> {
    settings.check().expect("the settings are good");
    let source = Source { log_id: "L".repeat(26), partition: 0, sink: "shop".to_owned() };
    Redis::new(settings.clone()).open(&source).map(drop)
}

#[test]
fn a_certificate_that_its_owner_signed_is_trusted_when_it_is_named() {
    let directory = tempfile::tempdir().unwrap();
    make_self_signed(directory.path());
    let path = |file: &str| directory.path().join(file).display().to_string();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let (own, key) = (path("own.pem"), path("key.pem"));
    let arguments =
        ["--tls-port", &port, "--tls-cert-file", &own, "--tls-key-file", &key, "--tls-auth-clients", "no"];
    let Some(server) = Server::start(&[&arguments[..], &["--tls-ca-cert-file", &own]].concat()) else {
        return;
    };
    let with = |mode, ca_file: Option<&str>| Settings {
        url: format!("rediss://127.0.0.1:{port}/0"),
        tls: TlsSettings { mode, ca_file: ca_file.map(Into::into) },
        ..server.settings()
    };
    open(&with(Tls::Auto, Some(&own))).unwrap();
    open(&with(Tls::Verify, Some(&own))).unwrap();
    open(&with(Tls::UnsafeNoVerify, None)).unwrap();
    let other = tempfile::tempdir().unwrap();
    make_self_signed(other.path());
    let other = other.path().join("own.pem").display().to_string();
    match open(&with(Tls::Verify, Some(&other))) {
        Err(TargetError::Unavailable(reason)) => assert!(reason.contains("tls_ca_file"), "{reason}"),
        outcome => panic!("{outcome:?}"),
    }
}

#[test]
fn a_port_without_tls_is_told() {
    let Some(server) = Server::start(&[]) else { return };
    let plain = server.settings();
    let url = plain.url.replacen("redis:", "rediss:", 1);
    let tls = TlsSettings { mode: Tls::UnsafeNoVerify, ca_file: None };
    match open(&Settings { url, tls, ..plain }) {
        Err(TargetError::Unavailable(reason)) => {
            assert!(reason.contains("connect to Redis at ") && reason.contains("TLS"), "{reason}");
        }
        outcome => panic!("{outcome:?}"),
    }
}

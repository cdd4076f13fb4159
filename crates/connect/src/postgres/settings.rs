//! What can be set about a database, and the check of it before anything connects.

use std::net::IpAddr;
use std::time::Duration;

use onrush_sinks::EXCHANGE_TIMEOUT;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use crate::{Secret, Tls, TlsSettings};

/// Plain values of a PostgreSQL sink.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `postgresql://user@host:port/database`, or the words of libpq; without a password.
    pub url: String,
    /// Sent by SCRAM, or as the server asks.
    pub password: Option<Secret>,
    /// The schema that belongs to this sink alone: 1 to 63 of `a-z 0-9 _`, beginning with a letter; default `onrush`.
    pub schema: String,
    /// How many rows a counter gets.
    pub rows: Rows,
    /// Whether the connection is encrypted.
    pub tls: TlsSettings,
    /// Where [`PostgresReplica`](super::PostgresReplica) reads, with the same password and `tls`.
    pub replica_url: Option<String>,
}

/// Rows of `counter_history`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rows {
    /// One for each batch and counter, with how many it stands for.
    #[default]
    Batch,
    /// One for each visit.
    Visit,
}

/// Longest wait for one host to take a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Length of an identifier in PostgreSQL, bytes.
const SCHEMA_BYTES_MAX: usize = 63;

impl Settings {
    /// The defaults for the database at this URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            password: None,
            schema: "onrush".to_owned(),
            rows: Rows::default(),
            tls: TlsSettings::default(),
            replica_url: None,
        }
    }

    /// Whether all of this can be used; otherwise what cannot, as a sentence without credentials.
    pub fn check(&self) -> Result<(), String> {
        let begins_well = self.schema.starts_with(|first: char| first.is_ascii_lowercase());
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let is_name =
            begins_well && self.schema.bytes().all(is_plain) && self.schema.len() <= SCHEMA_BYTES_MAX;
        if !is_name || self.schema.starts_with("pg_") {
            return Err(
                "schema must be 1 to 63 of a-z 0-9 _, begin with a letter, and not with pg_".to_owned()
            );
        }
        parse("url", &self.url)?;
        if let Some(url) = &self.replica_url {
            parse("replica_url", url)?;
        }
        self.tls.check()
    }

    /// How to connect for writing.
    pub(crate) fn primary(&self, application: &str) -> Result<tokio_postgres::Config, String> {
        let mut config = self.complete(parse("url", &self.url)?, application, EXCHANGE_TIMEOUT)?;
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        Ok(config)
    }

    /// How to connect for reading, giving up on an unanswered packet after `timeout`; `None` if there is no replica.
    pub(super) fn replica(&self, timeout: Duration) -> Result<Option<tokio_postgres::Config>, String> {
        let Some(url) = &self.replica_url else { return Ok(None) };
        Ok(Some(self.complete(parse("replica_url", url)?, "onrush reader", timeout)?))
    }

    fn complete(
        &self,
        mut config: tokio_postgres::Config,
        application: &str,
        timeout: Duration,
    ) -> Result<tokio_postgres::Config, String> {
        if let Some(password) = &self.password {
            config.password(password.reveal()?.as_bytes());
        }
        if config.get_application_name().is_none() {
            config.application_name(application);
        }
        config
            .ssl_mode(match self.tls.mode {
                Tls::Off => SslMode::Disable,
                Tls::Auto if is_local(&config) => SslMode::Disable,
                Tls::Auto | Tls::Verify | Tls::UnsafeNoVerify => SslMode::Require,
            })
            .connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .tcp_user_timeout(timeout)
            .keepalives_idle(timeout);
        Ok(config)
    }
}

/// Reads a URL. What is wrong with it is told without quoting it, because it may hold a password.
fn parse(field: &str, url: &str) -> Result<tokio_postgres::Config, String> {
    let Ok(config) = url.parse::<tokio_postgres::Config>() else {
        return Err(format!(
            "{field} must be a PostgreSQL URL, as in postgresql://user@host:5432/database; sslmode may be \
             disable, prefer or require"
        ));
    };
    if config.get_password().is_some() {
        return Err(format!("{field} must not contain a password; use password_file or the environment"));
    }
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(format!("{field} must name a host"));
    }
    Ok(config)
}

/// Whether nothing between here and any of the hosts could listen.
fn is_local(config: &tokio_postgres::Config) -> bool {
    if !config.get_hostaddrs().is_empty() {
        return config.get_hostaddrs().iter().all(IpAddr::is_loopback);
    }
    config.get_hosts().iter().all(|host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, change: impl FnOnce(&mut Settings), wanted: &str) {
        let mut settings = Settings::new(url);
        change(&mut settings);
        let answer = settings.check().err().unwrap_or_default();
        assert!(answer.contains(wanted) && answer.is_empty() == wanted.is_empty(), "{url}: {answer}");
        assert!(!answer.contains("s3cret"), "{answer}");
    }

    #[test]
    fn urls_are_read_and_passwords_in_them_refused() {
        for url in [
            "postgresql://onrush@db:5432/shop",
            "postgres://onrush@db/shop?sslmode=require",
            "postgresql://onrush@a,b:5433/shop",
            "postgresql://onrush@%2Frun%2Fpostgresql/shop",
            "postgresql:///shop?host=/run/postgresql&user=onrush",
            "host=/run/postgresql user=onrush dbname=shop",
        ] {
            check(url, |_| {}, "");
        }
        check("postgresql://onrush:s3cret@db/shop", |_| {}, "must not contain a password");
        check("host=db password=s3cret", |_| {}, "must not contain a password");
        check("postgresql://onrush:s3cret@db:notaport/shop", |_| {}, "url must be a PostgreSQL URL");
        check("mysql://onrush:s3cret@db/shop", |_| {}, "url must be a PostgreSQL URL");
        check("", |_| {}, "url must name a host");
        let replica = Some("postgresql://onrush:s3cret@db/shop".to_owned());
        check("postgresql://db/", |settings| settings.replica_url = replica, "replica_url must not contain");
    }

    #[test]
    fn a_schema_is_a_plain_name() {
        for (schema, wanted) in [
            ("onrush", ""),
            ("shop_2", ""),
            ("", "schema must"),
            ("2shop", "schema must"),
            ("Shop", "schema must"),
            ("a\"; drop", "schema must"),
            ("pg_shop", "schema must"),
            (&"a".repeat(64), "schema must"),
        ] {
            check("postgresql://db/", |settings| settings.schema = schema.to_owned(), wanted);
        }
    }

    #[test]
    fn a_missing_certificate_file_is_found_at_once() {
        check(
            "postgresql://db/",
            |settings| settings.tls.ca_file = Some("/nowhere/ca.pem".into()),
            "tls_ca_file",
        );
    }

    #[test]
    fn encryption_is_left_out_only_where_nobody_can_listen() {
        for (url, tls, wanted) in [
            ("postgresql://localhost/", Tls::Auto, SslMode::Disable),
            ("postgresql://127.0.0.1/", Tls::Auto, SslMode::Disable),
            ("postgresql://[::1]/", Tls::Auto, SslMode::Disable),
            ("host=/run/postgresql", Tls::Auto, SslMode::Disable),
            ("postgresql://localhost,db/", Tls::Auto, SslMode::Require),
            ("postgresql://localhost/?hostaddr=10.0.0.1", Tls::Auto, SslMode::Require),
            ("postgresql://db/?sslmode=disable", Tls::Auto, SslMode::Require),
            ("postgresql://db/", Tls::Off, SslMode::Disable),
            ("postgresql://localhost/", Tls::Verify, SslMode::Require),
            ("postgresql://localhost/", Tls::UnsafeNoVerify, SslMode::Require),
        ] {
            let mut settings = Settings::new(url);
            settings.tls.mode = tls;
            assert_eq!(settings.primary("test").unwrap().get_ssl_mode(), wanted, "{url} {tls:?}");
        }
    }

    #[test]
    fn debug_output_has_no_password() {
        let settings =
            Settings { password: Some(Secret::new("s3cret")), ..Settings::new("postgresql://db/") };
        let config = settings.primary("test").unwrap();
        assert!(!format!("{settings:?} {config:?}").contains("s3cret"));
    }
}

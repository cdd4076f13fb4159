//! How a Kafka cluster is reached, as a user may set it, and what that means for librdkafka.

use std::path::PathBuf;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use super::properties;
use crate::{Secret, Tls, TlsSettings};

/// A password goes over a line in clear only if somebody says so.
const NO_TLS: &str = "a username, tls or tls_ca_file needs TLS, which this build lacks: build with the feature kafka-tls, \
    or set tls = \"off\", which sends the password in clear";

/// Which of two contradicting settings counts would be a guess, and a wrong one sends everything in clear.
const CONTRADICTION: &str =
    "tls or tls_ca_file says otherwise than security.protocol in properties_file: leave one of them out";

/// Plain values of one cluster.
#[derive(Clone, Debug)]
pub struct ClusterSettings {
    /// Addresses to begin with: `host:port`, comma-separated.
    pub brokers: String,
    /// SASL user, over TLS and with mechanism PLAIN if `properties_file` names no other.
    pub username: Option<String>,
    /// Whether the line is encrypted, where `properties_file` does not say it.
    pub tls: TlsSettings,
    /// Its password.
    pub password: Option<Secret>,
    /// Further properties of librdkafka, `key=value` lines.
    pub properties_file: Option<PathBuf>,
}

impl ClusterSettings {
    /// What is wrong with the values, as a sentence without credentials. Reads `properties_file`; does not connect.
    pub fn check(&self) -> Result<(), String> {
        check_brokers(&self.brokers)?;
        if self.username.is_some() != self.password.is_some() {
            return Err("username and password must be set together".to_owned());
        }
        self.tls.check()?;
        let config = self.client_config()?;
        config.create_native_config().map_err(|error| properties::refusal(&error)).map(drop)
    }

    /// For a client that only asks.
    pub(crate) fn client_config(&self) -> Result<ClientConfig, String> {
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Debug);
        config.set("client.id", "onrush");
        config.set("reconnect.backoff.max.ms", "500");
        if let (Some(username), Some(password)) = (&self.username, &self.password) {
            config.set("sasl.mechanism", "PLAIN");
            config.set("sasl.username", username);
            config.set("sasl.password", &*password.reveal()?);
        }
        if let Some(path) = &self.properties_file {
            for (key, value) in properties::read(path)? {
                config.set(key, value);
            }
        }
        self.set_tls(&mut config)?;
        config.set("bootstrap.servers", &self.brokers);
        Ok(config)
    }

    /// For a client that reads what it is told to, joins no group, and stores no position. librdkafka wants a name for the group.
    pub(crate) fn reader_config(&self, group: &str) -> Result<ClientConfig, String> {
        let mut config = self.client_config()?;
        config.set("group.id", group);
        config.set("enable.auto.commit", "false");
        config.set("enable.auto.offset.store", "false");
        config.set("enable.partition.eof", "true");
        config.set("auto.offset.reset", "error");
        Ok(config)
    }

    fn set_tls(&self, config: &mut ClientConfig) -> Result<(), String> {
        let has_user = self.username.is_some();
        let is_wanted = match self.tls.mode {
            Tls::Auto => has_user || self.tls.ca_file.is_some(),
            Tls::Off => false,
            Tls::Verify | Tls::UnsafeNoVerify => true,
        };
        if let Some(protocol) = config.get("security.protocol") {
            let is_encrypted = matches!(protocol.to_ascii_lowercase().as_str(), "ssl" | "sasl_ssl");
            let is_as_said = match self.tls.mode {
                Tls::Auto => is_encrypted || self.tls.ca_file.is_none(),
                Tls::Off => !is_encrypted,
                Tls::Verify | Tls::UnsafeNoVerify => is_encrypted,
            };
            if !is_as_said {
                return Err(CONTRADICTION.to_owned());
            }
        } else {
            if is_wanted && cfg!(not(feature = "kafka-tls")) {
                return Err(NO_TLS.to_owned());
            }
            match (has_user, is_wanted) {
                (true, true) => config.set("security.protocol", "sasl_ssl"),
                (true, false) => config.set("security.protocol", "sasl_plaintext"),
                (false, true) => config.set("security.protocol", "ssl"),
                (false, false) => config,
            };
        }
        if cfg!(feature = "kafka-tls") && is_wanted {
            self.tls.check()?;
            if let Some(file) = &self.tls.ca_file {
                config.set("ssl.ca.location", file.display().to_string());
            }
            let verifies = self.tls.mode != Tls::UnsafeNoVerify;
            config.set("enable.ssl.certificate.verification", verifies.to_string());
        }
        Ok(())
    }

    /// Whom a client with this configuration believes, unless `properties_file` has a say in it.
    pub(super) fn believed(&self, config: &ClientConfig) -> Option<TlsSettings> {
        let ca_file = self.tls.ca_file.as_ref().map(|file| file.display().to_string());
        let is_own =
            config.get("ssl.ca.location") == ca_file.as_deref() && config.get("ssl.ca.pem").is_none();
        is_own.then(|| self.tls.clone())
    }
}

fn check_brokers(brokers: &str) -> Result<(), String> {
    let is_address = |address: &str| {
        let Some((host, port)) = address.trim().rsplit_once(':') else { return false };
        let host_fits = !host.is_empty() && !host.contains(['/', '@', ' ']);
        host_fits && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    if brokers.split(',').all(is_address) {
        return Ok(());
    }
    Err("brokers must be addresses like \"kafka-1:9092,kafka-2:9092\", without a scheme or a password"
        .to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn settings() -> ClusterSettings {
        ClusterSettings {
            brokers: "kafka-1:9092".to_owned(),
            username: None,
            tls: TlsSettings::default(),
            password: None,
            properties_file: None,
        }
    }

    #[test]
    fn brokers_are_addresses() {
        for (brokers, is_taken) in [
            ("127.0.0.1:9092", true),
            ("kafka-1:9092, kafka-2:9093", true),
            ("[::1]:9092", true),
            ("", false),
            ("kafka-1", false),
            ("kafka-1:", false),
            (":9092", false),
            ("kafka-1:0", false),
            ("kafka-1:9092,", false),
            ("kafka://kafka-1:9092", false),
            ("onrush:secret@kafka-1:9092", false),
        ] {
            let outcome = ClusterSettings { brokers: brokers.to_owned(), ..settings() }.check();
            assert_eq!(outcome.is_ok(), is_taken, "{brokers}: {outcome:?}");
            assert!(!format!("{outcome:?}").contains("secret"));
        }
    }

    #[test]
    fn a_user_has_a_password() {
        let (username, password) = (Some("onrush".to_owned()), Some(Secret::new("secret")));
        for (username, password) in [(username, None), (None, password)] {
            let outcome = ClusterSettings { username, password, ..settings() }.check();
            assert_eq!(outcome.unwrap_err(), "username and password must be set together");
        }
    }

    #[test]
    fn a_password_goes_over_tls_unless_the_file_says_otherwise() {
        for (text, expected) in [
            ("", cfg!(feature = "kafka-tls").then_some("sasl_ssl")),
            ("linger.ms=20", cfg!(feature = "kafka-tls").then_some("sasl_ssl")),
            ("security.protocol=sasl_plaintext", Some("sasl_plaintext")),
        ] {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            let settings = ClusterSettings {
                username: Some("onrush".to_owned()),
                password: Some(Secret::new("secret")),
                properties_file: Some(file.path().to_owned()),
                ..settings()
            };
            assert_eq!(settings.check(), expected.map(drop).ok_or_else(|| NO_TLS.to_owned()), "{text}");
            let config = settings.client_config().ok();
            assert_eq!(
                config.as_ref().and_then(|config| config.get("security.protocol")),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn tls_and_a_properties_file_do_not_contradict_each_other() {
        const CA: &str = "../onrush/tests/ca.pem";
        for (mode, ca_file, protocol, is_taken) in [
            (Tls::Auto, None, "plaintext", true),
            (Tls::Auto, None, "SASL_PLAINTEXT", true),
            (Tls::Auto, None, "ssl", true),
            (Tls::Auto, Some(CA), "plaintext", false),
            (Tls::Auto, Some(CA), "sasl_ssl", true),
            (Tls::Off, None, "sasl_plaintext", true),
            (Tls::Off, None, "ssl", false),
            (Tls::Off, None, "SASL_SSL", false),
            (Tls::Verify, None, "plaintext", false),
            (Tls::Verify, Some(CA), "sasl_plaintext", false),
            (Tls::Verify, None, "SSL", true),
            (Tls::UnsafeNoVerify, None, "plaintext", false),
            (Tls::UnsafeNoVerify, None, "ssl", true),
        ] {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            writeln!(file, "security.protocol={protocol}").unwrap();
            let tls = TlsSettings { mode, ca_file: ca_file.map(Into::into) };
            let properties_file = Some(file.path().to_owned());
            let outcome = ClusterSettings { tls, properties_file, ..settings() }.client_config();
            let expected = if is_taken { None } else { Some(CONTRADICTION) };
            assert_eq!(outcome.err().as_deref(), expected, "{mode:?} {ca_file:?} {protocol}");
        }
    }

    #[test]
    fn a_properties_file_is_read_and_its_values_are_never_repeated() {
        for (text, problem) in [
            ("linger.ms=20\nsecurity.protocol=plaintext\n", None),
            ("compression.type=none", None),
            ("sasl.password=hush-hush", None),
            ("sasl.pasword=hush-hush", Some("librdkafka knows no property sasl.pasword")),
            ("linger.ms=hush-hush", Some("librdkafka does not take the value of linger.ms")),
            ("acks=hush-hush", Some("sets acks, which onrush sets itself")),
            ("hush-hush", Some("line 1 is not of the form key=value")),
        ] {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            let outcome =
                ClusterSettings { properties_file: Some(file.path().to_owned()), ..settings() }.check();
            match (&outcome, problem) {
                (Ok(()), None) => {}
                (Err(found), Some(problem)) if found.contains(problem) => {}
                _ => panic!("{text}: {outcome:?}"),
            }
            assert!(!format!("{outcome:?}").contains("hush"), "{outcome:?}");
        }
        let absent = ClusterSettings { properties_file: Some("/absent/file".into()), ..settings() };
        assert!(absent.check().unwrap_err().starts_with("read properties_file /absent/file: "));
    }
}

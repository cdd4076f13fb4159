//! Apache Kafka in KRaft mode, one process being broker and controller, run from jars that Maven fetches once.
//!
//! Beside its usual listener the broker has others. `PROXY` and `LOGIN_PROXY` it tells clients to reach on a port where nobody
//! listens: a test puts a proxy there that forwards to the real port, and can then hurt every connection of a client. `TLS` is
//! encrypted, `EXPIRED` as well, with a certificate that is no longer good. `LOGIN` wants a password over TLS, and
//! `LOGIN_PROXY` the same password without.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use super::chance::{Ports, password};
use super::home::{Home, make_private_directory, write_private};
use super::lines::Lines;
use super::process::{Process, attached, detached, run_logged, spawn};
use super::server::Server;
use super::waiting::connect;
use super::{certificates, jars};
use crate::machine::program;

const NAME: &str = "kafka";
/// Any 16 bytes in the alphabet of URLs: the identity of a cluster of one.
const CLUSTER_ID: &str = "onrushServicesForTestA";
/// A request for the metadata of no topic, in version 4: its length, key 3, version, correlation 7, no client id, no topic,
/// and no creation of topics (<https://kafka.apache.org/protocol#The_Messages_Metadata>).
const METADATA_REQUEST: &[u8] = &[0, 0, 0, 15, 0, 3, 0, 4, 0, 0, 0, 7, 255, 255, 0, 0, 0, 0, 0];
/// The answer up to and with the number of brokers: length, correlation, throttle time, count.
const METADATA_START_LENGTH: usize = 16;

/// Who may log in, by PLAIN and by SCRAM.
const USER: &str = "onrush";
/// Files of [`certificates::make`].
const CERTIFICATE: &str = "server.crt";
const EXPIRED_CERTIFICATE: &str = "expired.crt";

/// A listener beside the usual one.
struct Listener {
    name: &'static str,
    protocol: &'static str,
    /// The setting with the port it has.
    port_key: &'static str,
    /// The setting with the port it tells clients, if that is another.
    proxied_port_key: Option<&'static str>,
    /// What it shows.
    certificate: &'static str,
}

const LISTENERS: [Listener; 5] = [
    Listener {
        name: "PROXY",
        protocol: "PLAINTEXT",
        port_key: "BEHIND_PROXY_PORT",
        proxied_port_key: Some("PROXIED_PORT"),
        certificate: CERTIFICATE,
    },
    Listener {
        name: "TLS",
        protocol: "SSL",
        port_key: "TLS_PORT",
        proxied_port_key: None,
        certificate: CERTIFICATE,
    },
    Listener {
        name: "EXPIRED",
        protocol: "SSL",
        port_key: "EXPIRED_PORT",
        proxied_port_key: None,
        certificate: EXPIRED_CERTIFICATE,
    },
    Listener {
        name: "LOGIN",
        protocol: "SASL_SSL",
        port_key: "LOGIN_PORT",
        proxied_port_key: None,
        certificate: CERTIFICATE,
    },
    Listener {
        name: "LOGIN_PROXY",
        protocol: "SASL_PLAINTEXT",
        port_key: "BEHIND_LOGIN_PROXY_PORT",
        proxied_port_key: Some("PROXIED_LOGIN_PORT"),
        certificate: CERTIFICATE,
    },
];

/// See the module.
pub(crate) struct Kafka;

impl Server for Kafka {
    fn name(&self) -> &'static str {
        NAME
    }

    fn programs(&self) -> &'static [&'static str] {
        &["java", "mvn", "openssl"]
    }

    fn choose(&self, _: &Home, ports: &mut Ports) -> Result<Lines> {
        let mut settings = Lines::default();
        settings.insert("PORT", ports.draw()?);
        settings.insert("CONTROLLER_PORT", ports.draw()?);
        for listener in LISTENERS {
            settings.insert(listener.port_key, ports.draw()?);
            if let Some(key) = listener.proxied_port_key {
                settings.insert(key, ports.draw()?);
            }
        }
        settings.insert("PASSWORD", password()?);
        Ok(settings)
    }

    fn prepare(&self, home: &Home, settings: &Lines) -> Result<()> {
        jars::fetch(NAME, &home.log())?;
        make_private_directory(&home.path("data"))?;
        make_private_directory(&home.path("scratch"))?;
        certificates::make(home)?;
        for certificate in [CERTIFICATE, EXPIRED_CERTIFICATE] {
            write_keystore(home, certificate)?;
        }
        write_properties(home, settings)?;
        let mut format = attached(&program("java")?, None);
        jars::add_arguments(&mut format, NAME, home, "kafka.tools.StorageTool");
        format.args(["format", "--cluster-id", CLUSTER_ID, "--config"]).arg(home.path("server.properties"));
        let password = settings.get("PASSWORD")?;
        format.args(["--add-scram", &format!("SCRAM-SHA-256=[name={USER},password={password}]")]);
        run_logged(&mut format, "format the storage of Kafka", &home.log())
    }

    fn launch(&self, home: &Home, settings: &Lines) -> Result<Vec<Process>> {
        jars::fetch(NAME, &home.log())?;
        write_properties(home, settings)?;
        let mut broker = detached(&program("java")?, None);
        broker.arg("-Xmx512m");
        jars::add_arguments(&mut broker, NAME, home, "kafka.Kafka");
        Ok(vec![spawn(broker.arg(home.path("server.properties")), &home.log())?])
    }

    fn probe(&self, _: &Home, settings: &Lines) -> Result<()> {
        let mut stream = connect(settings.get("PORT")?)?;
        stream.write_all(METADATA_REQUEST).context("ask Kafka")?;
        let mut answer = [0; METADATA_START_LENGTH];
        stream.read_exact(&mut answer).context("read the answer of Kafka")?;
        let broker_count = &answer[METADATA_START_LENGTH - 4..];
        ensure!(broker_count == [0, 0, 0, 1], "Kafka knows {broker_count:?} brokers");
        Ok(())
    }

    fn variables(
        &self,
        home: &Home,
        settings: &Lines,
        process: Process,
    ) -> Result<Vec<(&'static str, String)>> {
        let address = |key| Ok::<_, anyhow::Error>(format!("127.0.0.1:{}", settings.get(key)?));
        Ok(vec![
            ("KAFKA_BROKERS", address("PORT")?),
            ("KAFKA_PROXIED_BROKERS", address("PROXIED_PORT")?),
            ("KAFKA_PROXY_TARGET", address("BEHIND_PROXY_PORT")?),
            ("KAFKA_TLS_BROKERS", address("TLS_PORT")?),
            ("KAFKA_EXPIRED_BROKERS", address("EXPIRED_PORT")?),
            ("KAFKA_CA", home.path("ca.pem").display().to_string()),
            ("KAFKA_LOGIN_BROKERS", address("LOGIN_PORT")?),
            ("KAFKA_PROXIED_LOGIN_BROKERS", address("PROXIED_LOGIN_PORT")?),
            ("KAFKA_LOGIN_PROXY_TARGET", address("BEHIND_LOGIN_PROXY_PORT")?),
            ("KAFKA_USER", USER.to_owned()),
            ("KAFKA_PASSWORD", settings.get("PASSWORD")?.to_owned()),
            ("KAFKA_PID", process.pid.to_string()),
            ("KAFKA_LIBS", jars::directory(NAME).display().to_string()),
        ])
    }
}

/// Puts a certificate behind its key and in front of its authority's, as Kafka reads them.
fn write_keystore(home: &Home, certificate: &str) -> Result<()> {
    let mut keystore = String::new();
    for file in ["server.key", certificate, "ca.pem"] {
        let path = home.path(file);
        keystore += &std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    }
    write_private(&keystore_path(home, certificate), &keystore)
}

fn keystore_path(home: &Home, certificate: &str) -> PathBuf {
    home.path(certificate).with_extension("keystore.pem")
}

/// The session is short because a broker that was killed may not come back before its last session has ended.
fn write_properties(home: &Home, settings: &Lines) -> Result<()> {
    let (port, controller) = (settings.get("PORT")?, settings.get("CONTROLLER_PORT")?);
    let mut listeners = format!("CLIENT://127.0.0.1:{port}");
    let mut advertised = listeners.clone();
    let mut protocols = "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned();
    let mut own = String::new();
    for listener in LISTENERS {
        let Listener { name, protocol, port_key, proxied_port_key, certificate } = listener;
        let told = proxied_port_key.unwrap_or(port_key);
        write!(listeners, ",{name}://127.0.0.1:{}", settings.get(port_key)?)?;
        write!(advertised, ",{name}://127.0.0.1:{}", settings.get(told)?)?;
        write!(protocols, ",{name}:{protocol}")?;
        let prefix = format!("listener.name.{}", name.to_lowercase());
        if protocol.ends_with("SSL") {
            let keystore = keystore_path(home, certificate);
            writeln!(own, "{prefix}.ssl.keystore.location={}", keystore.display())?;
            writeln!(own, "{prefix}.ssl.keystore.type=PEM")?;
        }
        if protocol.starts_with("SASL") {
            own += &login_properties(&prefix, settings.get("PASSWORD")?);
        }
    }
    let data = home.path("data");
    let properties = format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners={listeners},CONTROLLER://127.0.0.1:{controller}
advertised.listeners={advertised}
listener.security.protocol.map={protocols}
inter.broker.listener.name=CLIENT
{own}log.dirs={data}
auto.create.topics.enable=false
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=4000
num.network.threads=2
num.io.threads=4
offsets.topic.num.partitions=3
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=3
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
",
        data = data.display()
    );
    write_private(&home.path("server.properties"), &properties)
}

/// Who may log in at a listener. PLAIN reads passwords here; SCRAM reads them in the metadata, where they can be changed.
fn login_properties(prefix: &str, password: &str) -> String {
    let modules = "org.apache.kafka.common.security";
    format!(
        "{prefix}.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256
{prefix}.plain.sasl.jaas.config={modules}.plain.PlainLoginModule required user_{USER}=\"{password}\";
{prefix}.scram-sha-256.sasl.jaas.config={modules}.scram.ScramLoginModule required;
"
    )
}

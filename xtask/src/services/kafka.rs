//! Apache Kafka in KRaft mode, one process being broker and controller, run from jars that Maven fetches once.
//!
//! Beside its usual listener the broker has a second one, `PROXY`, that it tells clients to reach on a port where nobody
//! listens: a test puts a proxy there that forwards to the real port, and can then hurt every connection of a client.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::chance::Ports;
use super::home::{Home, make_private_directory, remove_if_there, write_private};
use super::lines::Lines;
use super::process::{Process, attached, detached, run_logged, spawn};
use super::server::Server;
use super::waiting::connect;
use crate::machine::program;
use crate::steps::root;

/// Any 16 bytes in the alphabet of URLs: the identity of a cluster of one.
const CLUSTER_ID: &str = "onrushServicesForTestA";
/// A request for the metadata of no topic, in version 4: its length, key 3, version, correlation 7, no client id, no topic,
/// and no creation of topics (<https://kafka.apache.org/protocol#The_Messages_Metadata>).
const METADATA_REQUEST: &[u8] = &[0, 0, 0, 15, 0, 3, 0, 4, 0, 0, 0, 7, 255, 255, 0, 0, 0, 0, 0];
/// The answer up to and with the number of brokers: length, correlation, throttle time, count.
const METADATA_START_LENGTH: usize = 16;

/// See the module.
pub(crate) struct Kafka;

impl Server for Kafka {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn programs(&self) -> &'static [&'static str] {
        &["java", "mvn"]
    }

    fn choose(&self, _: &Home, ports: &mut Ports) -> Result<Lines> {
        let mut settings = Lines::default();
        for key in ["PORT", "CONTROLLER_PORT", "BEHIND_PROXY_PORT", "PROXIED_PORT"] {
            settings.insert(key, ports.draw()?);
        }
        Ok(settings)
    }

    fn prepare(&self, home: &Home, settings: &Lines) -> Result<()> {
        fetch_libraries(&home.log())?;
        make_private_directory(&home.path("data"))?;
        make_private_directory(&home.path("scratch"))?;
        write_properties(home, settings)?;
        let mut format = attached(&program("java")?, None);
        add_java_arguments(&mut format, home, "kafka.tools.StorageTool");
        format.args(["format", "--cluster-id", CLUSTER_ID, "--config"]).arg(home.path("server.properties"));
        run_logged(&mut format, "format the storage of Kafka", &home.log())
    }

    fn launch(&self, home: &Home, settings: &Lines) -> Result<Vec<Process>> {
        fetch_libraries(&home.log())?;
        write_properties(home, settings)?;
        let mut broker = detached(&program("java")?, None);
        broker.arg("-Xmx512m");
        add_java_arguments(&mut broker, home, "kafka.Kafka");
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

    fn variables(&self, _: &Home, settings: &Lines, process: Process) -> Result<Vec<(&'static str, String)>> {
        let address = |key| Ok::<_, anyhow::Error>(format!("127.0.0.1:{}", settings.get(key)?));
        Ok(vec![
            ("KAFKA_BROKERS", address("PORT")?),
            ("KAFKA_PROXIED_BROKERS", address("PROXIED_PORT")?),
            ("KAFKA_PROXY_TARGET", address("BEHIND_PROXY_PORT")?),
            ("KAFKA_PID", process.pid.to_string()),
            ("KAFKA_LIBS", libraries().display().to_string()),
        ])
    }
}

/// The jars, shared by all directories of services.
fn libraries() -> PathBuf {
    root().join("target/services/kafka-libs")
}

/// Fetches the jars unless those that `pom.xml` asks for are there.
fn fetch_libraries(log: &Path) -> Result<()> {
    let pom = root().join("services/kafka/pom.xml");
    let wanted = std::fs::read(&pom).with_context(|| format!("read {}", pom.display()))?;
    let libraries = libraries();
    if std::fs::read(libraries.join("pom.xml")).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    eprintln!("kafka: fetching its jars by Maven, some 55 MB; the next start has them");
    let fresh = libraries.with_extension("fresh");
    remove_if_there(&fresh).context("remove jars that were not fetched wholly")?;
    let mut maven = Command::new(program("mvn")?);
    maven.args(["--batch-mode", "--quiet", "--file"]).arg(&pom);
    maven.args(["dependency:copy-dependencies", "-DincludeScope=runtime"]);
    maven.arg(format!("-DoutputDirectory={}", fresh.display()));
    run_logged(&mut maven, "fetch the jars of Kafka", log)?;
    std::fs::copy(&pom, fresh.join("pom.xml")).context("note which jars these are")?;
    remove_if_there(&libraries).context("remove the jars of another version")?;
    std::fs::rename(&fresh, &libraries).context("put the fetched jars into their place")
}

fn add_java_arguments(command: &mut Command, home: &Home, class: &str) {
    let logging = root().join("services/kafka/log4j2.xml");
    command
        // Otherwise every virtual machine leaves a file under /tmp.
        .arg("-XX:-UsePerfData")
        .arg(format!("-Djava.io.tmpdir={}", home.path("scratch").display()))
        .arg(format!("-Dlog4j2.configurationFile={}", logging.display()))
        .arg("-classpath")
        .arg(libraries().join("*"))
        .arg(class);
}

/// The session is short because a broker that was killed may not come back before its last session has ended.
fn write_properties(home: &Home, settings: &Lines) -> Result<()> {
    let (port, controller) = (settings.get("PORT")?, settings.get("CONTROLLER_PORT")?);
    let (behind, proxied) = (settings.get("BEHIND_PROXY_PORT")?, settings.get("PROXIED_PORT")?);
    let data = home.path("data");
    let properties = format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=CLIENT://127.0.0.1:{port},PROXY://127.0.0.1:{behind},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=CLIENT://127.0.0.1:{port},PROXY://127.0.0.1:{proxied}
listener.security.protocol.map=CLIENT:PLAINTEXT,PROXY:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=CLIENT
log.dirs={data}
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

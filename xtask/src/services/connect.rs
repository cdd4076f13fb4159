//! One worker of Kafka Connect with the connectors of Debezium, which turn changes of rows into records of Kafka. It keeps what
//! it is told to run, and how far it is, in topics of the broker: killed and started again, it goes on from there.

use std::io::{Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::chance::Ports;
use super::home::{Home, make_private_directory, write_private};
use super::jars;
use super::kafka::Kafka;
use super::lines::Lines;
use super::process::{Process, detached, spawn};
use super::server::Server;
use super::waiting::connect;
use crate::machine::program;

const NAME: &str = "connect";
/// The worker says 200 here once it has read its topics and takes connectors.
const HEALTH_REQUEST: &[u8] = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
const HEALTHY: &[u8] = b"HTTP/1.1 200 ";

/// See the module.
pub(crate) struct Connect;

impl Server for Connect {
    fn name(&self) -> &'static str {
        NAME
    }

    fn programs(&self) -> &'static [&'static str] {
        &["java", "mvn"]
    }

    fn rests_on(&self) -> Option<&'static str> {
        Some(Kafka.name())
    }

    fn choose(&self, home: &Home, ports: &mut Ports) -> Result<Lines> {
        let services = home.directory.parent().unwrap_or(Path::new("."));
        let kafka = Home::new(services, Kafka.name()).settings()?.context("Kafka was never started")?;
        let mut settings = Lines::default();
        settings.insert("PORT", ports.draw()?);
        settings.insert("BROKER", format!("127.0.0.1:{}", kafka.get("PORT")?));
        Ok(settings)
    }

    fn prepare(&self, home: &Home, _: &Lines) -> Result<()> {
        make_private_directory(&home.path("scratch"))
    }

    fn launch(&self, home: &Home, settings: &Lines) -> Result<Vec<Process>> {
        jars::fetch(NAME, &home.log())?;
        write_properties(home, settings)?;
        let mut worker = detached(&program("java")?, None);
        worker.arg("-Xmx512m");
        jars::add_arguments(&mut worker, NAME, home, "org.apache.kafka.connect.cli.ConnectDistributed");
        Ok(vec![spawn(worker.arg(home.path("worker.properties")), &home.log())?])
    }

    fn probe(&self, _: &Home, settings: &Lines) -> Result<()> {
        let mut stream = connect(settings.get("PORT")?)?;
        stream.write_all(HEALTH_REQUEST).context("ask Kafka Connect")?;
        let mut answer = [0; HEALTHY.len()];
        stream.read_exact(&mut answer).context("read the answer of Kafka Connect")?;
        ensure!(answer == HEALTHY, "Kafka Connect answers {:?}", String::from_utf8_lossy(&answer));
        Ok(())
    }

    fn variables(&self, _: &Home, settings: &Lines, process: Process) -> Result<Vec<(&'static str, String)>> {
        Ok(vec![
            ("CONNECT_URL", format!("http://127.0.0.1:{}", settings.get("PORT")?)),
            ("CONNECT_PID", process.pid.to_string()),
        ])
    }
}

/// A worker that was killed counts as a member of its group for one session more, and a new one takes part only after that.
fn write_properties(home: &Home, settings: &Lines) -> Result<()> {
    let properties = format!(
        "bootstrap.servers={broker}
listeners=http://127.0.0.1:{port}
group.id=connect
session.timeout.ms=6000
heartbeat.interval.ms=2000
scheduled.rebalance.max.delay.ms=0
config.storage.topic=connect-configs
config.storage.replication.factor=1
offset.storage.topic=connect-offsets
offset.storage.replication.factor=1
offset.storage.partitions=1
offset.flush.interval.ms=500
status.storage.topic=connect-status
status.storage.replication.factor=1
status.storage.partitions=1
key.converter=org.apache.kafka.connect.json.JsonConverter
key.converter.schemas.enable=false
value.converter=org.apache.kafka.connect.json.JsonConverter
value.converter.schemas.enable=false
plugin.discovery=service_load
",
        broker = settings.get("BROKER")?,
        port = settings.get("PORT")?,
    );
    write_private(&home.path("worker.properties"), &properties)
}

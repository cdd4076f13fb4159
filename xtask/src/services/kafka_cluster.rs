//! Three processes of Apache Kafka that are one cluster, each broker and controller in one, from the same jars as the single broker
//! of [`super::kafka`]. Topics have a copy on each, and a write is acknowledged when two have it.
//!
//! Beside its usual listener each broker has one for each of three clients, which it tells them to reach on another address of the
//! loopback interface, 127.0.0.2 to 127.0.0.4, where nobody listens. A test puts a proxy there that forwards to the real address, and can
//! then cut one client off from one broker.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::chance::Ports;
use super::home::{Home, make_private_directory, write_private};
use super::jars;
use super::lines::Lines;
use super::process::{Process, attached, detached, run_logged, spawn};
use super::server::Server;
use super::waiting::connect;
use crate::machine::program;

/// What all three are called together.
pub(crate) const CLUSTER: &str = "kafka-cluster";
/// Whose jars they are run from.
const JARS: &str = "kafka";
/// Any 16 bytes in the alphabet of URLs: the identity of the cluster.
const CLUSTER_ID: &str = "onrushServicesClusterA";
const BROKERS: [Broker; 3] = [
    Broker { number: 1, name: "kafka-1", pid_key: "KAFKA_1_PID" },
    Broker { number: 2, name: "kafka-2", pid_key: "KAFKA_2_PID" },
    Broker { number: 3, name: "kafka-3", pid_key: "KAFKA_3_PID" },
];
/// Which clients have a listener of their own, and the variables with the addresses that they are told, and with those behind.
const CLIENTS: [(u8, &str, &str); 3] = [
    (1, "KAFKA_CLUSTER_PROXIED_1", "KAFKA_CLUSTER_TARGETS_1"),
    (2, "KAFKA_CLUSTER_PROXIED_2", "KAFKA_CLUSTER_TARGETS_2"),
    (3, "KAFKA_CLUSTER_PROXIED_3", "KAFKA_CLUSTER_TARGETS_3"),
];

/// Where all of them listen.
const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// A request for the metadata of no topic, in version 4: its length, key 3, version, correlation 7, no client id, no topic,
/// and no creation of topics (<https://kafka.apache.org/protocol#The_Messages_Metadata>).
const METADATA_REQUEST: &[u8] = &[0, 0, 0, 15, 0, 3, 0, 4, 0, 0, 0, 7, 255, 255, 0, 0, 0, 0, 0];
/// The answer up to the number of brokers: length, correlation, throttle time.
const METADATA_START_LENGTH: usize = 12;

/// One of the three. The first chooses the ports of all, and what it keeps is removed only with what the others keep.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Broker {
    number: u8,
    name: &'static str,
    pid_key: &'static str,
}

pub(crate) const FIRST: Broker = BROKERS[0];
pub(crate) const SECOND: Broker = BROKERS[1];
pub(crate) const THIRD: Broker = BROKERS[2];

impl Server for Broker {
    fn name(&self) -> &'static str {
        self.name
    }

    fn programs(&self) -> &'static [&'static str] {
        &["java", "mvn"]
    }

    fn rests_on(&self) -> Option<&'static str> {
        (self.number > 1).then_some(FIRST.name)
    }

    fn group(&self) -> Option<&'static str> {
        Some(CLUSTER)
    }

    fn choose(&self, home: &Home, ports: &mut Ports) -> Result<Lines> {
        let mut settings = Lines::default();
        if self.number > 1 {
            settings.insert("PORT", settings_of_cluster(home)?.get(&self.port_key())?);
            return Ok(settings);
        }
        for broker in BROKERS {
            settings.insert(&broker.port_key(), ports.draw()?);
            settings.insert(&broker.controller_port_key(), ports.draw()?);
            for (client, ..) in CLIENTS {
                settings.insert(&broker.client_port_key(client), ports.draw()?);
            }
        }
        let port = settings.get(&self.port_key())?.to_owned();
        settings.insert("PORT", port);
        Ok(settings)
    }

    fn prepare(&self, home: &Home, _: &Lines) -> Result<()> {
        jars::fetch(JARS, &home.log())?;
        make_private_directory(&home.path("data"))?;
        make_private_directory(&home.path("scratch"))?;
        self.write_properties(home)?;
        let mut format = attached(&program("java")?, None);
        jars::add_arguments(&mut format, JARS, home, "kafka.tools.StorageTool");
        format.args(["format", "--cluster-id", CLUSTER_ID, "--config"]).arg(home.path("server.properties"));
        run_logged(&mut format, "format the storage of Kafka", &home.log())
    }

    fn launch(&self, home: &Home, _: &Lines) -> Result<Vec<Process>> {
        jars::fetch(JARS, &home.log())?;
        self.write_properties(home)?;
        let mut broker = detached(&program("java")?, None);
        broker.args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
        jars::add_arguments(&mut broker, JARS, home, "kafka.Kafka");
        Ok(vec![spawn(broker.arg(home.path("server.properties")), &home.log())?])
    }

    /// One alone can do nothing but wait for a second, and that is all that is asked of it then.
    fn probe(&self, home: &Home, settings: &Lines) -> Result<()> {
        let mut is_alone = true;
        for other in BROKERS.iter().filter(|other| other.number != self.number) {
            is_alone &= !home_of(home, other.name).is_alive()?;
        }
        if is_alone {
            let settings = settings_of_cluster(home)?;
            return connect(settings.get(&self.controller_port_key())?).map(drop);
        }
        let known = registered(&mut connect(settings.get("PORT")?)?)?;
        ensure!(known.contains(&self.number.into()), "the cluster has the brokers {known:?}");
        Ok(())
    }

    /// Of brokers that end in order, the last wait for others to take over what they lead. Nobody needs that here: what one wrote
    /// the kernel has.
    fn stop_signal(&self) -> Signal {
        Signal::KILL
    }

    fn variables(&self, _: &Home, settings: &Lines, process: Process) -> Result<Vec<(&'static str, String)>> {
        let mut variables = vec![(self.pid_key, process.pid.to_string())];
        if self.number == 1 {
            variables.push(("KAFKA_CLUSTER_BROKERS", addresses(settings, LOOPBACK, Broker::port_key)?));
            variables.push(("KAFKA_CLUSTER_LIBS", jars::directory(JARS).display().to_string()));
            for (client, proxied, targets) in CLIENTS {
                let key = |broker: Broker| broker.client_port_key(client);
                variables.push((proxied, addresses(settings, proxy_of(client), key)?));
                variables.push((targets, addresses(settings, LOOPBACK, key)?));
            }
        }
        Ok(variables)
    }
}

impl Broker {
    fn port_key(self) -> String {
        format!("BROKER_{}_PORT", self.number)
    }

    fn controller_port_key(self) -> String {
        format!("BROKER_{}_CONTROLLER_PORT", self.number)
    }

    /// Of its listener for a client.
    fn client_port_key(self, client: u8) -> String {
        format!("BROKER_{}_CLIENT_{client}_PORT", self.number)
    }

    /// What the controllers know of a broker ends soon after it has said nothing, so that others take over what it led.
    fn write_properties(self, home: &Home) -> Result<()> {
        let settings = settings_of_cluster(home)?;
        let address = |key: &str| address(&settings, LOOPBACK, key);
        let mut listeners = format!("BROKERS://{}", address(&self.port_key())?);
        let mut advertised = listeners.clone();
        let mut protocols = "BROKERS:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned();
        for (client, ..) in CLIENTS {
            let key = self.client_port_key(client);
            write!(listeners, ",CLIENT_{client}://{}", address(&key)?)?;
            let told = self::address(&settings, proxy_of(client), &key)?;
            write!(advertised, ",CLIENT_{client}://{told}")?;
            write!(protocols, ",CLIENT_{client}:PLAINTEXT")?;
        }
        let voters = BROKERS
            .map(|broker| Ok(format!("{}@{}", broker.number, address(&broker.controller_port_key())?)));
        let properties = format!(
            "process.roles=broker,controller
node.id={number}
controller.quorum.voters={voters}
controller.listener.names=CONTROLLER
listeners={listeners},CONTROLLER://{controller}
advertised.listeners={advertised}
listener.security.protocol.map={protocols}
inter.broker.listener.name=BROKERS
log.dirs={data}
auto.create.topics.enable=false
default.replication.factor=3
min.insync.replicas=2
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
num.network.threads=1
num.io.threads=4
log.cleaner.dedupe.buffer.size=4194304
offsets.topic.num.partitions=3
transaction.state.log.num.partitions=3
group.initial.rebalance.delay.ms=0
",
            number = self.number,
            voters = voters.into_iter().collect::<Result<Vec<_>>>()?.join(","),
            controller = address(&self.controller_port_key())?,
            data = home.path("data").display(),
        );
        write_private(&home.path("server.properties"), &properties)
    }
}

/// Where a proxy of this client listens.
fn proxy_of(client: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, 1 + client)
}

fn address(settings: &Lines, host: Ipv4Addr, key: &str) -> Result<String> {
    Ok(format!("{host}:{}", settings.get(key)?))
}

/// The addresses of all three.
fn addresses(settings: &Lines, host: Ipv4Addr, key: impl Fn(Broker) -> String) -> Result<String> {
    let addresses = BROKERS.map(|broker| address(settings, host, &key(broker)));
    Ok(addresses.into_iter().collect::<Result<Vec<_>>>()?.join(","))
}

/// The numbers of the brokers that the cluster counts on, as one of them tells.
fn registered(stream: &mut TcpStream) -> Result<Vec<u32>> {
    stream.write_all(METADATA_REQUEST).context("ask Kafka")?;
    let mut numbers = Vec::new();
    take::<METADATA_START_LENGTH>(stream)?;
    let broker_count = u32::from_be_bytes(take(stream)?);
    ensure!(usize::try_from(broker_count)? <= BROKERS.len(), "Kafka knows {broker_count} brokers");
    for _ in 0..broker_count {
        numbers.push(u32::from_be_bytes(take(stream)?));
        let host_bytes = u16::from_be_bytes(take(stream)?);
        for _ in 0..host_bytes {
            take::<1>(stream)?;
        }
        // Its port, and that it is in no rack.
        take::<6>(stream)?;
    }
    Ok(numbers)
}

fn take<const COUNT: usize>(stream: &mut TcpStream) -> Result<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    stream.read_exact(&mut bytes).context("read the answer of Kafka")?;
    Ok(bytes)
}

fn home_of(home: &Home, name: &str) -> Home {
    Home::new(home.directory.parent().unwrap_or(Path::new(".")), name)
}

fn settings_of_cluster(home: &Home) -> Result<Lines> {
    let settings = home_of(home, FIRST.name).settings()?;
    settings.with_context(|| format!("{} was never up; it comes up with {CLUSTER}", FIRST.name))
}

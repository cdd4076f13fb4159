//! Several nodes of onrush over one topic of three brokers, all of them on this machine.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::http::{exchange, expect_success};
use crate::process::{Running, free_port};
use crate::services::Services;
use crate::setting::Bench;

/// Longest wait for a node to be as wanted.
const TIMEOUT: Duration = Duration::from_mins(1);
/// Between two looks at a node.
const LOOK: Duration = Duration::from_millis(5);
/// A node that follows says so within this; a leader that nobody asks writes something twice a second.
const LAG_MAX_MS: u64 = 1_500;

/// Settings of a node over a topic of its own, made for this run. Its number is 1, and nobody reaches it by the URL that it tells.
pub(crate) fn shared_log_environment(services: &Services, name: &str) -> Result<Vec<(String, String)>> {
    let brokers =
        services.get("KAFKA_CLUSTER_BROKERS").context("run: cargo xtask services up kafka-cluster")?;
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let topic = format!("bench-{name}-{}-{}", since_epoch.as_secs(), std::process::id());
    let environment = [
        ("ONRUSH_LOG__KIND", "kafka"),
        ("ONRUSH_LOG__BROKERS", brokers),
        ("ONRUSH_LOG__TOPIC", &topic),
        ("ONRUSH_CLUSTER__NODE", "1"),
        ("ONRUSH_CLUSTER__URL", "http://127.0.0.1:9"),
    ];
    Ok(environment.map(|(key, value)| (key.to_owned(), value.to_owned())).into())
}

/// Nodes that follow each other.
#[derive(Debug)]
pub(crate) struct Cluster {
    binary: PathBuf,
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    address: SocketAddr,
    operator_address: SocketAddr,
    directory: PathBuf,
    environment: Vec<(String, String)>,
    process: Option<Running>,
}

/// A node, as it tells of itself.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Report {
    pub(crate) offset: u64,
    /// How old the newest record is that it has read.
    pub(crate) lag_ms: Option<u64>,
}

impl Cluster {
    /// Makes the topic that these settings name.
    pub(crate) fn prepare_topic(bench: &Bench, environment: &[(String, String)]) -> Result<()> {
        let mut prepare = Command::new(&bench.settings.onrush);
        // Variables that tell where services are would be settings to it.
        prepare.env_clear().envs(environment.iter().cloned());
        let prepared = prepare.args(["cluster", "prepare"]).output()?;
        let said = [prepared.stdout, prepared.stderr].concat();
        ensure!(prepared.status.success(), "onrush cluster prepare: {}", String::from_utf8_lossy(&said));
        Ok(())
    }

    /// So many nodes over a new topic, all of which run, and one of which leads.
    pub(crate) fn start(bench: &Bench, services: &Services, name: &str, node_count: usize) -> Result<Self> {
        let environment = shared_log_environment(services, name)?;
        Self::prepare_topic(bench, &environment)?;
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut cluster = Self { binary: bench.settings.onrush.clone(), nodes: Vec::new() };
        for number in 1..=node_count {
            let (address, operator_address) = (local(free_port()?), local(free_port()?));
            let mut environment = environment.clone();
            // The last one of a name counts.
            environment.push(("ONRUSH_CLUSTER__NODE".to_owned(), number.to_string()));
            environment.push(("ONRUSH_CLUSTER__URL".to_owned(), format!("http://{address}")));
            let directory = bench.directory(&format!("{name}-node-{number}"))?;
            cluster.nodes.push(Node { address, operator_address, directory, environment, process: None });
        }
        for node in 0..node_count {
            cluster.restart(node)?;
        }
        cluster.wait_until_level()?;
        Ok(cluster)
    }

    /// Where clients reach each node.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| node.address).collect()
    }

    /// Where its operator reaches a node.
    pub(crate) fn operator_address(&self, node: usize) -> SocketAddr {
        self.nodes[node].operator_address
    }

    /// Starts a node that does not run, on what it has, and waits until it answers, whether it leads or not.
    pub(crate) fn restart(&mut self, node: usize) -> Result<()> {
        let node = &mut self.nodes[node];
        let mut command = Command::new(&self.binary);
        command.args(["serve", "--listen", &node.address.to_string()]);
        command.args(["--operator-listen", &node.operator_address.to_string(), "--data"]);
        command.arg(node.directory.join("data")).envs(node.environment.iter().cloned());
        let mut process = Running::start(&command, "KILL", &node.directory.join("output"))?;
        let address = node.address;
        process.wait_until(TIMEOUT, LOOK, || exchange(address, "GET", "/readyz", None).is_ok())?;
        node.process = Some(process);
        Ok(())
    }

    /// kill -9.
    pub(crate) fn kill(&mut self, node: usize) -> Result<()> {
        self.nodes[node].process.take().context("it runs")?.kill()
    }

    /// SIGTERM, and waits for the end.
    pub(crate) fn stop(&mut self, node: usize) -> Result<()> {
        self.nodes[node].process.take().context("it runs")?.stop(TIMEOUT)
    }

    /// What a node says of itself.
    pub(crate) fn report(&self, node: usize) -> Result<Report> {
        #[derive(Deserialize)]
        struct Answer {
            partitions: Vec<Report>,
        }
        let answer = expect_success(self.nodes[node].address, "GET", "/v1/cluster", None)?;
        let answer: Answer = serde_json::from_str(&answer.body).context("parse a node's report")?;
        answer.partitions.into_iter().next().context("a node without a partition")
    }

    /// Waits until one leads and all others have what it has; returns which.
    pub(crate) fn wait_until_level(&self) -> Result<usize> {
        let started = Instant::now();
        while started.elapsed() < TIMEOUT {
            if let Some(leader) = self.level_leader() {
                return Ok(leader);
            }
            std::thread::sleep(LOOK);
        }
        bail!("no node leads with all others level after {TIMEOUT:?}")
    }

    fn level_leader(&self) -> Option<usize> {
        let leads = |node: &Node| {
            exchange(node.address, "GET", "/readyz", None).is_ok_and(|answer| answer.status == 200)
        };
        let leader = self.nodes.iter().position(leads)?;
        let end = self.report(leader).ok()?.offset;
        let is_level = |node| {
            let report: Option<Report> = self.report(node).ok();
            report.is_some_and(|report| {
                report.offset >= end && report.lag_ms.is_some_and(|lag| lag < LAG_MAX_MS)
            })
        };
        (0..self.nodes.len()).all(is_level).then_some(leader)
    }
}

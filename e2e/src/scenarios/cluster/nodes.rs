//! The nodes: real servers over one topic, each with a way of its own to each broker that can be cut.

use anyhow::{Context as _, Result, ensure};
use onrush_proxy::{Mode, Proxy};
use rustix::process::Signal;
use std::net::SocketAddr;
use std::process::Output;

use crate::Bench;
use crate::server::{Launch, Server};
use crate::services::Services;

/// After so long without a record another node tries to lead, milliseconds.
const SILENCE_MS: &str = "2500";

/// One node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) launch: Launch,
    server: Option<Server>,
    /// To each broker.
    ways: Vec<Proxy>,
}

impl Node {
    /// Another node, which does not run yet.
    pub(crate) fn new(bench: &mut Bench, services: &Services, before: &[Self], topic: &str) -> Result<Self> {
        let number = before.len() + 1;
        let addresses = |key: &str| -> Result<Vec<SocketAddr>> {
            let list = services.value(&format!("KAFKA_CLUSTER_{key}_{number}"))?;
            list.split(',').map(|address| address.parse().context("read an address")).collect()
        };
        let (told, behind) = (addresses("PROXIED")?, addresses("TARGETS")?);
        let ways = told.iter().zip(behind).map(|(told, behind)| Proxy::start_on(*told, behind));
        let ways = ways.collect::<Result<_, _>>().context("put proxies before the brokers")?;
        let mut launch = bench.launch()?;
        let is_taken = |launch: &Launch| {
            let own = [launch.public, launch.operator];
            before.iter().any(|node| own.contains(&node.launch.public) || own.contains(&node.launch.operator))
        };
        while is_taken(&launch) {
            launch = bench.launch()?;
        }
        launch.data = bench.directory.join(format!("node-{number}"));
        launch.output = bench.directory.join(format!("node-{number}.log"));
        let brokers = told.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let (own, url) = (number.to_string(), format!("http://{}", launch.public));
        let launch = launch.with(&[
            ("ONRUSH_LOG__KIND", "kafka"),
            ("ONRUSH_LOG__BROKERS", &brokers),
            ("ONRUSH_LOG__TOPIC", topic),
            ("ONRUSH_CLUSTER__NODE", &own),
            ("ONRUSH_CLUSTER__URL", &url),
            ("ONRUSH_CLUSTER__SILENCE_MS", SILENCE_MS),
            ("ONRUSH_LOG__SEGMENT_BYTES", "1048576"),
            ("ONRUSH_LOG__SNAPSHOT_BYTES", "1048576"),
        ]);
        Ok(Self { launch, server: None, ways })
    }

    /// Makes the topic.
    pub(crate) fn prepare_topic(&self) -> Result<()> {
        let Output { status, stdout, stderr } =
            self.launch.command().args(["cluster", "prepare"]).output().context("run cluster prepare")?;
        ensure!(
            status.success(),
            "cluster prepare ended with {status}:\n{}{}",
            String::from_utf8_lossy(&stdout),
            String::from_utf8_lossy(&stderr)
        );
        Ok(())
    }

    /// Starts it if it does not run, and returns when it answers, whether it leads or not.
    pub(crate) fn start(&mut self) -> Result<()> {
        if self.server.is_none() {
            self.server = Some(self.launch.start_following()?);
        }
        Ok(())
    }

    pub(crate) fn kill(&mut self) -> Result<()> {
        self.server.take().context("it runs")?.kill()
    }

    /// Ends it in good order.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.server.take().context("it runs")?.stop(Signal::TERM)
    }

    pub(crate) fn freeze(&self) -> Result<()> {
        self.server.as_ref().context("it runs")?.signal(Signal::STOP)
    }

    pub(crate) fn thaw(&self) -> Result<()> {
        self.server.as_ref().map_or(Ok(()), |server| server.signal(Signal::CONT))
    }

    /// Cuts it off from one broker, or from all. Nobody is told if `is_silent`.
    pub(crate) fn cut(&self, broker: Option<usize>, is_silent: bool) {
        for (number, way) in self.ways.iter().enumerate() {
            if broker.is_none_or(|broker| broker == number) {
                way.set(if is_silent { Mode::Silent } else { Mode::Refuse });
            }
        }
    }

    /// Lets everything through.
    pub(crate) fn mend(&self) {
        for way in &self.ways {
            way.set(Mode::Pass);
            // What was begun in silence never goes on.
            way.cut();
        }
    }
}

//! The nodes: real servers over one topic, each with a way of its own to each broker that can be cut.

use anyhow::{Context as _, Result, bail, ensure};
use onrush_proxy::{Mode, Proxy};
use rustix::process::Signal;
use serde::Deserialize;
use std::fs;
use std::net::SocketAddr;
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use crate::Bench;
use crate::http::{self, request};
use crate::server::{Launch, Server, wait_for};
use crate::services::Services;
use crate::wall_clock::WallClock;

/// After so long without a record another node tries to lead, milliseconds.
const SILENCE_MS: &str = "2500";

/// Longest wait until a node says something.
const SAID_TIMEOUT: Duration = Duration::from_secs(30);

/// What a leader says whose clock is not that of the brokers.
pub(super) const CLOCK_IS_WRONG: &str = "the clock of this node and that of the shared log differ";

/// One node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) launch: Launch,
    server: Option<Server>,
    /// To each broker.
    ways: Vec<Proxy>,
    clock: Option<WallClock>,
    /// Its clock was wrong since it was started: it is not told so again for a while.
    was_judged: bool,
}

/// Where a node belongs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group<'a> {
    /// Names of files begin with it.
    pub(super) name: &'a str,
    pub(super) topic: &'a str,
    /// Each way to a broker can be cut. No other group can have that meanwhile.
    pub(super) has_ways: bool,
    /// Each clock can be set, if there is libfaketime.
    pub(super) has_clocks: bool,
}

impl<'a> Group<'a> {
    /// Nodes over a topic that are left alone on their way to the brokers, with the clock of the machine.
    pub(crate) fn over(topic: &'a str) -> Self {
        Self { name: topic, topic, has_ways: false, has_clocks: false }
    }
}

/// A node, as it tells of itself.
#[derive(Debug, Deserialize)]
pub(super) struct Report {
    pub(super) offset: u64,
    pub(super) problem: Option<String>,
}

impl Node {
    /// Another node, which does not run yet.
    pub(crate) fn new(
        bench: &mut Bench,
        services: &Services,
        before: &[Self],
        group: Group<'_>,
    ) -> Result<Self> {
        let number = before.len() + 1;
        let addresses = |key: &str| -> Result<Vec<SocketAddr>> {
            let list = services.value(key)?;
            list.split(',').map(|address| address.parse().context("read an address")).collect()
        };
        let (told, ways) = if group.has_ways {
            let told = addresses(&format!("KAFKA_CLUSTER_PROXIED_{number}"))?;
            let behind = addresses(&format!("KAFKA_CLUSTER_TARGETS_{number}"))?;
            let ways = told.iter().zip(behind).map(|(told, behind)| Proxy::start_on(*told, behind));
            let ways = ways.collect::<Result<_, _>>().context("put proxies before the brokers")?;
            (told, ways)
        } else {
            (addresses("KAFKA_CLUSTER_BROKERS")?, Vec::new())
        };
        let mut launch = bench.launch()?;
        let is_taken = |launch: &Launch| {
            let own = [launch.public, launch.operator];
            before.iter().any(|node| own.contains(&node.launch.public) || own.contains(&node.launch.operator))
        };
        while is_taken(&launch) {
            launch = bench.launch()?;
        }
        let name = format!("{}-{number}", group.name);
        launch.data = bench.directory.join(&name);
        launch.output = bench.directory.join(format!("{name}.log"));
        let brokers = told.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let (own, url) = (number.to_string(), format!("http://{}", launch.public));
        let mut launch = launch.with(&[
            ("ONRUSH_LOG__KIND", "kafka"),
            ("ONRUSH_LOG__BROKERS", &brokers),
            ("ONRUSH_LOG__TOPIC", group.topic),
            ("ONRUSH_CLUSTER__NODE", &own),
            ("ONRUSH_CLUSTER__URL", &url),
            ("ONRUSH_CLUSTER__SILENCE_MS", SILENCE_MS),
            ("ONRUSH_LOG__SEGMENT_BYTES", "1048576"),
            ("ONRUSH_LOG__SNAPSHOT_BYTES", "1048576"),
        ]);
        let has_clock = group.has_clocks && before.last().is_none_or(|node| node.clock.is_some());
        let clock = if has_clock {
            let clocks = bench.directory.join(format!("{name}.clock"));
            fs::create_dir_all(&clocks).context("make a directory")?;
            WallClock::new(&clocks)?
        } else {
            None
        };
        if let Some(clock) = &clock {
            launch = clock.launch(launch);
        }
        Ok(Self { launch, server: None, ways, clock, was_judged: false })
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
            self.was_judged = false;
        }
        Ok(())
    }

    /// Starts it where it cannot run, and returns what it says.
    pub(super) fn start_in_vain(&self) -> Result<String> {
        ensure!(self.server.is_none(), "it runs");
        let before = self.output()?.len();
        let status = wait_for(&mut self.launch.spawn()?)?;
        ensure!(!status.success(), "it ended with {status}");
        Ok(self.output()?[before..].to_owned())
    }

    pub(super) fn restart(&mut self) -> Result<()> {
        self.kill()?;
        self.start()
    }

    pub(super) fn runs(&self) -> bool {
        self.server.is_some()
    }

    /// It runs, and leads by its own word.
    pub(super) fn leads(&self) -> bool {
        let ready = || http::once(self.launch.public, &request("GET", "/readyz"));
        self.runs() && ready().is_ok_and(|ready| ready.status == 200)
    }

    /// What it says of itself.
    pub(super) fn report(&self) -> Result<Report> {
        #[derive(Deserialize)]
        struct Cluster {
            partitions: Vec<Report>,
        }
        let cluster: Cluster = http::once(self.launch.public, &request("GET", "/v1/cluster"))?.expect(200)?;
        cluster.partitions.into_iter().next().context("no partition")
    }

    /// Waits until it names something as its problem, and returns all that it names.
    pub(super) fn await_problem(&self, part: &str, at_most: Duration) -> Result<String> {
        let started = Instant::now();
        loop {
            let report = self.report()?;
            if let Some(problem) = report.problem.as_ref().filter(|problem| problem.contains(part)) {
                return Ok(problem.clone());
            }
            if started.elapsed() > at_most {
                bail!(
                    "no problem with {part:?} after {at_most:?}: {report:?}\n{}",
                    self.launch.output_tail()
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// What it has written so far.
    pub(super) fn output(&self) -> Result<String> {
        if self.launch.output.exists() {
            fs::read_to_string(&self.launch.output).context("read the output of a node")
        } else {
            Ok(String::new())
        }
    }

    /// Waits until it has written something behind so many bytes.
    pub(super) fn await_said(&self, before: usize, part: &str) -> Result<()> {
        let started = Instant::now();
        while !self.output()?[before..].contains(part) {
            ensure!(
                started.elapsed() < SAID_TIMEOUT,
                "it did not say {part:?}; its last output:\n{}",
                self.launch.output_tail()
            );
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Whether it would let another lead if its clock were wrong.
    pub(super) fn can_be_judged(&self) -> bool {
        self.clock.is_some() && !self.was_judged
    }

    /// Sets its clock so many seconds ahead of the machine's.
    pub(super) fn set_clock(&mut self, seconds: i64) -> Result<()> {
        self.was_judged |= seconds != 0;
        self.clock.as_ref().map_or(Ok(()), |clock| clock.set_ahead(seconds))
    }

    /// Removes all that it has.
    pub(super) fn forget(&self) -> Result<()> {
        ensure!(self.server.is_none(), "it runs");
        fs::remove_dir_all(&self.launch.data).context("remove the directory of a node")
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

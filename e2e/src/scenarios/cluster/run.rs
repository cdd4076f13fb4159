//! A run: nodes over a topic, their buyers, and everything that is known of what these were told.

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use super::buyers::{Buyer, Market};
use super::copy;
use super::harm::BROKERS;
use super::nodes::{Group, Node};
use super::planted::Seen;
use super::shop::{put_large_sales, put_window};
use super::topic::Topic;
use crate::Bench;
use crate::cluster_checker::{Answer, Checker, EventRow};
use crate::operator::{await_caught_up, sink};
use crate::random::Random;
use crate::run_clock::Clock;
use crate::services::Services;
use crate::targets::postgres::Database;
use crate::targets::{Stored, sink_settings};

/// How long it may take until somebody sells again, whatever has happened.
pub(super) const RECOVERY_TIMEOUT: Duration = Duration::from_mins(1);

/// A pause between two looks at something that others do.
pub(super) const LOOK: Duration = Duration::from_millis(10);

/// Until then every hold that ends while the run watches has ended.
const HOLDS_END: Duration = Duration::from_secs(2);

/// Nodes look every second whether a snapshot is due.
const SNAPSHOT_WRITTEN: Duration = Duration::from_millis(2_500);

/// How often more is sold until all nodes have a snapshot of the same place.
const DIGEST_ROUNDS: u64 = 30;

/// The sink of every node.
const SINK: &str = "postgres";

/// What a run is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan<'a> {
    /// Names of its files begin with it.
    pub(super) name: &'a str,
    pub(super) node_count: usize,
    /// Of whom every fourth waits long for answers. Each node has one more, who asks no other.
    pub(super) buyer_count: u64,
    /// Each way from a node to a broker can be cut. No other run can have that meanwhile.
    pub(super) has_ways: bool,
}

/// Everything of a run.
pub(super) struct Run<'a> {
    pub(super) services: &'a Services,
    /// Where the sink of whoever leads writes.
    database: Option<&'a Database>,
    pub(super) nodes: Vec<Node>,
    pub(super) market: Market,
    pub(super) topic: Topic,
    pub(super) checker: Checker,
    buyer_count: u64,
}

impl<'a> Run<'a> {
    pub(super) fn begin(
        bench: &mut Bench,
        plan: Plan<'_>,
        services: &'a Services,
        database: Option<&'a Database>,
        random: &mut Random,
    ) -> Result<Self> {
        for broker in BROKERS {
            services.thaw(broker);
            services.start(broker)?;
        }
        let topic = format!("e2e-{}-{:x}-{:x}", plan.name, std::process::id(), random.below(1 << 32));
        let mut nodes = Vec::new();
        for _ in 0..plan.node_count {
            let group = Group { name: plan.name, topic: &topic, has_ways: plan.has_ways, has_clocks: true };
            nodes.push(Node::new(bench, services, &nodes, group)?);
        }
        nodes[0].prepare_topic()?;
        let sink = database.map(|database| sink_settings(SINK, database.settings())).unwrap_or_default();
        for node in &mut nodes {
            node.launch.environment.extend(sink.clone());
            node.start()?;
        }
        let publics = nodes.iter().map(|node| node.launch.public).collect();
        let run = Self {
            services,
            database,
            nodes,
            market: Market::new(Clock::start(), publics),
            topic: Topic::open(&services.value("KAFKA_CLUSTER_BROKERS")?, &topic)?,
            checker: Checker::default(),
            buyer_count: plan.buyer_count,
        };
        run.put(put_window)?;
        Ok(run)
    }

    /// Puts something that changes nothing if it is put again, and returns who led.
    pub(super) fn put(&self, put: impl Fn(SocketAddr) -> Result<()>) -> Result<usize> {
        let started = Instant::now();
        loop {
            let leader = self.await_leader()?;
            match put(self.nodes[leader].launch.operator) {
                Ok(()) => return Ok(leader),
                Err(error) if started.elapsed() > RECOVERY_TIMEOUT => return Err(error),
                // Another one may lead by now.
                Err(_) => thread::sleep(LOOK),
            }
        }
    }

    /// The node that says it leads.
    pub(super) fn await_leader(&self) -> Result<usize> {
        let started = Instant::now();
        while started.elapsed() < RECOVERY_TIMEOUT {
            if let Some(leader) = self.nodes.iter().position(Node::leads) {
                if self.database.is_some() {
                    let sink = sink(self.nodes[leader].launch.operator, SINK)?;
                    ensure!(sink.state != "stopped", "node {} leads and has {sink:?}", leader + 1);
                }
                return Ok(leader);
            }
            thread::sleep(LOOK);
        }
        let tails = self.nodes.iter().map(|node| node.launch.output_tail()).collect::<Vec<_>>();
        bail!("no node leads after {RECOVERY_TIMEOUT:?}; their last output:\n{}", tails.join("\n---\n"))
    }

    /// Buyers ask while something is done: what they heard, and what came of it.
    pub(super) fn trade<T>(
        &mut self,
        random: &Random,
        act: impl FnOnce(&mut [Node], &Topic, &Market) -> Result<T>,
    ) -> Result<(Vec<Answer>, T)> {
        let Self { nodes, market, topic, buyer_count, .. } = self;
        let market = &*market;
        thread::scope(|scope| {
            let mut buyers = Vec::new();
            for number in 0..*buyer_count {
                let (own, name) =
                    (random.fork(number + 1), format!("{number}-{}", random.fork(number).clone().next()));
                let buyer = Buyer::new(market, own, name, number % 4 == 3);
                buyers.push(scope.spawn(|| buyer.run()));
            }
            for node in 0..nodes.len() {
                let own = random.fork(100 + node as u64);
                let buyer = Buyer::scout(market, own, format!("s{node}"), node);
                buyers.push(scope.spawn(|| buyer.run()));
            }
            let done = act(nodes, topic, market);
            market.close();
            let mut answers = Vec::new();
            for buyer in buyers {
                answers.extend(buyer.join().map_err(|_| anyhow!("a buyer panicked"))??);
            }
            Ok((answers, done?))
        })
    }

    /// Everything that is new in the topic, with these answers.
    pub(super) fn see(&mut self, answers: Vec<Answer>) -> Result<Seen> {
        Ok(Seen { records: self.topic.read(self.checker.next_no())?, answers })
    }

    /// Takes what was seen, and holds the answers against the records.
    pub(super) fn judge(&mut self, seen: Seen) -> Result<()> {
        seen.judge(&mut self.checker)
    }

    /// Takes what is new in the topic.
    fn read_on(&mut self) -> Result<()> {
        let seen = self.see(Vec::new())?;
        self.judge(seen)
    }

    /// Waits until nothing happens any more by itself and all nodes have everything, and takes it.
    pub(super) fn settle(&mut self) -> Result<()> {
        thread::sleep(HOLDS_END);
        let started = Instant::now();
        loop {
            let leader = self.await_leader()?;
            let end = self.nodes[leader].report()?.offset;
            let mut is_level = true;
            for node in &self.nodes {
                is_level &= node.report()?.offset == end;
            }
            if is_level {
                break;
            }
            ensure!(started.elapsed() < RECOVERY_TIMEOUT, "nodes are not level after {RECOVERY_TIMEOUT:?}");
            thread::sleep(LOOK);
        }
        self.read_on()
    }

    /// The sink has what is in force. Then all nodes end in good order, and have the same.
    pub(super) fn end(&mut self) -> Result<()> {
        self.settle()?;
        let leader = self.await_leader()?;
        if let Some(database) = self.database {
            await_caught_up(self.nodes[leader].launch.operator, &[SINK])?;
            self.read_on()?;
            let events = database.events(0)?.into_iter();
            let events = events.map(|Stored { offset, kind, key, .. }| EventRow { offset, kind, key });
            self.checker
                .check_rows(&events.collect::<Vec<_>>(), &database.reservations(false)?)
                .context("the tables of the sink")?;
        }
        // The leader last, so that nobody begins to lead.
        let followers = (0..self.nodes.len()).filter(|node| *node != leader);
        for node in followers.chain([leader]) {
            self.nodes[node].stop()?;
        }
        self.read_on()?;
        self.check_copies()
    }

    /// All nodes, none of which runs, have what is in force, and nothing else.
    pub(super) fn check_copies(&self) -> Result<()> {
        for node in &self.nodes {
            let place = || format!("the copy in {}", node.launch.data.display());
            let kept = copy::read(&node.launch).with_context(place)?;
            self.checker.check_copy(&kept).with_context(place)?;
        }
        Ok(())
    }

    /// All nodes come to the same state: after an end they start again, and so much is sold that each writes snapshots. Most of what fills
    /// their files is large, so sooner or later files are full at the same place, and so are the snapshots of it.
    pub(super) fn check_digests(&mut self) -> Result<()> {
        let end = self.checker.next_offset();
        self.nodes.iter_mut().try_for_each(Node::start)?;
        let mut digests = Vec::new();
        for round in 0..DIGEST_ROUNDS {
            self.put(|operator| put_large_sales(operator, round))?;
            thread::sleep(SNAPSHOT_WRITTEN);
            digests.clear();
            for node in &self.nodes {
                digests.push(copy::digests(&node.launch)?);
            }
            let is_everywhere = |offset: &u64| digests.iter().all(|digests| digests.contains_key(offset));
            let Some(offset) = digests[0].keys().copied().find(|at| *at >= end && is_everywhere(at)) else {
                continue;
            };
            let differs = digests.iter().any(|other| other[&offset] != digests[0][&offset]);
            ensure!(!differs, "after {offset} events the states of nodes differ: {digests:?}");
            return self.nodes.iter_mut().try_for_each(Node::stop);
        }
        bail!("nodes have no snapshot behind {end} events in common: {digests:?}")
    }
}

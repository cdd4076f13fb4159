//! A single server moves into a cluster; then, again and again, both topics are trimmed, and a node that has lost its files begins with
//! a snapshot and has to lead alone. Every reservation is there once.

use anyhow::{Context as _, Result, bail, ensure};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rustix::process::Signal;
use serde::Deserialize;
use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Bench;
use crate::answers::{read_reserved, reserve_request};
use crate::api::{Sale, SaleSettings};
use crate::http::{self, Connection, request, request_json};
use crate::ledger::Ask;
use crate::random::Random;
use crate::scenarios::cluster::nodes::{Group, Node};
use crate::scenarios::cluster::{BROKERS, over_brokers};
use crate::server::Launch;
use crate::services::Services;

const SALE: SaleSettings<'static> = SaleSettings {
    sale: "move",
    stocks: &[("unit", 100_000_000)],
    per_customer_max: None,
    hold_ttl_ms: 0,
    cooldown_ms: 0,
};

/// Who reserve at once.
const BUYER_COUNT: u64 = 6;

/// Reservations that the single server has.
const BEFORE_COUNT: u64 = 300;

/// A buyer rests so long between two reservations.
const REST: Duration = Duration::from_millis(20);

/// A collection with one row, which becomes another again and again, so that the logs grow and the state does not.
const COLLECTION: (&str, &str) = ("ONRUSH_CATALOG__FILL__SOURCE", "embedded");
const ROW: &str = "/v1/catalog/fill/k";
const ROW_BYTES: usize = 16_000;

/// Longest wait for anything.
const TIMEOUT: Duration = Duration::from_mins(2);

/// A pause between two looks at something that others do.
const LOOK: Duration = Duration::from_millis(20);

/// Reservations, by the keys that they were asked for with.
type Told = HashMap<String, String>;

/// What everybody of a run shares.
struct Market {
    publics: Vec<SocketAddr>,
    operators: Vec<SocketAddr>,
    is_open: AtomicBool,
    reserved_count: AtomicU64,
}

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    over_brokers(bench, |bench, services, _| cycles(bench, services))
}

fn cycles(bench: &mut Bench, services: &Services) -> Result<String> {
    for broker in BROKERS {
        services.start(broker)?;
    }
    let mut random = bench.random.fork(1);
    let name = format!("e2e-joining-{:x}-{:x}", std::process::id(), random.below(1 << 32));
    let mut nodes = Vec::new();
    for _ in 0..2 {
        nodes.push(Node::new(bench, services, &nodes, Group::over(&name))?);
    }
    let single = bench.launch()?;
    let mut told = live_alone(&single)?;
    move_in(&single, &nodes[0])?;
    for node in &mut nodes {
        node.launch = node.launch.clone().with(&[COLLECTION]);
        node.start()?;
    }
    let market = Market {
        publics: nodes.iter().map(|node| node.launch.public).collect(),
        operators: nodes.iter().map(|node| node.launch.operator).collect(),
        is_open: AtomicBool::new(true),
        reserved_count: AtomicU64::new(told.len() as u64),
    };
    let oldest = Oldest::of(&services.value("KAFKA_CLUSTER_BROKERS")?, &name)?;
    let cycles = bench.cycles(1, 20);
    thread::scope(|scope| {
        let buyers: Vec<_> = (0..BUYER_COUNT)
            .map(|number| {
                scope.spawn({
                    let market = &market;
                    move || market.buy(number)
                })
            })
            .collect();
        let filler = scope.spawn(|| market.fill());
        let outcome = (0..cycles).try_for_each(|cycle| {
            lose_files(&mut nodes, &market, &oldest, &mut random)
                .with_context(|| format!("cycle {cycle} of {cycles}"))
        });
        market.is_open.store(false, Ordering::Relaxed);
        filler.join().expect("the filler does not panic");
        for buyer in buyers {
            told.extend(buyer.join().expect("a buyer does not panic")?);
        }
        outcome
    })?;
    let leader = market.await_leader(&[])?;
    check(market.publics[leader], &told)?;
    for node in &mut nodes {
        node.stop()?;
        node.launch.verify_log()?;
    }
    let node = Node::new(bench, services, &nodes, Group::over(&format!("{name}-again")))?;
    go_on_from_copy(node, &nodes[leader].launch.data.join("copy"), &told)?;
    Ok(format!("{cycles} cycles; {} reservations, each there once; {oldest}", told.len()))
}

/// As if the topic were gone: what a node has in its copy becomes the beginning of another topic.
fn go_on_from_copy(mut node: Node, copy: &Path, told: &Told) -> Result<()> {
    node.prepare_topic()?;
    let moved = found(&node.launch, copy)?;
    ensure!(moved.status.success(), "cluster found ended with {}:\n{}", moved.status, said(&moved));
    node.start()?;
    let started = Instant::now();
    while http::once(node.launch.public, &request("GET", "/readyz"))?.status != 200 {
        ensure!(started.elapsed() < TIMEOUT, "the node over the new topic does not lead");
        thread::sleep(LOOK);
    }
    check(node.launch.public, told).context("over the new topic")?;
    node.stop()
}

/// Makes the log in a directory the beginning of the topic of a node.
fn found(launch: &Launch, from: &Path) -> Result<Output> {
    launch.command().args(["cluster", "found", "--from"]).arg(from).output().context("run cluster found")
}

/// What it said.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// The single server sells something, and stops.
fn live_alone(launch: &Launch) -> Result<Told> {
    let server = launch.start()?;
    SALE.put(launch.operator)?;
    let mut connection = Connection::open(launch.public)?;
    let mut told = Told::new();
    for number in 0..BEFORE_COUNT {
        let ask = ask(&format!("alone-{number}"));
        let answer = connection.call(&reserve_request(&ask))?;
        told.insert(ask.key.unwrap_or_default(), read_reserved(&answer)?.reservation.reservation);
    }
    server.stop(Signal::TERM)?;
    Ok(told)
}

/// Its log becomes the beginning of the topic, and it does not start again.
fn move_in(single: &Launch, node: &Node) -> Result<()> {
    node.prepare_topic()?;
    let moved = found(&node.launch, &single.data)?;
    ensure!(moved.status.success(), "cluster found ended with {}:\n{}", moved.status, said(&moved));
    let again = found(&node.launch, &single.data)?;
    ensure!(!again.status.success(), "the log was moved twice: {}", said(&again));
    let started = single.start();
    let refused = started.err().context("the single server starts again")?.to_string();
    ensure!(refused.contains("moved into a cluster"), "{refused}");
    Ok(())
}

/// Both topics are trimmed; then one node is killed and loses its directory, and the other one is killed when the first is level.
fn lose_files(nodes: &mut [Node], market: &Market, oldest: &Oldest, random: &mut Random) -> Result<()> {
    let before = oldest.now()?;
    let started = Instant::now();
    loop {
        let now = oldest.now()?;
        if now.0 > before.0 && now.1 > before.1 {
            break;
        }
        ensure!(started.elapsed() < TIMEOUT, "the topics are not trimmed: they begin at {now:?}");
        thread::sleep(LOOK);
    }
    let lost = usize::from(random.chance(50));
    let other = 1 - lost;
    nodes[lost].kill()?;
    fs::remove_dir_all(&nodes[lost].launch.data).context("remove a directory")?;
    nodes[lost].start()?;
    let target = market.offset(other)?;
    let started = Instant::now();
    while market.offset(lost)? < target {
        ensure!(started.elapsed() < TIMEOUT, "node {} is not level", lost + 1);
        thread::sleep(LOOK);
    }
    nodes[other].kill()?;
    market.await_leader(&[other])?;
    let sold = market.reserved_count.load(Ordering::Relaxed);
    let started = Instant::now();
    while market.reserved_count.load(Ordering::Relaxed) < sold + BUYER_COUNT + 1 {
        ensure!(started.elapsed() < TIMEOUT, "node {} does not sell", lost + 1);
        thread::sleep(LOOK);
    }
    nodes[other].start()
}

/// Every reservation that was told is there, and no other.
fn check(public: SocketAddr, told: &Told) -> Result<()> {
    let mut connection = Connection::open(public)?;
    let confirmed = Sale::read(&mut connection, SALE.sale)?.stock("unit")?.quantity_confirmed;
    ensure!(confirmed == told.len() as u64, "{confirmed} units are sold, and {} were told", told.len());
    let told: Vec<_> = told.iter().collect();
    thread::scope(|scope| {
        let checks =
            told.chunks(told.len().div_ceil(16)).map(|part| scope.spawn(move || check_part(public, part)));
        let checks: Vec<_> = checks.collect();
        checks.into_iter().try_for_each(|check| check.join().expect("a check does not panic"))
    })
}

fn check_part(public: SocketAddr, told: &[(&String, &String)]) -> Result<()> {
    let mut connection = Connection::open(public)?;
    for (key, reservation) in told {
        let answer = connection.call(&reserve_request(&ask(key)))?;
        ensure!(answer.status == 200, "{key} again: {} {}", answer.status, answer.text());
        let again = read_reserved(&answer)?.reservation.reservation;
        ensure!(again == **reservation, "{key} was told {reservation}, and is told {again}");
    }
    Ok(())
}

fn ask(key: &str) -> Ask {
    Ask {
        sale: SALE.sale.to_owned(),
        customer: key.to_owned(),
        lines: vec![("unit".to_owned(), 1)],
        details: None,
        key: Some(key.to_owned()),
    }
}

impl Market {
    /// Makes the log grow until the market closes.
    fn fill(&self) {
        for number in 0_u64.. {
            if !self.is_open.load(Ordering::Relaxed) {
                return;
            }
            let body = format!("{{\"number\":{number},\"text\":\"{}\"}}", "x".repeat(ROW_BYTES));
            let put = request_json("PUT", ROW, &[], &body);
            // Whoever does not lead refuses.
            for operator in &self.operators {
                let _ = http::once(*operator, &put);
            }
            thread::sleep(LOOK);
        }
    }

    /// Reserves until the market closes, each time until it is answered.
    fn buy(&self, number: u64) -> Result<Told> {
        let mut told = Told::new();
        let (mut node, mut connection) = (0, None);
        for count in 0_u64.. {
            if !self.is_open.load(Ordering::Relaxed) {
                break;
            }
            let ask = ask(&format!("buyer-{number}-{count}"));
            let started = Instant::now();
            loop {
                let used = match connection.take() {
                    Some(used) => Ok(used),
                    None => Connection::open(self.publics[node]),
                };
                let answered =
                    used.ok().and_then(|mut used| Some((used.call(&reserve_request(&ask)).ok()?, used)));
                match answered {
                    Some((answer, used)) if matches!(answer.status, 200 | 201) => {
                        told.insert(
                            ask.key.unwrap_or_default(),
                            read_reserved(&answer)?.reservation.reservation,
                        );
                        self.reserved_count.fetch_add(1, Ordering::Relaxed);
                        connection = Some(used);
                        thread::sleep(REST);
                        break;
                    }
                    Some((answer, _)) if answer.status != 503 => bail!("{} {}", answer.status, answer.text()),
                    _ => {
                        ensure!(started.elapsed() < TIMEOUT, "buyer {number} is not answered");
                        node = (node + 1) % self.publics.len();
                        thread::sleep(LOOK);
                    }
                }
            }
        }
        Ok(told)
    }

    /// The node that leads and is none of these.
    fn await_leader(&self, others: &[usize]) -> Result<usize> {
        let started = Instant::now();
        loop {
            let leads = |node: &usize| {
                !others.contains(node)
                    && http::once(self.publics[*node], &request("GET", "/readyz"))
                        .is_ok_and(|ready| ready.status == 200)
            };
            if let Some(leader) = (0..self.publics.len()).find(leads) {
                return Ok(leader);
            }
            ensure!(started.elapsed() < TIMEOUT, "no node leads");
            thread::sleep(LOOK);
        }
    }

    /// Events that a node has.
    fn offset(&self, node: usize) -> Result<u64> {
        #[derive(Deserialize)]
        struct Told {
            partitions: Vec<Partition>,
        }
        #[derive(Deserialize)]
        struct Partition {
            offset: u64,
            problem: Option<String>,
        }
        let told: Told = http::once(self.publics[node], &request("GET", "/v1/cluster"))?.expect(200)?;
        let [Partition { offset, problem }] = &told.partitions[..] else {
            bail!("it has another number of partitions")
        };
        ensure!(problem.is_none(), "node {}: {problem:?}", node + 1);
        Ok(*offset)
    }
}

/// With which records the two topics begin.
struct Oldest {
    topic: String,
    consumer: BaseConsumer,
}

impl Oldest {
    fn of(brokers: &str, topic: &str) -> Result<Self> {
        let consumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("group.id", "onrush-e2e")
            .create()
            .context("make a Kafka reader")?;
        Ok(Self { topic: topic.to_owned(), consumer })
    }

    fn now(&self) -> Result<(i64, i64)> {
        let oldest = |topic: &str| {
            self.consumer.fetch_watermarks(topic, 0, TIMEOUT).context("ask for the oldest record")
        };
        Ok((oldest(&self.topic)?.0, oldest(&format!("{}.snapshots", self.topic))?.0))
    }
}

impl std::fmt::Display for Oldest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.now() {
            Ok((records, snapshots)) => {
                write!(
                    formatter,
                    "the topic was trimmed up to record {records}, that of snapshots up to {snapshots}"
                )
            }
            Err(error) => write!(formatter, "{error:#}"),
        }
    }
}

//! Several nodes over one topic of a real cluster of three brokers, while nodes and brokers are killed, frozen, stopped and cut off from
//! each other. After every cycle the topic is read raw, and everything that buyers were told is held against it.

mod buyers;
mod copy;
mod figures;
mod harm;
pub(crate) mod nodes;
mod shop;
mod topic;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::Bench;
use crate::cluster_checker::{Answer, Checker, EventRow};
use crate::http::{self, request};
use crate::operator::{await_caught_up, sink};
use crate::random::Random;
use crate::run_clock::Clock;
use crate::services::{Services, Up};
use crate::targets::postgres::Database;
use crate::targets::{Stored, sink_settings};
use buyers::{Buyer, Market};
use figures::Figures;
pub(crate) use harm::BROKERS;
use harm::Harm;
use nodes::Node;
use shop::{put_sales, put_window};
use topic::Topic;

/// Buyers, of whom every fourth waits long for answers.
const BUYER_COUNT: u64 = 8;

/// How long it may take until somebody sells again, whatever has happened.
const RECOVERY_TIMEOUT: Duration = Duration::from_mins(1);

/// What was killed or cut off comes back after so long, or later.
const OUTAGE_MS_MAX: u64 = 6_000;

/// Until then every hold that ends while the run watches has ended.
const HOLDS_END: Duration = Duration::from_secs(2);

/// The sink of every node.
const SINK: &str = "postgres";

/// A pause between two looks at something that others do.
const LOOK: Duration = Duration::from_millis(10);

/// Everything of a run.
struct Run<'a> {
    services: &'a Services,
    /// Where the sink of whoever leads writes.
    database: Option<&'a Database>,
    nodes: Vec<Node>,
    market: Market,
    topic: Topic,
    checker: Checker,
    figures: Figures,
    is_long: bool,
}

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    over_brokers(bench, with_sink)
}

/// Runs something over three brokers: those that are there, or some that are started for it. It is given their services, and all that
/// are there.
pub(crate) fn over_brokers(
    bench: &mut Bench,
    run: impl FnOnce(&mut Bench, &Services, &Services) -> Result<String>,
) -> Result<String> {
    let Some(found) = Services::find()? else {
        return Ok("SKIPPED: cargo xtask services up tells how to start servers".into());
    };
    if found.has(BROKERS[0]) {
        return run(bench, &found, &found);
    }
    if !found.has("kafka") {
        return Ok("SKIPPED: there is no Kafka, which needs Java and Maven".into());
    }
    let services = found.at(&bench.directory.join("services"));
    let up: Up = services.up(&["kafka-cluster"])?;
    let summary = run(bench, &services, &found)?;
    up.purge()?;
    Ok(summary)
}

/// Runs it with a sink, if there is a PostgreSQL.
fn with_sink(bench: &mut Bench, services: &Services, found: &Services) -> Result<String> {
    if !found.has("postgres") {
        return Ok(format!("{}; without a sink", cycles(bench, services, None)?));
    }
    found.start("postgres")?;
    let name = format!("e2e_{:x}_{:x}", std::process::id(), bench.random.fork(2).below(1 << 32));
    let database = Database::new(found, &name)?;
    let summary = cycles(bench, services, Some(&database));
    database.clean()?;
    summary
}

fn cycles(bench: &mut Bench, services: &Services, database: Option<&Database>) -> Result<String> {
    let mut random = bench.random.fork(1);
    let cycles = bench.cycles(5, 50);
    let mut run = Run::begin(bench, services, database, &mut random)?;
    for cycle in 0..cycles {
        let leader = run.put(|operator| put_sales(operator, cycle));
        let leader = leader.with_context(|| format!("before cycle {cycle} of {cycles}"))?;
        let harm = Harm::draw(&mut random, leader, run.nodes.len(), run.is_long);
        let place = || format!("cycle {cycle} of {cycles}, node {} led, {harm:?}", leader + 1);
        run.market.open(cycle);
        let answers = run.cycle(harm, leader, &random.fork(cycle + 1)).with_context(place)?;
        // The next cycle draws other numbers.
        random.next();
        run.judge(answers).with_context(place)?;
        if cycle % 10 == 9 {
            println!("    {}: {}; {}", place(), run.checker, run.figures);
        }
    }
    run.end()?;
    Ok(format!("{cycles} cycles; {}; {}", run.checker, run.figures))
}

impl<'a> Run<'a> {
    fn begin(
        bench: &mut Bench,
        services: &'a Services,
        database: Option<&'a Database>,
        random: &mut Random,
    ) -> Result<Self> {
        for broker in BROKERS {
            services.thaw(broker);
            services.start(broker)?;
        }
        let name = format!("e2e-cluster-{:x}-{:x}", std::process::id(), random.below(1 << 32));
        let node_count = if random.chance(25) { 2 } else { 3 };
        let mut nodes = Vec::new();
        for _ in 0..node_count {
            nodes.push(Node::new(bench, services, &nodes, &name)?);
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
            topic: Topic::open(&services.value("KAFKA_CLUSTER_BROKERS")?, &name)?,
            checker: Checker::default(),
            figures: Figures::default(),
            is_long: !bench.short,
        };
        run.put(put_window)?;
        Ok(run)
    }

    /// Puts something that changes nothing if it is put again, and returns who led.
    fn put(&self, put: impl Fn(SocketAddr) -> Result<()>) -> Result<usize> {
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
    fn await_leader(&self) -> Result<usize> {
        let started = Instant::now();
        while started.elapsed() < RECOVERY_TIMEOUT {
            let leads = |node: &Node| {
                let ready = http::once(node.launch.public, &request("GET", "/readyz"));
                ready.is_ok_and(|ready| ready.status == 200)
            };
            if let Some(leader) = self.nodes.iter().position(leads) {
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

    /// Trade, harm, trade again, and everything healed.
    fn cycle(&mut self, harm: Harm, leader: usize, random: &Random) -> Result<Vec<Answer>> {
        let mut pauses = random.fork(0);
        let Self { services, nodes, market, figures, .. } = self;
        let market = &*market;
        let answers = thread::scope(|scope| {
            let mut buyers = Vec::new();
            for number in 0..BUYER_COUNT {
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
            thread::sleep(pauses.span_ms(300, 1_500));
            let outage = pauses.span_ms(0, OUTAGE_MS_MAX);
            let harmed = harm_and_heal((harm, leader), outage, nodes, services, market);
            thread::sleep(pauses.span_ms(300, 1_000));
            market.close();
            let mut answers = Vec::new();
            for buyer in buyers {
                answers.extend(buyer.join().map_err(|_| anyhow!("a buyer panicked"))??);
            }
            let harmed_ns = harmed?;
            figures.take(harm, leader, harmed_ns, &answers);
            anyhow::Ok(answers)
        })?;
        Ok(answers)
    }

    fn judge(&mut self, answers: Vec<Answer>) -> Result<()> {
        let checker = &mut self.checker;
        self.topic.read(checker.next_no(), |no, bytes| checker.read(no, bytes))?;
        self.checker.judge(answers)
    }

    /// The sink has what is in force. Then all nodes end in good order, and have the same.
    fn end(&mut self) -> Result<()> {
        if let Some(database) = self.database {
            let operator = self.nodes[self.await_leader()?].launch.operator;
            thread::sleep(HOLDS_END);
            await_caught_up(operator, &[SINK])?;
            self.judge(Vec::new())?;
            let events = database.events(0)?.into_iter();
            let events = events.map(|Stored { offset, kind, key, .. }| EventRow { offset, kind, key });
            self.checker
                .check_rows(&events.collect::<Vec<_>>(), &database.reservations(false)?)
                .context("the tables of the sink")?;
        }
        for node in &mut self.nodes {
            node.stop()?;
        }
        self.judge(Vec::new())?;
        for (number, node) in (1..).zip(&self.nodes) {
            let directory = node.launch.data.display();
            let kept = copy::read(&node.launch).with_context(|| format!("read the copy in {directory}"))?;
            let is_newest = number == self.nodes.len();
            self.checker.check_copy(&kept, is_newest).with_context(|| format!("the copy in {directory}"))?;
        }
        Ok(())
    }
}

/// Does harm, and undoes it when it has lasted long enough and somebody sells again; returns when it was done.
fn harm_and_heal(
    (harm, leader): (Harm, usize),
    outage: Duration,
    nodes: &mut [Node],
    services: &Services,
    market: &Market,
) -> Result<u64> {
    let started = Instant::now();
    let harmed_ns = market.clock.now_ns();
    let lasts = if harm.span().is_zero() { outage } else { harm.span() };
    let done = harm.begin(nodes, services)?;
    let besides = (harm.deposes() && harm.node() == Some(leader)).then_some(leader);
    // A freeze that nobody has to do anything about lasts as long as it is to.
    let is_waited_for = besides.is_some() || harm.span().is_zero();
    while started.elapsed() < lasts {
        thread::sleep(LOOK);
    }
    let sells = || market.has_decided(harmed_ns, besides);
    let recovered = if is_waited_for { await_sale(sells) } else { Ok(()) };
    done.heal(nodes, services).context("heal")?;
    recovered.and_then(|()| await_sale(sells)).map(|()| harmed_ns)
}

fn await_sale(sells: impl Fn() -> bool) -> Result<()> {
    let started = Instant::now();
    while !sells() {
        ensure!(started.elapsed() < RECOVERY_TIMEOUT, "nobody sold anything for {RECOVERY_TIMEOUT:?}");
        thread::sleep(LOOK);
    }
    Ok(())
}

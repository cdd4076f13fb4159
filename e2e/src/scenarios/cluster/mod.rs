//! Several nodes over one topic of a real cluster of three brokers, while nodes and brokers are killed, frozen, stopped and cut off from
//! each other. After every cycle the topic is read raw, and everything that buyers were told is held against it. In the end come those faults
//! that no node gets over by itself.

mod buyers;
mod copy;
mod figures;
mod harm;
mod lasting;
pub(crate) mod nodes;
mod planted;
mod run;
mod shop;
mod topic;

use anyhow::{Context as _, Result, ensure};
use std::thread;
use std::time::{Duration, Instant};

use crate::Bench;
use crate::cluster_checker::Answer;
use crate::random::Random;
use crate::services::{Services, Up};
use crate::targets::postgres::Database;
use buyers::Market;
use figures::Figures;
pub(crate) use harm::BROKERS;
use harm::{Harm, Situation};
use nodes::Node;
use run::{LOOK, Plan, RECOVERY_TIMEOUT, Run};
use shop::put_sales;
use topic::Topic;

/// Buyers, of whom every fourth waits long for answers.
const BUYER_COUNT: u64 = 8;

/// What was killed or cut off comes back after so long, or later.
const OUTAGE_MS_MAX: u64 = 6_000;

/// Nodes look at the topic's settings once a minute, and then one has to lead.
const SETTINGS_TIMEOUT: Duration = Duration::from_secs(90);

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
    let (cycles, is_long) = (bench.cycles(7, 50), !bench.short);
    let node_count = if random.chance(25) { 2 } else { 3 };
    let plan = Plan { name: "cluster", node_count, buyer_count: BUYER_COUNT, has_ways: true };
    let mut run = Run::begin(bench, plan, services, database, &mut random)?;
    let (mut figures, mut planted_count) = (Figures::default(), 0);
    for cycle in 0..cycles {
        let leader = run.put(|operator| put_sales(operator, cycle));
        let leader = leader.with_context(|| format!("before cycle {cycle} of {cycles}"))?;
        let mut can_be_judged = [false; 3];
        for (behind, can_be_judged) in can_be_judged.iter_mut().enumerate().take(node_count) {
            *can_be_judged = run.nodes[(leader + behind) % node_count].can_be_judged();
        }
        let situation = Situation { leader, node_count, is_long, can_be_judged };
        let harm = Harm::of_cycle(cycle, &mut random, situation);
        let place = || format!("cycle {cycle} of {cycles}, node {} led, {harm:?}", leader + 1);
        run.market.open(cycle);
        let traded = trade(&mut run, (harm, leader), &random.fork(cycle + 1), &mut figures);
        let answers = traded.with_context(place)?;
        // The next cycle draws other numbers.
        random.next();
        let seen = run.see(answers).with_context(place)?;
        if cycle + 1 == cycles {
            planted_count = planted::check(&run.checker, &seen).with_context(place)?;
        }
        run.judge(seen).with_context(place)?;
        if cycle % 10 == 9 {
            println!("    {}: {}; {figures}", place(), run.checker);
        }
    }
    run.end()?;
    run.check_digests().context("the states of all nodes")?;
    let lasting = lasting::run(bench, services, &mut random)?;
    let checker = run.checker;
    Ok(format!(
        "{cycles} cycles; {checker}; {planted_count} false histories were noticed; {lasting}; {figures}"
    ))
}

/// Trade, harm, trade again, and everything healed.
fn trade(
    run: &mut Run<'_>,
    (harm, leader): (Harm, usize),
    random: &Random,
    figures: &mut Figures,
) -> Result<Vec<Answer>> {
    let mut pauses = random.fork(0);
    let services = run.services;
    let (answers, harmed_ns) = run.trade(random, |nodes, topic, market| {
        thread::sleep(pauses.span_ms(300, 1_500));
        if pauses.chance(50) {
            topic.repeat(pauses.next())?;
        }
        let outage = pauses.span_ms(0, OUTAGE_MS_MAX);
        let harmed_ns = harm_and_heal((harm, leader), outage, nodes, (services, topic), market)?;
        thread::sleep(pauses.span_ms(300, 1_000));
        Ok(harmed_ns)
    })?;
    figures.take(harm, leader, harmed_ns, &answers);
    Ok(answers)
}

/// Does harm, and undoes it when it has lasted long enough and somebody sells again; returns when it was done.
fn harm_and_heal(
    (harm, leader): (Harm, usize),
    outage: Duration,
    nodes: &mut [Node],
    (services, topic): (&Services, &Topic),
    market: &Market,
) -> Result<u64> {
    let started = Instant::now();
    let harmed_ns = market.clock.now_ns();
    let lasts = if harm.span().is_zero() { outage } else { harm.span() };
    let done = harm.begin(nodes, services, topic)?;
    let besides = (harm.deposes() && harm.node() == Some(leader)).then_some(leader);
    // A freeze that nobody has to do anything about lasts as long as it is to.
    let is_waited_for = besides.is_some() || harm.span().is_zero();
    while started.elapsed() < lasts {
        thread::sleep(LOOK);
    }
    let sells = || market.has_decided(harmed_ns, besides);
    let recovered = if is_waited_for { await_sale(RECOVERY_TIMEOUT, sells) } else { Ok(()) };
    let healed_ns = market.clock.now_ns();
    done.heal(nodes, services, topic).context("heal")?;
    recovered?;
    if harm.is_forgotten_late() {
        await_sale(SETTINGS_TIMEOUT, || market.has_decided(healed_ns, None))?;
    }
    await_sale(RECOVERY_TIMEOUT, sells).map(|()| harmed_ns)
}

fn await_sale(at_most: Duration, sells: impl Fn() -> bool) -> Result<()> {
    let started = Instant::now();
    while !sells() {
        ensure!(started.elapsed() < at_most, "nobody sold anything for {at_most:?}");
        thread::sleep(LOOK);
    }
    Ok(())
}

//! What no node gets over by itself, each with a topic and two nodes of its own: a clock that stays wrong, a topic whose settings are
//! changed, that loses its beginning, or that is deleted and made anew. Nodes refuse, say what is to be done, and tell nothing false.

use anyhow::{Context as _, Result, anyhow, ensure};
use std::thread;
use std::time::{Duration, Instant};

use super::buyers::Market;
use super::nodes::{CLOCK_IS_WRONG, Node};
use super::planted::Seen;
use super::run::{Plan, RECOVERY_TIMEOUT, Run};
use super::shop::{put_sales, put_window};
use super::topic::Topic;
use crate::Bench;
use crate::cluster_checker::{Answer, Checker};
use crate::random::Random;
use crate::services::Services;

/// Nodes look at the settings of the topic once a minute.
const NOTICED: Duration = Duration::from_secs(75);

/// Longest wait until a node has noticed anything else.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Longer than any node waits until it tries to lead.
const QUIET: Duration = Duration::from_secs(4);

/// How long buyers ask.
const TRADE: Duration = Duration::from_secs(1);

/// Settings by which a topic can lose what was acknowledged, and what a node says of them.
const UNSAFE: [(&str, &str); 2] = [("min.insync.replicas", "1"), ("retention.ms", "604800000")];
const CURES: [&str; 4] = [
    "min.insync.replicas is 1 and has to be at least 2.",
    "--add-config min.insync.replicas=2",
    "retention.ms is 604800000 and has to be -1.",
    "--add-config retention.ms=-1",
];

/// Runs all of them, and says what was seen.
pub(super) fn run(bench: &mut Bench, services: &Services, random: &mut Random) -> Result<String> {
    let settings = begin(bench, "settings", services, random)?;
    thread::scope(|scope| {
        let own = random.fork(1);
        // That one mostly waits.
        let settings = scope.spawn(move || settings_changed(settings, &own));
        let clock = begin(bench, "clock", services, random)?;
        let clock = clock_wrong(clock, random).context("a clock that stays wrong")?;
        let trimmed = begin(bench, "trimmed", services, random)?;
        let trimmed = beginning_lost(trimmed, random).context("a topic that lost its beginning")?;
        let deleted = begin(bench, "deleted", services, random)?;
        let deleted = deleted_and_made_anew(deleted, random).context("a topic that was deleted")?;
        let settings = settings.join().map_err(|_| anyhow!("a part of the run panicked"))?;
        let settings = settings.context("a topic whose settings were changed")?;
        Ok(format!("{clock}; {trimmed}; {deleted}; {settings}"))
    })
}

fn begin<'a>(bench: &mut Bench, name: &str, services: &'a Services, random: &mut Random) -> Result<Run<'a>> {
    let plan = Plan { name, node_count: 2, buyer_count: 2, has_ways: false };
    let mut run = Run::begin(bench, plan, services, None, random)?;
    sell(&mut run, random).with_context(|| format!("before anything happens to {name}"))?;
    Ok(run)
}

/// Buyers ask for a while, of whom some get what they want, and all of them hear the truth.
fn sell(run: &mut Run<'_>, random: &Random) -> Result<Vec<Answer>> {
    let seen = see_trade(run, random)?;
    let answers = seen.answers.clone();
    ensure!(answers.iter().any(|answer| answer.told.is_decided()), "nobody sold anything");
    run.judge(seen)?;
    Ok(answers)
}

/// Opens with sales of its own; returns the number of the round.
fn open(run: &Run<'_>) -> Result<u64> {
    let round = run.checker.next_no();
    run.put(|operator| put_sales(operator, round))?;
    run.market.open(round);
    Ok(round)
}

fn see_trade(run: &mut Run<'_>, random: &Random) -> Result<Seen> {
    let round = open(run)?;
    let (answers, ()) = run.trade(&random.fork(round), |_, _, market| {
        let sold_ns = market.clock.now_ns();
        await_that("a sale", RECOVERY_TIMEOUT, || market.has_decided(sold_ns, None))?;
        thread::sleep(TRADE);
        Ok(())
    })?;
    run.see(answers)
}

/// Buyers ask for a while, and nobody decides anything.
fn sell_nothing(run: &mut Run<'_>, random: &Random) -> Result<()> {
    run.market.open(run.checker.next_no());
    let (answers, ()) = run.trade(random, |_, _, _| {
        thread::sleep(QUIET);
        Ok(())
    })?;
    let decided = answers.iter().find(|answer| answer.told.is_decided());
    ensure!(decided.is_none(), "nobody may lead, and somebody was told {decided:?}");
    ensure!(!run.nodes.iter().any(Node::leads), "nobody may lead, and somebody does");
    Ok(())
}

/// A leader whose clock is wrong lets another lead, and leads again when that is gone.
fn clock_wrong(mut run: Run<'_>, random: &Random) -> Result<String> {
    let first = run.await_leader()?;
    if !run.nodes[first].can_be_judged() {
        return Ok("no clock was wrong, without libfaketime".into());
    }
    let other = 1 - first;
    let before = run.nodes[first].output()?.len();
    run.nodes[first].set_clock(-5)?;
    run.nodes[first].await_said(before, CLOCK_IS_WRONG)?;
    await_that("the other node leads", RECOVERY_TIMEOUT, || run.nodes[other].leads())?;
    sell(&mut run, random).context("while the clock of the other is wrong")?;
    run.nodes[first].set_clock(0)?;
    run.nodes[other].kill()?;
    await_that("the node with the right clock leads", RECOVERY_TIMEOUT, || run.nodes[first].leads())?;
    run.nodes[other].start()?;
    sell(&mut run, random).context("after the clock was put right")?;
    run.end()?;
    Ok("a leader with a wrong clock let the other lead, and led again with the right one".into())
}

/// Nodes that run notice within a minute, one that starts at once; none leads until the settings are mended.
fn settings_changed(mut run: Run<'_>, random: &Random) -> Result<String> {
    open(&run)?;
    let leader = run.await_leader()?;
    let asked = |nodes: &mut [Node], topic: &Topic, _: &Market| -> Result<()> {
        topic.set(&UNSAFE)?;
        nodes[1 - leader].restart()?;
        check_cures(&nodes[1 - leader].await_problem(CURES[0], TIMEOUT)?)?;
        ensure!(nodes[leader].leads(), "the leader has looked already, so this shows nothing");
        check_cures(&nodes[leader].await_problem(CURES[0], NOTICED)?)?;
        await_that("the leader leads no more", TIMEOUT, || !nodes[leader].leads())
    };
    let (answers, ()) = run.trade(random, asked)?;
    let seen = run.see(answers)?;
    run.judge(seen)?;
    sell_nothing(&mut run, random).context("while the settings are unsafe")?;
    run.topic.set(&[])?;
    for node in &mut run.nodes {
        node.restart()?;
    }
    sell(&mut run, random).context("after the settings were mended")?;
    run.end()?;
    Ok("lowered settings were noticed, and nobody led until they were mended".into())
}

fn check_cures(problem: &str) -> Result<()> {
    let lacking = CURES.iter().find(|cure| !problem.contains(*cure));
    ensure!(lacking.is_none(), "{problem:?} does not say {lacking:?}");
    Ok(())
}

/// Whoever has read what was deleted goes on. Whoever lacks it stops and never leads.
fn beginning_lost(mut run: Run<'_>, random: &Random) -> Result<String> {
    let leader = run.await_leader()?;
    let other = 1 - leader;
    run.nodes[other].stop()?;
    sell(&mut run, random).context("while a node is away")?;
    let first_no = run.checker.next_no();
    run.topic.delete_records_before(first_no)?;
    sell(&mut run, random).context("after records were deleted that the leader has read")?;
    run.nodes[other].start()?;
    let problem = format!("was to be read, and the first one that the log has from there on is {first_no}");
    run.nodes[other].await_problem(&problem, TIMEOUT)?;
    run.nodes[leader].kill()?;
    sell_nothing(&mut run, random).context("while only a node is there that lacks records")?;
    run.nodes[leader].start()?;
    sell(&mut run, random).context("after the node came back that lacks nothing")?;
    run.nodes[other].kill()?;
    run.nodes[other].forget()?;
    let said = run.nodes[other].start_in_vain().context("start a node without anything")?;
    let problem = format!("the shared log begins at record {first_no}, so a node begins with a snapshot");
    ensure!(said.contains(&problem), "{said}");
    Ok("nodes that lacked deleted records never led".into())
}

/// Nobody leads without the topic, and nobody who has read something over the new one. What is lost with it the checker finds.
fn deleted_and_made_anew(mut run: Run<'_>, random: &Random) -> Result<String> {
    let mut answers = sell(&mut run, random)?;
    run.settle()?;
    let before = [run.nodes[0].output()?.len(), run.nodes[1].output()?.len()];
    run.topic.delete()?;
    for (node, before) in run.nodes.iter().zip(before) {
        node.await_said(before, "there is no log: there is no topic ")?;
    }
    // What the leader had on its way is given up after half a minute. Until then it says that it leads.
    await_that("nobody leads", RECOVERY_TIMEOUT, || !run.nodes.iter().any(Node::leads))?;
    sell_nothing(&mut run, random).context("while there is no topic")?;
    run.nodes[0].kill()?;
    let said = run.nodes[0].start_in_vain().context("start without a topic")?;
    ensure!(said.contains("run `onrush cluster prepare`"), "{said}");
    run.nodes[0].prepare_topic()?;
    run.nodes[0].start()?;
    for node in &run.nodes {
        node.await_problem("it was truncated or made anew", TIMEOUT)
            .or_else(|_| node.await_problem("the log has lost its end", TIMEOUT))?;
    }
    sell_nothing(&mut run, random).context("over a topic that was made anew")?;
    for node in &mut run.nodes {
        node.stop()?;
    }
    run.check_copies().context("the copies that are left of a lost topic")?;
    for node in &mut run.nodes {
        node.forget()?;
        node.start()?;
    }
    run.topic = run.topic.opened_again()?;
    run.checker = Checker::default();
    run.put(put_window)?;
    let new = see_trade(&mut run, random).context("over the new topic")?;
    new.clone().judge(&mut Checker::default()).context("over the new topic")?;
    answers.extend(new.answers);
    let lost = Seen { records: new.records, answers }.judge(&mut Checker::default());
    ensure!(lost.is_err(), "everything was lost with the topic, and the checker does not notice");
    Ok("a lost topic was noticed by its nodes, and the loss by the checker".into())
}

fn await_that(what: &str, at_most: Duration, is_so: impl Fn() -> bool) -> Result<()> {
    let started = Instant::now();
    while !is_so() {
        ensure!(started.elapsed() < at_most, "waited for {at_most:?} in vain: {what}");
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

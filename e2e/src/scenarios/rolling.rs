//! Two nodes behind nginx, with the documented lines, are restarted one after the other while buyers reserve. No request fails.

use anyhow::{Context as _, Result, ensure};
use onrush_proxy::vacant;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Bench;
use crate::answers::{read_reserved, reserve_request};
use crate::api::{Sale, SaleSettings};
use crate::http::{self, Connection, request};
use crate::ledger::Ask;
use crate::scenarios::cluster::nodes::{Group, Node};
use crate::scenarios::cluster::{BROKERS, over_brokers};
use crate::scenarios::front::nginx;
use crate::services::Services;
use crate::tool::NGINX;

const LINES: &str = include_str!("../../../docs/cluster/nginx.conf");

const SALE: SaleSettings<'static> = SaleSettings {
    sale: "roll",
    stocks: &[("unit", 100_000_000)],
    per_customer_max: None,
    hold_ttl_ms: 0,
    cooldown_ms: 0,
};

/// Who reserve at once.
const BUYER_COUNT: u64 = 8;

/// Longest wait for anything.
const TIMEOUT: Duration = Duration::from_mins(1);

/// A pause between two looks at something that others do.
const LOOK: Duration = Duration::from_millis(10);

/// How long is sold between two restarts.
const BETWEEN: Duration = Duration::from_millis(500);

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    if !NGINX.present() {
        return Ok("SKIPPED: there is no nginx".into());
    }
    over_brokers(bench, |bench, services, _| roll(bench, services))
}

/// What the buyers have seen.
#[derive(Default)]
struct Seen {
    is_over: AtomicBool,
    reserved_count: AtomicU64,
    longest_us: AtomicU64,
}

fn roll(bench: &mut Bench, services: &Services) -> Result<String> {
    for broker in BROKERS {
        services.start(broker)?;
    }
    let mut random = bench.random.fork(1);
    let name = format!("e2e-rolling-{:x}-{:x}", std::process::id(), random.below(1 << 32));
    let mut nodes = Vec::new();
    for _ in 0..2 {
        nodes.push(Node::new(bench, services, &nodes, Group::over(&name))?);
    }
    nodes[0].prepare_topic()?;
    for node in &mut nodes {
        node.start()?;
    }
    let leader = await_leader(&nodes)?;
    SALE.put(nodes[leader].launch.operator)?;
    let address = vacant()?;
    let lines = LINES
        .replace("127.0.0.1:8080", &nodes[0].launch.public.to_string())
        .replace("127.0.0.1:8090", &nodes[1].launch.public.to_string())
        .replace("listen 80;", &format!("listen {address};"));
    ensure!(lines.contains(&address.to_string()), "the documented lines listen elsewhere");
    let _nginx = nginx::run(&bench.directory, &lines, address)?;
    let cycles = bench.cycles(2, 20);
    let seen = Seen::default();
    thread::scope(|scope| {
        let buyers: Vec<_> = (0..BUYER_COUNT)
            .map(|number| {
                scope.spawn({
                    let seen = &seen;
                    move || seen.buy(address, number)
                })
            })
            .collect();
        let outcome = (0..cycles).try_for_each(|cycle| {
            restart_all(&mut nodes, &seen).with_context(|| format!("cycle {cycle} of {cycles}"))
        });
        seen.is_over.store(true, Ordering::Relaxed);
        for buyer in buyers {
            buyer.join().expect("a buyer does not panic")?;
        }
        outcome
    })?;
    let leader = await_leader(&nodes)?;
    let mut connection = Connection::open(nodes[leader].launch.public)?;
    let confirmed = Sale::read(&mut connection, SALE.sale)?.stock("unit")?.quantity_confirmed;
    let reserved_count = seen.reserved_count.load(Ordering::Relaxed);
    ensure!(confirmed == reserved_count, "{confirmed} units are sold, and {reserved_count} were told");
    for node in &mut nodes {
        node.stop()?;
    }
    let longest_ms = seen.longest_us.load(Ordering::Relaxed) / 1_000;
    Ok(format!(
        "{} restarts; {reserved_count} requests, each answered with a reservation at its first try; the longest wait was {longest_ms} ms",
        2 * cycles
    ))
}

/// The node that follows first, then the one that leads.
fn restart_all(nodes: &mut [Node], seen: &Seen) -> Result<()> {
    let leader = await_leader(nodes)?;
    for node in [1 - leader, leader] {
        thread::sleep(BETWEEN);
        nodes[node].stop()?;
        nodes[node].start()?;
        await_level(nodes, node)?;
        let before = seen.reserved_count.load(Ordering::Relaxed);
        let started = Instant::now();
        while seen.reserved_count.load(Ordering::Relaxed) < before + BUYER_COUNT {
            ensure!(started.elapsed() < TIMEOUT, "nothing is sold after node {} was restarted", node + 1);
            thread::sleep(LOOK);
        }
    }
    Ok(())
}

fn await_leader(nodes: &[Node]) -> Result<usize> {
    let started = Instant::now();
    loop {
        let leads = |node: &Node| {
            http::once(node.launch.public, &request("GET", "/readyz")).is_ok_and(|ready| ready.status == 200)
        };
        if let Some(leader) = nodes.iter().position(leads) {
            return Ok(leader);
        }
        ensure!(started.elapsed() < TIMEOUT, "no node leads");
        thread::sleep(LOOK);
    }
}

/// Waits until a node has read what the other has by now, and could lead.
fn await_level(nodes: &[Node], node: usize) -> Result<()> {
    let offset = |node: usize| -> Result<u64> {
        let told = http::once(nodes[node].launch.public, &request("GET", "/v1/cluster"))?;
        let told: serde_json::Value = told.expect(200)?;
        told["partitions"][0]["offset"].as_u64().context("no offset")
    };
    let target = offset(1 - node)?;
    let started = Instant::now();
    while offset(node)? < target {
        ensure!(started.elapsed() < TIMEOUT, "node {} is not level", node + 1);
        thread::sleep(LOOK);
    }
    Ok(())
}

impl Seen {
    /// Reserves until all is over. Each request is made once, and has to be answered with a new reservation.
    fn buy(&self, address: SocketAddr, number: u64) -> Result<()> {
        let mut connection = Connection::open(address)?;
        for count in 0_u64.. {
            if self.is_over.load(Ordering::Relaxed) {
                break;
            }
            let key = format!("buyer-{number}-{count}");
            let ask = Ask {
                sale: SALE.sale.to_owned(),
                customer: key.clone(),
                lines: vec![("unit".to_owned(), 1)],
                details: None,
                key: Some(key),
            };
            let started = Instant::now();
            let answer = connection.call(&reserve_request(&ask)).with_context(|| format!("{ask:?}"))?;
            ensure!(
                matches!(answer.status, 200 | 201),
                "{ask:?} after {:?}: {} {}",
                started.elapsed(),
                answer.status,
                answer.text()
            );
            read_reserved(&answer)?;
            // nginx ends a connection after a thousand requests, and says so.
            if answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
                connection = Connection::open(address)?;
            }
            let waited_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.longest_us.fetch_max(waited_us, Ordering::Relaxed);
            self.reserved_count.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

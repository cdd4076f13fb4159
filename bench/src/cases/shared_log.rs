//! A node whose log is a topic of three brokers, to the same build with its log in files. All of them share this machine: three brokers, two
//! servers and the clients on its processors, so the ratio is one of what a request costs here, not of what three machines can do.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::hot_routes::{COUNT, READ, REFUSE, RESERVE, Sides};
use crate::report::Findings;
use crate::servers::Onrush;
use crate::services::Services;
use crate::setting::Bench;

/// Reservations and refusals, counts and reads, with 100 and 1,000 connections.
pub(crate) fn shared_log(bench: &Bench) -> Result<Findings> {
    let services = Services::read(&bench.settings.services)?;
    let brokers =
        services.get("KAFKA_CLUSTER_BROKERS").context("run: cargo xtask services up kafka-cluster")?;
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let topic = format!("bench-{}-{}", since_epoch.as_secs(), std::process::id());
    let environment = [
        ("ONRUSH_LOG__KIND", "kafka"),
        ("ONRUSH_LOG__BROKERS", brokers),
        ("ONRUSH_LOG__TOPIC", &topic),
        ("ONRUSH_CLUSTER__NODE", "1"),
        // Nobody else asks for it.
        ("ONRUSH_CLUSTER__URL", "http://127.0.0.1:9"),
    ];
    let environment = environment.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let mut prepare = Command::new(&bench.settings.onrush);
    let prepared = prepare.args(["cluster", "prepare"]).envs(environment.iter().cloned()).output()?;
    ensure!(
        prepared.status.success(),
        "onrush cluster prepare: {}",
        String::from_utf8_lossy(&prepared.stdout)
    );
    let node = Onrush::start_bare(&bench.settings.onrush, &bench.directory("shared-node")?, &environment)?;
    let single = Onrush::start_bare(&bench.settings.onrush, &bench.directory("shared-single")?, &[])?;
    let scripts = bench.directory("shared-scripts")?;
    let sides = Sides { one: ("Kafka log", &node), other: ("file log", &single), scripts: &scripts };
    sides.prepare()?;
    let mut findings = Findings::default();
    for (question, connection_count, targets) in [
        (RESERVE, 100, [0.4, 1.0]),
        (RESERVE, 1_000, [0.8, 1.0]),
        (REFUSE, 1_000, [0.85, 1.0]),
        (COUNT, 1_000, [0.8, 1.0]),
        (READ, 1_000, [0.8, 1.0]),
    ] {
        findings.merge(sides.ask(bench, &question, connection_count, targets)?);
    }
    node.stop()?;
    single.stop()?;
    Ok(findings)
}

//! A node whose log is a topic of three brokers, to the same build with its log in files. All of them share this machine: three brokers, two
//! servers and the clients on its processors, so the ratio is one of what a request costs here, not of what three machines can do.

use anyhow::Result;

use super::hot_routes::{COUNT, READ, REFUSE, RESERVE, Sides};
use crate::report::Findings;
use crate::servers::{Cluster, Onrush, shared_log_environment};
use crate::services::Services;
use crate::setting::Bench;

/// Reservations and refusals, counts and reads, with 100 and 1,000 connections.
pub(crate) fn shared_log(bench: &Bench) -> Result<Findings> {
    let environment = shared_log_environment(&Services::read(&bench.settings.services)?, "shared")?;
    Cluster::prepare_topic(bench, &environment)?;
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

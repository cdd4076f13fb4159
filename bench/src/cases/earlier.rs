//! This build against the binary of an earlier release: every hot route. A ratio below 1 is something that became slower.

use anyhow::{Context, Result};

use super::hot_routes::{COUNT, READ, REFUSE, RESERVE, Sides, WINDOW};
use crate::report::Findings;
use crate::servers::Onrush;
use crate::setting::Bench;

/// Every question with 100 and 400 connections.
pub(crate) fn earlier(bench: &Bench) -> Result<Findings> {
    let binary = bench.settings.earlier.as_ref();
    let binary = binary.context("name the binary of the release to compare with: --earlier PATH")?;
    let now = Onrush::start(&bench.settings.onrush, &bench.directory("earlier-now")?, &[])?;
    let earlier = Onrush::start(binary, &bench.directory("earlier-before")?, &[])?;
    let scripts = bench.directory("earlier-scripts")?;
    let sides = Sides { one: ("onrush", &now), other: ("earlier", &earlier), scripts: &scripts };
    sides.prepare()?;
    let mut findings = Findings::default();
    for connection_count in [100, 400] {
        for question in [READ, COUNT, WINDOW, RESERVE, REFUSE] {
            findings.merge(sides.ask(bench, &question, connection_count, [0.95, 1.0])?);
        }
    }
    now.stop()?;
    earlier.stop()?;
    Ok(findings)
}

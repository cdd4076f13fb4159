//! What a proxy asks about each request of a customer, next to nginx answering a constant.

use anyhow::Result;

use super::hot_path::contender;
use crate::members::Members;
use crate::report::{Better, Figure, Findings, Row, Target};
use crate::rounds::Rounds;
use crate::servers::{Nginx, Onrush};
use crate::setting::Bench;
use crate::wrk::{Traffic, Wrk};

const PATH: &str = "/v1/gate/check";

/// `GET /v1/gate/check` with the cookie of a session.
pub(crate) fn session(bench: &Bench) -> Result<Findings> {
    let members = Members::new(&bench.directory("session-members")?)?;
    let directory = bench.directory("session-onrush")?;
    let onrush = Onrush::start(&bench.settings.onrush, &directory, &members.environment())?;
    let nginx = Nginx::start(&bench.directory("session-nginx")?)?;
    let scripts = bench.directory("session-scripts")?;
    let traffic = Traffic::WithCookie { path: PATH, cookie: members.cookie("ada")? };
    let mut findings = Findings::default();
    for connection_count in [100, 400] {
        let wrk = Wrk { directory: &scripts, connection_count, seconds: bench.settings.turn_seconds };
        let mut contenders = [
            contender(&wrk, "nginx", nginx.pids(), nginx.address, traffic.clone()),
            contender(&wrk, "onrush", onrush.pids(), onrush.address, traffic.clone()),
        ];
        let rounds = Rounds::interleave(bench, &mut contenders)?;
        drop(contenders);
        let title = format!("GET {PATH} with a session, {connection_count} connections");
        let mut part = Findings::of_rounds(&title, &rounds);
        let figure = |side| Figure::new(side, "/s", rounds.values(side, |turn| turn.outcome.success_rate()));
        let mut row = Row::new(title, figure("onrush"), Some(figure("nginx")), Better::Higher)
            .targets(Target::RatioAtLeast(0.85), Target::RatioAtLeast(1.0));
        row.notes = rounds.doubts();
        part.rows.push(row);
        findings.merge(part);
    }
    onrush.stop()?;
    Ok(findings)
}

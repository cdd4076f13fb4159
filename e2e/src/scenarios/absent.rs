//! No target is there when the server starts: it serves and warns. Targets come up one after another, and each gets
//! everything. Nothing that anybody can see contains a password.

use anyhow::{Context as _, Result, ensure};
use std::fs;

use crate::Bench;
use crate::activity;
use crate::http::{self, request};
use crate::operator::{AGREES, Sink, await_caught_up, await_sink, reconcile, retry, sinks, sinks_command};
use crate::scenarios::sinks::arrived::Arrived;
use crate::server::{Launch, Server};
use crate::targets::{KINDS, Targets, with_targets};

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    let mut random = bench.random.fork(1);
    with_targets(&mut bench.random.fork(2), |targets| {
        for kind in KINDS {
            targets.services.kill(kind)?;
        }
        let mut launch = bench.launch()?;
        launch.environment.extend(targets.settings_of(&KINDS)?);
        let server = launch.start().context("start without any target")?;
        activity::set_up(server.operator())?;
        activity::go_on(server.public(), 200)?;
        for kind in KINDS {
            await_sink(server.operator(), kind, "a failure", |sink| {
                sink.state == "retrying" && sink.last_error.is_some() && sink.lag_events > 0
            })?;
        }
        let output = fs::read_to_string(&launch.output).context("read server output")?;
        for kind in KINDS {
            let warned = output.lines().any(|line| line.contains("WARN") && line.contains(kind));
            ensure!(warned, "no warning names {kind}:\n{output}");
        }
        check_surfaces(&launch, &server, targets).context("while every target is away")?;
        let mut order = KINDS.to_vec();
        for place in (1..order.len()).rev() {
            order.swap(place, usize::try_from(random.below(place as u64 + 1)).expect("small"));
        }
        for (number, kind) in order.iter().enumerate() {
            targets.services.start(kind)?;
            activity::go_on(server.public(), 100)?;
            let come = &order[..=number];
            await_caught_up(server.operator(), come).with_context(|| format!("{come:?} have come"))?;
        }
        check_alarm(&server, targets).context("a broker that blocks who publishes")?;
        let mut arrived = Arrived::default();
        arrived.check(targets, true)?;
        for kind in KINDS {
            reconcile(&launch, kind, AGREES)?;
        }
        check_surfaces(&launch, &server, targets).context("with every target there")?;
        Ok(format!("came in the order {order:?}; {arrived}"))
    })
}

/// A broker with a memory alarm takes nothing and says so once. The sink shows why, and goes on when the alarm is over.
fn check_alarm(server: &Server, targets: &Targets) -> Result<()> {
    targets.rabbitmq.refuse(true)?;
    activity::go_on(server.public(), 50)?;
    let names_memory =
        |sink: &Sink| sink.last_error.as_ref().is_some_and(|failure| failure.error.contains("memory"));
    await_sink(server.operator(), "rabbitmq", "the reason of the alarm", |sink| {
        sink.state != "running" && sink.lag_events > 0 && names_memory(sink)
    })?;
    targets.rabbitmq.refuse(false)?;
    retry(server.operator(), "rabbitmq")?;
    await_caught_up(server.operator(), &KINDS)
}

/// Everything that tells about sinks.
fn check_surfaces(launch: &Launch, server: &Server, targets: &Targets) -> Result<()> {
    let shown = sinks(server.operator())?;
    ensure!(shown.len() == KINDS.len(), "{} sinks are shown", shown.len());
    for path in ["/v1/sinks", "/v1/sinks/postgres", "/metrics", "/readyz", "/livez"] {
        let answer = http::once(server.operator(), &request("GET", path))?;
        ensure!(answer.status == 200, "{path} answers {}: {}", answer.status, answer.text());
        let whole = String::from_utf8_lossy(&answer.body).into_owned();
        targets.check_text(path, &whole)?;
        if path == "/metrics" {
            check_metrics(&whole)?;
        }
    }
    for arguments in [&[][..], &["--json"]] {
        targets.check_text("onrush sinks", &sinks_command(launch, arguments)?)?;
    }
    for arguments in [["config", "print"], ["config", "check"]] {
        let output = launch.command().args(arguments).output().context("run config")?;
        for printed in [&output.stdout, &output.stderr] {
            targets.check_text("onrush config", &String::from_utf8_lossy(printed))?;
        }
    }
    targets.check_secrets(launch)
}

fn check_metrics(text: &str) -> Result<()> {
    for name in [
        "onrush_sink_lag_events",
        "onrush_sink_lag_seconds",
        "onrush_sink_backlog_bytes",
        "onrush_sink_offset",
        "onrush_sink_written_total",
        "onrush_sink_failures_total",
        "onrush_sink_skipped_total",
        "onrush_sink_state",
    ] {
        for kind in KINDS {
            let label = format!("sink=\"{kind}\"");
            let told = text.lines().any(|line| line.starts_with(name) && line.contains(&label));
            ensure!(told, "/metrics has no {name} of {kind}");
        }
    }
    Ok(())
}

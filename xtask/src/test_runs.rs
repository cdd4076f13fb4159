//! The tests of the workspace. Those that wait most of the time are built first, and run beside the build of the others.

use std::process::Command;
use std::sync::mpsc::{SyncSender, sync_channel};

use anyhow::{Result, bail};

use crate::programs::FEATURES;
use crate::steps::{Steps, cargo, execute, execute_seeing};

/// More than processors: what takes longest are tests of sinks, which wait for a server most of the time.
const TEST_THREADS: &str = "8";

/// The test binary whose tests of this name, and of no other's, wait for servers that do not answer: three minutes
/// altogether.
const WAITING_BINARY: &str = "conformance";
const WAITING: &str = "_conforms::";

/// Builds the tests that wait.
pub(crate) fn build_waiting(steps: &mut Steps) {
    let name = format!("build the tests of {WAITING_BINARY}");
    steps.run(&name, || execute(test(&[]).args(["--no-run", "--test", WAITING_BINARY])));
}

/// Runs all tests with these variables; returns the lines that tell what came of them.
pub(crate) fn run(steps: &mut Steps, variables: &[(String, String)]) -> Vec<String> {
    let (is_running, runs) = sync_channel(1);
    let mut waiting = test(variables);
    waiting.args(["--test", WAITING_BINARY, "--", WAITING]);
    let waiting = steps
        .begin(&format!("cargo test --test {WAITING_BINARY}, beside what follows"), move || {
            run_beside(&mut waiting, &is_running)
        });
    // Until then it has the lock of the builds. If it never runs, this is the end of it.
    let _ = runs.recv();
    steps.run("build the other tests", || execute(test(&[]).arg("--no-run")));
    let mut lines = Vec::new();
    steps.run("cargo test --workspace", || {
        execute_seeing(test(variables).args(["--", "--skip", WAITING]), |line| {
            println!("{line}");
            if is_result_line(line) {
                lines.push(line.to_owned());
            }
        })
    });
    lines.extend(steps.wait_for(waiting).unwrap_or_default());
    lines
}

/// Runs tests and shows their output at the end, in one piece, whatever others say meanwhile. Says when they run.
fn run_beside(test: &mut Command, is_running: &SyncSender<()>) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let result = execute_seeing(test, |line| {
        if line.trim_start().starts_with("Running ") {
            // One word of it is enough.
            let _ = is_running.try_send(());
        }
        lines.push(line.to_owned());
    });
    println!("{}", lines.join("\n"));
    lines.retain(|line| is_result_line(line));
    match result {
        Ok(()) => Ok(lines),
        Err(error) => bail!("{error:#}: {}", lines.join("; ")),
    }
}

/// The command that tests everything. Whatever is left out or added behind it, all of them find the same builds.
fn test(variables: &[(String, String)]) -> Command {
    let mut test = cargo(["test", "--workspace", "--no-fail-fast"]);
    if std::env::var_os("RUST_TEST_THREADS").is_none() {
        test.env("RUST_TEST_THREADS", TEST_THREADS);
    }
    test.args(FEATURES).envs(variables.iter().cloned());
    test
}

/// What `cargo test` says of a whole test binary, and of a test that failed.
fn is_result_line(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("test result:")
        || line.starts_with("Running ")
        || line.starts_with("Doc-tests ")
        || (line.starts_with("test ") && line.ends_with("FAILED"))
        || line.starts_with("error")
}

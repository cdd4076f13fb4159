//! The checks that every change passes: format, lints, tests, and the real binary end to end.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::programs::FEATURES;
use crate::steps::{Steps, cargo, execute, execute_keeping, root, succeeds};
use crate::{machine, programs, services};

/// More than processors: what takes longest are tests of sinks, which wait for a server most of the time.
const TEST_THREADS: &str = "8";

/// Everything; `fast` leaves out the release build and the end-to-end checks. Ends with the result lines of all tests and
/// a summary of the steps.
pub(crate) fn test(fast: bool) -> Result<()> {
    let mut steps = Steps::new();
    steps.run("set the machine up", machine::set_up);
    format_and_lints(&mut steps);

    let variables = start_services(&mut steps);
    let early_build = if fast { None } else { programs::begin_to_build_server().ok() };
    let mut results = Vec::new();
    steps.run("cargo test --workspace", || {
        let mut test = cargo(["test", "--workspace", "--no-fail-fast"]);
        if std::env::var_os("RUST_TEST_THREADS").is_none() {
            test.env("RUST_TEST_THREADS", TEST_THREADS);
        }
        let test = test.args(FEATURES).envs(variables.iter().cloned());
        let (lines, result) = execute_keeping(test, is_result_line);
        results = lines;
        result
    });
    if fast {
        steps.skip("end-to-end checks", "--fast");
    } else {
        steps.run("end-to-end checks of the release build", || {
            if let Some(mut build) = early_build {
                build.wait().context("wait for the build of the server")?;
            }
            programs::end_to_end(&["--short".to_owned()], &variables)
        });
    }
    steps.run("stop the services", || services::down(&services_directory(), false));

    println!("\nresults of cargo test");
    for line in results {
        println!("{line}");
    }
    steps.sum_up()
}

/// Format, lints, the rules of the house, and what the dependencies may be.
pub(crate) fn lint() -> Result<()> {
    let mut steps = Steps::new();
    format_and_lints(&mut steps);
    steps.run("rules of the house", || execute(&mut cargo(["test", "--quiet", "--package", "xtask"])));
    check_dependencies(&mut steps);
    steps.sum_up()
}

/// What `deny.toml` says of licences and sources. Known faults are left out: their list has to be downloaded.
fn check_dependencies(steps: &mut Steps) {
    let check = "cargo deny check";
    if succeeds(&mut cargo(["deny", "--version"])) {
        steps.run(check, || execute(&mut cargo(["deny", "check", "bans", "licenses", "sources"])));
    } else {
        steps.skip(check, "cargo-deny is not installed; install it with: cargo install --locked cargo-deny");
    }
}

fn format_and_lints(steps: &mut Steps) {
    if machine::have_component("rustfmt", "fmt") {
        steps.run("cargo fmt --all --check", || execute(&mut cargo(["fmt", "--all", "--check"])));
    } else {
        steps.skip("cargo fmt --all --check", "this toolchain has no rustfmt");
    }
    if machine::have_component("clippy", "clippy") {
        steps.run("cargo clippy", || {
            let mut clippy = cargo(["clippy", "--workspace", "--all-targets"]);
            execute(clippy.args(FEATURES).args(["--", "-D", "warnings"]))
        });
    } else {
        steps.skip("cargo clippy", "this toolchain has no clippy");
    }
}

/// Starts the services with empty data and returns the variables that lead to them; none if they do not start. Root can
/// install what is missing, so only for others a service may be left out; the tests that need it then leave themselves out.
fn start_services(steps: &mut Steps) -> Vec<(String, String)> {
    let (mut names, missing) = services::available();
    if machine::is_root() {
        names.clear();
    } else {
        for reason in missing {
            steps.skip("tests of a service", &reason);
        }
        if names.is_empty() {
            return Vec::new();
        }
    }
    let mut variables = Vec::new();
    steps.run("start the services", || {
        services::up(&services_directory(), &names, true)?;
        variables = services::variables(&services_directory())?;
        Ok(())
    });
    variables
}

/// Apart from the services that a developer may have running.
fn services_directory() -> PathBuf {
    root().join("target/services-of-tests")
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

//! The checks that every change passes: format, lints, tests, and the real binary end to end.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::programs::FEATURES;
use crate::steps::{Beside, Steps, at_lowest_priority, cargo, execute, root, succeeds};
use crate::{machine, programs, protocol_files, services, test_runs};

/// Everything; `fast` leaves out the release build and the end-to-end checks. Ends with the result lines of all tests and
/// a summary of the steps. What waits and what computes go on beside each other where they can.
pub(crate) fn test(fast: bool) -> Result<()> {
    let mut steps = Steps::new();
    steps.run("set the machine up", machine::set_up);
    let services = begin_services(&mut steps);
    check_format(&mut steps);
    protocol_files::check(&mut steps);
    let early_build = if fast { None } else { programs::begin_to_build_server().ok() };
    test_runs::build_waiting(&mut steps);
    let variables = services.and_then(|services| steps.wait_for(services)).unwrap_or_default();
    let results = test_runs::run(&mut steps, &variables);
    let is_built = !fast
        && steps.run("build the server", || {
            if let Some(mut build) = early_build {
                build.wait().context("wait for the build of the server")?;
            }
            programs::build_end_to_end()
        });
    // It needs the lock of the builds, which nobody else does from here on.
    let lints = begin_lints(&mut steps);
    let name = "end-to-end checks of the server";
    if is_built {
        steps.run(name, || programs::run_end_to_end(&["--short".to_owned()], &variables));
    } else {
        steps.skip(name, if fast { "--fast" } else { "it is not built" });
    }
    lints.and_then(|lints| steps.wait_for(lints));
    steps.run("stop the services", || services::down(&services_directory(), false));

    println!("\nresults of cargo test");
    for line in results {
        println!("{line}");
    }
    steps.sum_up()
}

/// Format, lints, the rules of the house and of the protocol files, and what the dependencies may be.
pub(crate) fn lint() -> Result<()> {
    let mut steps = Steps::new();
    check_format(&mut steps);
    protocol_files::check(&mut steps);
    if let Some(lints) = begin_lints(&mut steps) {
        steps.wait_for(lints);
    }
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

fn check_format(steps: &mut Steps) {
    if machine::have_component("rustfmt", "fmt") {
        steps.run("cargo fmt --all --check", || execute(&mut cargo(["fmt", "--all", "--check"])));
    } else {
        steps.skip("cargo fmt --all --check", "this toolchain has no rustfmt");
    }
}

/// Begins to lint, behind whatever else needs the processors.
fn begin_lints(steps: &mut Steps) -> Option<Beside<()>> {
    if !machine::have_component("clippy", "clippy") {
        steps.skip("cargo clippy", "this toolchain has no clippy");
        return None;
    }
    Some(steps.begin("cargo clippy", || {
        let mut clippy = cargo(["clippy", "--workspace", "--all-targets", "--quiet"]);
        execute(&mut at_lowest_priority(clippy.args(FEATURES).args(["--", "-D", "warnings"])))
    }))
}

/// Begins to start the services with empty data, which gives the variables that lead to them. Root can install what is missing, so
/// only for others a service may be left out; the tests that need it then leave themselves out.
fn begin_services(steps: &mut Steps) -> Option<Beside<Vec<(String, String)>>> {
    let (mut names, missing) = services::available();
    if machine::is_root() {
        names.clear();
    } else {
        for reason in missing {
            steps.skip("tests of a service", &reason);
        }
        if names.is_empty() {
            return None;
        }
    }
    Some(steps.begin("start the services, beside what follows", move || {
        services::up(&services_directory(), &names, true)?;
        services::variables(&services_directory())
    }))
}

/// Apart from the services that a developer may have running.
fn services_directory() -> PathBuf {
    root().join("target/services-of-tests")
}

//! The checks that every change passes: format, lints, tests, and the real binary end to end.

use anyhow::Result;

use crate::steps::{Steps, cargo, execute, execute_keeping};
use crate::{machine, programs};

/// Everything; `fast` leaves out the release build and the end-to-end checks. Ends with the result lines of all tests and
/// a summary of the steps.
pub(crate) fn test(fast: bool) -> Result<()> {
    let mut steps = Steps::new();
    steps.run("set the machine up", machine::set_up);
    format_and_lints(&mut steps);

    let mut results = Vec::new();
    steps.run("cargo test --workspace", || {
        let (lines, result) =
            execute_keeping(&mut cargo(["test", "--workspace", "--no-fail-fast"]), is_result_line);
        results = lines;
        result
    });
    if fast {
        steps.skip("end-to-end checks", "--fast");
    } else {
        steps.run("end-to-end checks of the release build", || programs::end_to_end(&["--short".to_owned()]));
    }

    println!("\nresults of cargo test");
    for line in results {
        println!("{line}");
    }
    steps.sum_up()
}

/// Format, lints and the rules of the house, in the order of how fast they are.
pub(crate) fn lint() -> Result<()> {
    let mut steps = Steps::new();
    format_and_lints(&mut steps);
    steps.run("rules of the house", || execute(&mut cargo(["test", "--quiet", "--package", "xtask"])));
    steps.sum_up()
}

fn format_and_lints(steps: &mut Steps) {
    if machine::have_component("rustfmt", "fmt") {
        steps.run("cargo fmt --all --check", || execute(&mut cargo(["fmt", "--all", "--check"])));
    } else {
        steps.skip("cargo fmt --all --check", "this toolchain has no rustfmt");
    }
    if machine::have_component("clippy", "clippy") {
        steps.run("cargo clippy", || {
            execute(&mut cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
        });
    } else {
        steps.skip("cargo clippy", "this toolchain has no clippy");
    }
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

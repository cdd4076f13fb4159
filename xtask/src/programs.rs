//! Builds the development programs and the server they drive, and runs them.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::machine;
use crate::steps::{cargo, execute, root};

/// The server that the programs drive unless they are told another.
const SERVER: &str = "target/release/onrush";

/// Runs the benchmarks with these arguments.
pub(crate) fn bench(arguments: &[String]) -> Result<()> {
    machine::set_up()?;
    build_and_run("onrush-bench", arguments, &[])
}

/// Runs the end-to-end checks with these arguments, and these variables beside those of this process.
pub(crate) fn end_to_end(arguments: &[String], variables: &[(String, String)]) -> Result<()> {
    build_and_run("onrush-e2e", arguments, variables)
}

/// Writes `docs/openapi.json`. The file changes only if the generator succeeded.
pub(crate) fn openapi() -> Result<()> {
    let output = cargo(["run", "--quiet", "--package", "onrush", "--", "openapi"])
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("start the generator")?;
    if !output.status.success() {
        bail!("the generator ended with {}", output.status);
    }
    let path = root().join("docs/openapi.json");
    std::fs::write(&path, output.stdout).with_context(|| format!("write {}", path.display()))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}

/// Builds the server and a program, both optimized, and runs the program in the root of the workspace.
fn build_and_run(package: &str, arguments: &[String], variables: &[(String, String)]) -> Result<()> {
    let mut build = cargo(["build", "--release", "--package", "onrush", "--package", package]);
    execute(build.args(["--features", "onrush/kafka"]))?;
    let mut program = Command::new(root().join("target/release").join(package));
    program.current_dir(root()).args(arguments).envs(variables.iter().cloned());
    if !arguments.iter().any(|argument| argument.starts_with("--onrush-bin")) {
        program.args(["--onrush-bin", SERVER]);
    }
    execute(&mut program)
}

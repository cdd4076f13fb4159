//! Builds the development programs and the server they drive, and runs them.

use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::machine;
use crate::steps::{at_lowest_priority, cargo, execute, root};

/// The server that the programs drive unless they are told another.
const SERVER: &str = "target/release/onrush";

/// What is left out of a build unless it is asked for, because it needs more than Rust. With these and `--workspace`, every
/// build of a profile shares its dependencies with the others, but for the server, which is built as its users build it.
pub(crate) const FEATURES: [&str; 2] = ["--features", "onrush/kafka-tls,onrush-connect/kafka-tls"];

/// Runs the benchmarks with these arguments.
pub(crate) fn bench(arguments: &[String]) -> Result<()> {
    machine::set_up()?;
    build_server(&["--package", "onrush-bench"])?;
    run("target/release/onrush-bench", arguments, &[])
}

/// Builds what the end-to-end checks need, and runs them with these arguments.
pub(crate) fn end_to_end(arguments: &[String]) -> Result<()> {
    build_end_to_end()?;
    run_end_to_end(arguments, &[])
}

/// Builds the checks as tests are built: only the server has to be what is released.
pub(crate) fn build_end_to_end() -> Result<()> {
    execute(cargo(["build", "--workspace", "--bin", "onrush-e2e"]).args(FEATURES))?;
    build_server(&[])
}

/// Runs the checks that were built, with these variables beside those of this process.
pub(crate) fn run_end_to_end(arguments: &[String], variables: &[(String, String)]) -> Result<()> {
    run("target/debug/onrush-e2e", arguments, variables)
}

/// Runs the simulation of several nodes with these arguments, optimized, because runs are many.
pub(crate) fn simulation(arguments: &[String]) -> Result<()> {
    execute(&mut cargo(["build", "--release", "--package", "onrush-sim"]))?;
    execute(Command::new(root().join("target/release/onrush-sim")).current_dir(root()).args(arguments))
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

/// Adds what is new in `docs/openapi.json` to `docs/openapi-promises.txt`, unless something that was promised is gone.
pub(crate) fn promises() -> Result<()> {
    let arguments = ["test", "--quiet", "--package", "onrush-edge", "--test", "promises"];
    execute(cargo(arguments).env("ADD_PROMISES", "1"))
}

/// Begins to build the server beside something that mostly waits, at the lowest priority. What goes wrong is said by the build
/// of whoever needs the server, which finds what is there.
pub(crate) fn begin_to_build_server() -> Result<Child> {
    let mut build = at_lowest_priority(server_build().arg("--quiet"));
    build.stderr(Stdio::null()).spawn().context("start to build the server")
}

/// Builds the server, optimized, and the packages that these arguments add.
fn build_server(more: &[&str]) -> Result<()> {
    execute(server_build().args(more))
}

fn server_build() -> Command {
    cargo(["build", "--release", "--package", "onrush", "--features", "onrush/kafka"])
}

/// Runs a program in the root of the workspace, against the server that was built unless it is told another.
fn run(program: &str, arguments: &[String], variables: &[(String, String)]) -> Result<()> {
    let mut command = Command::new(root().join(program));
    command.current_dir(root()).args(arguments).envs(variables.iter().cloned());
    if !arguments.iter().any(|argument| argument.starts_with("--onrush-bin")) {
        command.args(["--onrush-bin", SERVER]);
    }
    execute(&mut command)
}

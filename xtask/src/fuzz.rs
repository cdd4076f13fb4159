//! Runs the fuzz targets of `fuzz/` by cargo-fuzz, on the stable toolchain and without anything installed outside `target/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::steps::{Steps, cargo, execute, root};

const CARGO_FUZZ_VERSION: &str = "0.13.2";

/// Inputs that a target begins with beside those that it has found, by its name.
const SEEDS: [(&str, &str); 1] = [("debezium_records", "crates/debezium/src/samples")];

/// Runs one target, or all, for so many seconds each. What a target found lies in `fuzz/artifacts/`; the command that
/// repeats it is printed.
pub(crate) fn run(target: Option<&str>, seconds: u32) -> Result<()> {
    let cargo_fuzz = installed_cargo_fuzz()?;
    let known = targets()?;
    let chosen = match target {
        None => known,
        Some(name) if known.iter().any(|one| one == name) => vec![name.to_owned()],
        Some(name) => bail!("no fuzz target {name}; there are {}", known.join(", ")),
    };
    let mut steps = Steps::new();
    for name in chosen {
        steps.run(&format!("fuzz {name} for {seconds} s"), || {
            let mut command = fuzz_command(&cargo_fuzz, &name, &corpora(&name)?, seconds);
            execute(&mut command).with_context(|| findings(&cargo_fuzz, &name))
        });
    }
    steps.sum_up()
}

/// The targets by the names of their files.
fn targets() -> Result<Vec<String>> {
    let directory = root().join("fuzz/fuzz_targets");
    let entries = std::fs::read_dir(&directory).with_context(|| format!("read {}", directory.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry.context("read an entry of fuzz_targets")?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

/// Folders of inputs that a target begins with. What it finds is kept in the first.
fn corpora(target: &str) -> Result<Vec<PathBuf>> {
    let found = root().join("fuzz/corpus").join(target);
    std::fs::create_dir_all(&found).with_context(|| format!("make {}", found.display()))?;
    let seeds = SEEDS.iter().filter(|(of, _)| *of == target).map(|(_, seeds)| root().join(seeds));
    Ok([found].into_iter().chain(seeds).collect())
}

/// The instrumentation is an unstable option of the compiler, which the stable one takes when told so; no sanitizer is
/// needed because no code here is unsafe.
fn fuzz_command(cargo_fuzz: &Path, target: &str, corpora: &[PathBuf], seconds: u32) -> Command {
    let mut command = Command::new(cargo_fuzz);
    command
        .current_dir(root())
        .env("RUSTC_BOOTSTRAP", "1")
        .args(["fuzz", "run", "--sanitizer", "none", target])
        .args(corpora)
        .arg("--")
        .args([
            format!("-max_total_time={seconds}"),
            "-rss_limit_mb=2048".to_owned(),
            "-timeout=10".to_owned(),
        ]);
    command
}

/// The inputs that made a target fail, each with the command that repeats it.
fn findings(cargo_fuzz: &Path, target: &str) -> String {
    let directory = root().join("fuzz/artifacts").join(target);
    let inputs = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let commands: Vec<_> = inputs
        .map(|input| {
            let (program, input) = (cargo_fuzz.display(), input.display());
            format!("  RUSTC_BOOTSTRAP=1 {program} fuzz run --sanitizer none {target} {input}")
        })
        .collect();
    if commands.is_empty() {
        return "the target did not run".to_owned();
    }
    format!("repeat with one of\n{}\n", commands.join("\n"))
}

fn installed_cargo_fuzz() -> Result<PathBuf> {
    let place = root().join("target/tools");
    let program = place.join("bin/cargo-fuzz");
    if !program.exists() {
        let mut install =
            cargo(["install", "--quiet", "--locked", "cargo-fuzz", "--version", CARGO_FUZZ_VERSION]);
        execute(install.arg("--root").arg(&place)).context("install cargo-fuzz")?;
    }
    Ok(program)
}

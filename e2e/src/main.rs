//! Checks of the real onrush binary from outside: it is started, loaded, killed, stopped, starved, flooded and fed hostile
//! bytes, and every answer it ever gave is held against what it shows afterwards. Ends with status 1 on any violation.

#![allow(
    clippy::disallowed_methods,
    reason = "a check from outside waits for other processes by the real clock"
)]

mod account_traffic;
mod activity;
mod answers;
mod api;
mod audit;
mod cluster_checker;
mod disk;
mod followed;
mod go;
mod http;
mod ledger;
mod load;
mod operator;
mod operator_traffic;
mod problem;
mod python;
mod random;
mod run_clock;
mod scenarios;
mod secret;
mod server;
mod services;
mod shop;
mod shop_token;
mod source_database;
mod targets;
mod tool;
mod wall_clock;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::random::Random;
use crate::scenarios::{SCENARIOS, Scenario};
use crate::server::Launch;

/// Black-box checks of the onrush binary.
#[derive(Debug, Parser)]
#[command(name = "onrush-e2e", after_help = scenario_help())]
struct Arguments {
    /// Scenarios to run, by name; without names, all of the profile.
    names: Vec<String>,
    /// The program to check.
    #[arg(long, default_value = "target/release/onrush")]
    onrush_bin: PathBuf,
    /// Rounds of `kill9` (default 8 with --short, else 40), `catalog` (4, else 50), `cluster` (7, else 50), `coherence` (8, else 50), `debezium` (5, else 50) and `sinks` (6, else 100).
    #[arg(long)]
    cycles: Option<u64>,
    /// What chance depends on; printed by every run (default: the time).
    #[arg(long)]
    seed: Option<u64>,
    /// The profile for continuous integration: a few minutes.
    #[arg(long)]
    short: bool,
    /// A setting passed to every server, as `ONRUSH_SECTION__KEY=value`; may be repeated.
    #[arg(long = "env", value_name = "KEY=VALUE")]
    environment: Vec<String>,
    /// Where servers keep their data while they are checked; on a real disk, or syncs mean little.
    #[arg(long, default_value = "target/e2e")]
    directory: PathBuf,
    /// Keep the directories of scenarios that passed.
    #[arg(long)]
    keep: bool,
}

/// What a scenario gets.
#[derive(Debug)]
pub(crate) struct Bench {
    /// The program to check.
    pub onrush_bin: PathBuf,
    /// A fresh directory of its own.
    pub directory: PathBuf,
    /// Its chance.
    pub random: Random,
    /// The profile for continuous integration.
    pub short: bool,
    cycles: Option<u64>,
    environment: Vec<(String, String)>,
}

impl Bench {
    /// Rounds of a scenario that has rounds, unless the command line says how many.
    pub(crate) fn cycles(&self, short: u64, long: u64) -> u64 {
        self.cycles.unwrap_or(if self.short { short } else { long })
    }

    /// A launch below the scenario's directory, with the settings given on the command line.
    pub(crate) fn launch(&mut self) -> Result<Launch> {
        let mut launch = Launch::new(&self.onrush_bin, &self.directory, &mut self.random)?;
        launch.environment.clone_from(&self.environment);
        Ok(launch)
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("onrush-e2e: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the chosen scenarios; true when all held.
fn run(arguments: &Arguments) -> Result<bool> {
    let chosen = choose(&arguments.names, arguments.short)?;
    let onrush_bin = fs::canonicalize(&arguments.onrush_bin).with_context(|| {
        format!("find {} (cargo build --release makes it)", arguments.onrush_bin.display())
    })?;
    raise_descriptor_limit()?;
    fs::create_dir_all(&arguments.directory).context("create the directory of the run")?;
    let seed = match arguments.seed {
        Some(seed) => seed,
        None => SystemTime::now().duration_since(UNIX_EPOCH).context("read the clock")?.as_secs(),
    };
    println!("onrush-e2e: seed {seed}, program {}", onrush_bin.display());
    let mut failed = Vec::new();
    for scenario in chosen {
        let directory = tempfile::Builder::new()
            .prefix(&format!("{}-", scenario.name))
            .tempdir_in(&arguments.directory)
            .context("create the directory of a scenario")?;
        let mut bench = Bench {
            onrush_bin: onrush_bin.clone(),
            directory: fs::canonicalize(directory.path()).context("resolve the scenario's directory")?,
            random: Random::new(seed),
            short: arguments.short,
            cycles: arguments.cycles,
            environment: environment(&arguments.environment)?,
        };
        let started = Instant::now();
        println!("--- {}: {}", scenario.name, scenario.about);
        let held = (scenario.run)(&mut bench);
        let seconds = started.elapsed().as_secs_f32();
        match held {
            Ok(summary) => println!("ok  {} ({seconds:.1} s): {summary}", scenario.name),
            Err(error) => {
                println!("FAILED {} ({seconds:.1} s): {error:#}", scenario.name);
                println!("    repeat: {}", repeat_command(arguments, scenario.name, seed));
                println!("    its data and output: {}", directory.keep().display());
                failed.push(scenario.name);
                continue;
            }
        }
        if arguments.keep {
            println!("    kept: {}", directory.keep().display());
        }
    }
    if !failed.is_empty() {
        println!("onrush-e2e: FAILED: {}", failed.join(", "));
    }
    Ok(failed.is_empty())
}

fn choose(names: &[String], short: bool) -> Result<Vec<&'static Scenario>> {
    for name in names {
        ensure!(
            SCENARIOS.iter().any(|scenario| scenario.name == name),
            "there is no scenario {name}; there are {}",
            SCENARIOS.iter().map(|scenario| scenario.name).collect::<Vec<_>>().join(", ")
        );
    }
    let chosen = |scenario: &&Scenario| {
        if names.is_empty() {
            scenario.in_short || !short
        } else {
            names.iter().any(|name| name == scenario.name)
        }
    };
    Ok(SCENARIOS.iter().filter(chosen).collect())
}

fn environment(settings: &[String]) -> Result<Vec<(String, String)>> {
    settings
        .iter()
        .map(|setting| {
            let (key, value) =
                setting.split_once('=').with_context(|| format!("--env {setting} has no ="))?;
            Ok((key.to_owned(), value.to_owned()))
        })
        .collect()
}

fn repeat_command(arguments: &Arguments, name: &str, seed: u64) -> String {
    let mut command = format!("cargo xtask e2e {name} --seed {seed}");
    if arguments.short {
        command.push_str(" --short");
    }
    if let Some(cycles) = arguments.cycles {
        command.extend([" --cycles ".to_owned(), cycles.to_string()]);
    }
    for setting in &arguments.environment {
        command.extend([" --env ", setting]);
    }
    command
}

/// Thousands of connections need as many descriptors, here and in the servers, which inherit the limit.
fn raise_descriptor_limit() -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).context("raise the descriptor limit")
}

fn scenario_help() -> String {
    let lines = SCENARIOS.iter().map(|scenario| {
        let absent = if scenario.in_short { "" } else { " (not with --short)" };
        format!("  {:13} {}{absent}", scenario.name, scenario.about)
    });
    format!("Scenarios:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

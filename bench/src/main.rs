//! Benchmarks of onrush against named peers, run interleaved on this machine; `cargo xtask bench` builds and starts it.
//! Prints one table with medians, ranges and targets, and writes every round's raw figures as JSON.

#![allow(
    clippy::cast_precision_loss,
    reason = "counts and times are far below 2^52 wherever they become ratios"
)]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time and waits for real processes")]

mod cases;
mod closed_loop;
mod connections;
mod disk;
mod drain;
mod engine;
mod http;
mod http2;
mod load;
mod machine;
mod members;
mod meter;
mod open_loop;
mod process;
mod random;
mod report;
mod rounds;
mod row_reader;
mod servers;
mod services;
mod setting;
mod shared_topic;
mod source_table;
mod statistics;
mod targets;
mod wrk;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use serde_json::json;

use cases::{CASES, Case};
use machine::Machine;
use report::Findings;
use setting::{Bench, Settings, progress};

/// Measures onrush next to nginx, Redis and the load generators of the servers that its sinks write to, and prints a table.
#[derive(Debug, Parser)]
#[command(name = "onrush-bench", version)]
struct Arguments {
    /// Benchmarks to run, by name or by the start of it; all when none is named
    names: Vec<String>,
    /// Rounds of every comparison
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Seconds of every turn
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Two rounds of one second and small amounts: shows that everything runs, not how fast
    #[arg(long)]
    quick: bool,
    /// Reservations in the rows about memory and restarts [default: 5000000; 100000 with --quick]
    #[arg(long)]
    reservations: Option<u64>,
    /// Sales in the largest row about sales [default: 100000; 2000 with --quick]
    #[arg(long)]
    sales: Option<u32>,
    /// Ends of a leading node in the rows about fail-over [default: 100; 2 with --quick]
    #[arg(long)]
    kills: Option<u32>,
    /// Where to write the raw figures [default: results.json in the directory]
    #[arg(long)]
    json: Option<PathBuf>,
    /// Where servers keep their data while they run; must be on the disk to be measured
    #[arg(long, default_value = "target/bench")]
    directory: PathBuf,
    /// Where `cargo xtask services up` keeps the servers that sinks write to
    #[arg(long, default_value = "target/services")]
    services: PathBuf,
    /// Print the names of the benchmarks
    #[arg(long)]
    list: bool,
    /// The server to measure, when it is not the one built beside this program
    #[arg(long, hide = true)]
    onrush_bin: Option<PathBuf>,
    /// A binary of an earlier release: measures this build against it, in the benchmarks called `earlier`
    #[arg(long)]
    earlier: Option<PathBuf>,
    /// Serve a constant with hyper here, for the process that the benchmarks compare with
    #[arg(long, hide = true)]
    hyper_listen: Option<std::net::SocketAddr>,
    /// What the process of the engine benchmarks is to do, as JSON
    #[arg(long, hide = true)]
    engine_order: Option<String>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `false` when a benchmark failed; the others have still been run and reported.
fn run(arguments: &Arguments) -> Result<bool> {
    if arguments.list {
        for case in CASES {
            println!("{:20} {}", case.name, case.about);
        }
        return Ok(true);
    }
    if let Some(order) = &arguments.engine_order {
        return engine::carry_out(order).map(|()| true);
    }
    if let Some(address) = arguments.hyper_listen {
        return servers::serve_hyper(address).map(|()| true);
    }
    let selected = select(&arguments.names, arguments.earlier.is_some())?;
    machine::require_programs()?;
    let bench = Bench::open(settings(arguments)?)?;
    let machine = Machine::describe(&bench.settings.onrush, &bench.settings.directory);
    let sync_before = bench.sync_time()?;
    let mut findings: Vec<(&'static str, Findings)> = Vec::new();
    let mut failures = Vec::new();
    for case in selected {
        progress(&format!("{}: {}", case.name, case.about));
        match (case.run)(&bench) {
            Ok(found) => findings.push((case.name, found)),
            Err(error) => {
                progress(&format!("  failed: {error:#}"));
                failures.push((case.name, format!("{error:#}")));
            }
        }
    }
    let sync_after = bench.sync_time()?;
    println!("{}", describe(&machine, &bench, [sync_before, sync_after]));
    println!("{}", report::text(&findings));
    for (name, failure) in &failures {
        println!("{name} FAILED: {failure}");
    }
    let document = json!({
        "machine": machine,
        "settings": bench.settings,
        "durability": {"onrush": "default: every success after fdatasync", "redis": servers::REDIS_DURABILITY,
            "sinks": "what the notes of each row say"},
        "client": "wrk with 1 thread; of sinks and of the catalog, what the notes of each row name; all on the same cores as the servers",
        "fdatasync_median_us": [sync_before.as_secs_f64() * 1e6, sync_after.as_secs_f64() * 1e6],
        "findings": findings.iter().map(|(name, found)| json!({"name": name, "found": found})).collect::<Vec<_>>(),
        "failures": failures,
    });
    let path = arguments.json.clone().unwrap_or_else(|| bench.settings.directory.join("results.json"));
    std::fs::write(&path, serde_json::to_string_pretty(&document)?)
        .with_context(|| format!("write {}", path.display()))?;
    println!("raw figures: {}", path.display());
    Ok(failures.is_empty())
}

/// The benchmarks of these names. Those that need a binary of an earlier release are left out of "all" when none is given.
fn select(names: &[String], has_earlier: bool) -> Result<Vec<&'static Case>> {
    if let Some(unknown) =
        names.iter().find(|name| !CASES.iter().any(|case| case.name.starts_with(name.as_str())))
    {
        let known: Vec<_> = CASES.iter().map(|case| case.name).collect();
        bail!("no benchmark is called {unknown}; there are {}", known.join(", "));
    }
    let wanted = |case: &&Case| {
        let is_asked_for = names.iter().any(|name| case.name.starts_with(name.as_str()));
        is_asked_for || (names.is_empty() && (has_earlier || case.name != cases::EARLIER))
    };
    Ok(CASES.iter().filter(wanted).collect())
}

fn settings(arguments: &Arguments) -> Result<Settings> {
    let onrush = match &arguments.onrush_bin {
        Some(path) => path.clone(),
        None => std::env::current_exe()?.with_file_name("onrush"),
    };
    if !onrush.is_file() {
        bail!("{} does not exist; build it with: cargo build --release", onrush.display());
    }
    if let Some(earlier) = arguments.earlier.as_ref().filter(|earlier| !earlier.is_file()) {
        bail!("{} does not exist; --earlier takes the path of a binary", earlier.display());
    }
    let quick = arguments.quick;
    if !quick && cfg!(debug_assertions) {
        bail!("this is a debug build; use cargo xtask bench, or --quick");
    }
    Ok(Settings {
        round_count: if quick { 2 } else { arguments.rounds.max(1) },
        turn_seconds: if quick { 1 } else { arguments.seconds.max(1) },
        reservation_count: arguments.reservations.unwrap_or(if quick { 100_000 } else { 5_000_000 }),
        sale_count: arguments.sales.unwrap_or(if quick { 2_000 } else { 100_000 }),
        kill_count: arguments.kills.unwrap_or(if quick { 2 } else { 100 }).max(1),
        is_quick: quick,
        onrush,
        earlier: arguments.earlier.clone(),
        directory: arguments.directory.clone(),
        services: arguments.services.clone(),
    })
}

fn describe(machine: &Machine, bench: &Bench, sync_times: [std::time::Duration; 2]) -> String {
    let versions: Vec<_> =
        machine.versions.iter().map(|(name, version)| format!("{name}: {version}")).collect();
    let settings = &bench.settings;
    format!(
        "{} x {}, Linux {}, {}, fdatasync {} then {} µs, load before {}\n{}\n\
         {} rounds of {} s, interleaved; clients on the same cores, wrk with one thread where no note names another; durability on, for sinks as noted\n",
        machine.core_count,
        machine.cpu_model,
        machine.kernel,
        machine.file_system,
        sync_times[0].as_micros(),
        sync_times[1].as_micros(),
        machine.load_average_at_start,
        versions.join("; "),
        settings.round_count,
        settings.turn_seconds,
    )
}

//! `cargo xtask`: everything a developer does, each as one command that works on a fresh machine.

mod fuzz;
mod hang;
mod machine;
mod programs;
mod protocol_files;
mod services;
mod steps;
mod test_runs;
mod verification;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Everything a developer does
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct CommandLine {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Set the machine up, then check format, protocol files, lints, all tests, and the real binary end to end
    Test {
        /// Leave out the release build and the end-to-end checks
        #[arg(long)]
        fast: bool,
    },
    /// Check format, protocol files, lints, the rules of the house and the dependencies
    Lint,
    /// Install what the tests and benchmarks use from Debian, or say how
    Setup,
    /// Run the benchmarks; arguments are passed on (try --list)
    #[command(disable_help_flag = true)]
    Bench {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run the end-to-end checks on the real binary; arguments are passed on (try --help)
    #[command(disable_help_flag = true)]
    E2e {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Step several nodes over one shared log through schedules of trouble; arguments are passed on (try --help)
    #[command(disable_help_flag = true)]
    Sim {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run the fuzz targets one after the other, or one of them
    Fuzz {
        /// The target; all of them if absent
        target: Option<String>,
        /// How long each target runs
        #[arg(long, value_name = "SECONDS", default_value_t = 60)]
        seconds: u32,
    },
    /// Start and stop real PostgreSQL, Redis, RabbitMQ and Kafka servers for tests and benchmarks
    Services(services::Arguments),
    /// Write docs/openapi.json from the code
    Openapi,
    /// Add what docs/openapi.json has and clients may rely on from now on to docs/openapi-promises.txt
    Promises,
}

fn main() -> ExitCode {
    let outcome = match CommandLine::parse().task {
        Task::Test { fast } => verification::test(fast),
        Task::Lint => verification::lint(),
        Task::Setup => machine::set_up(),
        Task::Bench { arguments } => programs::bench(&arguments),
        Task::E2e { arguments } => programs::end_to_end(&arguments),
        Task::Sim { arguments } => programs::simulation(&arguments),
        Task::Fuzz { target, seconds } => fuzz::run(target.as_deref(), seconds),
        Task::Services(arguments) => services::run(arguments),
        Task::Openapi => programs::openapi(),
        Task::Promises => programs::promises(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

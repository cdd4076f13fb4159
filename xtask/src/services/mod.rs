//! Real servers for tests, benchmarks and development, without Docker: PostgreSQL with a replica, MariaDB, Redis, RabbitMQ,
//! Kafka with a worker of Kafka Connect, and a cluster of three brokers of Kafka, started from their packages on free ports of the
//! loopback interface, with everything they write in one directory.

mod certificates;
mod chance;
mod connect;
mod data;
mod home;
mod jars;
mod kafka;
mod kafka_cluster;
mod lines;
mod mariadb;
mod postgres;
mod process;
mod rabbitmq;
mod redis;
mod registry;
mod replica;
mod running;
mod server;
mod waiting;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand, builder::PossibleValuesParser};

use crate::machine::program;
use crate::steps::root;
use lines::Lines;
use registry::{NAMES, SERVERS, startable};
use running::Services;

/// The arguments of `cargo xtask services`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
    /// Where the services keep everything [default: target/services]
    #[arg(long, global = true, env = "ONRUSH_SERVICES_DIRECTORY")]
    directory: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Start the services that do not run, wait until they answer, and write services.env
    Up {
        /// Start with empty data, as far as a service does not run already
        #[arg(long)]
        fresh: bool,
        /// The services; all of them if absent, but for those of kafka-cluster
        #[arg(value_parser = PossibleValuesParser::new(startable()))]
        names: Vec<String>,
    },
    /// Stop all services
    Down {
        /// Remove their data as well
        #[arg(long)]
        purge: bool,
    },
    /// Say which services answer
    Status,
    /// Kill all processes of one service at once
    Kill {
        #[arg(value_parser = PossibleValuesParser::new(NAMES))]
        name: String,
    },
    /// Start one service again on the same ports and data
    Start {
        #[arg(value_parser = PossibleValuesParser::new(NAMES))]
        name: String,
    },
}

/// Does what the command line says.
pub(crate) fn run(arguments: Arguments) -> Result<()> {
    let directory = arguments.directory.unwrap_or_else(|| root().join("target/services"));
    match arguments.action {
        Action::Up { fresh, names } => up(&directory, &names, fresh),
        Action::Down { purge } => down(&directory, purge),
        Action::Status => Services::at(&directory)?.status(),
        Action::Kill { name } => Services::locked(&directory)?.kill(&name),
        Action::Start { name } => Services::locked(&directory)?.start(&name),
    }
}

/// The names of the services whose programs are all here, and a sentence for each of the others. Those of a group, which nobody
/// wants who does not name it, are left out.
pub(crate) fn available() -> (Vec<String>, Vec<String>) {
    let (mut names, mut missing) = (Vec::new(), Vec::new());
    for server in SERVERS.into_iter().filter(|server| server.group().is_none()) {
        match server.programs().iter().try_for_each(|name| program(name).map(drop)) {
            Ok(()) => names.push(server.name().to_owned()),
            Err(error) => missing.push(format!("{}: {error}", server.name())),
        }
    }
    (names, missing)
}

/// The variables that tell where the services of a directory are, as `up` wrote them.
pub(crate) fn variables(directory: &Path) -> Result<Vec<(String, String)>> {
    let path = Services::at(directory)?.variables_path();
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let lines = Lines::parse(&text).with_context(|| format!("read {}", path.display()))?;
    Ok(lines.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
}

/// Starts the named services, or all, and returns when they answer. If one does not, those that this call started are
/// stopped again.
pub(crate) fn up(directory: &Path, names: &[String], fresh: bool) -> Result<()> {
    let services = Services::locked(directory)?;
    services.up(names, fresh)?;
    eprintln!(
        "services are up; in a shell: . '{}' (not exported: onrush refuses variables that it does not know)",
        services.variables_path().display()
    );
    Ok(())
}

/// Stops all services; `purge` removes what they kept.
pub(crate) fn down(directory: &Path, purge: bool) -> Result<()> {
    Services::locked(directory)?.down(purge)
}

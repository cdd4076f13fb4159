//! The command line: what can be typed, and the help that says so.

#![allow(clippy::doc_markdown, reason = "these comments are printed as help, where backticks are noise")]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::settings::{Flags, parse_sink_name};

const EXIT_CODES: &str = "\
Exit codes:
  0    all went well; `serve` was stopped by a signal and drained
  1    a failure while running: an address in use, a disk that fails, a target that is away
  2    wrong usage or wrong settings
  3    another process has the data directory
  4    the log is damaged; the message names file and position
  5    `reconcile` found that a target differs from the log
  6    `reconcile` found that a target agrees so far, and that its sink has more to write
  7    `cluster prepare` or `cluster found` found that a topic of the log can lose records
  130  a second signal cut the drain short";

const SERVE_EXAMPLES: &str = "\
Examples:
  onrush serve --demo
  onrush serve --listen 0.0.0.0:80 --data /var/lib/onrush
  onrush serve --config /etc/onrush.toml
  ONRUSH_LOG__SYNC=direct ONRUSH_SERVER__THREADS=4 onrush serve

Settings come from the file, then ONRUSH_SECTION__KEY in the environment, then flags; the later
wins. `onrush config print` shows every setting with its value.";

const SINKS_EXAMPLES: &str = "\
Examples:
  onrush sinks
  onrush sinks --json --operator-listen 10.0.0.7:8081 --operator-key-file /etc/onrush/key
  onrush sinks retry shop
  onrush sinks skip shop 4711";

const CATALOG_EXAMPLES: &str = "\
Examples:
  onrush catalog
  onrush catalog --json --operator-listen 10.0.0.7:8081 --operator-key-file /etc/onrush/key
  onrush catalog prepare products --config /etc/onrush.toml --print
  onrush catalog prepare products --config /etc/onrush.toml --url postgresql://owner@db/shop --password-file /root/owner";

const CLUSTER_EXAMPLES: &str = "\
Examples:
  onrush cluster --operator-listen 10.0.0.7:8081 --operator-key-file /etc/onrush/key
  onrush cluster prepare --config /etc/onrush.toml
  onrush cluster found --config /etc/onrush.toml --from /var/lib/onrush-alone
  ONRUSH_LOG__UNSAFE_TOPIC=true onrush cluster prepare --config /etc/onrush.toml --replicas 1";

/// Counts and reserves when everyone arrives at once
#[derive(Debug, Parser)]
#[command(name = "onrush", version, after_help = EXIT_CODES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) action: Action,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Run the server until SIGTERM or SIGINT
    ///
    /// Recovers the log, opens the public and the operator listener and answers until SIGTERM or SIGINT. Then it
    /// drains: /readyz turns 503, the listeners close, requests in flight are answered, the log is closed. A second
    /// signal ends it at once; nothing that was acknowledged is lost either way.
    #[command(after_help = SERVE_EXAMPLES, after_long_help = format!("{SERVE_EXAMPLES}\n\n{EXIT_CODES}"))]
    Serve(SettingsArguments),
    /// Check or print the settings that `serve` would run with
    #[command(subcommand)]
    Config(ConfigAction),
    /// List the sinks of a running server, or tell one what to do
    ///
    /// Asks the operator listener that the settings name, with the key of operator.key_file if there is one.
    #[command(after_help = SINKS_EXAMPLES)]
    Sinks(SinksArguments),
    /// Compare what a sink has written with the log
    ///
    /// Reads the whole log and the whole target and changes neither; a server may be running. Compared is what the sink
    /// has passed. Exit code 0 if they agree, 6 if they agree as far as the sink went but it has more to write, 5 if they
    /// differ, 1 if they could not be compared.
    Reconcile(ReconcileArguments),
    /// List the collections of a running server, or prepare a database for one
    ///
    /// Asks the operator listener that the settings name, with the key of operator.key_file if there is one.
    #[command(after_help = CATALOG_EXAMPLES)]
    Catalog(CatalogArguments),
    /// Show which of several servers leads, or prepare the log that they share
    ///
    /// Asks the operator listener that the settings name, with the key of operator.key_file if there is one.
    #[command(after_help = CLUSTER_EXAMPLES)]
    Cluster(ClusterArguments),
    /// Look after the gate of a server
    Gate(GateArguments),
    /// Look into a log without changing it
    #[command(subcommand)]
    Log(LogAction),
    /// Print the completions of a shell
    ///
    /// For example: onrush completions bash > /etc/bash_completion.d/onrush
    Completions {
        /// The shell to complete in
        shell: Shell,
    },
    /// Print the OpenAPI document of both listeners
    #[command(hide = true)]
    Openapi,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigAction {
    /// Check all settings and say everything that is wrong with them
    ///
    /// Takes the flags of `serve`, reads the same file and environment, and starts nothing. Exit code 2 if anything is
    /// wrong.
    Check(SettingsArguments),
    /// Print all settings as a file, with the origin of each value that is not the default
    Print(SettingsArguments),
}

#[derive(Debug, Subcommand)]
pub(crate) enum LogAction {
    /// Read the whole log and its snapshots and check every checksum
    ///
    /// Changes nothing and takes no lock: it may run beside a server. Exit code 4 if anything is damaged.
    Verify {
        /// The data directory
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// Print every segment, batch and snapshot
    ///
    /// Changes nothing and takes no lock: it may run beside a server.
    Inspect {
        /// The data directory
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
}

#[derive(Args, Debug)]
pub(crate) struct GateArguments {
    /// The settings file of the server [default: none]
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// The directory of the log [default: ./onrush-data]
    #[arg(long, value_name = "DIR", global = true)]
    data: Option<String>,
    #[command(subcommand)]
    pub(crate) action: GateAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GateAction {
    /// Make a new key for sessions
    ///
    /// New sessions are under it. Older keys are kept until every session under them has expired, so nobody is logged out. A
    /// server that runs takes it within a second.
    RotateKey,
}

#[derive(Args, Debug)]
pub(crate) struct ClusterArguments {
    #[command(flatten)]
    pub(crate) operator: OperatorArguments,
    #[command(subcommand)]
    pub(crate) action: Option<ClusterAction>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterAction {
    /// Make the Kafka topics of the log, or say what in their settings can lose records
    ///
    /// Makes the topic of the log and that of its snapshots, with the settings that they need, if they are not there. Then names each
    /// setting by which they could lose what was acknowledged, with the command that mends it. Changes no topic that is there, and may be run again. Exit code
    /// 0 if there is no such setting or log.unsafe_topic is set, 7 if there is one, 1 if the cluster cannot be asked or refuses.
    Prepare {
        /// Copies of each record if the topic is made; with fewer than 3 it can lose records
        #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1_000))]
        replicas: u16,
    },
    /// Make the log of a single server the beginning of a topic
    ///
    /// The server must be stopped, and the topic must be new (see `prepare`). Sends everything that is in its data directory, so that
    /// nodes with empty directories begin with it. The directory stays as it is, but no server starts with it again: two that
    /// go on from the same log would sell the same units.
    Found {
        /// The data directory of the single server
        #[arg(long, value_name = "DIRECTORY")]
        from: PathBuf,
    },
}

impl GateArguments {
    pub(crate) fn flags(&self) -> Flags {
        Flags { config: self.config.clone(), data: self.data.clone(), ..Flags::default() }
    }
}

/// What says where the operator listener is, and how its answer is printed.
#[derive(Args, Debug)]
pub(crate) struct OperatorArguments {
    /// Where the operator listener is [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDR", global = true)]
    operator_listen: Option<String>,
    /// The settings file of the server [default: none]
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// The file that holds the key of the operator listener [default: none]
    #[arg(long, value_name = "FILE", global = true)]
    operator_key_file: Option<String>,
    /// Print the server's answer as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct SinksArguments {
    #[command(flatten)]
    pub(crate) operator: OperatorArguments,
    #[command(subcommand)]
    pub(crate) action: Option<SinksAction>,
}

#[derive(Args, Debug)]
pub(crate) struct CatalogArguments {
    #[command(flatten)]
    pub(crate) operator: OperatorArguments,
    #[command(subcommand)]
    pub(crate) action: Option<CatalogAction>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CatalogAction {
    /// Prepare a PostgreSQL database so that a collection can follow it
    ///
    /// Makes the publication with the tables that the collection watches, and then checks everything that the server needs. It
    /// may be run again. Whoever runs it has to own the tables; the server later needs to read them and the attribute REPLICATION
    /// only.
    Prepare {
        /// The collection's name
        #[arg(value_name = "NAME")]
        collection: String,
        /// Print the statements for others to run, and connect to nothing
        #[arg(long)]
        print: bool,
        /// The database, as a role that owns the tables [default: the url of the collection]
        #[arg(long, value_name = "URL", conflicts_with = "print")]
        url: Option<String>,
        /// The file that holds the password of that role [default: the password of the collection]
        #[arg(long, value_name = "FILE", conflicts_with = "print")]
        password_file: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SinksAction {
    /// Leave out the event at which a sink stopped
    ///
    /// The decision is recorded before the sink goes on, and reconcile knows of it.
    Skip {
        /// The sink's name
        #[arg(value_name = "NAME", value_parser = parse_sink_name)]
        sink: String,
        /// The offset that `onrush sinks` names; no other can be skipped
        offset: u64,
    },
    /// Let a sink that stopped or waits try again at once
    Retry {
        /// The sink's name
        #[arg(value_name = "NAME", value_parser = parse_sink_name)]
        sink: String,
    },
}

impl OperatorArguments {
    pub(crate) fn flags(&self) -> Flags {
        Flags {
            config: self.config.clone(),
            operator_listen: self.operator_listen.clone(),
            operator_key_file: self.operator_key_file.clone(),
            ..Flags::default()
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct ReconcileArguments {
    /// The sink's name
    #[arg(value_name = "NAME", value_parser = parse_sink_name)]
    pub(crate) sink: String,
    /// The settings file of the server [default: none]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The directory of the log [default: ./onrush-data]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Print the findings as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl ReconcileArguments {
    pub(crate) fn flags(&self) -> Flags {
        Flags { config: self.config.clone(), data: self.data.clone(), ..Flags::default() }
    }
}

/// The flags of `serve`, which `config` takes as well.
#[derive(Args, Debug)]
pub(crate) struct SettingsArguments {
    /// Where clients connect [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Where operators connect; beyond loopback it needs operator.key_file [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDR")]
    operator_listen: Option<String>,
    /// The directory of the log and its snapshots, created if absent [default: ./onrush-data]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// A settings file in TOML [default: none]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Turn all scenarios on and create their example sales, once
    #[arg(long)]
    demo: bool,
    /// How far back a window looks that nobody configured, up to 24h [default: 60s]
    #[arg(long, value_name = "DURATION")]
    persistence_timeframe: Option<String>,
    /// The width of its panes, at most 10,000 in the timeframe [default: 100ms]
    #[arg(long, value_name = "DURATION")]
    precision: Option<String>,
}

impl From<SettingsArguments> for Flags {
    fn from(typed: SettingsArguments) -> Self {
        Self {
            config: typed.config,
            listen: typed.listen,
            operator_listen: typed.operator_listen,
            operator_key_file: None,
            data: typed.data,
            demo: typed.demo,
            persistence_timeframe: typed.persistence_timeframe,
            precision: typed.precision,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::CommandLine::command().debug_assert();
    }
}

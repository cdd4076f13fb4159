//! What the operator decided: a TOML file, then the environment, then flags, each over the one before it.
//!
//! What was typed ([`raw`]) and what it means ([`Settings`]) are two things: everything behind this module sees only
//! values that were checked.

mod bounds;
mod catalog;
mod checks;
mod cluster;
mod duration;
mod gate;
mod layers;
mod log_password;
mod operator_key;
mod print;
mod raw;
mod resolve;
mod secret_files;
mod sections;
mod sessions;
mod sinks;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

pub(crate) use catalog::{CollectionSource, SourcedCollection};
pub(crate) use cluster::Cluster;
pub(crate) use layers::Flags;
use layers::Layers;
use onrush_log::file::SyncMethod;
pub(crate) use sinks::{Sink, TargetSettings, parse_sink_name};

use crate::session_files::SessionFiles;

/// Every setting, checked against its bounds, as the parts of the server take them.
#[derive(Clone)]
pub(crate) struct Settings {
    /// Listeners and connections. Not for printing: the operator's key is in it.
    pub(crate) edge: onrush_edge::Settings,
    /// The whole log, or what a node keeps of one that it shares.
    pub(crate) log: LogFiles,
    /// Nothing while the log is in files of this server alone.
    pub(crate) cluster: Option<Cluster>,
    /// Snapshots, ceilings, and the shape of a window that nobody configured.
    pub(crate) node: onrush_node::Settings,
    /// Nothing while sessions are off.
    pub(crate) sessions: Option<SessionFiles>,
    /// Each reader of the log, with what it writes to.
    pub(crate) sinks: Vec<Sink>,
    /// Each collection of the catalogue whose rows are in a database.
    pub(crate) sourced: Vec<SourcedCollection>,
    pub(crate) logging: Logging,
    /// Whether the example sales are created.
    pub(crate) demo: bool,
    /// What a careful operator would change.
    pub(crate) warnings: Vec<String>,
    /// Every setting as it is printed, without secrets, to be compared with a later reading.
    pub(crate) values: BTreeMap<String, String>,
}

/// Where the operator listener is, and the key that it asks for. Not for printing.
pub(crate) struct Operator {
    pub(crate) address: SocketAddr,
    pub(crate) key: Option<String>,
}

/// The files of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogFiles {
    /// Where they are, and the snapshots. Made if it does not exist.
    pub(crate) directory: PathBuf,
    /// Bytes of one of them.
    pub(crate) segment_bytes: u64,
    /// How a batch is made durable.
    pub(crate) sync_method: SyncMethod,
}

/// The server's own messages.
#[derive(Clone, Debug)]
pub(crate) struct Logging {
    pub(crate) format: LoggingFormat,
    /// A directive of `tracing`'s `EnvFilter`, known to be valid.
    pub(crate) level: String,
}

/// How a message looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoggingFormat {
    /// Pretty on a terminal, JSON anywhere else.
    Auto,
    Pretty,
    Json,
}

/// Everything that is wrong with the settings, one sentence each.
#[derive(Debug)]
pub(crate) struct SettingsError {
    problems: Vec<String>,
}

/// Reads every layer, merges and checks them. `environment` is the process's, `flags` what was typed on the command
/// line; the file is the one that the flags name, and there is none by default.
pub(crate) fn load(
    flags: &Flags,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Settings, SettingsError> {
    resolve::resolve(&Layers::read(flags, environment)?)
}

/// The same for a client of the operator listener; only what it needs is checked.
pub(crate) fn load_operator(
    flags: &Flags,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Operator, SettingsError> {
    resolve::resolve_operator(&Layers::read(flags, environment)?)
}

/// The merged settings as a TOML file that would give the same ones, with the origin of every value that is not the
/// default.
pub(crate) fn print(
    flags: &Flags,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<String, SettingsError> {
    let layers = Layers::read(flags, environment)?;
    resolve::resolve(&layers)?;
    Ok(print::toml(&layers))
}

impl From<String> for SettingsError {
    fn from(problem: String) -> Self {
        Self { problems: vec![problem] }
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("\n"))
    }
}

impl std::error::Error for SettingsError {}

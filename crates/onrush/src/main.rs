//! The onrush binary: settings, wiring and signals. It decides nothing.

mod announcement;
mod catalog;
mod cli;
mod cluster;
mod demo;
mod descriptors;
mod failure;
mod feeds;
mod founding;
mod log_reading;
mod logging;
mod operator_client;
mod output;
mod reconcile;
mod rereading;
mod serve;
mod session_files;
mod settings;
mod shared_log;
mod signals;
mod sinks;
mod table;
mod targets;
mod terminal;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use onrush_node::{Clock as _, MachineClock};

use cli::{Action, CommandLine, ConfigAction, GateAction, GateArguments, LogAction};
use failure::Failure;
use output::{complain, print, warn};

fn main() -> ExitCode {
    match run(CommandLine::parse().action) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&failure);
            failure.exit_code()
        }
    }
}

fn run(action: Action) -> Result<(), Failure> {
    match action {
        Action::Serve(typed) => serve::serve(&typed.into()),
        Action::Config(ConfigAction::Check(typed)) => {
            settings::load(&typed.into(), environment())?.warnings.iter().for_each(|text| warn(text));
            print("the settings are valid\n")
        }
        Action::Config(ConfigAction::Print(typed)) => print(&settings::print(&typed.into(), environment())?),
        Action::Log(LogAction::Verify { directory }) => log_reading::verify(&directory),
        Action::Log(LogAction::Inspect { directory }) => log_reading::inspect(&directory),
        Action::Sinks(typed) => sinks::run(&typed),
        Action::Catalog(typed) => catalog::run(&typed),
        Action::Cluster(typed) => cluster::run(&typed),
        Action::Gate(typed) => rotate_key(&typed),
        Action::Reconcile(typed) => reconcile::run(&typed),
        Action::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut CommandLine::command(), "onrush", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
        Action::Openapi => print(&onrush_edge::openapi::document()),
    }
}

fn rotate_key(typed: &GateArguments) -> Result<(), Failure> {
    let GateAction::RotateKey = typed.action;
    let settings = settings::load(&typed.flags(), environment())?;
    let Some(files) = settings.sessions else {
        return Err(
            anyhow::anyhow!("sessions are off in these settings: neither gate.jwt_key_file nor gate.accounts is set. Give the file, flags and variables that the server was given; with --demo that is ONRUSH_GATE__ACCOUNTS=true").into()
        );
    };
    let (id, kept_count) = session_files::rotate(&files.session_keys, MachineClock.wall_ms())?;
    let path = files.session_keys.display();
    print(&format!("key {id} is for new sessions; older keys that are kept: {kept_count} ({path})\n"))
}

/// The variables that are text; no setting is anything else.
pub(crate) fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

//! Why the process ends badly, and the exit code that says so.

use std::fmt;
use std::process::ExitCode;

use crate::settings::SettingsError;
use crate::terminal::printable;

/// What an operator can tell apart by the exit code.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An address in use, a disk that fails: 1.
    Runtime(anyhow::Error),
    /// Wrong settings: 2, as for wrong usage.
    Settings(SettingsError),
    /// Another process has the data directory: 3.
    Locked(String),
    /// The log or a snapshot is not what was written: 4.
    Damaged(String),
    /// A target does not hold what the log does: 5.
    Differs(String),
    /// A target holds what it should so far, and not yet all of the log: 6.
    Behind(String),
    /// The topic of a shared log can lose records: 7.
    #[cfg_attr(
        not(feature = "kafka"),
        allow(dead_code, reason = "only a build with Kafka can look at a topic")
    )]
    UnsafeTopic(String),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Runtime(_) => 1,
            Self::Settings(_) => 2,
            Self::Locked(_) => 3,
            Self::Damaged(_) => 4,
            Self::Differs(_) => 5,
            Self::Behind(_) => 6,
            Self::UnsafeTopic(_) => 7,
        })
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Runtime(error)
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Self::Settings(error)
    }
}

/// The error and its causes, without those that the one before already tells.
fn in_one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if line.is_empty() {
            line = cause;
        } else if !line.ends_with(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    line
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runtime(error) => f.write_str(&printable(&in_one_line(error))),
            Self::Settings(error) => write!(f, "wrong settings\n{error}"),
            Self::Locked(problem)
            | Self::Damaged(problem)
            | Self::Differs(problem)
            | Self::Behind(problem)
            | Self::UnsafeTopic(problem) => f.write_str(&printable(problem)),
        }
    }
}

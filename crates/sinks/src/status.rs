//! What a sink tells about itself.

use std::time::Duration;

use onrush_core::TimeMs;

/// A sink as of now. Counts are since the process started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkStatus {
    /// Its name in the settings.
    pub name: String,
    /// What it writes to.
    pub kind: &'static str,
    /// What it is doing.
    pub state: SinkState,
    /// Everything below is durable in the target, or not selected; where it will go on.
    pub sink_offset: u64,
    /// Events of the log, selected or not, that it has not passed.
    pub lag_events: u64,
    /// For how long it has been behind; 0 if it is not.
    pub lag_ms: u64,
    /// Bytes of log files that are kept for it.
    pub backlog_bytes: u64,
    /// Events handed to the target, repeats included.
    pub written_count: u64,
    /// Failed attempts.
    pub failure_count: u64,
    /// Events left out by operators, ever.
    pub skipped_count: u64,
    /// The newest failure, in words without credentials, and when it was.
    pub last_error: Option<(TimeMs, String)>,
}

/// An answer of a target that takes longer shows as [`SinkState::Waiting`].
pub const SLOW_ANSWER: Duration = Duration::from_millis(1_500);

/// What a sink is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkState {
    /// Opening its target for the first time.
    Starting,
    /// Another node leads, and its sink of this name writes.
    Following,
    /// Writing, or waiting for events.
    Running,
    /// Its target has not answered for more than [`SLOW_ANSWER`]; the newest failure says what it was asked.
    Waiting,
    /// Waiting before it tries again; the target could not be reached or refused for now.
    Retrying,
    /// It will not go on by itself; see [`Stop`].
    Stopped(Stop),
}

impl SinkState {
    /// Its stable name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Following => "following",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Retrying => "retrying",
            Self::Stopped(_) => "stopped",
        }
    }
}

/// Why a sink stopped, and what an operator can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The target rejects the event at `offset`: skip it, or mend the target and retry.
    Rejected {
        /// The event.
        offset: u64,
        /// What the target said.
        reason: String,
    },
    /// The log no longer has the events from `from` up to `to`: skip them, or restore the target and retry.
    Trimmed {
        /// The first event that the target lacks.
        from: u64,
        /// The oldest from which the sink can go on.
        to: u64,
    },
    /// Going on would be wrong: mend what is said, then retry.
    Refused {
        /// What is wrong.
        reason: String,
    },
    /// It fell further behind than it may, and the log was not kept for it: retry says what is left.
    LetGo,
}

impl Stop {
    /// Offset that [`super::Sinks::skip`] has to name, if skipping can help: the rejected event, or the first missing one.
    pub fn skippable(&self) -> Option<u64> {
        match self {
            Self::Rejected { offset, .. } => Some(*offset),
            Self::Trimmed { from, .. } => Some(*from),
            Self::Refused { .. } | Self::LetGo => None,
        }
    }

    /// What happened, as a sentence for people.
    pub fn reason(&self) -> String {
        match self {
            Self::Rejected { offset, reason } => {
                format!("the target rejects the event at offset {offset}: {reason}")
            }
            Self::Trimmed { from, to } => {
                format!(
                    "the target lacks the events from offset {from} on, and the log no longer has those below {to}"
                )
            }
            Self::Refused { reason } => reason.clone(),
            Self::LetGo => {
                "it fell further behind than backlog_bytes_max, and the log was not kept for it".to_owned()
            }
        }
    }
}

/// Why an operator's word was not followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SinkRefusal {
    /// No sink has that name.
    #[error("there is no sink of that name")]
    NotFound,
    /// Only a sink that stopped at this very offset can skip it.
    #[error("the sink is not stopped at that offset")]
    NotStoppedThere,
    /// What was skipped could not be recorded, so nothing was skipped.
    #[error("record what is skipped: {0}")]
    Unrecorded(String),
}

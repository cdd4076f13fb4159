//! Why a call has no answer.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::generated;

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server says no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The server cannot be reached, or the connection broke. Whether the call was made is unknown; a reservation with a key can be
    /// asked for again.
    #[error("the server cannot be reached: {0}")]
    Unreachable(#[source] tonic::transport::Error),
    /// The call came to no good end, and no code of the server says why: it was cancelled, or took too long, or the connection broke.
    /// Whether it was made is unknown.
    #[error("the call ended without an answer: {0}")]
    Unknown(#[source] Box<Status>),
    /// The server answered what this client does not know, or nothing where something must be.
    #[error("the server's answer makes no sense: {0}")]
    Senseless(&'static str),
    /// What was given to the client cannot be sent, and why.
    #[error("{0}")]
    Unsendable(&'static str),
}

/// A "no" of the server, for a call or for one item of a batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Refusal {
    /// Stable, as in the list of errors of the HTTP API: `insufficient_stock`, `rate_limited` and so on.
    pub code: String,
    /// For people.
    pub detail: String,
    /// After this time it makes sense to ask again, if the server knows.
    pub retry_after: Option<Duration>,
}

impl From<Status> for Error {
    /// A status with the code of a problem is a refusal.
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let Some(info) = details.error_info() else { return Self::Unknown(Box::new(status)) };
        // Past the deadline or cancelled, nobody knows what was done.
        if matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled) {
            return Self::Unknown(Box::new(status));
        }
        let retry_after = details.retry_info().and_then(|info| info.retry_delay);
        let (code, detail) = (info.reason.clone(), status.message().to_owned());
        Self::Refused(Refusal { code, detail, retry_after })
    }
}

impl From<generated::Refusal> for Refusal {
    fn from(refusal: generated::Refusal) -> Self {
        let generated::Refusal { code, detail, retry_after_s } = refusal;
        let retry_after = (retry_after_s > 0).then(|| Duration::from_secs(retry_after_s.into()));
        Self { code, detail, retry_after }
    }
}

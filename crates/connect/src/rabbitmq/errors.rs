//! What the errors of a broker mean for a sink.

use lapin::{Error, ErrorKind};
use onrush_sinks::TargetError;

use crate::tls;

/// Reply codes of AMQP 0-9-1 and RabbitMQ.
const NOT_FOUND: u16 = 404;
const RESOURCE_LOCKED: u16 = 405;
const PRECONDITION_FAILED: u16 = 406;

/// Everything that may pass by itself, or is mended in the broker.
pub(super) fn unavailable(doing: &str, error: &Error) -> TargetError {
    TargetError::Unavailable(format!("{doing}: {}", sentence(error)))
}

/// An exchange or queue that is there with other properties is for people.
pub(super) fn undeclarable(doing: &str, error: &Error) -> TargetError {
    if reply_code(error) == Some(PRECONDITION_FAILED) {
        return TargetError::Refused(format!(
            "{doing}: it is there with other properties: {}",
            sentence(error)
        ));
    }
    unavailable(doing, error)
}

/// What stops a message that was published; `only` is its offset if it was the only one.
pub(super) fn unpublishable(doing: &str, error: &Error, only: Option<u64>) -> TargetError {
    let reason = sentence(error);
    if reply_code(error) == Some(PRECONDITION_FAILED) && reason.contains("message size") {
        return TargetError::Rejected { offset: only, reason };
    }
    unavailable(doing, error)
}

/// There is no such queue.
pub(super) fn is_not_found(error: &Error) -> bool {
    reply_code(error) == Some(NOT_FOUND)
}

/// Another connection holds the queue for itself.
pub(super) fn is_locked(error: &Error) -> bool {
    reply_code(error) == Some(RESOURCE_LOCKED)
}

fn reply_code(error: &Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some(error.get_id()),
        _ => None,
    }
}

/// What the broker said, without the client's wrapping; it names the user at most.
fn sentence(error: &Error) -> String {
    match error.kind() {
        ErrorKind::ProtocolError(error) => error.get_message().to_string(),
        ErrorKind::IOError(error) => tls::cause(&**error).unwrap_or_else(|| error.to_string()),
        _ => error.to_string(),
    }
}

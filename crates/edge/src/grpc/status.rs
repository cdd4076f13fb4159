//! Problems as gRPC says them: a status, and the code of the problem in `google.rpc.ErrorInfo`.

use std::collections::HashMap;

use compact_str::{CompactString, ToCompactString};
use http::header::HeaderValue;
use tonic::{Code, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::wire::CONTENT_TYPE;
use crate::hot::Head;
use crate::problem::Problem;

/// What a call of gRPC answers.
pub(crate) type Answer<T> = Result<Response<T>, Status>;

/// Whose codes they are.
const DOMAIN: &str = "onrush.dev";

/// The status that a problem is, with its code as the reason, its detail as the message, and when to ask again.
pub(crate) fn status_of(problem: &Problem) -> Status {
    let mut details = ErrorDetails::with_error_info(problem.code(), DOMAIN, HashMap::new());
    if let Some(seconds) = problem.retry_after_s() {
        details.set_retry_info(Some(std::time::Duration::from_secs(seconds)));
    }
    Status::with_error_details(code_of(problem.status()), problem.detail(), details)
}

/// The code of gRPC for a status of HTTP.
fn code_of(status: u16) -> Code {
    match status {
        400 | 414 | 415 | 422 | 431 => Code::InvalidArgument,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 | 405 => Code::NotFound,
        409 | 410 | 412 => Code::FailedPrecondition,
        413 | 429 => Code::ResourceExhausted,
        503 => Code::Unavailable,
        _ => Code::Internal,
    }
}

/// The answer to a call that is refused before it comes to its service: a status in the head, and no body.
pub(super) fn write_problem(problem: &Problem, _: &mut Vec<u8>) -> Head {
    let mut head = Head { content_type: Some(CONTENT_TYPE), ..Head::default() };
    let mut fields = http::HeaderMap::new();
    // It is made of ASCII: the message escaped with %, the details in base 64.
    if status_of(problem).add_header(&mut fields).is_ok() {
        for (name, field) in NAMES.iter().filter_map(|name| Some((*name, fields.get(*name)?))) {
            head.fields.push((name, text_of(field)));
        }
    }
    head.standing = problem.standing();
    head
}

const NAMES: [&str; 3] = ["grpc-status", "grpc-message", "grpc-status-details-bin"];

fn text_of(value: &HeaderValue) -> CompactString {
    value.to_str().unwrap_or_default().to_compact_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_keeps_its_code_and_its_words() {
        for (problem, code) in [
            (Problem::row_not_found(), Code::NotFound),
            (Problem::incoherent(), Code::Unavailable),
            (Problem::source_unavailable(), Code::Unavailable),
            (Problem::denied(), Code::PermissionDenied),
            (Problem::invalid("by", "must be 1"), Code::InvalidArgument),
            (Problem::session_required(), Code::Unauthenticated),
            (Problem::customer_exists(), Code::FailedPrecondition),
            (Problem::body_too_large(1), Code::ResourceExhausted),
        ] {
            let status = status_of(&problem);
            assert_eq!((status.code(), status.message()), (code, problem.detail()));
            let details = status.get_error_details();
            let reason = details.error_info().map(|info| (info.reason.as_str(), info.domain.as_str()));
            assert_eq!(reason, Some((problem.code(), "onrush.dev")));
            let delay = details.retry_info().and_then(|info| info.retry_delay).map(|delay| delay.as_secs());
            assert_eq!(delay, problem.retry_after_s());
        }
    }

    #[test]
    fn what_is_refused_early_is_a_status_without_a_body() {
        let mut body = Vec::new();
        let head = write_problem(&Problem::denied(), &mut body);
        assert_eq!((head.status, head.content_type, body.len()), (200, Some("application/grpc"), 0));
        let names: Vec<_> = head.fields.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, NAMES);
        assert_eq!(head.fields[0].1, "7");
    }
}

//! Who calls, as the head of a request says it.

use http::HeaderMap;
use tonic::Request;

use crate::api::App;
use crate::gate::{Admission, Identity};
use crate::problem::Problem;

/// Whom a call is from, which may change something or not.
///
/// # Errors
/// What it is answered instead.
pub(super) fn identify<T>(app: &App, request: &Request<T>, may_write: bool) -> Result<Identity, Problem> {
    let fields: &HeaderMap = request.metadata().as_ref();
    app.identify(fields, may_write)
}

/// What the gate found out about a call.
pub(super) fn admission_of<T>(request: &Request<T>) -> Admission {
    request.extensions().get().copied().unwrap_or_default()
}

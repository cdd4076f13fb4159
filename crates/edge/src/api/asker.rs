//! Who sends a request, for handlers.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::Method;
use http::request::Parts;
use onrush_node::Asker;

use super::app::App;
use crate::gate::Identity;
use crate::problem::Problem;

/// Whoever sends it: the operator on the operator's listener, and on the public one whom its session or its token proves.
pub(crate) struct AskedBy(pub(crate) Identity);

impl FromRequestParts<Arc<App>> for AskedBy {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        if matches!(parts.extensions.get(), Some(Asker::Operator)) {
            return Ok(Self(Identity::Operator));
        }
        let may_write = !matches!(parts.method, Method::GET | Method::HEAD);
        app.identify(&parts.headers, may_write).map(Self)
    }
}

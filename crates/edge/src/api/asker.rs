//! Who sends a request, for handlers.

use axum::extract::FromRequestParts;
use http::request::Parts;
use onrush_node::Asker;

use crate::problem::Problem;

/// Whoever sends it, as the gate found out: the operator on the operator's listener, and anyone where nothing was found.
pub(crate) struct AskedBy(pub(crate) Asker);

impl<S: Sync> FromRequestParts<S> for AskedBy {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(parts.extensions.get::<Asker>().cloned().unwrap_or_default()))
    }
}

//! The paths of both listeners as axum routers. They serve everything that is not hot, and hot requests that come in an odd
//! form or over HTTP/2; both ways use the same codecs and answer alike.

mod answer;
pub mod app;
mod docs;
mod operator;
mod public;
mod scenario;
mod sinks;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;

use crate::problem::Problem;
pub use app::App;

/// Every path of the public listener.
pub fn public_router(app: Arc<App>) -> Router {
    let router = public::routes().merge(docs::routes()).merge(scenario::routes(app.scenarios));
    with_fallbacks(router).with_state(app)
}

/// Every path of the operator listener; all of them ask for the key if one is set, and else for nothing of another site.
pub fn operator_router(app: Arc<App>) -> Router {
    let router = with_fallbacks(operator::routes().merge(sinks::routes()).merge(docs::routes()));
    router.layer(axum::middleware::from_fn_with_state(Arc::clone(&app), operator::admit)).with_state(app)
}

/// Problems instead of axum's own empty 404 and 405. The router itself adds `Allow`.
fn with_fallbacks(router: Router<Arc<App>>) -> Router<Arc<App>> {
    router
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed(None) })
}

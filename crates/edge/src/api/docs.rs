//! The `OpenAPI` document and a viewer for it, both from the binary: a browser loads nothing from anywhere else.

use std::sync::{Arc, LazyLock, OnceLock};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::Response;
use axum::routing::get;
use http::{HeaderValue, header};

use super::answer::{WithoutBody, WithoutQuery};
use super::app::App;
use crate::http::media_type::JSON;
use crate::openapi::{self, scope::Scope};
use crate::problem::Problem;

const PAGE: &str = include_str!("../../assets/docs.html");

/// What stands in the page for whether some call asks for a key.
const HAS_KEY: &str = "{has_key}";

/// `RapiDoc` 9.3.8, under the MIT licence in `assets/rapidoc.LICENSE.txt`.
const VIEWER: &[u8] = include_bytes!("../../assets/rapidoc-min.js");

/// What the page does beside the viewer.
const SCRIPT: &[u8] = include_bytes!("../../assets/docs.js");

/// The viewer styles itself from its script, and may talk to this server alone.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(openapi::document()));

/// The paths of [`routes`].
pub(super) const PATHS: [&str; 5] =
    ["/openapi.json", "/docs", "/docs/openapi.json", "/docs/rapidoc-min.js", "/docs/docs.js"];

/// The whole document, and a page of the calls that `scope` names, which are those of this listener.
pub(super) fn routes(scope: Scope) -> Router<Arc<App>> {
    let own = OnceLock::new();
    let own_document = Arc::new(move || own.get_or_init(|| Bytes::from(openapi::document_of(scope))).clone());
    let own_document = move |_: WithoutQuery, _: WithoutBody| async move { file(JSON, own_document()) };
    let [whole, docs, own, viewer, script] = PATHS;
    Router::new()
        .route(whole, get(document))
        .route(docs, get(move |_: WithoutQuery, _: WithoutBody| async move { page(scope) }))
        .route(own, get(own_document))
        .route(viewer, get(|_: WithoutQuery, _: WithoutBody| async { javascript(VIEWER) }))
        .route(script, get(|_: WithoutQuery, _: WithoutBody| async { javascript(SCRIPT) }))
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed(None) })
}

async fn document(_: WithoutQuery, _: WithoutBody) -> Response {
    file(JSON, DOCUMENT.clone())
}

fn javascript(script: &'static [u8]) -> Response {
    file("text/javascript; charset=utf-8", Bytes::from_static(script))
}

/// The page without a place for a key where no call asks for one.
fn page(scope: Scope) -> Response {
    let page = PAGE.replace(HAS_KEY, if scope.has_key() { "true" } else { "false" });
    let mut response = file("text/html; charset=utf-8", Bytes::from(page));
    let policy = HeaderValue::from_static(CONTENT_SECURITY_POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    // The same as `frame-ancestors`, for browsers that are older than it.
    response.headers_mut().insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    response
}

fn file(content_type: &'static str, content: Bytes) -> Response {
    let mut response = Response::new(Body::from(content));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

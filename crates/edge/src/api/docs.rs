//! The `OpenAPI` document and a viewer for it, both from the binary: a browser loads nothing from anywhere else.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::Response;
use axum::routing::get;
use http::{HeaderValue, header};

use super::answer::{WithoutBody, WithoutQuery};
use super::app::App;
use crate::openapi;

const PAGE: &str = include_str!("../../assets/docs.html");

/// `RapiDoc` 9.3.8, under the MIT licence in `assets/rapidoc.LICENSE.txt`.
const VIEWER: &[u8] = include_bytes!("../../assets/rapidoc-min.js");

/// The viewer styles itself from its script, and may talk to this server alone.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(openapi::document()));

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/openapi.json", get(document))
        .route("/docs", get(page))
        .route("/docs/rapidoc-min.js", get(viewer))
}

async fn document(_: WithoutQuery, _: WithoutBody) -> Response {
    file("application/json", DOCUMENT.clone())
}

async fn viewer(_: WithoutQuery, _: WithoutBody) -> Response {
    file("text/javascript; charset=utf-8", Bytes::from_static(VIEWER))
}

async fn page(_: WithoutQuery, _: WithoutBody) -> Response {
    let mut response = file("text/html; charset=utf-8", Bytes::from_static(PAGE.as_bytes()));
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

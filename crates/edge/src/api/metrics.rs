//! The server's figures, as Prometheus reads them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderValue, header};
use serde_json::json;
use utoipa::openapi::HttpMethod;

use super::answer::{WithoutBody, WithoutQuery};
use super::app::App;
use super::route::Route;
use crate::metrics;
use crate::openapi::operation::{OPERATOR, Operation};
use crate::openapi::parts::text;

pub(super) fn routes() -> [Route; 1] {
    let figures =
        Operation::new(HttpMethod::Get, "/metrics", OPERATOR, "readMetrics", "Figures for Prometheus")
            .content(
                200,
                "The text exposition format 0.0.4. docs/metrics.md of the source lists the families.",
                "text/plain",
                text("One figure a line.").into(),
                json!("onrush_mailbox_depth 0\n"),
            );
    [Route::new(figures, read_metrics)]
}

async fn read_metrics(State(app): State<Arc<App>>, _: WithoutQuery, _: WithoutBody) -> Response {
    let mut response = Response::new(Body::from(app.metrics()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(metrics::CONTENT_TYPE));
    response
}

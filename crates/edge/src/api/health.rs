//! Whether the server lives, and whether to send it requests. Both listeners answer.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::json;
use utoipa::openapi::{HttpMethod, RefOr, Schema};

use super::answer::{Answer, WithoutBody, WithoutQuery, json};
use super::app::App;
use super::route::Route;
use crate::openapi::operation::{HEALTH, Operation};
use crate::openapi::parts::{object, one_of};
use crate::problem::Code;

pub(super) fn routes() -> [Route; 2] {
    let lives = Operation::new(HttpMethod::Get, "/livez", HEALTH, "live", "Whether the process answers")
        .json(200, "It does.", "Health", json!({"status": "live"}));
    let is_ready =
        Operation::new(HttpMethod::Get, "/readyz", HEALTH, "ready", "Whether to send requests here")
            .json(200, "Yes.", "Health", json!({"status": "ready"}))
            .problems(&[Code::Incoherent, Code::LogUnavailable, Code::NotLeader, Code::Draining]);
    // Whoever watches the server must not be told that it was asked too often.
    [Route::new(lives, live).unlimited(), Route::new(is_ready, ready).unlimited()]
}

pub(super) fn schemas() -> [(&'static str, RefOr<Schema>); 1] {
    let fields = vec![("status", one_of("What it is.", &["live", "ready"]))];
    [("Health", object("Whether the server is up.", fields))]
}

/// Answers as long as the process can.
async fn live(_: WithoutQuery, _: WithoutBody) -> Response {
    json(StatusCode::OK, |out| out.extend_from_slice(b"{\"status\":\"live\"}"))
}

/// Answers whether calls make sense now.
async fn ready(State(app): State<Arc<App>>, _: WithoutQuery, _: WithoutBody) -> Answer {
    app.readiness()?;
    Ok(json(StatusCode::OK, |out| out.extend_from_slice(b"{\"status\":\"ready\"}")))
}

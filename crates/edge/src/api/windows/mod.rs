//! Windows: counts over a moving span of time.

pub mod body;

use std::sync::Arc;

use axum::extract::{Request, State};
use http::StatusCode;
use onrush_core::SPAN_MS_MAX;
use onrush_node::{Call, Failure, Name, Outcome, Reply, ReservationIds};
use serde_json::json;
use utoipa::openapi::{HttpMethod, RefOr, Schema};

use super::answer::{Answer, WithoutBody, WithoutQuery, json, json_body, name_at, put_status};
use super::app::{App, mismatched};
use super::route::Route;
use crate::hot::{Head, bare_call};
use crate::http::media_type::JSON;
use crate::limits::OPERATOR_BODY_BYTES_MAX;
use crate::openapi::operation::{OPERATOR, Operation, PUBLIC};
use crate::openapi::parts::{name, object, whole};
use crate::problem::Code;

const PATH: &str = "/v1/windows/{window}";

/// Routes of the public listener.
pub(super) fn routes() -> [Route; 2] {
    let window = json!({"window": "home", "count": 4, "span_ms": 60_000, "precision_ms": 100});
    let hit = Operation::new(HttpMethod::Post, PATH, PUBLIC, "hitWindow", "Count a request in a window")
        .description("Creates the window with the default shape if need be.")
        .name("window", "home", "The window's name.")
        .json(200, "The count, this request included.", "Window", window.clone())
        .asks();
    let read = Operation::new(HttpMethod::Get, PATH, PUBLIC, "readWindow", "Read a window without counting")
        .name("window", "home", "The window's name.")
        .json(200, "The count.", "Window", window)
        .problems(&[Code::WindowNotFound])
        .asks();
    [
        Route::new(read, read_window).hot(|request, segment, _| {
            bare_call(request, segment, |window| Call::ReadWindow { window }, write_hot)
        }),
        Route::new(hit, hit_window).hot(|request, segment, _| {
            bare_call(request, segment, |window| Call::HitWindow { window }, write_hot)
        }),
    ]
}

/// Routes of the operator listener.
pub(super) fn operator_routes() -> [Route; 1] {
    let shape = json!({"span_ms": 60_000, "precision_ms": 100});
    let put = Operation::new(HttpMethod::Put, PATH, OPERATOR, "putWindow", "Shape a window")
        .description("Creates the window; another shape empties one that exists.")
        .name("window", "home", "The window's name.")
        .body("WindowShape", shape.clone())
        .json(201, "The window is new.", "WindowShape", shape.clone())
        .json(200, "The window has the shape.", "WindowShape", shape)
        .asks();
    [Route::new(put, put_window)]
}

pub(super) fn schemas() -> [(&'static str, RefOr<Schema>); 2] {
    let span_ms = || whole("How far back the window looks.", 1, Some(SPAN_MS_MAX as usize)).into();
    let precision_ms =
        || whole("The width of one pane; at most the span.", 1, Some(SPAN_MS_MAX as usize)).into();
    let count = "Requests in the panes that the span reaches back to, the current one included.";
    let window = vec![
        ("window", name("Its name.")),
        ("count", whole(count, 0, None).into()),
        ("span_ms", span_ms()),
        ("precision_ms", precision_ms()),
    ];
    let shape = vec![("span_ms", span_ms()), ("precision_ms", precision_ms())];
    [
        ("Window", object("The count over the last `span_ms`, in panes of `precision_ms`.", window)),
        (
            "WindowShape",
            object("The shape of a window: at most 10,000 panes of `precision_ms` in `span_ms`.", shape),
        ),
    ]
}

async fn hit_window(State(app): State<Arc<App>>, _: WithoutQuery, request: WithoutBody) -> Answer {
    let window = name_at(&request.uri, 2, "window")?;
    answer(&app, window.clone(), Call::HitWindow { window }).await
}

async fn read_window(State(app): State<Arc<App>>, _: WithoutQuery, request: WithoutBody) -> Answer {
    let window = name_at(&request.uri, 2, "window")?;
    answer(&app, window.clone(), Call::ReadWindow { window }).await
}

async fn answer(app: &App, window: Name, call: Call) -> Answer {
    match app.ask(call).await? {
        Outcome::Window { count, shape } => {
            Ok(json(StatusCode::OK, |out| body::write_window(out, &window, count, shape)))
        }
        other => mismatched(&other),
    }
}

async fn put_window(State(app): State<Arc<App>>, _: WithoutQuery, request: Request) -> Answer {
    let window = name_at(request.uri(), 2, "window")?;
    let shape = body::parse_window_shape(&json_body(request, OPERATOR_BODY_BYTES_MAX).await?)?;
    match app.ask(Call::PutWindow { window, shape }).await? {
        Outcome::WindowPut { created, shape } => {
            Ok(json(put_status(created), |out| body::write_window_shape(out, shape)))
        }
        other => mismatched(&other),
    }
}

/// The answer to a hot request.
fn write_hot(window: &Name, reply: Reply, _: &ReservationIds, out: &mut Vec<u8>) -> Result<Head, Failure> {
    match reply? {
        Outcome::Window { count, shape } => body::write_window(out, window, count, shape),
        other => mismatched(&other),
    }
    Ok(Head::ok(JSON))
}

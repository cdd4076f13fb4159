//! Handlers of the operator listener that look after the sinks.

pub(crate) mod body;
mod schemas;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use onrush_sinks::{SinkRefusal, SinkStatus};
use serde_json::json;
use utoipa::openapi::HttpMethod;

use super::answer::{Answer, WithoutBody, WithoutQuery, json, json_body, name_at};
use super::app::App;
use super::route::Route;
use crate::components::SinkOperations;
use crate::limits::OPERATOR_BODY_BYTES_MAX;
use crate::openapi::operation::{OPERATOR, Operation, path_parameter};
use crate::problem::{Code, Problem};
pub(super) use schemas::schemas;
use schemas::{example, name};

pub(super) fn routes() -> [Route; 4] {
    let [listed, read, retried, skipped] = operations();
    [
        Route::new(listed, list),
        Route::new(read, read_one),
        Route::new(retried, retry),
        Route::new(skipped, skip),
    ]
}

fn operations() -> [Operation; 4] {
    let new = |method, path, id, summary| Operation::new(method, path, OPERATOR, id, summary);
    [
        new(HttpMethod::Get, "/v1/sinks", "listSinks", "List the sinks").json(
            200,
            "All of them.",
            "SinkList",
            json!({"sinks": [example()]}),
        ),
        new(HttpMethod::Get, "/v1/sinks/{sink}", "readSink", "Read a sink")
            .parameter(path_parameter("sink", "shop", "The sink's name.", name()))
            .json(200, "The sink.", "Sink", example())
            .problems(&[Code::SinkNotFound]),
        new(HttpMethod::Post, "/v1/sinks/{sink}/retry", "retrySink", "Wake a sink")
            .description("A sink that stopped or waits tries again at once.")
            .parameter(path_parameter("sink", "shop", "The sink's name.", name()))
            .json(200, "The sink.", "Sink", example())
            .problems(&[Code::SinkNotFound, Code::SinkNotStopped, Code::Draining]),
        new(
            HttpMethod::Post,
            "/v1/sinks/{sink}/skip",
            "skipSinkEvent",
            "Leave out the event at which a sink stopped",
        )
        .description("The decision is recorded before the sink goes on, and `onrush reconcile` knows of it.")
        .parameter(path_parameter("sink", "shop", "The sink's name.", name()))
        .body("SinkSkip", json!({"offset": 4711}))
        .json(200, "The sink.", "Sink", example())
        .problems(&[Code::SinkNotFound, Code::SinkNotStopped, Code::LogUnavailable, Code::Draining]),
    ]
}

async fn list(State(app): State<Arc<App>>, _: WithoutQuery, _: WithoutBody) -> Response {
    let sinks = app.components.sinks.as_ref().map(|sinks| sinks.statuses()).unwrap_or_default();
    json(StatusCode::OK, |out| body::write_sinks(out, &sinks))
}

async fn read_one(State(app): State<Arc<App>>, _: WithoutQuery, request: WithoutBody) -> Answer {
    let sink = name_at(&request.uri, 2, "sink")?;
    let status = app.components.sinks.as_ref().and_then(|sinks| sinks.status(&sink));
    answer(status.ok_or(SinkRefusal::NotFound))
}

async fn retry(State(app): State<Arc<App>>, _: WithoutQuery, request: WithoutBody) -> Answer {
    let sink = name_at(&request.uri, 2, "sink")?;
    run_operation(&app, move |sinks| sinks.retry(&sink)).await
}

async fn skip(State(app): State<Arc<App>>, _: WithoutQuery, request: Request) -> Answer {
    let sink = name_at(request.uri(), 2, "sink")?;
    let offset = body::parse_skip(&json_body(request, OPERATOR_BODY_BYTES_MAX).await?)?;
    run_operation(&app, move |sinks| sinks.skip(&sink, offset)).await
}

/// Runs `operation` where it may block: what is skipped is on disk before it is done.
async fn run_operation(
    app: &App,
    operation: impl FnOnce(&dyn SinkOperations) -> Result<SinkStatus, SinkRefusal> + Send + 'static,
) -> Answer {
    let Some(sinks) = app.components.sinks.clone() else { return answer(Err(SinkRefusal::NotFound)) };
    match tokio::task::spawn_blocking(move || operation(&*sinks)).await {
        Ok(outcome) => answer(outcome),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The listener ends before the work was begun.
            Err(_) => Err(Problem::draining()),
        },
    }
}

fn answer(outcome: Result<SinkStatus, SinkRefusal>) -> Answer {
    let sink = outcome.map_err(|refusal| Problem::from_sink_refusal(&refusal))?;
    Ok(json(StatusCode::OK, |out| body::write_sink(out, &sink)))
}

//! Handlers of the operator listener that look after the sinks.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use http::StatusCode;
use onrush_sinks::{SinkRefusal, SinkStatus};

use super::answer::{WithoutBody, WithoutQuery, json, json_body, name_at};
use super::app::App;
use crate::components::SinkOperations;
use crate::dto;
use crate::limits::OPERATOR_BODY_BYTES_MAX;
use crate::problem::Problem;

type Answer = Result<Response, Problem>;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/sinks", get(list))
        .route("/v1/sinks/{sink}", get(read))
        .route("/v1/sinks/{sink}/retry", post(retry))
        .route("/v1/sinks/{sink}/skip", post(skip))
}

async fn list(State(app): State<Arc<App>>, _: WithoutQuery, _: WithoutBody) -> Response {
    let sinks = app.components.sinks.as_ref().map(|sinks| sinks.statuses()).unwrap_or_default();
    json(StatusCode::OK, |out| dto::write_sinks(out, &sinks))
}

async fn read(State(app): State<Arc<App>>, _: WithoutQuery, request: WithoutBody) -> Answer {
    let sink = name_at(&request.uri, 2, "sink")?;
    let status = app.components.sinks.as_ref().and_then(|sinks| sinks.status(&sink));
    answer(status.ok_or(SinkRefusal::NotFound))
}

async fn retry(State(app): State<Arc<App>>, _: WithoutQuery, request: WithoutBody) -> Answer {
    let sink = name_at(&request.uri, 2, "sink")?;
    tell(&app, move |sinks| sinks.retry(&sink)).await
}

async fn skip(State(app): State<Arc<App>>, _: WithoutQuery, request: Request) -> Answer {
    let sink = name_at(request.uri(), 2, "sink")?;
    let offset = dto::parse_skip(&json_body(request, OPERATOR_BODY_BYTES_MAX).await?)?;
    tell(&app, move |sinks| sinks.skip(&sink, offset)).await
}

/// Runs `word` where it may block: what is skipped is on disk before it is done.
async fn tell(
    app: &App,
    word: impl FnOnce(&dyn SinkOperations) -> Result<SinkStatus, SinkRefusal> + Send + 'static,
) -> Answer {
    let Some(sinks) = app.components.sinks.clone() else { return answer(Err(SinkRefusal::NotFound)) };
    match tokio::task::spawn_blocking(move || word(&*sinks)).await {
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
    Ok(json(StatusCode::OK, |out| dto::write_sink(out, &sink)))
}

//! Handlers of the scenarios that are on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{any, get, post};
use http::{HeaderName, Method, StatusCode, header};
use onrush_node::{Call, Failure, Outcome};

use super::answer::{WithoutBody, WithoutQuery, json, json_as, json_body, name_at, with_header};
use super::app::{App, mismatched};
use crate::limits::BODY_BYTES_MAX;
use crate::problem::Problem;
use crate::scenarios::{self, booking, stations, visitor};
use crate::settings::Scenarios;

type Answer = Result<Response, Problem>;

pub(super) fn routes(on: Scenarios) -> Router<Arc<App>> {
    let mut router = Router::new();
    if on.visitor_counter {
        router =
            router.route("/web-counter/increment", any(increment)).route("/web-counter/db/", get(read_row));
    }
    if on.request_window {
        router = router.route("/", any(count_request));
    }
    if on.slot_booking {
        router = router.route("/stations/{name}", get(read_station)).route("/booking", post(book));
    }
    router
}

/// GET alone: a HEAD must not count a visitor who sees nothing.
async fn increment(
    State(app): State<Arc<App>>,
    method: Method,
    query: Result<WithoutQuery, Problem>,
    body: Result<WithoutBody, Problem>,
) -> Answer {
    if method != Method::GET {
        return Err(Problem::method_not_allowed(Some("GET")));
    }
    query.and(body)?;
    match app.ask(Call::AddToCounter { counter: scenarios::VISITOR_COUNTER.into(), by: 1 }).await? {
        Outcome::Counter { value } => {
            Ok(json_as(scenarios::VISITOR_COUNTER_CONTENT_TYPE, StatusCode::OK, |out| {
                crate::text::write_number(out, value);
            }))
        }
        other => mismatched(&other),
    }
}

/// Whether the replica failed when it was last asked. A process has one at most.
static REPLICA_FAILS: AtomicBool = AtomicBool::new(false);

async fn read_row(State(app): State<Arc<App>>, _: WithoutQuery, _: WithoutBody) -> Answer {
    let Some(replica) = &app.components.replica else { return Err(Problem::no_replica()) };
    let content_type = scenarios::VISITOR_COUNTER_CONTENT_TYPE;
    match replica.newest(scenarios::VISITOR_COUNTER).await {
        Ok(row) => {
            REPLICA_FAILS.store(false, Ordering::Relaxed);
            let response = json_as(content_type, StatusCode::OK, |out| visitor::write_row(out, row.as_ref()));
            let Some(lag_ms) = row.and_then(|row| row.lag_ms) else { return Ok(response) };
            app.replica_lag_ms.store(lag_ms, Ordering::Relaxed);
            Ok(with_header(response, HeaderName::from_static(visitor::REPLICA_LAG), &lag_ms.to_string()))
        }
        Err(reason) => {
            // The reason names hosts, users and tables: it is for the operator alone.
            if !REPLICA_FAILS.swap(true, Ordering::Relaxed) {
                tracing::warn!(%reason, "cannot read the replica; not said again until it answers");
            }
            let response = json_as(content_type, StatusCode::SERVICE_UNAVAILABLE, |out| {
                visitor::write_unsuccessful(out, "the replica cannot be read");
            });
            Ok(with_header(response, header::RETRY_AFTER, visitor::REPLICA_RETRY_S))
        }
    }
}

async fn count_request(State(app): State<Arc<App>>, _: WithoutQuery, _: WithoutBody) -> Answer {
    match app.ask(Call::HitWindow { window: scenarios::REQUEST_WINDOW.into() }).await? {
        Outcome::Window { count, .. } => {
            Ok(json_as(scenarios::REQUEST_WINDOW_CONTENT_TYPE, StatusCode::OK, |out| {
                scenarios::write_request_count(out, count);
            }))
        }
        other => mismatched(&other),
    }
}

async fn read_station(State(app): State<Arc<App>>, _: WithoutQuery, request: WithoutBody) -> Answer {
    let sale = name_at(&request.uri, 1, "name")?;
    match app.ask(Call::ReadSale { sale }).await? {
        Outcome::Sale(sale) => {
            let mut body = Vec::new();
            if !stations::write(&mut body, &sale) {
                return Err(Problem::sale_not_found());
            }
            let response = json(StatusCode::OK, |out| *out = body);
            Ok(with_header(response, header::CACHE_CONTROL, stations::CACHE_CONTROL))
        }
        other => mismatched(&other),
    }
}

async fn book(State(app): State<Arc<App>>, _: WithoutQuery, request: Request) -> Answer {
    let body = json_body(request, BODY_BYTES_MAX).await?;
    let call = match booking::decode(&body) {
        Ok(call) => call,
        Err(refused) => return Ok(json(StatusCode::BAD_REQUEST, |out| refused.write(out))),
    };
    match app.call(Call::Reserve(call)).await {
        Ok(Outcome::Reserved { call, .. }) => {
            Ok(json(StatusCode::OK, |out| booking::write_booked(out, &call)))
        }
        Err(Failure::Refused { refusal, call: Some(call) }) => {
            Ok(json(StatusCode::BAD_REQUEST, |out| booking::write_refused(out, &refusal, &call)))
        }
        Ok(other) => mismatched(&other),
        Err(failure) => Err(Problem::from_failure(&failure, app.backend.now_ms())),
    }
}

//! Visitor counter: `GET /web-counter/increment` counts a visit and answers the new total as a bare decimal;
//! `GET /web-counter/db/` reads the newest row of the counter from a replica of the shop's database.

mod row;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use http::{HeaderName, Method, StatusCode, header};
use onrush_node::{Call, Failure, Name, Outcome, Reply, ReservationIds};
use serde_json::json;
use utoipa::openapi::{HttpMethod, RefOr, Schema};

use crate::api::answer::{Answer, WithoutBody, WithoutQuery, json_as, with_header};
use crate::api::app::{App, mismatched};
use crate::api::route::Route;
use crate::hot::{Head, Hot, Rendering, Sender};
use crate::http::request::Request;
use crate::openapi::operation::{Operation, SCENARIOS, text_header};
use crate::openapi::parts::{object, one_of, text, time, time_or_null, whole};
use crate::problem::Problem;
use crate::text::write_number;

/// The counter that visits are counted in.
const COUNTER: &str = "web-counter";

const CONTENT_TYPE: &str = "application/json; charset=UTF-8";

const INCREMENT_PATH: &str = "/web-counter/increment";
const ROW_PATH: &str = "/web-counter/db/";

pub(super) fn routes() -> [Route; 2] {
    [
        Route::any(INCREMENT_PATH, vec![count_visit()], increment).hot(decode),
        Route::new(read_operation(), read_row),
    ]
}

fn count_visit() -> Operation {
    Operation::new(HttpMethod::Get, INCREMENT_PATH, SCENARIOS, "countVisit", "Count a visit")
        .content(200, "The new total.", "application/json", whole("The total.", 1, None).into(), json!(123))
        .asks()
}

fn read_operation() -> Operation {
    let row = json!({
        "ID": 123,
        "CreatedAt": "2021-05-16T08:00:00.000Z",
        "UpdatedAt": "2021-05-16T08:00:00.000Z",
        "DeletedAt": null,
        "counter": 123,
    });
    let unread = json!({"status": "Unsuccessful", "reason": "no answer within 2 s", "code": 503});
    let id = "readVisitorRow";
    Operation::new(HttpMethod::Get, ROW_PATH, SCENARIOS, id, "Read the visitor counter from the replica")
        .description("The shop's database as a replica of it knows it, some way behind the counter itself.")
        .json(200, "The newest row.", "VisitorRow", row)
        .header(
            200,
            "Onrush-Replica-Lag-Ms",
            text_header("Milliseconds behind the primary, if the replica can tell."),
        )
        .json(503, "The replica did not answer.", "VisitorRowUnread", unread)
        .header(503, "Retry-After", text_header("Seconds to wait before trying again."))
}

pub(super) fn schemas() -> [(&'static str, RefOr<Schema>); 2] {
    [("VisitorRow", visitor_row()), ("VisitorRowUnread", visitor_row_unread())]
}

fn visitor_row() -> RefOr<Schema> {
    object(
        "The newest row of the visitor counter's history. Before the first, numbers are 0 and times are year 1.",
        vec![
            ("ID", whole("Grows from row to row.", 0, None).into()),
            ("CreatedAt", time("When it was counted.")),
            ("UpdatedAt", time("The same: rows do not change.")),
            ("DeletedAt", time_or_null("Always null.").into()),
            ("counter", whole("The total then.", 0, None).into()),
        ],
    )
}

fn visitor_row_unread() -> RefOr<Schema> {
    object(
        "Why no row was read.",
        vec![
            ("status", one_of("Always `Unsuccessful`.", &["Unsuccessful"])),
            ("reason", text("For people.").into()),
            ("code", whole("Repeats the status of the answer.", 503, Some(503)).into()),
        ],
    )
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
    match app.ask(Call::AddToCounter { counter: COUNTER.into(), by: 1 }).await? {
        Outcome::Counter { value } => Ok(json_as(CONTENT_TYPE, StatusCode::OK, |out| {
            write_number(out, value);
        })),
        other => mismatched(&other),
    }
}

fn decode(request: &Request<'_>, _: &[u8], _: &Sender<'_>) -> Hot {
    if request.method != b"GET" || !request.body.is_empty() {
        return Hot::Routed;
    }
    let call = Call::AddToCounter { counter: Name::const_new(COUNTER), by: 1 };
    Hot::Call(call, Rendering::without_name(write_hot))
}

fn write_hot(_: &Name, reply: Reply, _: &ReservationIds, out: &mut Vec<u8>) -> Result<Head, Failure> {
    match reply? {
        Outcome::Counter { value } => write_number(out, value),
        other => mismatched(&other),
    }
    Ok(Head::ok(CONTENT_TYPE))
}

/// Whether the replica failed when it was last asked. A process has one at most.
static REPLICA_FAILS: AtomicBool = AtomicBool::new(false);

async fn read_row(State(app): State<Arc<App>>, _: WithoutQuery, _: WithoutBody) -> Answer {
    let Some(replica) = &app.components.replica else { return Err(Problem::no_replica()) };
    let content_type = CONTENT_TYPE;
    match replica.newest(COUNTER).await {
        Ok(row) => {
            REPLICA_FAILS.store(false, Ordering::Relaxed);
            let response = json_as(content_type, StatusCode::OK, |out| row::write_row(out, row.as_ref()));
            let Some(lag_ms) = row.and_then(|row| row.lag_ms) else { return Ok(response) };
            app.replica_lag_ms.store(lag_ms, Ordering::Relaxed);
            Ok(with_header(response, HeaderName::from_static(row::REPLICA_LAG), &lag_ms.to_string()))
        }
        Err(reason) => {
            // The reason names hosts, users and tables: it is for the operator alone.
            if !REPLICA_FAILS.swap(true, Ordering::Relaxed) {
                tracing::warn!(%reason, "cannot read the replica; not said again until it answers");
            }
            let response = json_as(content_type, StatusCode::SERVICE_UNAVAILABLE, |out| {
                row::write_unsuccessful(out, "the replica cannot be read");
            });
            Ok(with_header(response, header::RETRY_AFTER, row::REPLICA_RETRY_S))
        }
    }
}

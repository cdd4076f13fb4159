//! Request window: `/` counts every request of any method, and answers how many there were in the window.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use onrush_node::{Call, Failure, Name, Outcome, Reply, ReservationIds};
use serde_json::json;
use utoipa::openapi::{RefOr, Schema};

use crate::api::answer::{Answer, WithoutBody, WithoutQuery, json_as};
use crate::api::app::{App, mismatched};
use crate::api::route::Route;
use crate::hot::{Head, Hot, Rendering, Sender};
use crate::http::request::Request;
use crate::openapi::operation::{EVERY_METHOD, Operation, SCENARIOS};
use crate::openapi::parts::{object, whole};
use crate::text::write_number;

/// The window that every request is counted in.
pub const WINDOW: &str = "requests";

const PATH: &str = "/";

const CONTENT_TYPE: &str = "application/json; charset=utf-8";

pub(super) fn routes() -> [Route; 1] {
    [Route::any(PATH, operations(), count).hot(decode)]
}

/// One for each method, as all of them count.
fn operations() -> Vec<Operation> {
    let operation = |(method, name)| {
        let id = format!("count{name}");
        Operation::new(method, PATH, SCENARIOS, &id, "Count a request in the window requests")
            .description("Every method counts and answers alike.")
            .json(
                200,
                "Requests in the window, this one included.",
                "RequestCount",
                json!({"requestCount": 4}),
            )
            .asks()
    };
    EVERY_METHOD.into_iter().map(operation).collect()
}

pub(super) fn schemas() -> [(&'static str, RefOr<Schema>); 1] {
    let fields = vec![("requestCount", whole("This request included.", 0, None).into())];
    [("RequestCount", object("How many requests the window holds.", fields))]
}

async fn count(State(app): State<Arc<App>>, _: WithoutQuery, _: WithoutBody) -> Answer {
    match app.ask(Call::HitWindow { window: WINDOW.into() }).await? {
        Outcome::Window { count, .. } => {
            Ok(json_as(CONTENT_TYPE, StatusCode::OK, |out| write_count(out, count)))
        }
        other => mismatched(&other),
    }
}

fn decode(request: &Request<'_>, _: &[u8], _: &Sender<'_>) -> Hot {
    if !request.body.is_empty() {
        return Hot::Routed;
    }
    Hot::Call(Call::HitWindow { window: Name::const_new(WINDOW) }, Rendering::without_name(write_hot))
}

fn write_hot(_: &Name, reply: Reply, _: &ReservationIds, out: &mut Vec<u8>) -> Result<Head, Failure> {
    match reply? {
        Outcome::Window { count, .. } => write_count(out, count),
        other => mismatched(&other),
    }
    Ok(Head::ok(CONTENT_TYPE))
}

/// Appends the answer, as in `{"requestCount":4}`.
fn write_count(out: &mut Vec<u8>, count: u64) {
    out.extend_from_slice(b"{\"requestCount\":");
    write_number(out, count);
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_request_count_byte_for_byte() {
        let mut out = Vec::new();
        super::write_count(&mut out, 4);
        assert_eq!(out, br#"{"requestCount":4}"#);
    }
}

//! Counters: totals for ever.

mod body;

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use onrush_core::ADD_MAX;
use onrush_node::{Call, Failure, Name, Outcome, Reply, ReservationIds};
use serde_json::json;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::{HttpMethod, RefOr, Schema};

use super::answer::{Answer, WithoutBody, WithoutQuery, json, name_at};
use super::app::{App, mismatched};
use super::route::Route;
use crate::hot::{Head, bare_call};
use crate::http::media_type::JSON;
use crate::http::query::{parameters, whole_number};
use crate::openapi::operation::{Operation, PUBLIC, optional_parameter};
use crate::openapi::parts::{name, object, whole};
use crate::problem::{Code, Problem};

const PATH: &str = "/v1/counters/{counter}";

pub(super) fn routes() -> [Route; 2] {
    let counter = json!({"counter": "home", "value": 123});
    let by = whole("How much to add.", 1, Some(ADD_MAX as usize)).default(Some(json!(1)));
    let added = Operation::new(HttpMethod::Post, PATH, PUBLIC, "addToCounter", "Add to a counter")
        .description("Creates the counter if need be. Every answer has a total of its own.")
        .name("counter", "home", "The counter's name.")
        .parameter(optional_parameter("by", ParameterIn::Query, "How much to add.", by))
        .json(200, "The total, this addition included.", "Counter", counter.clone())
        .asks();
    let read = Operation::new(HttpMethod::Get, PATH, PUBLIC, "readCounter", "Read a counter")
        .name("counter", "home", "The counter's name.")
        .json(200, "The total.", "Counter", counter)
        .problems(&[Code::CounterNotFound])
        .asks();
    [
        Route::new(read, read_one).hot(|request, segment, _| {
            bare_call(request, segment, |counter| Call::ReadCounter { counter }, write_hot)
        }),
        Route::new(added, add).hot(|request, segment, _| {
            bare_call(request, segment, |counter| Call::AddToCounter { counter, by: 1 }, write_hot)
        }),
    ]
}

pub(super) fn schemas() -> [(&'static str, RefOr<Schema>); 1] {
    let fields = vec![("counter", name("Its name.")), ("value", whole("Its total.", 0, None).into())];
    [("Counter", object("A total for ever.", fields))]
}

async fn add(State(app): State<Arc<App>>, request: WithoutBody) -> Answer {
    let counter = name_at(&request.uri, 2, "counter")?;
    let by = parse_by(request.uri.query())?;
    answer(&app, counter.clone(), Call::AddToCounter { counter, by }).await
}

async fn read_one(State(app): State<Arc<App>>, _: WithoutQuery, request: WithoutBody) -> Answer {
    let counter = name_at(&request.uri, 2, "counter")?;
    answer(&app, counter.clone(), Call::ReadCounter { counter }).await
}

async fn answer(app: &App, counter: Name, call: Call) -> Answer {
    match app.ask(call).await? {
        Outcome::Counter { value } => {
            Ok(json(StatusCode::OK, |out| body::write_counter(out, &counter, value)))
        }
        other => mismatched(&other),
    }
}

/// The answer to a hot request.
fn write_hot(counter: &Name, reply: Reply, _: &ReservationIds, out: &mut Vec<u8>) -> Result<Head, Failure> {
    match reply? {
        Outcome::Counter { value } => body::write_counter(out, counter, value),
        other => mismatched(&other),
    }
    Ok(Head::ok(JSON))
}

/// The query of `POST /v1/counters/{counter}`: `by`, 1 to [`ADD_MAX`], or 1.
fn parse_by(query: Option<&str>) -> Result<u32, Problem> {
    let [by] = parameters(query, ["by"])?;
    by.map_or(Ok(1), |by| whole_number("by", &by, ADD_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn additions_on_both_sides_of_their_bounds() {
        for (query, by) in [
            (None, Some(1)),
            (Some(""), Some(1)),
            (Some("by=1"), Some(1)),
            (Some("by=1000000"), Some(1_000_000)),
            (Some("b%79=%37&"), Some(7)),
            (Some("by=0"), None),
            (Some("by=1000001"), None),
            (Some("by=-1"), None),
            (Some("by=+1"), None),
            (Some("by=1.0"), None),
            (Some("by="), None),
            (Some("by"), None),
            (Some("by=1&by=1"), None),
            (Some("bye=1"), None),
            (Some("by=99999999999999999999"), None),
            (Some("by=%ff"), None),
        ] {
            assert_eq!(parse_by(query).ok(), by, "{query:?}");
        }
    }
}

//! Answers of hot routes as bytes, without a router, a header map or an allocation that is not needed.

use compact_str::{CompactString, format_compact};
use onrush_core::TimeMs;
use onrush_node::{Failure, Outcome, Reply, ReservationIds};
use smallvec::SmallVec;

use super::Route;
use crate::problem::{self, Problem};
use crate::{dto, scenarios};

/// Everything of an answer but its body and what every answer has.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) fields: SmallVec<[(&'static str, CompactString); 1]>,
}

impl Head {
    fn ok(content_type: &'static str) -> Self {
        Self { status: 200, content_type, fields: SmallVec::new() }
    }
}

const JSON: &str = "application/json";

/// Writes the answer to a call that came by `route` into `body`.
pub(crate) fn render(
    route: &Route,
    reply: Reply,
    ids: &ReservationIds,
    now: TimeMs,
    body: &mut Vec<u8>,
) -> Head {
    match (route, reply) {
        (Route::Counter(counter), Ok(Outcome::Counter { value })) => {
            dto::write_counter(body, counter, value);
            Head::ok(JSON)
        }
        (Route::VisitorCounter, Ok(Outcome::Counter { value })) => {
            body.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
            Head::ok(scenarios::VISITOR_COUNTER_CONTENT_TYPE)
        }
        (Route::Window(window), Ok(Outcome::Window { count, shape })) => {
            dto::write_window(body, window, count, shape);
            Head::ok(JSON)
        }
        (Route::RequestWindow, Ok(Outcome::Window { count, .. })) => {
            scenarios::write_request_count(body, count);
            Head::ok(scenarios::REQUEST_WINDOW_CONTENT_TYPE)
        }
        (
            Route::Reserve,
            Ok(Outcome::Reserved { reservation, status, created_at, expires_at, replayed, call }),
        ) => {
            let id = ids.write(reservation);
            dto::write_reserved(body, &id, &call, status, created_at, expires_at);
            let mut head = Head::ok(JSON);
            if replayed {
                head.fields.push(("idempotent-replayed", CompactString::const_new("true")));
            } else {
                head.status = 201;
                let id = std::str::from_utf8(&id).unwrap_or_default();
                head.fields.push(("location", format_compact!("/v1/sales/{}/reservations/{id}", call.sale)));
            }
            head
        }
        (Route::Booking, Ok(Outcome::Reserved { call, .. })) => {
            scenarios::booking::write_booked(body, &call);
            Head::ok(JSON)
        }
        (Route::Booking, Err(Failure::Refused { refusal, call: Some(call) })) => {
            scenarios::booking::write_refused(body, &refusal, &call);
            Head { status: 400, ..Head::ok(JSON) }
        }
        (_, Err(failure)) => render_problem(&Problem::from_failure(&failure, now), body),
        (route, Ok(outcome)) => unreachable!("{route:?} was answered with {outcome:?}"),
    }
}

/// Writes a problem into `body`.
pub(crate) fn render_problem(problem: &Problem, body: &mut Vec<u8>) -> Head {
    problem.write_body(body);
    let fields = problem.headers().map(|(name, value)| (name, CompactString::from(value))).collect();
    Head { status: problem.status(), content_type: problem::CONTENT_TYPE, fields }
}

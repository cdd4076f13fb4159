//! The routes that a rush hits, matched on bytes before any router. Whatever is out of the ordinary about a request
//! (an escape in its path, a query, a wrong method, a body where none belongs, another content type) makes it cold: the router has the same routes.

mod render;

use onrush_node::{Call, Name};

pub(crate) use render::{Head, render, render_problem};

use crate::http::request::Request;
use crate::problem::Problem;
use crate::settings::Scenarios;
use crate::{dto, scenarios};

/// What a request turned out to be.
pub(crate) enum Hot {
    /// A call, and how to write its answer.
    Call(Route, Call),
    /// Refused before it became a call.
    Problem(Box<Problem>),
    /// A request for the router.
    Cold,
}

/// How to write an answer.
#[derive(Debug)]
pub(crate) enum Route {
    /// `/v1/counters/{counter}`
    Counter(Name),
    /// `/v1/windows/{window}`
    Window(Name),
    /// `/v1/sales/{sale}/reservations`
    Reserve,
    /// `/web-counter/increment`
    VisitorCounter,
    /// `/`
    RequestWindow,
    /// `/booking`
    Booking,
}

/// Tells hot requests from cold ones.
pub(crate) fn decode(on: Scenarios, request: &Request<'_>) -> Hot {
    if request.query.is_some() {
        return Hot::Cold;
    }
    match request.path {
        b"/" if on.request_window && request.body.is_empty() => {
            let call = Call::HitWindow { window: Name::const_new(scenarios::REQUEST_WINDOW) };
            Hot::Call(Route::RequestWindow, call)
        }
        b"/web-counter/increment"
            if on.visitor_counter && request.method == b"GET" && request.body.is_empty() =>
        {
            let call = Call::AddToCounter { counter: Name::const_new(scenarios::VISITOR_COUNTER), by: 1 };
            Hot::Call(Route::VisitorCounter, call)
        }
        b"/booking"
            if on.slot_booking
                && request.method == b"POST"
                && is_plain_json(request.fields.content_type()) =>
        {
            match scenarios::booking::decode(request.body) {
                Ok(call) => Hot::Call(Route::Booking, Call::Reserve(call)),
                Err(_) => Hot::Cold,
            }
        }
        path => decode_v1(request, path.strip_prefix(b"/v1/")),
    }
}

fn decode_v1(request: &Request<'_>, path: Option<&[u8]>) -> Hot {
    let Some(path) = path else { return Hot::Cold };
    if let Some(counter) = path.strip_prefix(b"counters/") {
        let Some(counter) = name(counter).filter(|_| request.body.is_empty()) else { return Hot::Cold };
        let call = match request.method {
            b"POST" => Call::AddToCounter { counter: counter.clone(), by: 1 },
            b"GET" => Call::ReadCounter { counter: counter.clone() },
            _ => return Hot::Cold,
        };
        return Hot::Call(Route::Counter(counter), call);
    }
    if let Some(window) = path.strip_prefix(b"windows/") {
        let Some(window) = name(window).filter(|_| request.body.is_empty()) else { return Hot::Cold };
        let call = match request.method {
            b"POST" => Call::HitWindow { window: window.clone() },
            b"GET" => Call::ReadWindow { window: window.clone() },
            _ => return Hot::Cold,
        };
        return Hot::Call(Route::Window(window), call);
    }
    let sale = path.strip_prefix(b"sales/").and_then(|p| p.strip_suffix(b"/reservations"));
    if request.method != b"POST"
        || !is_plain_json(request.fields.content_type())
        || request.fields.repeats_key()
    {
        return Hot::Cold;
    }
    let (Some(sale), Ok(key)) =
        (sale.and_then(name), request.fields.idempotency_key().map(std::str::from_utf8).transpose())
    else {
        return Hot::Cold;
    };
    match dto::parse_reservation(&sale, key, request.body) {
        Ok(call) => Hot::Call(Route::Reserve, Call::Reserve(call)),
        Err(problem) => Hot::Problem(Box::new(problem)),
    }
}

/// The name that a path segment is, if it is one without any decoding.
fn name(segment: &[u8]) -> Option<Name> {
    let segment = std::str::from_utf8(segment).ok()?;
    // Dot segments mean something else in a path (RFC 3986, section 5.2.4); the router says what.
    let is_dots = matches!(segment, "." | "..");
    (onrush_core::is_name(segment) && !is_dots).then(|| Name::from(segment))
}

fn is_plain_json(content_type: Option<&[u8]>) -> bool {
    content_type.is_some_and(|value| value.eq_ignore_ascii_case(b"application/json"))
}

//! Slot booking: `GET /stations/{name}` lists the days of a station and what each has left, `POST /booking` books one of them for
//! one person.

pub mod booking;
mod stations;

use std::sync::Arc;

use axum::extract::{Request, State};
use http::{StatusCode, header};
use onrush_node::{Call, Failure, Name, Outcome, Reply, ReservationIds};
use serde_json::json;
use utoipa::openapi::{HttpMethod, RefOr, Schema};

use crate::api::answer::{
    Answer, WithoutBody, WithoutQuery, admission_of, json, json_body, name_at, with_header, with_standing,
};
use crate::api::app::{App, mismatched};
use crate::api::route::Route;
use crate::hot::{Head, Hot, Rendering, Sender, is_plain_json};
use crate::http::media_type::JSON;
use crate::http::request::Request as HotRequest;
use crate::limits::BODY_BYTES_MAX;
use crate::openapi::operation::{Operation, SCENARIOS, text_header};
use crate::openapi::parts::{list, name, named, object, one_of, text, whole};
use crate::problem::{Code, Problem};

const STATION_PATH: &str = "/stations/{name}";
const BOOKING_PATH: &str = "/booking";

pub(super) fn routes() -> [Route; 2] {
    [Route::new(read_operation(), read_station), Route::new(book_operation(), book).hot(decode).reserving()]
}

fn read_operation() -> Operation {
    let days = json!([{"location": "PWTC", "date": "20210516", "availability": 1000}]);
    let schema = list("Every day, sorted by date.", named("StationDay"), None);
    Operation::new(HttpMethod::Get, STATION_PATH, SCENARIOS, "readStation", "List the days of a station")
        .name("name", "PWTC", "The station.")
        .content(200, "Every day, sorted by date.", "application/json", schema, days)
        .header(200, "Cache-Control", text_header("`public, max-age=1`"))
        .problems(&[Code::SaleNotFound])
        .asks()
}

fn book_operation() -> Operation {
    let booking = json!({
        "mysejahteraId": "900127015527",
        "firstName": "Fadhil",
        "lastName": "Yaacob",
        "address": "Kuala Lumpur",
        "location": "PWTC",
        "phoneNumber": "0123456789",
        "date": "20210516",
    });
    let refused = json!({"message": "Sorry, station is fully booked", "status": "Failed"});
    Operation::new(HttpMethod::Post, BOOKING_PATH, SCENARIOS, "book", "Book a slot for one person")
        .body("Booking", booking.clone())
        .json(200, "The fields of the booking.", "Booking", booking)
        .json(400, "Refused", "BookingRefused", refused)
        .problems(&[Code::Denied])
        .asks()
}

pub(super) fn schemas() -> [(&'static str, RefOr<Schema>); 3] {
    [("StationDay", station_day()), ("Booking", booking()), ("BookingRefused", booking_refused())]
}

fn station_day() -> RefOr<Schema> {
    object(
        "What one day of a station has left.",
        vec![
            ("location", name("The station.")),
            ("date", text("YYYYMMDD").pattern(Some("^[0-9]{8}$")).into()),
            ("availability", whole("Free slots.", 0, None).into()),
        ],
    )
}

fn booking() -> RefOr<Schema> {
    let field = |description: &str| RefOr::from(text(description));
    object(
        "A booking. Fields that are absent count as empty.",
        vec![
            ("mysejahteraId", name("Who books: one slot per person.")),
            ("firstName?", field("Kept with the booking.")),
            ("lastName?", field("Kept with the booking.")),
            ("address?", field("Kept with the booking.")),
            ("location", name("The station.")),
            ("phoneNumber?", field("Kept with the booking.")),
            ("date", text("YYYYMMDD").pattern(Some("^[0-9]{8}$")).into()),
        ],
    )
}

fn booking_refused() -> RefOr<Schema> {
    object(
        "Why nothing was booked.",
        vec![("message", text("For people.").into()), ("status", one_of("Always `Failed`.", &["Failed"]))],
    )
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
    let mut admission = admission_of(&request);
    let body = json_body(request, BODY_BYTES_MAX).await?;
    let call = match booking::decode(&body) {
        Ok(call) => call,
        Err(refused) => return Ok(json(StatusCode::BAD_REQUEST, |out| refused.write(out))),
    };
    app.gate.check_customer(&mut admission, &call)?;
    app.check_denied(&call)?;
    let response = match app.call(Call::Reserve(call)).await {
        Ok(Outcome::Reserved { call, .. }) => {
            Ok(json(StatusCode::OK, |out| booking::write_booked(out, &call)))
        }
        Err(Failure::Refused { refusal, call: Some(call) }) => {
            Ok(json(StatusCode::BAD_REQUEST, |out| booking::write_refused(out, &refusal, &call)))
        }
        Ok(other) => mismatched(&other),
        Err(failure) => Err(Problem::from_failure(&failure, app.backend.now_ms())),
    };
    response.map(|response| with_standing(response, &admission))
}

fn decode(request: &HotRequest<'_>, _: &[u8], _: &Sender<'_>) -> Hot {
    if !is_plain_json(request) {
        return Hot::Routed;
    }
    match booking::decode(request.body) {
        Ok(call) => Hot::Call(Call::Reserve(call), Rendering::without_name(write_hot)),
        Err(_) => Hot::Routed,
    }
}

fn write_hot(_: &Name, reply: Reply, _: &ReservationIds, out: &mut Vec<u8>) -> Result<Head, Failure> {
    match reply {
        Ok(Outcome::Reserved { call, .. }) => {
            booking::write_booked(out, &call);
            Ok(Head::ok(JSON))
        }
        Err(Failure::Refused { refusal, call: Some(call) }) => {
            booking::write_refused(out, &refusal, &call);
            Ok(Head { status: 400, ..Head::ok(JSON) })
        }
        Ok(other) => mismatched(&other),
        Err(failure) => Err(failure),
    }
}

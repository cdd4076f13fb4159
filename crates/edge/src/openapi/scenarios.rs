//! Operations of the scenarios.

use serde_json::json;
use utoipa::openapi::HttpMethod;

use super::operations::{Operation, text_header};
use super::parts::{list, named, whole};
use crate::problem::Code;

const SCENARIOS: &str = "scenarios";

pub(super) fn all() -> impl Iterator<Item = Operation> {
    count_request().into_iter().chain([count_visit(), read_row(), read_station(), book()])
}

/// One for each method, as all of them count.
fn count_request() -> [Operation; 7] {
    [
        (HttpMethod::Get, "countGet"),
        (HttpMethod::Post, "countPost"),
        (HttpMethod::Put, "countPut"),
        (HttpMethod::Delete, "countDelete"),
        (HttpMethod::Patch, "countPatch"),
        (HttpMethod::Options, "countOptions"),
        (HttpMethod::Trace, "countTrace"),
    ]
    .map(|(method, id)| {
        Operation::new(method, "/", SCENARIOS, id, "Count a request in the window `requests`")
            .json(
                200,
                "Requests in the window, this one included.",
                "RequestCount",
                json!({"requestCount": 4}),
            )
            .asks()
    })
}

fn count_visit() -> Operation {
    Operation::new(HttpMethod::Get, "/web-counter/increment", SCENARIOS, "countVisit", "Count a visit")
        .content(200, "The new total.", "application/json", whole("The total.", 1, None).into(), json!(123))
        .asks()
}

fn read_row() -> Operation {
    let row = json!({
        "ID": 123,
        "CreatedAt": "2021-05-16T08:00:00.000Z",
        "UpdatedAt": "2021-05-16T08:00:00.000Z",
        "DeletedAt": null,
        "counter": 123,
    });
    let unread = json!({"status": "Unsuccessful", "reason": "no answer within 2 s", "code": 503});
    let id = "readVisitorRow";
    Operation::new(
        HttpMethod::Get,
        "/web-counter/db/",
        SCENARIOS,
        id,
        "Read the visitor counter from the replica",
    )
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

fn read_station() -> Operation {
    let days = json!([{"location": "PWTC", "date": "20210516", "availability": 1000}]);
    let schema = list("Every day, sorted by date.", named("StationDay"), None);
    Operation::new(
        HttpMethod::Get,
        "/stations/{name}",
        SCENARIOS,
        "readStation",
        "List the days of a station",
    )
    .name("name", "The station.")
    .content(200, "Every day, sorted by date.", "application/json", schema, days)
    .header(200, "Cache-Control", text_header("`public, max-age=1`"))
    .problems(&[Code::SaleNotFound])
    .asks()
}

fn book() -> Operation {
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
    Operation::new(HttpMethod::Post, "/booking", SCENARIOS, "book", "Book a slot for one person")
        .body("Booking", booking.clone())
        .json(200, "The fields of the booking.", "Booking", booking)
        .json(400, "Refused", "BookingRefused", refused)
        .asks()
}

//! Operations of the scenarios.

use serde_json::json;
use utoipa::openapi::HttpMethod;

use super::operations::{Operation, text_header};
use super::parts::{list, named, whole};
use crate::problem::Code;

const SCENARIOS: &str = "scenarios";

pub(super) fn all() -> [Operation; 4] {
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
    let days = json!([{"location": "PWTC", "date": "20210516", "availability": 1000}]);
    [
        Operation::new(HttpMethod::Get, "/web-counter/increment", SCENARIOS, "countVisit", "Count a visit")
            .content(
                200,
                "The new total.",
                "application/json",
                whole("The total.", 1, None).into(),
                json!(123),
            )
            .asks(),
        Operation::new(HttpMethod::Get, "/", SCENARIOS, "countRequest", "Count a request")
            .description("Any method counts in the window `requests`.")
            .json(
                200,
                "Requests in the window, this one included.",
                "RequestCount",
                json!({"requestCount": 4}),
            )
            .asks(),
        Operation::new(
            HttpMethod::Get,
            "/stations/{name}",
            SCENARIOS,
            "readStation",
            "List the days of a station",
        )
        .name("name", "The station.")
        .content(
            200,
            "Every day, sorted by date.",
            "application/json",
            list("Every day, sorted by date.", named("StationDay"), None),
            days,
        )
        .header(200, "Cache-Control", text_header("`public, max-age=1`"))
        .problems(&[Code::SaleNotFound])
        .asks(),
        Operation::new(HttpMethod::Post, "/booking", SCENARIOS, "book", "Book a slot for one person")
            .body("Booking", booking.clone())
            .json(200, "The fields of the booking.", "Booking", booking)
            .json(400, "Refused", "BookingRefused", refused)
            .asks(),
    ]
}

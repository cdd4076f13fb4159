//! Operations of the public listener, and those that both listeners have.

use onrush_core::KEY_BYTES_MAX;
use serde_json::{Value, json};
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::{HttpMethod, ResponseBuilder};

use super::operation::{Operation, PUBLIC, optional_parameter, path_parameter, text_header};
use super::parts::{text, whole};
use crate::api::sales::page::{LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX};
use crate::problem::Code;

pub(crate) fn sales() -> [Operation; 2] {
    let limit = whole("Sales on a page.", 1, Some(usize::from(LIST_LIMIT_MAX)))
        .default(Some(json!(LIST_LIMIT_DEFAULT)));
    let cursor = text("The `next_cursor` of the page before.").min_length(Some(1));
    let known = |operation: Operation| {
        operation
            .parameter(if_none_match())
            .header(200, "ETag", text_header("Changes whenever the body does."))
            .answer(304, ResponseBuilder::new().description("The client has it already; no body."))
            .header(304, "ETag", text_header("As it was."))
            .asks()
    };
    [
        known(
            Operation::new(HttpMethod::Get, "/v1/sales", PUBLIC, "listSales", "List sales by name")
                .parameter(optional_parameter("limit", ParameterIn::Query, "Sales on a page.", limit))
                .parameter(optional_parameter("cursor", ParameterIn::Query, "Where to go on.", cursor))
                .json(200, "One page.", "SaleList", json!({"sales": [example_sale()], "next_cursor": null})),
        ),
        known(
            Operation::new(
                HttpMethod::Get,
                "/v1/sales/{sale}",
                PUBLIC,
                "readSale",
                "Read a sale and its figures",
            )
            .name("sale", "pwtc", "The sale's name.")
            .json(200, "The sale.", "Sale", example_sale())
            .problems(&[Code::SaleNotFound]),
        ),
    ]
}

pub(crate) fn reservations() -> [Operation; 5] {
    [
        reserve(),
        one_reservation(
            HttpMethod::Get,
            "/v1/sales/{sale}/reservations/{reservation}",
            "readReservation",
            "Read a reservation",
        ),
        one_reservation(
            HttpMethod::Post,
            "/v1/sales/{sale}/reservations/{reservation}/confirm",
            "confirmReservation",
            "Make a held reservation final",
        )
        .description("Repeating it changes nothing.")
        .problems(&[Code::ReservationNotHeld, Code::HoldExpired]),
        one_reservation(
            HttpMethod::Post,
            "/v1/sales/{sale}/reservations/{reservation}/release",
            "releaseReservation",
            "Give the units of a reservation back",
        )
        .description("Held or confirmed. Repeating it changes nothing.")
        .problems(&[Code::ReservationNotHeld, Code::HoldExpired]),
        Operation::new(
            HttpMethod::Get,
            "/v1/sales/{sale}/customers/{customer}/reservations",
            PUBLIC,
            "listCustomerReservations",
            "List a customer's reservations in a sale",
        )
        .name("sale", "pwtc", "The sale's name.")
        .name("customer", "900127015527", "The customer's name.")
        .json(
            200,
            "All of them, oldest first.",
            "ReservationList",
            json!({"reservations": [example_reservation()]}),
        )
        .problems(&[Code::SaleNotFound])
        .asks(),
    ]
}

fn reserve() -> Operation {
    let request = json!({
        "customer": "900127015527",
        "lines": [{"stock": "2021-05-16", "quantity": 1}],
        "details": {"first_name": "Fadhil"},
    });
    Operation::new(HttpMethod::Post, "/v1/sales/{sale}/reservations", PUBLIC, "reserve", "Reserve units")
        .description(
            "All lines or none. With an `Idempotency-Key` a retry finds the first reservation, also after a crash and \
             on another connection, and shows it as it is now: look at `status` before you charge.",
        )
        .name("sale", "pwtc", "The sale's name.")
        .parameter(idempotency_key())
        .body("ReservationRequest", request)
        .json(201, "The new reservation.", "Reservation", example_reservation())
        .header(201, "Location", text_header("The path of the reservation."))
        .json(200, "The reservation that this key made before, as it is now.", "Reservation", example_reservation())
        .header(200, "Idempotent-Replayed", text_header("`true`"))
        .problems(&[
            Code::SaleNotFound,
            Code::StockNotFound,
            Code::InsufficientStock,
            Code::CustomerLimitReached,
            Code::SaleNotOpen,
            Code::SaleClosed,
            Code::StockClosed,
            Code::IdempotencyKeyReused,
        ])
        .asks()
}

/// An operation on one reservation.
fn one_reservation(method: HttpMethod, path: &'static str, id: &str, summary: &str) -> Operation {
    let id_schema = text("The reservation's id.").min_length(Some(1)).max_length(Some(32));
    Operation::new(method, path, PUBLIC, id, summary)
        .name("sale", "pwtc", "The sale's name.")
        .parameter(path_parameter(
            "reservation",
            "2v8b0q6m1k4s7d9f3g5h8j1kza",
            "The reservation's id.",
            id_schema.into(),
        ))
        .json(200, "The reservation as it is now.", "Reservation", example_reservation())
        .problems(&[Code::SaleNotFound, Code::ReservationNotFound])
        .asks()
}

fn idempotency_key() -> Parameter {
    let schema = text("1 to 128 printable ASCII characters.")
        .pattern(Some("^[!-~]([ -~]{0,126}[!-~])?$"))
        .min_length(Some(1))
        .max_length(Some(KEY_BYTES_MAX));
    let description = "Names this reservation within the sale, so that a retry finds it.";
    optional_parameter("Idempotency-Key", ParameterIn::Header, description, schema)
}

fn if_none_match() -> Parameter {
    let description = "Entity tags that the client has.";
    optional_parameter("If-None-Match", ParameterIn::Header, description, text(description))
}

/// As the contract shows it.
pub(super) fn example_sale() -> Value {
    json!({
        "sale": "pwtc",
        "title": "Vaccination",
        "opens_at": null,
        "closes_at": null,
        "per_customer_max": 1,
        "hold_ttl_ms": 0,
        "status": "open",
        "stocks": [{
            "stock": "2021-05-16",
            "title": "16 May 2021",
            "starts_at": "2021-05-16T01:00:00.000Z",
            "ends_at": "2021-05-16T09:00:00.000Z",
            "closes_at": null,
            "quantity_total": 1000,
            "quantity_held": 0,
            "quantity_confirmed": 1,
            "quantity_available": 999,
        }],
    })
}

fn example_reservation() -> Value {
    json!({
        "reservation": "2v8b0q6m1k4s7d9f3g5h8j1kza",
        "sale": "pwtc",
        "customer": "900127015527",
        "status": "confirmed",
        "lines": [{"stock": "2021-05-16", "quantity": 1}],
        "details": {"first_name": "Fadhil"},
        "created_at": "2021-05-01T08:00:00.000Z",
        "expires_at": null,
    })
}

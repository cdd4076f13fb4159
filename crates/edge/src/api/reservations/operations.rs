//! Operations on reservations.

use onrush_core::KEY_BYTES_MAX;
use serde_json::{Value, json};
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::{HttpMethod, ObjectBuilder, Type};

use crate::openapi::operation::{Operation, PUBLIC, optional_parameter, path_parameter, text_header};
use crate::openapi::parts::text;
use crate::problem::Code;

pub(super) fn all() -> [Operation; 5] {
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
        .description(
            "Repeating it changes nothing. Where the sale says so, the operator listener alone takes it. With `reclaim`, which \
             that listener alone takes too, a hold that has expired takes its units again, if they are there and the \
             customer may have them: for a payment that came late.",
        )
        .parameter(reclaim())
        .problems(&[
            Code::ReservationNotHeld,
            Code::HoldExpired,
            Code::InsufficientStock,
            Code::CustomerLimitReached,
            Code::OperatorOnly,
            Code::CrossSite,
        ]),
        one_reservation(
            HttpMethod::Post,
            "/v1/sales/{sale}/reservations/{reservation}/release",
            "releaseReservation",
            "Give the units of a reservation back",
        )
        .description("Held or confirmed. Repeating it changes nothing.")
        .problems(&[Code::ReservationNotHeld, Code::HoldExpired, Code::CrossSite]),
        Operation::new(
            HttpMethod::Get,
            "/v1/sales/{sale}/customers/{customer}/reservations",
            PUBLIC,
            "listCustomerReservations",
            "List a customer's reservations in a sale",
        )
        .name("sale", "PWTC", "The sale's name.")
        .name("customer", "900127015527", "The customer's name.")
        .json(
            200,
            "All of them, oldest first.",
            "ReservationList",
            json!({"reservations": [example_reservation()]}),
        )
        .problems(&[
            Code::SaleNotFound,
            Code::SessionRequired,
            Code::SessionExpired,
            Code::InvalidCredentials,
            Code::CustomerMismatch,
            Code::Denied,
        ])
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
        .name("sale", "PWTC", "The sale's name.")
        .parameter(idempotency_key())
        .body("ReservationRequest", request)
        .json(201, "The new reservation.", "Reservation", example_reservation())
        .header(201, "Location", text_header("The path of the reservation."))
        .json(200, "The reservation that this key made before, as it is now.", "Reservation", example_reservation())
        .header(200, "Idempotent-Replayed", text_header("`true`"))
        .problems(&[
            Code::SessionRequired,
            Code::SessionExpired,
            Code::InvalidCredentials,
            Code::CustomerMismatch,
            Code::CrossSite,
            Code::SaleNotFound,
            Code::StockNotFound,
            Code::InsufficientStock,
            Code::CustomerLimitReached,
            Code::SaleNotOpen,
            Code::SaleClosed,
            Code::StockClosed,
            Code::IdempotencyKeyReused,
            Code::Denied,
            Code::CoolingDown,
            Code::HoldsUnpaid,
            Code::ChallengeRequired,
            Code::ChallengeFailed,
        ])
        .asks()
}

fn reclaim() -> Parameter {
    let description =
        "Whether a hold that has expired takes its units again. On the operator listener alone.";
    let schema = ObjectBuilder::new().schema_type(Type::Boolean).default(Some(json!(false)));
    optional_parameter("reclaim", ParameterIn::Query, description, schema)
}

/// An operation on one reservation.
fn one_reservation(method: HttpMethod, path: &'static str, id: &str, summary: &str) -> Operation {
    let id_schema = text("The reservation's id.").min_length(Some(1)).max_length(Some(32));
    Operation::new(method, path, PUBLIC, id, summary)
        .name("sale", "PWTC", "The sale's name.")
        .parameter(path_parameter(
            "reservation",
            "2v8b0q6m1k4s7d9f3g5h8j1kza",
            "The reservation's id.",
            id_schema.into(),
        ))
        .json(200, "The reservation as it is now.", "Reservation", example_reservation())
        .problems(&[
            Code::SaleNotFound,
            Code::ReservationNotFound,
            Code::SessionRequired,
            Code::SessionExpired,
            Code::InvalidCredentials,
            Code::CustomerMismatch,
            Code::Denied,
        ])
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

fn example_reservation() -> Value {
    json!({
        "reservation": "2v8b0q6m1k4s7d9f3g5h8j1kza",
        "sale": "PWTC",
        "customer": "900127015527",
        "status": "confirmed",
        "lines": [{"stock": "2021-05-16", "quantity": 1}],
        "details": {"first_name": "Fadhil"},
        "created_at": "2021-05-01T08:00:00.000Z",
        "expires_at": null,
    })
}

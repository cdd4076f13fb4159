//! Schemas of reservations.

use onrush_core::{LINES_MAX, QUANTITY_MAX, ReservationStatus};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};

use super::body::reservation_status_text;
use crate::limits::DETAILS_DEPTH_MAX;
use crate::openapi::parts::{list, name, named, object, one_of, text, time, time_or_null, whole};

pub(in crate::api) fn schemas() -> [(&'static str, RefOr<Schema>); 4] {
    [
        ("Line", line()),
        ("ReservationRequest", reservation_request()),
        ("Reservation", reservation()),
        ("ReservationList", reservation_list()),
    ]
}

fn line() -> RefOr<Schema> {
    object(
        "So many units of one stock.",
        vec![
            ("stock", name("The stock's name.")),
            ("quantity", whole("How many.", 1, Some(QUANTITY_MAX as usize)).into()),
        ],
    )
}

fn reservation_request() -> RefOr<Schema> {
    object(
        "A claim of one customer: all lines or none.",
        vec![
            ("customer?", name("Who reserves; with a session it may be left out, and is nobody else.")),
            ("lines", list("On distinct stocks of the sale.", named("Line"), Some((1, LINES_MAX)))),
            (
                "details?",
                details(&format!(
                    "Anything to keep with it: at most 4,096 bytes as sent, white space included, and at most \
                     {DETAILS_DEPTH_MAX} objects and lists within each other."
                )),
            ),
            (
                "challenge?",
                text("A solved challenge, where the sale asks for one: `<challenge>:<digits>`, or what the ALTCHA widget makes.")
                    .into(),
            ),
        ],
    )
}

fn reservation() -> RefOr<Schema> {
    let statuses = [
        ReservationStatus::Held,
        ReservationStatus::Confirmed,
        ReservationStatus::Released,
        ReservationStatus::Expired,
    ];
    object(
        "One customer's claim.",
        vec![
            ("reservation", text("Its id: opaque.").min_length(Some(1)).max_length(Some(32)).into()),
            ("sale", name("The sale's name.")),
            ("customer", name("Who reserved.")),
            ("status", one_of("Where it stands.", &statuses.map(reservation_status_text))),
            ("lines", list("As they were asked for.", named("Line"), Some((1, LINES_MAX)))),
            ("details", details("As they were sent; empty if there were none.")),
            ("created_at", time("When it was made.")),
            ("expires_at", time_or_null("When a held reservation gives its units back.").into()),
        ],
    )
}

fn details(description: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(description))
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
        .into()
}

fn reservation_list() -> RefOr<Schema> {
    object(
        "All reservations of a customer in a sale.",
        vec![("reservations", list("Oldest first.", named("Reservation"), None))],
    )
}

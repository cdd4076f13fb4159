//! The schemas of all bodies.

use onrush_core::{
    HOLD_TTL_MS_MAX, LINES_MAX, PER_CUSTOMER_MAX_MAX, QUANTITY_MAX, QUANTITY_TOTAL_MAX, ReservationStatus,
    STOCKS_PER_SALE_MAX, SaleStatus, TITLE_BYTES_MAX,
};
use serde_json::{Value, json};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};

use super::parts::{
    FROM_1970, list, name, named, object, one_of, request_time, text, time, time_or_null, whole,
};
use crate::api::sales::page::LIST_LIMIT_MAX;
use crate::dto::{reservation_status_text, sale_status_text};
use crate::limits::DETAILS_DEPTH_MAX;
use crate::problem::Code;

/// Every schema of the components by name.
pub(super) fn all() -> Vec<(&'static str, RefOr<Schema>)> {
    let sales = [
        ("Sale", sale()),
        ("Stock", stock()),
        ("SaleList", sale_list()),
        ("SaleTerms", sale_terms()),
        ("SaleChange", sale_change()),
        ("StockTerms", stock_terms()),
    ];
    let reservations = [
        ("Line", line()),
        ("ReservationRequest", reservation_request()),
        ("Reservation", reservation()),
        ("ReservationList", reservation_list()),
    ];
    [("Problem", problem())].into_iter().chain(sales).chain(reservations).collect()
}

fn problem() -> RefOr<Schema> {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let taken =
        |what| format!("`quantity_below_reserved`, `stock_in_use`: units of the stock that are {what}.");
    let held = format!("{} `holds_pending`: units of all held reservations of the sale.", taken("held"));
    object(
        "What went wrong (RFC 9457). `code` is stable; `detail` is for people.",
        vec![
            ("type", text("Names the kind of problem; ends in the code.").into()),
            ("title", text("The kind of problem in words.").into()),
            ("status", whole("Repeats the status of the answer.", 400, Some(599)).into()),
            ("code", one_of("The kind of problem, for programs.", &codes)),
            ("detail", text("What to do about it.").into()),
            ("field?", text("`invalid_request`: the field, parameter or header at fault.").into()),
            (
                "stock?",
                text(
                    "`insufficient_stock`, `stock_not_found`, `stock_closed`, `quantity_below_reserved`, `stock_in_use`: which stock.",
                )
                .into(),
            ),
            ("quantity_available?", whole("`insufficient_stock`: what the stock has left.", 0, None).into()),
            ("quantity_held?", whole(&held, 0, None).into()),
            ("quantity_confirmed?", whole(&taken("confirmed"), 0, None).into()),
            ("per_customer_max?", whole("`customer_limit_reached`: the sale's limit.", 1, None).into()),
            (
                "quantity_taken?",
                whole("`customer_limit_reached`: units that the customer holds and has confirmed.", 0, None)
                    .into(),
            ),
            ("opens_at?", time("`sale_not_open`: when the sale opens.")),
            ("closes_at?", time("`sale_closed`, `stock_closed`: when the sale or the stock closed.")),
            ("held_count?", whole("`holds_pending`: reservations of the sale that are held.", 1, None).into()),
            ("held_until?", time("`holds_pending`: no reservation of the sale is held for longer.")),
        ],
    )
}

fn sale() -> RefOr<Schema> {
    let statuses = [SaleStatus::Scheduled, SaleStatus::Open, SaleStatus::SoldOut, SaleStatus::Closed];
    object(
        "What opens and closes, with its stocks and their figures.",
        vec![
            ("sale", name("Its name.")),
            ("title", text("For people.").into()),
            ("opens_at", time_or_null("Reservations are refused before.").into()),
            ("closes_at", time_or_null("Reservations are refused from then on.").into()),
            ("per_customer_max", per_customer_max()),
            ("hold_ttl_ms", hold_ttl_ms()),
            ("status", one_of("Where it stands.", &statuses.map(sale_status_text))),
            ("stocks", list("Sorted by `starts_at`, then name.", named("Stock"), None)),
        ],
    )
}

fn stock() -> RefOr<Schema> {
    object(
        "A limited quantity of one thing; with a start and an end it is a slot.",
        vec![
            ("stock", name("Its name.")),
            ("title", text("For people.").into()),
            ("starts_at", time_or_null("When the slot starts, for people.").into()),
            ("ends_at", time_or_null("When the slot ends, for people; it is sold until `closes_at`.").into()),
            ("closes_at", time_or_null("Reservations of the stock are refused from then on.").into()),
            ("quantity_total", whole("Units for sale.", 0, None).into()),
            ("quantity_held", whole("Units of held reservations.", 0, None).into()),
            ("quantity_confirmed", whole("Units of confirmed reservations.", 0, None).into()),
            (
                "quantity_available",
                whole("Total less held less confirmed, also of a stock that has closed.", 0, None).into(),
            ),
        ],
    )
}

fn sale_list() -> RefOr<Schema> {
    let cursor = text("The `cursor` of the next page; null on the last.")
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]));
    object(
        "One page of sales by name.",
        vec![
            (
                "sales",
                list("At most `limit` of them.", named("Sale"), Some((0, usize::from(LIST_LIMIT_MAX)))),
            ),
            ("next_cursor", cursor.into()),
        ],
    )
}

fn sale_terms() -> RefOr<Schema> {
    object(
        "What an operator says of a sale. Absent fields take their defaults; in a sale that exists they must be at them.",
        vec![
            ("title?", title()),
            ("opens_at?", request_time("Reservations are refused before; at once if null.")),
            (
                "closes_at?",
                request_time("Reservations are refused from then on; later than `opens_at`; never if null."),
            ),
            ("per_customer_max?", per_customer_max()),
            ("hold_ttl_ms?", hold_ttl_ms()),
            (
                "stocks",
                list(
                    "With distinct names, in any order.",
                    named("StockTerms"),
                    Some((1, STOCKS_PER_SALE_MAX)),
                ),
            ),
        ],
    )
}

fn sale_change() -> RefOr<Schema> {
    let whole_or_null = |description: &str, least, most: u32| {
        whole(description, least, Some(most as usize))
            .schema_type(SchemaType::from_iter([Type::Integer, Type::Null]))
            .into()
    };
    let time_or_null = |description| time_or_null(description).pattern(Some(FROM_1970)).into();
    let title = text("For people; at most 256 bytes of UTF-8; empty if null.")
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .max_length(Some(TITLE_BYTES_MAX));
    object(
        "Changes of single terms of a sale: what is absent stays, null takes a field back to its default.",
        vec![
            ("title?", title.into()),
            ("opens_at?", time_or_null("Reservations are refused before; at once if null.")),
            ("closes_at?", time_or_null("Reservations are refused from then on; never if null.")),
            ("per_customer_max?", whole_or_null("No limit if null.", 1, PER_CUSTOMER_MAX_MAX)),
            ("hold_ttl_ms?", whole_or_null("0, which confirms at once, if null.", 0, HOLD_TTL_MS_MAX)),
            (
                "stocks?",
                list("The whole list, in any order.", named("StockTerms"), Some((1, STOCKS_PER_SALE_MAX))),
            ),
        ],
    )
}

fn stock_terms() -> RefOr<Schema> {
    object(
        "What an operator says of a stock.",
        vec![
            ("stock", name("Its name.")),
            ("title?", title()),
            ("starts_at?", request_time("When the slot starts. Nothing is decided by it.")),
            (
                "ends_at?",
                request_time(
                    "When the slot ends; later than `starts_at`. Nothing is decided by it: `closes_at` ends the sale of a stock.",
                ),
            ),
            (
                "closes_at?",
                request_time("Reservations of the stock are refused from then on; with the sale if null."),
            ),
            ("quantity_total", whole("Units for sale.", 0, Some(QUANTITY_TOTAL_MAX as usize)).into()),
        ],
    )
}

fn title() -> RefOr<Schema> {
    text("For people; at most 256 bytes of UTF-8.")
        .max_length(Some(TITLE_BYTES_MAX))
        .default(Some(json!("")))
        .into()
}

fn per_customer_max() -> RefOr<Schema> {
    whole(
        "Units that one customer may hold and have confirmed; null for no limit.",
        1,
        Some(PER_CUSTOMER_MAX_MAX as usize),
    )
    .schema_type(SchemaType::from_iter([Type::Integer, Type::Null]))
    .default(Some(Value::Null))
    .into()
}

fn hold_ttl_ms() -> RefOr<Schema> {
    whole(
        "How long a reservation is held before it expires; 0 confirms it at once.",
        0,
        Some(HOLD_TTL_MS_MAX as usize),
    )
    .default(Some(json!(0)))
    .into()
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
            ("customer", name("Who reserves.")),
            ("lines", list("On distinct stocks of the sale.", named("Line"), Some((1, LINES_MAX)))),
            (
                "details?",
                details(&format!(
                    "Anything to keep with it: at most 4,096 bytes as sent, white space included, and at most \
                     {DETAILS_DEPTH_MAX} objects and lists within each other."
                )),
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

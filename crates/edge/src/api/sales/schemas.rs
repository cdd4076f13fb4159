//! Schemas of sales.

use onrush_core::{
    COOLDOWN_MS_MAX, ChallengeTerms, ConfirmBy, GateMode, HOLD_TTL_MS_MAX, HOLDS_UNPAID_MAX_MAX,
    PER_CUSTOMER_MAX_MAX, QUANTITY_TOTAL_MAX, STOCKS_PER_SALE_MAX, SaleStatus, SessionTerms, TITLE_BYTES_MAX,
};
use serde_json::{Value, json};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};

use super::body::sale_status_text;
use crate::limits::LIST_LIMIT_MAX;
use crate::openapi::parts::{
    FROM_1970, list, name, named, object, object_or_null, one_of, request_time, text, time_or_null, whole,
};

pub(in crate::api) fn schemas() -> [(&'static str, RefOr<Schema>); 9] {
    [
        ("Sale", sale()),
        ("Stock", stock()),
        ("SaleList", sale_list()),
        ("SaleTerms", sale_terms()),
        ("SaleChange", sale_change()),
        ("Gate", gate()),
        ("GateTerms", gate_terms()),
        ("GateChange", gate_change()),
        ("StockTerms", stock_terms()),
    ]
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
            ("gate", named("Gate")),
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
            ("gate?", named("GateTerms")),
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
            ("gate?", named("GateChange")),
            (
                "stocks?",
                list("The whole list, in any order.", named("StockTerms"), Some((1, STOCKS_PER_SALE_MAX))),
            ),
        ],
    )
}

fn gate() -> RefOr<Schema> {
    let unpaid = "So many holds of a customer may have run out unpaid; then the customer reserves no more. No limit if null.";
    object(
        "What the sale asks of a buyer.",
        vec![
            ("session", one_of(SESSION, &SessionTerms::ALL.map(SessionTerms::as_str))),
            ("challenge", one_of(CHALLENGE, &ChallengeTerms::ALL.map(ChallengeTerms::as_str))),
            ("cooldown_ms", whole(COOLDOWN, 0, Some(COOLDOWN_MS_MAX as usize)).into()),
            ("holds_unpaid_max", unpaid_or_null(unpaid).into()),
            ("confirm_by", one_of(CONFIRMS, &ConfirmBy::ALL.map(ConfirmBy::as_str))),
            ("mode", one_of(MODE, &GateMode::ALL.map(GateMode::as_str))),
        ],
    )
}

fn gate_terms() -> RefOr<Schema> {
    object(
        "What a sale asks of a buyer. Absent fields take their defaults; in a sale that exists they must be at them.",
        gate_of_request(),
    )
}

fn gate_change() -> RefOr<Schema> {
    object_or_null(
        "Changes of what a sale asks of a buyer: what is absent stays, null takes a field, or all of them, back to the default.",
        gate_of_request(),
    )
}

fn gate_of_request() -> Vec<(&'static str, RefOr<Schema>)> {
    let cooldown = whole(COOLDOWN, 0, Some(COOLDOWN_MS_MAX as usize))
        .schema_type(SchemaType::from_iter([Type::Integer, Type::Null]));
    vec![
        ("session?", words_or_null(SESSION, &SessionTerms::ALL.map(SessionTerms::as_str))),
        ("challenge?", words_or_null(CHALLENGE, &ChallengeTerms::ALL.map(ChallengeTerms::as_str))),
        ("cooldown_ms?", cooldown.into()),
        ("holds_unpaid_max?", unpaid_or_null("No limit if null.").into()),
        ("confirm_by?", words_or_null(CONFIRMS, &ConfirmBy::ALL.map(ConfirmBy::as_str))),
        ("mode?", words_or_null(MODE, &GateMode::ALL.map(GateMode::as_str))),
    ]
}

const SESSION: &str = "Whether it takes a session to reserve. With `required` a customer also reads, confirms and releases their own reservations alone.";
const CHALLENGE: &str = "Which challenge has to be solved for each reservation.";
const COOLDOWN: &str =
    "How long after a reservation of a customer the next one is refused; 0 for not at all.";
const CONFIRMS: &str = "Who confirms: whoever knows the reservation, or only the operator listener.";
const MODE: &str = "`shadow` decides and counts, and refuses nobody.";

fn words_or_null(description: &str, words: &[&str]) -> RefOr<Schema> {
    let values = words.iter().map(|word| json!(word)).chain([Value::Null]);
    text(description)
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .enum_values(Some(values))
        .into()
}

fn unpaid_or_null(description: &str) -> ObjectBuilder {
    whole(description, 1, Some(HOLDS_UNPAID_MAX_MAX as usize))
        .schema_type(SchemaType::from_iter([Type::Integer, Type::Null]))
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

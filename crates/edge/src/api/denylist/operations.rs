//! Operations on the denylist.

use onrush_core::{DenialKind, REASON_BYTES_MAX};
use serde_json::{Value, json};
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::{HttpMethod, RefOr, ResponseBuilder, Schema};

use crate::http::page::LIST_LIMIT_DEFAULT;
use crate::limits::LIST_LIMIT_MAX;
use crate::openapi::operation::{OPERATOR, Operation, optional_parameter, path_parameter};
use crate::openapi::parts::{list, named, object, one_of, request_time, text, time_or_null, whole};
use crate::problem::Code;

const PATH: &str = "/v1/denylist/{kind}/{value}";

pub(super) fn all() -> [Operation; 4] {
    let request = json!({"reason": "a bot", "expires_at": "2021-05-17T00:00:00Z"});
    let put = subject(HttpMethod::Put, "putDenial", "Deny a customer, an address, a network or sessions")
        .description(
            "In force on every thread when it is answered. An entry of the same kind and value is replaced. From `expires_at` \
             on it denies nobody. With the kind `session` all sessions of the customer end that have begun so far, and new ones \
             may begin; it takes no `expires_at`, and gets that of the last of them.",
        )
        .body("DenialTerms", request)
        .json(201, "The entry is new.", "Denial", example())
        .json(200, "The entry is as asked.", "Denial", example());
    let read = subject(HttpMethod::Get, "readDenial", "Read an entry of the denylist")
        .json(200, "The entry.", "Denial", example())
        .problems(&[Code::DenialNotFound]);
    let removed = subject(HttpMethod::Delete, "removeDenial", "Take an entry off the denylist")
        .answer(204, ResponseBuilder::new().description("The entry is gone."))
        .problems(&[Code::DenialNotFound]);
    let limit = whole("Entries on a page.", 1, Some(usize::from(LIST_LIMIT_MAX)))
        .default(Some(json!(LIST_LIMIT_DEFAULT)));
    let cursor = text("The `next_cursor` of the page before.").min_length(Some(1));
    let listed = Operation::new(
        HttpMethod::Get,
        "/v1/denylist",
        OPERATOR,
        "listDenials",
        "List the denylist",
    )
    .description(
        "Customers first, by value. A page may have fewer entries than asked for and yet a `next_cursor`.",
    )
    .parameter(optional_parameter("limit", ParameterIn::Query, "Entries on a page.", limit))
    .parameter(optional_parameter("cursor", ParameterIn::Query, "Where to go on.", cursor))
    .json(200, "One page.", "DenialList", json!({"denials": [example()], "next_cursor": null}));
    [put.asks(), read.asks(), removed.asks(), listed.asks()]
}

fn subject(method: HttpMethod, id: &str, summary: &str) -> Operation {
    Operation::new(method, PATH, OPERATOR, id, summary).parameter(kind()).parameter(value())
}

fn kind() -> Parameter {
    let description = "What the value names.";
    path_parameter("kind", "customer", description, kind_schema())
}

fn value() -> Parameter {
    let description = "The name of a customer, also of kind `session`; or an IP address, or a network such as `192.0.2.0%2F24` without bits behind its length.";
    path_parameter("value", "ada", description, text(description).min_length(Some(1)).into())
}

fn kind_schema() -> RefOr<Schema> {
    one_of(
        "What the value names. `session` is of the sessions that a customer has begun so far.",
        &DenialKind::ALL.map(DenialKind::as_str),
    )
}

pub(in crate::api) fn schemas() -> [(&'static str, RefOr<Schema>); 3] {
    let reason = || text("Why, for operators.").max_length(Some(REASON_BYTES_MAX));
    let terms = vec![
        ("reason?", reason().into()),
        (
            "expires_at?",
            request_time(
                "From then on, by the wall clock, nobody is denied; later than now. Left out or null of kind `session`.",
            ),
        ),
    ];
    let denial = vec![
        ("kind", kind_schema()),
        ("value", text("The customer, address or network, in one form.").into()),
        ("reason", reason().into()),
        ("expires_at", time_or_null("From then on nobody is denied; null if it has no end.").into()),
    ];
    let denials = vec![
        ("denials", list("By kind and value.", named("Denial"), None)),
        ("next_cursor", one_of_text_or_null()),
    ];
    [
        ("DenialTerms", object("Why somebody is denied, and until when.", terms)),
        ("Denial", object("One entry of the denylist.", denial)),
        ("DenialList", object("A page of the denylist.", denials)),
    ]
}

fn one_of_text_or_null() -> RefOr<Schema> {
    use utoipa::openapi::schema::{SchemaType, Type};
    text("Where the next page begins; null on the last one.")
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .into()
}

fn example() -> Value {
    json!({"kind": "customer", "value": "ada", "reason": "a bot", "expires_at": "2021-05-17T00:00:00.000Z"})
}

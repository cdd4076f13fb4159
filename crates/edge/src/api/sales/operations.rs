//! Operations on sales.

use serde_json::{Value, json};
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::Type;
use utoipa::openapi::{HttpMethod, ObjectBuilder, ResponseBuilder};

use crate::http::media_type::MERGE_PATCH;
use crate::http::page::LIST_LIMIT_DEFAULT;
use crate::limits::LIST_LIMIT_MAX;
use crate::openapi::operation::{OPERATOR, Operation, PUBLIC, optional_parameter, text_header};
use crate::openapi::parts::{text, whole};
use crate::problem::Code;

pub(super) fn public() -> [Operation; 2] {
    let limit = whole("Sales on a page.", 1, Some(usize::from(LIST_LIMIT_MAX)))
        .default(Some(json!(LIST_LIMIT_DEFAULT)));
    let cursor = text("The `next_cursor` of the page before.").min_length(Some(1));
    let known = |operation: Operation| {
        operation
            .parameter(known_tags())
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
            .name("sale", "PWTC", "The sale's name.")
            .json(200, "The sale.", "Sale", example_sale())
            .problems(&[Code::SaleNotFound]),
        ),
    ]
}

pub(super) fn operator() -> [Operation; 3] {
    let terms = json!({
        "title": "Vaccination",
        "per_customer_max": 1,
        "stocks": [{
            "stock": "2021-05-16",
            "starts_at": "2021-05-16T01:00:00Z",
            "ends_at": "2021-05-16T09:00:00Z",
            "quantity_total": 1000,
        }],
    });
    let etag = || text_header("The sale's entity tag.");
    [
        Operation::new(HttpMethod::Put, "/v1/sales/{sale}", OPERATOR, "putSale", "Create a sale or change its terms")
            .description(
                "The same PUT again changes nothing. A field may be left out only while it is at its default in the sale: \
                 what is left out by mistake does not lift a limit. A stock that has reservations cannot be left out, nor \
                 have fewer units than are held and confirmed.",
            )
            .name("sale", "PWTC", "The sale's name.")
            .parameter(if_match())
            .parameter(only_new())
            .body("SaleTerms", terms)
            .json(201, "The new sale.", "Sale", example_sale())
            .header(201, "ETag", etag())
            .json(200, "The sale as it is now.", "Sale", example_sale())
            .header(200, "ETag", etag())
            .problems(&[Code::PreconditionFailed, Code::QuantityBelowReserved, Code::StockInUse])
            .asks(),
        Operation::new(HttpMethod::Patch, "/v1/sales/{sale}", OPERATOR, "changeSale", "Change single terms of a sale")
            .description(
                "A JSON merge patch (RFC 7396): absent fields stay as they are, null takes a field back to its default, \
                 `stocks` replaces the whole list.",
            )
            .name("sale", "PWTC", "The sale's name.")
            .parameter(if_match())
            .body_as(MERGE_PATCH, "SaleChange", json!({"per_customer_max": 2}))
            .json(200, "The sale as it is now.", "Sale", example_sale())
            .header(200, "ETag", etag())
            .problems(&[Code::SaleNotFound, Code::PreconditionFailed, Code::QuantityBelowReserved, Code::StockInUse])
            .asks(),
        Operation::new(HttpMethod::Delete, "/v1/sales/{sale}", OPERATOR, "archiveSale", "Archive a closed sale")
            .description(
                "Forgets the sale and its reservations and frees their memory. While customers hold reservations, nothing is done \
                 unless `force` says so: then what is held is released first, with an event for each. A forced call that ends in \
                 the middle may have released some; repeat it.",
            )
            .name("sale", "PWTC", "The sale's name.")
            .parameter(force())
            .parameter(if_match())
            .answer(204, ResponseBuilder::new().description("It is gone."))
            .problems(&[Code::SaleNotFound, Code::PreconditionFailed, Code::SaleOpen, Code::HoldsPending])
            .asks(),
    ]
}

fn force() -> Parameter {
    let description = "Whether what customers hold is released first. Without it, nothing is archived while something is held.";
    let schema = ObjectBuilder::new().schema_type(Type::Boolean).default(Some(json!(false)));
    optional_parameter("force", ParameterIn::Query, description, schema)
}

fn if_match() -> Parameter {
    let description = "One or more ETags of the sale. The change is made only if the terms of the sale are still those of one of \
                       them; reservations do not count. * asks only that the sale exists.";
    optional_parameter("If-Match", ParameterIn::Header, description, entity_tags(description))
}

fn only_new() -> Parameter {
    let description = "Only if there is no such sale.";
    let schema = text(description).enum_values(Some(["*"]));
    optional_parameter("If-None-Match", ParameterIn::Header, description, schema)
}

fn entity_tags(description: &str) -> ObjectBuilder {
    text(description).pattern(Some("^(\\*|(W/)?\"[!#-~]*\"( *, *(W/)?\"[!#-~]*\")*)$"))
}

fn known_tags() -> Parameter {
    let description = "Entity tags that the client has.";
    optional_parameter("If-None-Match", ParameterIn::Header, description, text(description))
}

/// As the contract shows it.
fn example_sale() -> Value {
    json!({
        "sale": "PWTC",
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
